"""Weighted concepts as a small piece of HTML, for notebooks: everything that is data is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from linexp.figures.colours import colour_of

_CELL = "padding:1px 8px 1px 0;border:0;text-align:left"
_NUMBER = "padding:1px 8px 1px 0;border:0;text-align:right;font-variant-numeric:tabular-nums"


class Bar(NamedTuple):
    """One weighted concept: its name, its weight, and what is written beside it."""

    concept: str
    weight: float
    text: str
    note: str = ""


def bars_html(heading: str, bars: Sequence[Bar], footer: str = "") -> str:
    """Return a heading and a line with a bar for each weighted concept; the bars' lengths are the weights."""
    most = max((abs(bar.weight) for bar in bars), default=0.0) or 1.0
    rows = "".join(_row(bar, place, most) for place, bar in enumerate(bars))
    table = f'<table style="border-collapse:collapse">{rows}</table>' if rows else ""
    foot = f'<div style="opacity:.75">{escape(footer)}</div>' if footer else ""
    return f"<div><div><strong>{escape(heading)}</strong></div>{table}{foot}</div>"


def table_html(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of texts; all columns but the last hold numbers."""
    head, body = _cells("th", header), "".join(f"<tr>{_cells('td', row)}</tr>" for row in rows)
    return f"<div><div>{escape(caption)}</div><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _row(bar: Bar, place: int, most: float) -> str:
    width = round(160 * abs(bar.weight) / most, 1)
    # A negative weight is hatched and not only of another sign: it is seen without reading the number.
    colour = colour_of(place)
    fill = f"repeating-linear-gradient(135deg,{colour} 0 3px,transparent 3px 6px)" if bar.weight < 0 else colour
    box = f'<div style="width:{width}px;height:10px;border-radius:2px;background:{fill}"></div>'
    note = f' <span style="opacity:.75">{escape(bar.note)}</span>' if bar.note else ""
    return (
        f'<tr><td style="{_NUMBER}">{escape(bar.text)}</td><td style="{_CELL}">{box}</td>'
        f'<td style="{_CELL}">{escape(bar.concept)}{note}</td></tr>'
    )


def _cells(tag: str, texts: Sequence[str]) -> str:
    styles = [*(_NUMBER for _ in texts[1:]), _CELL]
    return "".join(f'<{tag} style="{style}">{escape(text)}</{tag}>' for style, text in zip(styles, texts, strict=True))
