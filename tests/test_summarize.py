"""``linexp summarize``: the means, lengths and errors of files in the authors' layouts and in ours."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import linexp as le
from linexp import cli
from linexp.results.tables import Measured, show
from linexp.score import Origin, published_sem, read_scores

NAME = "vit_b_16_imagenet_encoder.layers.encoder_layer_11.mlp[1]"
COLUMNS = ",".join(f"weight{place},concept{place}" for place in range(10))


def line(start: str, terms: list[tuple[float, str]], rest: str) -> str:
    cells = [f"{weight},{concept}" for weight, concept in terms] + ["0.0,0"] * (10 - len(terms))
    return ",".join([start, *cells, rest]) + "\n"


@pytest.fixture
def authors(tmp_path: Path) -> Path:
    """Three neurons, whose concepts look like nothing: the words null, nan and 0, and the 0 that ends the terms."""
    path = tmp_path / "LE_siglip" / f"{NAME}.csv"
    path.parent.mkdir()
    path.write_text(
        f"unit,val correlation,{COLUMNS},bias,sim correlation,sim ablation(optim),sim ablation(norm)\n"
        + line("0,0.25", [(2.0, "null"), (1.5, "nan"), (1.0, "0")], "0.5,0.30000000000000004,0.01,0.03")
        + line("4,0.5", [(1.0, "nan")], "0.5,0.1,0.02,0.05")
        + line("7,0.0", [(1.0, "0"), (0.5, "NA")], "0.5,0.5,0.06,")
    )
    return path


def test_the_authors_explanations(authors: Path):
    (row,) = cli.summarize([authors]).rows
    assert row[:4] == ("LE_siglip", NAME, 3, 2.0)
    assert row[4:6] == (0.25, 1)
    expected = [([0.3, 0.1, 0.5], 1), ([0.01, 0.02, 0.06], 0), ([0.03, 0.05], 0)]
    for cell, (values, ddof) in zip(row[6:], expected, strict=True):
        assert isinstance(cell, Measured)
        assert cell.mean == pytest.approx(np.mean(values))
        assert cell.sem == pytest.approx(np.std(values, ddof=ddof) / math.sqrt(len(values)))


def test_all_layouts_in_one_table(authors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "MILAN").mkdir()
    (tmp_path / "MILAN" / "net_layer4.csv").write_text(
        "unit,description,sim correlation,sim ablation(norm)\n0,null,0.5,0.1\n1,Plants and flowers,nan,0.2\n"
    )
    (tmp_path / "ours").mkdir()
    item = le.Explanation(3, (le.Term("a", 1.0), le.Term("b", 0.5)), 0.0, 0.75)
    le.Explanations((item,), "layer4").to_csv(tmp_path / "ours" / "explanations.csv")
    (tmp_path / "said.json").write_text('{"1": "a"}')
    scores = le.Scores(torch.tensor([0.5, math.nan, 0.7]), (0, 1, 2), "f1@0.01", 9, None, Origin("mine", "siglip"))
    scores.to_csv(tmp_path / "scores.csv")
    paths = [authors, *(tmp_path / name for name in ("MILAN/net_layer4.csv", "ours/explanations.csv", "said.json"))]
    table = cli.summarize([*paths, tmp_path / "scores.csv"], table=tmp_path / "all")
    assert table.columns[2:4] == ("simulator", "neurons")  # nobody names a part of a split, or who is silent
    assert table.columns[7:] == ("correlation", "ablation(optim)", "ablation(norm)", "f1@0.01")
    assert [row[2] for row in table.rows] == ["", "", "", "", "siglip"]
    assert [row[0] for row in table.rows] == ["LE_siglip", "MILAN", "ours", tmp_path.name, "mine"]
    assert [row[3] for row in table.rows] == [3, 2, 1, 1, 3]
    assert [row[4] for row in table.rows[:4]] == [2.0, 1.0, 2.0, 1.0]
    assert [show(row[6]) for row in table.rows] == ["1", "1", "–", "–", "1"]
    assert table.rows[1][7].mean == 0.5  # pyright: ignore[reportAttributeAccessIssue]
    assert table.rows[4][10].mean == pytest.approx(0.6)  # pyright: ignore[reportAttributeAccessIssue]
    assert NAME in capsys.readouterr().out.replace("\n", "")
    assert "0.1500 ± 0.0354" in (tmp_path / "all.md").read_text(encoding="utf-8")
    assert rf"{NAME.replace('_', chr(92) + '_')}".replace("[1]", "{[}1{]}") in (tmp_path / "all.tex").read_text()


def test_odd_files_are_left_out_and_listed(authors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "odd.csv").write_text("id,sim correlation\n0,0.5\n")
    (tmp_path / "layers.csv").write_text("layer,unit,description\na,0,x\nb,0,y\n")
    odd = [tmp_path / "odd.csv", tmp_path / "layers.csv", tmp_path / "none.json"]
    table = cli.summarize([odd[0], authors, *odd[1:], authors], table=tmp_path / "all")
    assert [row[0] for row in table.rows] == ["LE_siglip", "LE_siglip"]
    said = capsys.readouterr().out.splitlines()
    assert said[-4].startswith("  written to ")
    for path, line, reason in zip(
        odd, said[-3:], ("no column 'neuron'", "none is asked for", "There is no file"), strict=True
    ):
        assert line.startswith(f"Left out: {path}: ")
        assert reason in line


def test_scores_of_ours_say_judge_part_and_silence(tmp_path: Path):
    silent = torch.tensor([False, True, False])
    for part, value in (("test", 0.3), ("val", 0.9)):
        values, origin = torch.tensor([value, 0.0, value]), Origin("mine", "siglip", "f", part)
        le.Scores(values, (0, 1, 2), "correlation", 9, None, origin, silent).to_csv(tmp_path / f"scores-{part}.csv")
    table = cli.summarize([tmp_path / "scores-test.csv", tmp_path / "scores-val.csv"])
    assert table.columns[2:4] == ("simulator", "part")
    assert [(row[0], row[3], row[4], row[8]) for row in table.rows] == [
        *(("mine", "test", 3, 1), ("mine, explained only", "test", 2, 0)),
        *(("mine", "val", 3, 1), ("mine, explained only", "val", 2, 0)),
    ]
    means = [cell.mean for cell in (row[9] for row in table.rows) if isinstance(cell, Measured)]
    assert means == pytest.approx([0.2, 0.3, 0.6, 0.9])


def test_scores_come_back(tmp_path: Path):
    scores = le.Scores(
        *(torch.tensor([0.1 + 0.2, math.nan, -1 / 3], dtype=torch.float64), (5, 1, 9), "iou@0.05", 12),
        *(torch.tensor([0.5, math.nan, math.nan], dtype=torch.float64), Origin("a, b", "s", "f", "test")),
    )
    scores.to_csv(tmp_path / "s.csv")
    (back,) = read_scores(tmp_path / "s.csv")
    assert (back.neurons, back.metric, back.n_images, back.origin) == ((5, 1, 9), "iou@0.05", 12, scores.origin)
    assert torch.equal(back.values.nan_to_num(9), scores.values.nan_to_num(9))
    assert torch.equal(back.errors.nan_to_num(9), scores.errors.nan_to_num(9))  # pyright: ignore


def test_errors_of_means():
    values = torch.tensor([0.1, 0.4, 0.9, math.nan], dtype=torch.float64)
    for metric, ddof in (("correlation", 1), ("ablation(norm)", 0), ("f1@0.01", 1)):
        scores = le.Scores(values, (0, 1, 2, 3), metric, 10)
        assert published_sem(scores) == pytest.approx(np.std([0.1, 0.4, 0.9], ddof=ddof) / math.sqrt(3))
        ours = replace(scores, origin=Origin("mine"))
        assert published_sem(ours) == pytest.approx(np.std([0.1, 0.4, 0.9], ddof=1) / math.sqrt(3))


def test_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"There is no file '.*none.csv'\. Give the path of a CSV file with"):
        cli.summarize([tmp_path / "none.csv"])
    (tmp_path / "e.csv").write_text("id,sim correlation\n0,0.5\n")
    with pytest.raises(ValueError, match=r"has no column 'neuron' or 'unit'\. Give a CSV file with one"):
        cli.summarize([tmp_path / "e.csv"])
    (tmp_path / "e.csv").write_text("unit,description,sim correlation\n0,a,0.5\n1,b,high\n")
    with pytest.raises(ValueError, match=r"Row 3 of '.*': sim correlation is 'high', not a number"):
        cli.summarize([tmp_path / "e.csv"])
    for neuron in ("1.5", "nan", "", "-1", "inf"):
        (tmp_path / "e.csv").write_text(f"unit,description,sim correlation\n{neuron},a,0.5\n")
        with pytest.raises(ValueError, match=r"A neuron in '.*' is .*, not a whole number from 0 on\. Correct it"):
            cli.summarize([tmp_path / "e.csv"])
    (tmp_path / "e.csv").write_text(
        "neuron,iou,iou_error,method,simulator,images,part,n_images\n0,0.5,,a,b,c,test,many\n"
    )
    with pytest.raises(ValueError, match=r"Row 2 of '.*': n_images is 'many', not a number"):
        cli.summarize([tmp_path / "e.csv"])
    (tmp_path / "e.csv").write_text('unit,description,sim correlation\n0,"a,0.5\n')
    with pytest.raises(ValueError, match=r"is not CSV \(.*\)\. Write it anew"):
        cli.summarize([tmp_path / "e.csv"])
    (tmp_path / "e.csv").write_text("unit,sim correlation\n0,0.5\n")
    assert [scores.mean for scores in read_scores(tmp_path / "e.csv")] == [0.5]
