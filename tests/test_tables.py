"""Tables as CSV, Markdown and LaTeX: the same numbers, whatever is in the cells."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import pytest

from linexp.results.tables import Measured, Table, as_csv, as_latex, as_markdown, draw_table, show, write_tables

NAN = math.nan
TABLE = Table(
    ("method", "neurons", "f1@0.01", "val"),
    (
        ("a|b_c [1]\nd", 2048, Measured(0.1 + 0.2, 0.00123), -0.25),
        ('"e", 5 % \\ #', 7, Measured(NAN, NAN), NAN),
        ("f", 0, Measured(-0.00001, NAN), 2.0),
    ),
    "Scores ± errors",
)


def test_csv_has_all_digits():
    rows = list(csv.reader(io.StringIO(as_csv(TABLE), newline="")))
    assert rows == [
        ["method", "neurons", "f1@0.01", "f1@0.01_sem", "val"],
        ["a|b_c [1]\nd", "2048", "0.30000000000000004", "0.00123", "-0.25"],
        ['"e", 5 % \\ #', "7", "", "", ""],
        ["f", "0", "-1e-05", "", "2.0"],
    ]


def test_markdown():
    assert as_markdown(TABLE) == (
        "Scores ± errors\n\n"
        "| method | neurons | f1@0.01 | val |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| a\\|b_c [1] d | 2,048 | 0.3000 ± 0.0012 | −0.2500 |\n"
        '| "e", 5 % \\\\ # | 7 | – | – |\n'
        "| f | 0 | 0.0000 ± – | 2.0000 |\n"
    )


def test_latex():
    assert as_latex(TABLE) == (
        "% Scores ± errors\n"
        "\\begin{tabular}{lrrr}\n\\toprule\n"
        "method & neurons & f1@0.01 & val \\\\\n\\midrule\n"
        "a\\textbar{}b\\_c {[}1{]} d & 2,048 & 0.3000 $\\pm$ 0.0012 & $-$0.2500 \\\\\n"
        '"e", 5 \\% \\textbackslash{} \\# & 7 & -- & -- \\\\\n'
        "f & 0 & 0.0000 $\\pm$ -- & 2.0000 \\\\\n"
        "\\bottomrule\n\\end{tabular}\n"
    )


def test_the_terminal_shows_cells_whole(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "20")
    long = "vit_b_16_imagenet_encoder.layers.encoder_layer_11.mlp[1]"
    printed = draw_table(Table(("net", "score"), ((long, Measured(0.25, 0.5)), ("[red]x[/red]", NAN)), "of [b]"))
    assert f"│ {long} │ 0.2500 ± 0.5000 │\n" in printed
    assert "[red]x[/red]" in printed
    assert "of [b]" in printed


def test_some_columns():
    assert TABLE.without(["neurons", "val"]).columns == ("method", "f1@0.01")
    assert TABLE.without(["neurons", "val"]).rows[2][0] == "f"


@pytest.mark.parametrize("name", ["out", "out.csv", "out.md", "out.tex", "v1.5"])
def test_files(tmp_path: Path, name: str):
    written = write_tables(tmp_path / "new" / name, {"": TABLE, "-more": Table(("a",), (("b",),))})
    stem = "v1.5" if name == "v1.5" else "out"
    assert [path.name for path in written] == [f"{stem}.csv", f"{stem}-more.csv", f"{stem}.md", f"{stem}.tex"]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(path.name for path in written)
    assert (tmp_path / "new" / f"{stem}.md").read_text(encoding="utf-8") == (
        f"{as_markdown(TABLE)}\n| a |\n| --- |\n| b |\n"
    )


def test_cells():
    assert [show(cell) for cell in ("x", 12345, 0.5, Measured(0.5, 0.01), NAN)] == [
        *("x", "12,345", "0.5000", "0.5000 ± 0.0100", "–")
    ]
