"""What the report puts into its page: read back from the page itself."""

import base64
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

import linexp as le
from linexp._internal.privacy import hide_folders, picture_names
from linexp.figures import even_ranges, share_ranges
from linexp.report.packing import short
from linexp.report.writing import _json
from linexp.results import Column, column_of, read_columns
from linexp.score import Origin
from tests.report_world import EVIL, N_IMAGES, N_NEURONS, make_findings, make_pictures, make_run, save_result


@pytest.fixture(scope="module")
def findings():
    return make_findings()


@pytest.fixture(scope="module")
def path(tmp_path_factory, findings):
    return le.write_report(findings, tmp_path_factory.mktemp("report"))


def read_data(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text)[1])


def unpack(text, bits):
    return np.frombuffer(base64.b64decode(text), dtype=f"<u{bits // 8}")


def files_of(folder):
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_explanations_and_scores_are_those_given(path, findings):
    (layer,) = read_data(path)["layers"]
    concepts = read_data(path)["concepts"]
    assert layer["neurons"] == list(range(100, 100 + N_NEURONS))
    assert [method["name"] for method in layer["methods"]] == ["ours", "one & only"]
    for method, finding in zip(layer["methods"], findings, strict=True):
        for packed, item in zip(method["terms"], finding.explanations, strict=True):
            assert [concepts[term[0]] for term in packed] == list(item.concepts)
            assert [term[1] for term in packed] == pytest.approx([term.weight for term in item.terms], rel=1e-3)
            assert [term[2] for term in packed] == pytest.approx([term.error for term in item.terms], rel=1e-2)
        assert method["outcomes"] == [item.outcome for item in finding.explanations]
        for packed, column in zip(method["columns"], finding.columns, strict=True):
            known = {n: value for n, value in zip(layer["neurons"], packed["values"], strict=True) if value is not None}
            assert known == pytest.approx(column.values, rel=1e-3)


@pytest.mark.parametrize(
    ("value", "digits", "packed"),
    [
        (1.6665657, 2, 1.67),  # not 1.7, which a card shows as 1.70
        (123.456, 4, 123.46),
        (0.12496, 4, 0.12496),  # not 0.125, which it shows as 0.13
        (-0.12496, 4, -0.12496),
        (0.125, 4, 0.125),
        (0.12345, 4, 0.1235),
        (0.00012345, 2, 0.00012),
        (12345.6, 2, 12000),
        (2.0, 4, 2),
        (None, 4, None),
        (float("nan"), 4, None),
    ],
)
def test_numbers_have_the_digits_that_the_page_shows(value, digits, packed):
    assert short(value, digits) == packed


def test_synonyms_stand_with_their_terms(tmp_path, findings):
    finding = findings[0]
    items = tuple(
        replace(item, terms=tuple(replace(term, synonyms=("azure", EVIL)) for term in item.terms[:1]) + item.terms[1:])
        for item in finding.explanations
    )
    changed = replace(finding, explanations=replace(finding.explanations, items=items))
    data = read_data(le.write_report([changed], tmp_path))
    for packed, item in zip(data["layers"][0]["methods"][0]["terms"], items, strict=True):
        assert [[data["concepts"][word] for word in (term[4:] or [[]])[0]] for term in packed] == [
            list(term.synonyms) for term in item.terms
        ]


def test_pictures_activations_and_predictions_belong_together(path, findings):
    data = read_data(path)
    (layer,) = data["layers"]
    run = findings[0]
    values = run.activations.values.double().numpy()
    predicted = le.simulate(findings[0].explanations, run.concepts).values.double().numpy()
    shown = unpack(layer["shown"], 16).reshape(N_NEURONS, 8, 3)
    actual = unpack(layer["values"], 16).reshape(N_NEURONS, 8, 3) / 65535
    guesses = unpack(layer["methods"][0]["predicted"], 16).reshape(N_NEURONS, 8, 3) / 65535
    row_of = {name: row for row, name in enumerate(picture_names(run.image_names, run.settings["images"]))}
    for at, range_, place in np.argwhere(shown != 65535):
        row = row_of[data["names"][layer["pictures"][shown[at, range_, place]]]]
        low, high = layer["low"][at], layer["high"][at]
        assert low + (high - low) * actual[at, range_, place] == pytest.approx(values[row, at], abs=1e-3)
        low, high = (layer["methods"][0][end][at] for end in ("low", "high"))
        assert low + (high - low) * guesses[at, range_, place] == pytest.approx(predicted[row, at], abs=1e-3)
        edges = even_ranges(values[:, at]).edges
        assert edges[7 - range_] <= values[row, at] <= edges[8 - range_]


def test_thumbnails_are_the_pictures_and_only_those_shown(path):
    from PIL import Image

    data = read_data(path)
    assert data["bare"] == []
    thumbs = sorted((path.parent / "thumbs").iterdir())
    assert [file.name for file in thumbs] == [f"{number:05}.webp" for number in range(len(data["names"]))]
    assert len(thumbs) < N_IMAGES
    pixels = make_pictures()
    for file, name in zip(thumbs, data["names"], strict=True):
        row = int(re.search(r"/(\d+)&<i>\.png$", name)[1])
        with Image.open(file) as picture:
            assert (picture.format, picture.size) == ("WEBP", (128, 128))
            middle = np.asarray(picture.convert("RGB"))[64, 64].astype(int)
        assert np.abs(middle - pixels[row, 0, 0]).max() < 12, name


def test_test_images_come_first_and_others_are_marked(path, findings):
    data = read_data(path)
    (layer,) = data["layers"]
    test = set(findings[0].split.test.tolist())
    rows = [int(re.search(r"/(\d+)&<i>\.png$", data["names"][number])[1]) for number in layer["pictures"]]
    assert layer["fitted"] == [place for place, row in enumerate(rows) if row not in test]
    assert 0 < len(layer["fitted"]) < len(rows)


def test_shares_are_those_of_the_area_chart(path, findings):
    data = read_data(path)
    (layer,) = data["layers"]
    run, explanations = findings[0], findings[0].explanations
    counts = unpack(layer["counts"], 32).reshape(N_NEURONS, 8)
    shares, start = unpack(layer["methods"][0]["shares"], 8), 0
    none = unpack(layer["methods"][0]["none"], 8).reshape(N_NEURONS, 8).astype(int)
    for at, item in enumerate(explanations):
        column = run.activations.values[:, at].numpy()
        presence = run.concepts.only(item.concepts).values.numpy() if item.terms else np.zeros((N_IMAGES, 0))
        area = share_ranges(presence, item.concepts, column, even_ranges(column))
        stop = start + 8 * len(item.terms)
        found = shares[start:stop].reshape(8, len(item.terms)).astype(int)
        assert np.abs(found - area.shares * 255).max(initial=0) <= 1
        assert np.abs(none[at] - area.other * 255).max() <= 1
        assert counts[at].tolist() == area.n_images.tolist()
        assert layer["methods"][0]["other"][at] == []
        start = stop
    assert start == len(shares)


def test_divided_shares_stack_to_at_most_one(tmp_path, findings):
    (layer,) = read_data(le.write_report(findings, tmp_path, shares="divided"))["layers"]
    explanations, method = findings[0].explanations, layer["methods"][0]
    shares, start = unpack(method["shares"], 8).astype(int), 0
    none = unpack(method["none"], 8).reshape(N_NEURONS, 8).astype(int)
    for at, item in enumerate(explanations):
        stop = start + 8 * len(item.terms)
        assert (shares[start:stop].reshape(8, len(item.terms)).sum(1) + none[at]).max() <= 255
        if {"dog", "canine"} <= set(item.concepts):
            assert method["other"][at] == [item.concepts.index("canine")]
        start = stop
    assert any("dog" in item.concepts and "canine" in item.concepts for item in explanations)
    with pytest.raises(ValueError, match="shares is 'even'"):
        le.write_report(findings, tmp_path, shares="even")


def test_the_same_results_give_the_same_bytes(tmp_path, findings, path):
    again = le.write_report(findings, tmp_path / "again")
    assert files_of(again.parent) == files_of(path.parent)
    other = le.write_report(findings, tmp_path / "other", seed=1)
    assert other.read_bytes() != path.read_bytes()


def test_a_new_report_takes_the_thumbnails_of_the_old_one_away(tmp_path, findings):
    (tmp_path / "thumbs").mkdir()
    (tmp_path / "thumbs" / "99999.webp").write_bytes(b"old")
    (tmp_path / "notes.txt").write_text("mine")
    le.write_report(findings, tmp_path)
    assert not (tmp_path / "thumbs" / "99999.webp").exists()
    assert (tmp_path / "notes.txt").exists()


def test_the_page_holds_no_folder_of_its_author_and_no_open_markup(path, findings):
    text = path.read_text(encoding="utf-8")
    assert "somebody" not in text
    assert "hf:net" in text
    data = re.search(r'id="data">(.*?)</script>', text)[1]
    assert not re.search("[<>&]", data)
    assert EVIL not in text
    assert text.count("<script") == 3
    assert "http:" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https:" not in text


def test_the_scripts_make_no_markup_from_text():
    from linexp.report.writing import _PAGE, _SCRIPTS

    assert {file.name for file in _PAGE.glob("*.js")} == set(_SCRIPTS)
    for name in _SCRIPTS:
        script = (_PAGE / name).read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|fetch\(|import\(", script)
        assert len(script.splitlines()) < 320


def test_json_cannot_end_its_element():
    text = _json({"a": "</script><!--<script>&amp;\u2028"})
    assert not re.search("[<>&]", text)
    assert json.loads(text) == {"a": "</script><!--<script>&amp;\u2028"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/me/models/net.pt", "net.pt"),
        ("hf:/home/me/models/net", "hf:net"),
        ("hf:google/siglip-large", "hf:google/siglip-large"),
        ("imagenet+/home/me/my words.txt+nouns", "imagenet+my words.txt+nouns"),
        (r"C:\Users\me\net.safetensors", "net.safetensors"),
        (r"\\server\share\words.txt", "words.txt"),
        ("~/words.txt", "words.txt"),
        ("file:///home/me/x/", "file:x"),
        ("package.module:function", "package.module:function"),
        ("pictures/of cats", "pictures/of cats"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("1/2", "1/2"),
    ],
)
def test_absolute_paths_are_shortened(text, shown):
    assert hide_folders(text) == shown


def test_pictures_are_named_by_where_they_are_in_their_folder():
    names = ("/p/cat/1.png", "/q/me/2.png", r"C:\me\3.png", "image 4", "cat/5.png", "caf\udce9.png")
    assert picture_names(names, "/p") == ("cat/1.png", "2.png", "3.png", "image 4", "cat/5.png", "caf\ufffd.png")
    assert picture_names(["pictures/cat/1.png"], "pictures") == ("cat/1.png",)


def test_a_result_folder_is_read_with_all_its_scores(tmp_path):
    finding = le.read_result(save_result(tmp_path / "labels"))
    assert finding.method == "labels"
    assert [column.title for column in finding.columns] == [
        "correlation",  # measured anew: neither file says whose scores it holds
        "correlation, of unknown origin (scores.csv)",
        "correlation, judged by someone, of unknown origin (scores-by-someone.csv)",
    ]
    data = read_data(le.write_report(tmp_path / "labels", tmp_path / "out"))
    assert len(data["bare"]) == len(data["names"]) > 0  # no pictures were given
    assert not (tmp_path / "out" / "thumbs").exists()


def test_any_table_of_scores_is_read(tmp_path):
    (tmp_path / "scores.csv").write_text("neuron,layer,correlation,correlation_error,n\n3,a,0.5,0.1,7\n4,a,,,\n")
    (tmp_path / "scores-ablation-by-x.csv").write_text("neuron,ablation\n3,-0.25\n")
    (tmp_path / "scores-other.csv").write_text("unit,score\n3,1\n")
    (tmp_path / "impact.csv").write_text("\ufeffneuron,impact\n4,1e-3\n")
    first, second, third = sorted(read_columns(tmp_path), key=lambda column: column.title)
    unknown = "unknown origin (scores-ablation-by-x.csv)", "unknown origin (scores.csv)"
    assert (first.heading, first.method, first.values) == ("ablation, judged by x", unknown[0], {3: -0.25})
    heading = "correlation (neurons without a value left out)"
    assert (second.heading, second.method, second.values, second.errors) == (heading, unknown[1], {3: 0.5}, {3: 0.1})
    assert (third.title, third.values) == ("impact", {4: 0.001})
    (tmp_path / "scores.csv").write_text("neuron,correlation\n3,0.5\n4,oops\n")
    with pytest.raises(ValueError, match=r"column 'correlation' of '.*scores.csv' holds 'oops', which is no number"):
        read_columns(tmp_path)


def test_scores_that_say_their_origin_are_read(tmp_path):
    scores = le.Scores(torch.tensor([0.5, 0.25]), (3, 4), "f1@0.05", 9, None, Origin("m", "hf:a/b", "12", "test"))
    scores.to_csv(tmp_path / "scores-by-hf-a-b-f1-0.05.csv")
    (column,) = read_columns(tmp_path)  # neither the number of images nor a fingerprint of digits is a score
    assert (column.title, column.values) == ("f1@0.05, judged by hf:a/b", {3: 0.5, 4: 0.25})


def test_a_file_of_one_neuron_and_one_of_two_judges(tmp_path):
    """Who judged, and on how many images that were seen, is said by each line, not by the file or its first line."""
    seen = Origin("theirs.csv", "hf:a/b", "12", "test", n_seen=4)
    le.Scores(torch.tensor([0.5]), (3,), "correlation", 9, None, seen).to_csv(tmp_path / "scores-by-x.csv")
    (column,) = read_columns(tmp_path)
    assert column.title == "correlation (fitted on 4 of these 9 images), judged by hf:a/b, of theirs.csv"
    assert column.values == {3: 0.5}
    (tmp_path / "scores-by-x.csv").write_text(
        "neuron,correlation,correlation_error,method,simulator,images,part\n"
        "3,0.5,,m,hf:a/b,12,test\n4,0.25,,m,hf:c/d,12,test\n5,0.125,,m,hf:c/d,12,test\n"
    )
    assert {column.title: column.values for column in read_columns(tmp_path)} == {
        "correlation, judged by hf:a/b": {3: 0.5},
        "correlation, judged by hf:c/d": {4: 0.25, 5: 0.125},
    }


def test_means_and_errors_are_those_of_scores():
    scores = le.Scores(torch.tensor([0.1, float("nan"), 0.5, 0.3], dtype=torch.float64), (1, 2, 3, 4), "correlation", 9)
    column = column_of(scores, "someone")
    assert (column.mean, column.sem) == (pytest.approx(scores.mean), pytest.approx(scores.sem))
    assert set(column.values) == {1, 3, 4}
    assert np.isnan(Column("a", "", {}).mean)
    assert np.isnan(Column("a", "", {1: 2.0}).sem)


def test_without_scores_the_correlation_on_test_images_is_measured():
    run = make_run()
    explanations = le.LinearExplainer().explain(run.activations, run.concepts, run.split)
    finding = le.Result.of(run, explanations)
    scores = le.CorrelationScorer().score(le.simulate(explanations, run.concepts), run.activations, run.split.test)
    (column,) = finding.columns
    assert column.mean == pytest.approx(scores.mean)
    assert len(column.values) == N_NEURONS - scores.n_undefined


def test_several_layers_and_methods_of_one_name(tmp_path):
    run = make_run()
    other = make_run(n_neurons=5)
    other = replace(other, activations=le.ActivationMatrix(other.activations.values, range(5), "fc"))
    explained = [le.LinearExplainer().explain(one.activations, one.concepts, one.split) for one in (run, other)]
    found = [le.Result.of((run, other, run)[k], explained[k % 2]) for k in range(3)]
    text = (path := le.write_report(found, tmp_path)).read_text(encoding="utf-8")
    layers = read_data(path)["layers"]
    assert [(layer["name"], [method["name"] for method in layer["methods"]]) for layer in layers] == [
        ("layer4.<b>", ["ours", "ours 2"]),
        ("fc", ["ours"]),
    ]
    assert "Neurons of layer4.&lt;b&gt; and fc" in text


def test_results_of_other_splits_are_layers_of_their_own(tmp_path, findings):
    run = replace(make_run(images=findings[0].activations.images), split=le.Split.random(N_IMAGES, seed=1))
    other = le.Result.of(run, le.LinearExplainer().explain(run.activations, run.concepts, run.split))
    layers = read_data(le.write_report([findings[0], other], tmp_path))["layers"]
    assert [layer["name"] for layer in layers] == ["layer4.<b>", "layer4.<b> 2"]


def test_a_method_may_explain_some_neurons_only(tmp_path, findings):
    some = le.Result.of(findings[0], findings[0].explanations[2:4], method="few")
    (layer,) = read_data(le.write_report([findings[0], some], tmp_path))["layers"]
    few = layer["methods"][1]
    assert [place for place, outcome in enumerate(few["outcomes"]) if outcome] == [2, 3]
    assert few["terms"][0] == []


def test_what_cannot_be_reported_is_said(tmp_path, findings):
    with pytest.raises(ValueError, match="There is no result to report on"):
        le.write_report([], tmp_path)
    with pytest.raises(FileNotFoundError, match="There is no result in"):
        le.write_report(tmp_path / "none", tmp_path)
    with pytest.raises(ValueError, match=r"n_pictures is 0\. It must lie between 1 and 10"):
        le.write_report(findings, tmp_path, n_pictures=0)
    run = findings[0]
    with pytest.raises(le.DifferentImagesError, match="come from different images"):
        le.write_report(le.Result.of(run, findings[0].explanations, method="a"), tmp_path, make_pictures() // 2)
    with pytest.raises(ValueError, match="'a' explains neuron 0, which was not recorded"):
        le.Result.of(run, le.Explanations((le.Explanation(0, (), 0.0, None, "empty"),)), method="a")


def test_dead_and_constant_are_told_apart(tmp_path):
    """Dead: below 0.01 on all images; constant: on the training images, whatever it does elsewhere."""
    run = make_run()
    values = run.activations.values.clone()
    values[:, 0] *= 1e-4  # varies, and is dead
    values[run.split.train, 1] = 3.0  # constant, and not dead
    activations = le.ActivationMatrix(values, run.activations.neurons, run.activations.layer)
    explanations = le.LinearExplainer().explain(activations, run.concepts, run.split)
    page = le.write_report(le.Result.of(replace(run, activations=activations), explanations), tmp_path)
    (row,) = re.findall(r"<tr>\s*<th scope=\"row\">(.*?)</tr>", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    cells = [re.sub("<.*?>", "", cell) for cell in re.findall(r"<td.*?>(.*?)</td>", row, flags=re.DOTALL)]
    assert cells[-2:] == ["2", "2"]
    assert read_data(page)["layers"][0]["dead"] == [0, N_NEURONS - 1]


def test_validation_correlations_come_with_their_errors(path, findings):
    (layer,) = read_data(path)["layers"]
    for method, finding in zip(layer["methods"], findings, strict=True):
        for name, known in (("val", "val_correlation"), ("valError", "val_error")):
            expected = [getattr(item, known) for item in finding.explanations]
            assert method[name] == [None if value is None else pytest.approx(value, rel=0.05) for value in expected]


def test_the_score_table_says_how_many_are_dead(path):
    text = path.read_text(encoding="utf-8")
    rows = re.findall(r"<tr>\s*<th scope=\"row\">(.*?)</tr>", text, flags=re.DOTALL)
    assert len(rows) == 2
    cells = [re.sub("<.*?>", "", cell).strip() for cell in re.findall(r"<td.*?>(.*?)</td>", rows[0], flags=re.DOTALL)]
    assert cells[0] == "ours"
    assert re.fullmatch(r"0\.\d{3} ± 0\.\d{3}", cells[1])
    assert cells[-2:] == ["1", "1"]  # constant, dead: the same one
    assert sum(map(int, cells[-4:-1])) == N_NEURONS


def test_a_page_of_2048_neurons_is_small(tmp_path):
    run = make_run(400, 2048)
    explanations = le.LinearExplainer().explain(run.activations, run.concepts, run.split)
    path = le.write_report(le.Result.of(run, explanations), tmp_path)
    assert path.stat().st_size < 3_000_000
