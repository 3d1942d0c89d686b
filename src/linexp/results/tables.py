"""Tables of scores as CSV, Markdown and LaTeX, and for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from linexp._internal.checks import printable
from linexp._internal.files import check_writable_folder, csv_text, write_atomically
from linexp._internal.numbers import exact, format_decimals

# Columns of the terminal up to which a table is drawn without breaking its cells.
_WIDEST = 10_000


@dataclass(frozen=True)
class Measured:
    """A mean and its standard error; NaN where there is none."""

    mean: float
    sem: float


Cell = str | int | float | Measured
"""NaN is shown as a dash, and left empty in CSV."""


@dataclass(frozen=True)
class Table:
    """Columns of text, numbers, or means with standard errors.

    Parameters
    ----------
    columns
        Their names.
    rows
        A cell for each column.
    title
        What the table is of.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""

    def without(self, columns: Sequence[str]) -> Table:
        """Return the table without some columns."""
        kept = [place for place, column in enumerate(self.columns) if column not in columns]
        rows = tuple(tuple(row[place] for place in kept) for row in self.rows)
        return Table(tuple(self.columns[place] for place in kept), rows, self.title)

    def is_text(self, place: int) -> bool:
        """Say whether a column is of words, which stand on the left."""
        return all(isinstance(row[place], str) for row in self.rows)


def as_csv(table: Table) -> str:
    """Return the table with all digits; a mean with an error takes two columns, ``NAME`` and ``NAME_sem``."""
    split = [any(isinstance(row[place], Measured) for row in table.rows) for place in range(len(table.columns))]
    names = zip(table.columns, split, strict=True)
    header = [name for column, is_split in names for name in ([column, f"{column}_sem"] if is_split else [column])]
    lines = [[text for cell, two in zip(row, split, strict=True) for text in _digits(cell, two)] for row in table.rows]
    return csv_text([header, *lines])


def _digits(cell: Cell, two: bool) -> Iterable[str]:
    if isinstance(cell, Measured):
        return exact(cell.mean), exact(cell.sem)
    text = cell if isinstance(cell, str) else exact(cell)
    return (text, "") if two else (text,)


def as_markdown(table: Table) -> str:
    """Return the table as Markdown, with four decimals."""
    rules = ["---" if table.is_text(place) else "---:" for place in range(len(table.columns))]
    lines = [table.columns, rules, *((show(cell) for cell in row) for row in table.rows)]
    text = "\n".join(f"| {' | '.join(map(_in_markdown, line))} |" for line in lines)
    return f"{_in_markdown(table.title)}\n\n{text}\n" if table.title else f"{text}\n"


def as_latex(table: Table) -> str:
    """Return the table as LaTeX (package booktabs), with four decimals."""
    sides = "".join("l" if table.is_text(place) else "r" for place in range(len(table.columns)))
    lines = [" & ".join(_in_latex(show(cell)) for cell in row) + r" \\" for row in (table.columns, *table.rows)]
    title = [f"% {' '.join(table.title.split())}"] if table.title else []
    start = [rf"\begin{{tabular}}{{{sides}}}", r"\toprule", lines[0], r"\midrule"]
    return "\n".join([*title, *start, *lines[1:], r"\bottomrule", r"\end{tabular}"]) + "\n"


def draw_table(table: Table) -> str:
    """Return the table as the terminal shows it, with four decimals; as wide as it is, so that no number is broken."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as RichTable

    drawn = RichTable(title=escape(table.title) if table.title else None, title_justify="left")
    for place, column in enumerate(table.columns):
        drawn.add_column(escape(column), justify="left" if table.is_text(place) else "right")
    for row in table.rows:
        drawn.add_row(*(escape(printable(show(cell))) for cell in row))
    console = Console(soft_wrap=True, highlight=False)
    wanted = console.measure(drawn, options=console.options.update(max_width=_WIDEST)).maximum
    console.width = max(console.width, wanted)
    with console.capture() as captured:
        console.print(drawn)
    return captured.get()


def write_tables(path: Path, tables: Mapping[str, Table]) -> list[Path]:
    """Write ``path``.md and ``path``.tex with all tables, and a CSV for each; return what was written.

    Parameters
    ----------
    path
        Where to; an ending .csv, .md or .tex is left out.
    tables
        What stands behind the name of each table's CSV, "" for the first, and the table.
    """
    stem = str(path.with_suffix("") if path.suffix in (".csv", ".md", ".tex") else path)
    check_writable_folder(path.parent)
    texts = {f"{stem}{name}.csv": as_csv(table) for name, table in tables.items()}
    texts[f"{stem}.md"] = "\n".join(map(as_markdown, tables.values()))
    texts[f"{stem}.tex"] = "\n".join(map(as_latex, tables.values()))
    for name, text in texts.items():
        write_atomically(Path(name), text.encode(errors="surrogateescape"))
    return [Path(name) for name in texts]


def show(cell: Cell) -> str:
    """Write a cell for people: four decimals, a dash where there is nothing."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, Measured):
        return show(cell.mean) if math.isnan(cell.mean) else f"{show(cell.mean)} ± {show(cell.sem)}"
    if isinstance(cell, int):
        return f"{cell:,}"
    return format_decimals(cell, 4)


def _in_markdown(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")


_LATEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"±": r"$\pm$", "−": "$-$", "–": "--", "·": r"$\cdot$", "<": "$<$", ">": "$>$", "|": r"\textbar{}"},
    **{"[": "{[}", "]": "{]}"},  # behind \\ a bracket would be an argument of it
}


def _in_latex(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in " ".join(text.split()))
