"""The demo, with the real networks and real drawings; fewer of both than ``make demo`` takes."""

import csv
import re

import pytest
from PIL import Image

import linexp as le
from linexp.demo import run as demo
from linexp.demo.clock import Clock
from linexp.demo.impact import show_impact
from linexp.demo.table import print_results
from linexp.results.folder import load_run
from linexp.results.pictures import reopen_pictures


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Explain 24 neurons of each layer on every twelfth drawing."""
    words = demo.emoji_words()[::12]
    out = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(out / "cache"))
        patch.setattr(demo, "emoji_words", lambda: words)
        patch.setattr(demo, "VOCABULARY", "labels+nouns:200")
        patch.setattr(demo, "MIN_ACTIVITY", 0.05)
        return demo.run_demo(out / "results", 24)


def test_both_layers_are_explained_in_both_ways_scored_and_drawn(results):
    assert [(result.activations.layer, result.method) for result in results] == [
        ("_blocks.10", "labels"),
        ("_blocks.10", "text"),
        ("_avg_pooling", "labels"),
        ("_avg_pooling", "text"),
    ]
    for result in results:
        assert len(result.explanations) == 24
        assert result.explanations.n_with("explained") > 12
        for scores in result.scores:
            assert scores.n_images == pytest.approx(0.2 * 137, abs=2)
        with Image.open(result.folder / "sheet.png") as sheet:
            assert sheet.format == "PNG"
            assert min(sheet.size) > 500


def test_what_is_printed_leads_with_the_scores_of_the_simulator(results, capsys):
    clock = Clock()
    print_results(results, demo.LAYERS, clock, results[0].folder / "index.html")
    said = capsys.readouterr().out
    last = results[-1]
    best = last.explanations.best(5, last.scores[1])
    assert str(best) in re.sub("^  ", "", said, flags=re.MULTILINE)
    assert "selected" not in said
    dead = int(last.activations.is_dead.sum())
    assert f"{dead} of 24 in head ({100 * dead / 24:.1f} %)" in said


def test_the_result_folders_hold_the_same(results):
    for result in results:
        run = load_run(result.folder)
        assert isinstance(run.concepts, le.EmbeddedConceptMatrix) == (result.method == "text")
        assert le.Explanations.from_csv(result.folder / "explanations.csv").items == result.explanations.items
        own = le.CorrelationScorer().score(
            le.simulate(result.explanations, run.concepts), run.activations, run.split.test
        )
        for name, scores in {"scores": own, "scores-by-conse-efficientnet_lite1": result.scores[1]}.items():
            with (result.folder / f"{name}.csv").open() as file:
                written = {int(row["neuron"]): row["correlation"] for row in csv.DictReader(file)}
            assert written == {
                n: "" if v != v else repr(v) for n, v in zip(scores.neurons, scores.values.tolist(), strict=True)
            }


def test_a_report_shows_all_of_them(results):
    page = results[0].folder.parent / "report" / "index.html"
    text = page.read_text(encoding="utf-8")
    assert "Neurons of _avg_pooling and _blocks.10" in text
    rows = re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td>', text)
    assert rows == [(layer, way) for layer in ("_avg_pooling", "_blocks.10") for way in ("labels", "text")]
    assert 20 < len(list((page.parent / "thumbs").glob("*.webp"))) <= 137  # both layers share them


def test_the_drawings_are_found_again_and_are_proved_to_be_those(results, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(results[0].folder.parents[1] / "cache"))
    words = demo.emoji_words()[::12]
    monkeypatch.setattr("linexp.results.pictures.emoji_words", lambda: words)
    assert reopen_pictures(results[0], None).fingerprint == results[0].activations.images
    monkeypatch.setattr("linexp.results.pictures.emoji_words", lambda: words[:5])
    with pytest.raises(le.DifferentImagesError, match="The pictures in 'OpenMoji' are not those of the result; "):
        reopen_pictures(results[0], None)


def test_three_networks_take_part():
    assert not le.ConSE("efficientnet_lite0").name.startswith((demo.EXPLAINER, demo.SIMULATOR))
    assert demo.EXPLAINER != demo.SIMULATOR


def test_the_full_demo_shows_what_the_network_loses_without_a_neuron(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    images = demo.draw_openmoji([word.stem for word in demo.emoji_words()[::80]])
    found = show_impact(demo.MODEL, list(demo.LAYERS.values()), images, tmp_path / "impact", 4)
    assert [(one.layer, one.n_neurons, one.linear) for one in found] == [
        ("_blocks.10", 4, False),
        ("_avg_pooling", 4, True),
    ]
    assert all(one.accuracy == 1 for one in found)
    assert "100.0 % answered right" in capsys.readouterr().out
    assert (tmp_path / "impact" / "top-impact.png").stat().st_size > 10_000


def test_the_wrong_number_of_neurons_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"neurons is 0\. It must be at least 1"):
        demo.run_demo(tmp_path, 0)
