"""The demo, with the real networks and real drawings; fewer of both than ``make demo`` takes."""

import csv
import re
from pathlib import Path

import pytest
from PIL import Image

import linexp as le
from linexp.cli.demo_run import CALLED, run_demo, show_impact
from linexp.cli.demo_table import print_results
from linexp.cli.recipe import open_steps
from linexp.cli.recipe_file import find_recipe, read_toml
from linexp.concepts.vocabulary.openmoji import emoji_words
from linexp.results.folder import load_run
from linexp.results.pictures import reopen_pictures
from tests.command_line import command_line

WORDS = emoji_words()
USED = "linexp.concepts.vocabulary.openmoji.emoji_words"
CHANGES = {"labels+nouns:2000": "labels+nouns:200", "= 400": "= 20"}


def small_recipe() -> str:
    """The demo's recipe, with fewer words."""
    text = find_recipe(Path("demo")).read_text(encoding="utf-8")
    for before, after in CHANGES.items():
        assert before in text
        text = text.replace(before, after)
    return text


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Explain 24 neurons of each layer on every twelfth drawing."""
    out = tmp_path_factory.mktemp("demo")
    (out / "small.toml").write_text(small_recipe(), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(out / "cache"))
        patch.setattr(USED, lambda: WORDS[::12])
        return run_demo(open_steps("small.toml", read_toml(out / "small.toml")), out / "results", 24)


@pytest.fixture
def linexp(results, monkeypatch, capfd):
    """The command line, with the drawings of the results."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(results[0].folder.parents[1] / "cache"))
    monkeypatch.setattr(USED, lambda: WORDS[::12])
    yield from command_line(results[0].folder.parents[1], monkeypatch, capfd)


def test_both_layers_are_explained_in_both_ways_scored_and_drawn(results):
    assert [(result.activations.layer, result.method) for result in results] == [
        ("_blocks.10", "labels"),
        ("_blocks.10", "text"),
        ("_avg_pooling", "labels"),
        ("_avg_pooling", "text"),
    ]
    for result in results:
        assert len(result.explanations) == 24
        assert result.explanations.n_with("explained") > 4  # of 14 validation pictures, swaps want a clear gain
        for scores in result.scores:
            assert scores.n_images == pytest.approx(0.2 * 137, abs=2)
        with Image.open(result.folder / "sheet.png") as sheet:
            assert sheet.format == "PNG"
            assert min(sheet.size) > 500


def test_what_is_printed_leads_with_the_scores_of_the_simulator(results, capsys):
    print_results(results, CALLED, {}, results[0].folder / "index.html")
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
        for name, scores in {"scores": own, "scores-by-fit-efficientnet_lite1": result.scores[1]}.items():
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
    monkeypatch.setattr(USED, lambda: WORDS[::12])
    assert reopen_pictures(results[0], None).fingerprint == results[0].activations.images
    monkeypatch.setattr(USED, lambda: WORDS[:60:12])
    with pytest.raises(le.DifferentImagesError, match="The pictures in 'OpenMoji' are not those of the result; "):
        reopen_pictures(results[0], None)


def first_neurons(file, most=24):
    """The lines of a CSV file about the first neurons, by the names of its columns."""
    with file.open(encoding="utf-8") as lines:
        return [row for row in csv.DictReader(lines) if int(row["neuron"]) < most]


def test_the_demo_is_its_recipe(results, linexp):
    """Step by step, with commands, a store and all neurons, it explains the same in the same words and numbers."""
    small = (
        small_recipe()
        .partition("[score]")[0]
        .replace('"_blocks.10", ', "")
        .replace("\nlayer", "\nn-repeats = 0\nlayer")
    )
    home = results[0].folder.parents[1]
    (home / "steps.toml").write_text(small, encoding="utf-8")
    ended = linexp("run", "steps.toml")
    assert ended.code == 0, ended.err
    for result in results[2:]:
        stepwise = home / "steps" / result.method
        mine, other = (first_neurons(folder / "explanations.csv") for folder in (result.folder, stepwise))
        kept = {name for name in mine[0] if "again" not in name}  # there are no redraws here
        assert [{name: row[name] for name in kept} for row in mine] == [
            {name: row[name] for name in kept} for row in other
        ]
        assert (result.folder / "dropped.csv").read_bytes() == (stepwise / "dropped.csv").read_bytes()
        assert (result.folder / "images.csv").read_bytes() == (stepwise / "images.csv").read_bytes()


def test_a_result_of_the_demo_is_explained_again(results, linexp):
    last = results[-1]
    ended = linexp("run", last.folder / "run.json", "--print", "--out", "again")
    assert ended.code == 0, ended.err
    for said in (
        "--images OpenMoji",
        "--vocabulary labels+nouns:200",
        "--layer _avg_pooling",
        "--encoder fit:efficientnet_lite2",
    ):
        assert said in ended.out


def test_three_networks_take_part():
    told = read_toml(find_recipe(Path("demo")))
    steps = {step.command: context.params for step, context in open_steps("demo.toml", told)}
    names = {steps["explain"]["model"], steps["explain"]["encoder"], steps["score"]["simulator"]}
    assert {name.removeprefix("fit:") for name in names} == {f"efficientnet_lite{number}" for number in range(3)}


def test_the_full_demo_shows_what_the_network_loses_without_a_neuron(results, linexp, tmp_path, capfd):
    (step, context) = open_steps("small.toml", read_toml(Path("small.toml")))[-2]
    assert step.command == "impact"
    show_impact(context.params, reopen_pictures(results[0], None), tmp_path / "demo", 4)
    said = capfd.readouterr().out
    assert "100.0 % answered right" in said
    assert re.findall(r"(_blocks\.10|_avg_pooling) +│ +4 ", said) == ["_blocks.10", "_avg_pooling"]
    assert (tmp_path / "demo" / "top-impact.png").stat().st_size > 10_000

    ended = linexp("impact", *step.arguments, "--n-neurons", 4, "--out", tmp_path / "step")
    assert ended.code == 0, ended.err
    tables = {path.name: path.read_bytes() for path in (tmp_path / "demo").glob("*.csv")}
    assert tables
    assert tables == {path.name: path.read_bytes() for path in (tmp_path / "step").glob("*.csv")}


def test_the_recipe_of_the_demo_is_found_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = find_recipe(Path("demo"))
    assert "linexp demo" in shipped.read_text(encoding="utf-8")
    (tmp_path / "demo").mkdir()  # where it has written before
    assert find_recipe(Path("demo")) == shipped
    assert find_recipe(Path("./elsewhere/demo")) == Path("elsewhere/demo")
    (tmp_path / "demo").rmdir()
    (tmp_path / "demo").touch()
    assert find_recipe(Path("demo")) == Path("demo")


def test_the_recipe_of_the_demo_runs_from_where_one_is(linexp):
    printed = linexp("run", "demo", "--print").out.splitlines()
    assert printed[0].startswith("linexp explain --model efficientnet_lite0 --layer _blocks.10 --layer _avg_pooling")
    assert [line.split()[1] for line in printed] == ["explain", "explain", "score", "impact", "report"]


def test_the_wrong_number_of_neurons_is_refused(linexp, tmp_path):
    ended = linexp("demo", "--neurons", 0, "--out", tmp_path / "out")
    assert (ended.code, ended.err) == (1, "Error: neurons is 0. It must be at least 1.\n")
