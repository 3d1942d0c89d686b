"""Whose scores a report shows: those of the result itself in its own line, others under their names, and test only."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import linexp as le
from linexp.report.facts import score_rows, titles
from linexp.results import Column, read_columns
from linexp.results.folder import load_explanations, load_run, save_scores
from linexp.score import Origin
from tests.command_line import Run, command_line
from tests.report_world import make_run, save_result
from tests.test_cli_ablate import CLASSIFIER, EXPLAIN, literal, make_world

WRONG = '[[0, "green"], [1, "red"], [2, "red"]]'


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_world(tmp_path_factory.mktemp("world"))
    (folder / "mymodels.py").write_text(CLASSIFIER)
    return folder


@pytest.fixture
def linexp(world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    yield from command_line(world, monkeypatch, capfd)


PERHAPS = " (on images it was perhaps fitted on)"


def table_of(page: Path) -> tuple[list[str], list[list[str]]]:
    """Return the headings and the lines of the score table, the second numbers of cells left out."""
    text = page.read_text(encoding="utf-8").partition('<table class="scores">')[2].partition("</table>")[0]
    head, body = text.split("<tbody>")
    headings = [html.unescape(name) for name in re.findall(r'<th scope="col".*?>(.*?)</th>', head)]
    lines = [
        [
            html.unescape(re.sub("<.*?>", "", cell)).split(" ± ")[0].strip()
            for cell in re.findall("<td.*?>(.*?)</td>", row)
        ]
        for row in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    ]
    return headings[1:], lines


def columns_of(page: Path) -> list[dict[str, object]]:
    data = json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"))[1])
    return data["layers"][0]["methods"][0]["columns"]


def mean_correlation(result: Path, explanations: le.Explanations) -> float:
    """Correlate with NumPy, one neuron at a time, on the test images; a constant prediction counts as 0."""
    run, found = load_run(result), []
    rows = run.split.test.numpy()
    for item in explanations:
        recorded = run.activations.select([item.neuron]).values[rows, 0].double().numpy()
        said = np.zeros(len(rows))
        for term in item.terms:
            said += term.weight * run.concepts.only([term.concept]).values[rows, 0].double().numpy()
        if np.ptp(recorded) > 0:
            found.append(np.corrcoef(recorded, said)[0, 1] if np.ptp(said) > 0 else 0.0)
    return float(np.mean(found))


def test_what_people_do_in_sequence(linexp: Run, tmp_path: Path):
    result, theirs = tmp_path / "out", tmp_path / "theirs.json"
    theirs.write_text(WRONG)
    assert linexp(*EXPLAIN, "--model", "mymodels:build", "--out", result).code == 0
    for command in (
        ("score", result),
        ("score", result, theirs),
        ("score", result, "--part", "val", "--force"),
        ("ablate", result, theirs),
    ):
        assert linexp(*command).code == 0
    ended = linexp("report", result, "--out", tmp_path / "page")
    assert ended.code == 0, ended.err
    headings, lines = table_of(tmp_path / "page" / "index.html")
    own, others = load_explanations(result), le.Explanations.from_csv(theirs)
    metrics = ("correlation", "ablation(optim)", "ablation(norm)")
    # Nobody knows what theirs were fitted on: their scores stand in columns of their own that say so.
    assert headings[:7] == ["Method", *metrics, *(f"{metric}{PERHAPS}" for metric in metrics)]
    assert [line[0] for line in lines] == ["out", "theirs.json"]
    assert [lines[0][4:7], lines[1][1:4]] == [["–"] * 3] * 2
    for line, start, explanations in zip(lines, (1, 4), (own, others), strict=True):
        ablation = literal(result, explanations)
        expected = mean_correlation(result, explanations), ablation.mean, ablation.by_norm.mean
        assert line[start : start + 3] == [f"{number:.3f}".replace("-", "−") for number in expected]
    assert lines[0][1] != lines[1][4]
    assert [column["title"] for column in columns_of(tmp_path / "page" / "index.html")] == [
        *metrics,
        *(f"{metric}{PERHAPS}, of theirs.json" for metric in metrics),
    ]
    # A result that was moved is still the same.
    shutil.move(result, tmp_path / "elsewhere")
    assert linexp("report", tmp_path / "elsewhere", "--out", tmp_path / "moved").code == 0
    assert [line[1:7] for line in table_of(tmp_path / "moved" / "index.html")[1]] == [line[1:7] for line in lines]


def scores_of(values: list[float], method: str, part: str = "test", images: str = "", **more: object) -> le.Scores:
    tensor = torch.tensor(values, dtype=torch.float64)
    neurons = tuple(range(100, 100 + len(values)))
    return le.Scores(tensor, neurons, "correlation", 9, None, Origin(method, "labels", images, part), **more)  # pyright: ignore[reportArgumentType]


def test_the_own_score_is_measured_where_only_others_were_scored(tmp_path: Path):
    folder = save_result(tmp_path / "mine")
    for path in folder.glob("scores*"):
        path.unlink()
    save_scores(folder, scores_of([0.9, 0.8], "/home/somebody/milan.csv"), "scores-somebody-milan")
    save_scores(folder, scores_of([0.99, 0.98], "mine", "val"), "scores-on-val")
    save_scores(folder, scores_of([0.99, 0.98], "mine", "train"), "scores-on-train")
    found = le.read_result(folder)
    assert [column.title for column in found.columns] == ["correlation", f"correlation{PERHAPS}, of milan.csv"]
    run, explanations = found, found.explanations
    own = le.CorrelationScorer().score(le.simulate(explanations, run.concepts), run.activations, run.split.test)
    mine, theirs = score_rows([[found]])
    assert titles([[found]]) == ["correlation", f"correlation{PERHAPS}"]
    assert (mine.method, mine.cells[0][:2]) == ("mine", (f"{own.mean:.3f}", f"{own.sem:.3f}"))  # pyright: ignore[reportOptionalSubscript]
    assert (theirs.method, theirs.explained, theirs.cells[1][:2]) == ("milan.csv", "", ("0.850", "0.050"))  # pyright: ignore[reportOptionalSubscript]


def test_methods_that_people_named_and_paths_that_end_alike(tmp_path: Path):
    save_scores(tmp_path, scores_of([0.1], "MILAN"), "scores-milan")
    save_scores(tmp_path, scores_of([0.2], "/a/x.csv"), "scores-a-x")
    save_scores(tmp_path, scores_of([0.3], "/b/x.csv"), "scores-b-x")
    save_scores(tmp_path, scores_of([0.4], "some/result"))
    save_scores(tmp_path, scores_of([0.5], "some/result"), "scores-by-labels-a-photo-of")
    save_scores(tmp_path, scores_of([0.6], "some/result", ""), "scores-2")
    assert [(column.title, column.values[100]) for column in read_columns(tmp_path)] == [
        ("correlation", 0.4),
        ("correlation, judged by labels", 0.5),
        (f"correlation{PERHAPS}, of some/result, on unknown images", 0.6),
        (f"correlation{PERHAPS}, of x.csv", 0.2),
        (f"correlation{PERHAPS}, of x.csv 2", 0.3),
        (f"correlation{PERHAPS}, of MILAN", 0.1),
    ]


def test_every_line_says_its_origin(tmp_path: Path):
    save_scores(tmp_path, scores_of([0.4, 0.2], "here"))
    save_scores(tmp_path, scores_of([0.9, 0.8], "milan.csv"), "more")
    text = (tmp_path / "more.csv").read_text().splitlines()[1:]
    with (tmp_path / "scores.csv").open("a") as file:
        file.write("\n".join(text) + "\n")
    own, other = read_columns(tmp_path)
    assert (own.title, own.values) == ("correlation", {100: 0.4, 101: 0.2})
    assert (other.title, other.values) == (f"correlation{PERHAPS}, of milan.csv", {100: 0.9, 101: 0.8})
    first, second = le.score.read_scores(tmp_path / "scores.csv")  # pyright: ignore[reportAttributeAccessIssue]
    assert [(one.origin.method, one.mean) for one in (first, second)] == [
        ("here", pytest.approx(0.3)),
        ("milan.csv", pytest.approx(0.85)),
    ]


def test_scores_on_other_images_are_left_out(tmp_path: Path):
    save_scores(tmp_path, scores_of([0.9], "out", images="others"))
    with pytest.warns(UserWarning, match=r"'.*scores.csv' are on other images than the result's, so they are left out"):
        assert read_columns(tmp_path, make_run(images="these")) == ()
    (column,) = read_columns(tmp_path, make_run(images="others"))
    assert column.title == "correlation"


def test_columns_that_are_no_scores(tmp_path: Path):
    header = "neuron,ablation(optim),ablation(optim)_error,method,simulator,images,part,n_images,"
    more = "ablation(optim)_norm,ablation(optim)_constant,ablation(optim)_val,c,d,level\n"
    (tmp_path / "scores-ablation-optim.csv").write_text(
        f"{header}{more}3,0.5,0.1,out,labels,f,test,9,0.4,0.3,0.7,1.5,0.25,0.125\n"
    )
    (tmp_path / "scores-theirs.csv").write_text("neuron,f1,c,d,level,accuracy,f1_val,f1_constant\n3,0.2,1,1,1,1,1,1\n")
    found = {column.title: column.values for column in read_columns(tmp_path)}
    assert found == {
        "ablation(optim)": {3: 0.5},
        "ablation(norm)": {3: 0.4},
        "f1, of unknown origin (scores-theirs.csv)": {3: 0.2},
    }


def test_scores_of_two_templates_do_not_replace_each_other(tmp_path: Path):
    for number, name in enumerate(("scores-by-labels", "scores-by-labels-a-photo-of")):
        save_scores(tmp_path, scores_of([number / 2], "out"), name)
    assert [(column.title, column.values) for column in read_columns(tmp_path)] == [
        ("correlation, judged by labels", {100: 0.0}),
        ("correlation (scores-by-labels-a-photo-of.csv), judged by labels", {100: 0.5}),
    ]


def test_an_older_file_does_not_say_of_what_nothing_was_said(tmp_path: Path):
    header = "neuron,correlation,correlation_error,method,simulator,images,part,n_images\n"
    (tmp_path / "scores.csv").write_text(f"{header}3,0.5,,out,labels,f,test,9\n4,,,out,labels,f,test,9\n")
    (column,) = read_columns(tmp_path)
    assert column.title == "correlation (neurons without a value left out)"
    silent = torch.tensor([False, True])
    save_scores(tmp_path, scores_of([0.5, 0.0], "out", silent=silent))
    (column,) = read_columns(tmp_path)
    assert (column.title, column.mean, column.mean_explained) == ("correlation", 0.25, 0.5)
    assert column.silent == {101}


def test_the_mean_over_explained_neurons_stands_beside(tmp_path: Path):
    run = make_run()
    explanations = le.LinearExplainer().explain(run.activations, run.concepts, run.split)
    column = Column("correlation", "", {100: 0.5, 101: 0.25, 102: 0.0}, silent=frozenset([102]))
    text = le.write_report(le.Result.of(run, explanations, known=(column,)), tmp_path).read_text(encoding="utf-8")
    assert re.search(r"0\.250 <span.*?>± 0\.144</span><br><span.*?>0\.375 over 2 explained</span>", text)
