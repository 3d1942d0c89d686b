"""The CSV files of scores in a result folder, read as columns that say whose they are.

A line of a file that ``linexp score`` or ``linexp ablate`` wrote names method, simulator, images and part of the split.
Only scores on the result's own test images are read; those of other methods keep their names; and what does not say
its origin is called unknown, whatever the file is called.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from linexp._internal.files import read_csv
from linexp._internal.privacy import as_text, hide_folders
from linexp.results.columns import Column
from linexp.results.run import LABELS, Run
from linexp.score import Origin

_ERROR, _SILENT = "_error", "silent"
_ORIGIN = ("method", "simulator", "images", "part")
# What stands in tables of scores and is none: counts, and of ablation the scaling, the constant, and validation images.
_NO_SCORES = {"neuron", _SILENT, *_ORIGIN, "n_seen", "n_images", "c", "d", "level", "accuracy"}
_NO_SCORE_ENDINGS = (_ERROR, "_constant", "_val", "_ceiling", "_ceiling_norm", "_signed", "_signed_mean")
_LEFT_OUT = "neurons without a value left out"
Line = dict[str, Any]


def read_columns(folder: Path, run: Run | None = None) -> tuple[Column, ...]:
    """Read the test scores in ``scores*.csv`` and the numbers in ``impact*.csv`` of a folder, the result's own first.

    A file needs a column ``neuron``; a column ``x_error`` holds the standard errors of ``x``. Scores on other parts of
    the split or on other images than the run's are left out.

    Parameters
    ----------
    folder
        The result's.
    run
        What the result recorded. Default: unknown, so that images are not compared.

    Raises
    ------
    ValueError
        A neuron or a number in one of these files is none.
    """
    found: list[Column] = []
    spare: list[Column] = []
    for path in sorted(folder.glob("scores*.csv"), key=lambda path: path.stem):
        header, lines = _read(path)
        for origin, same in _by_origin(path, header, lines).items():
            if _is_wanted(path, origin, run):
                method, judge = _method(path, header, origin), _judge(path, origin, run)
                columns = _score_columns(path, header, same, method, judge)
                found += _apart(path, columns[:1], found) if _is_ours(header) else _apart(path, columns, found)
                spare += columns[1:] if _is_ours(header) else []
    # The closed-form scaling stands in every ablation file: read where it has no file of its own.
    titles = {column.title for column in found}
    found += [column for column in {column.title: column for column in spare}.values() if column.title not in titles]
    named = _name_methods(found)
    impacts = [column for path in sorted(folder.glob("impact*.csv")) for column in _score_columns(path, *_read(path))]
    numbers = (replace(column, is_score=False) for column in impacts)
    return (*sorted(named, key=lambda column: column.method != ""), *numbers)


def free_name(name: str, taken: Sequence[str]) -> str:
    """Return a name that is not taken yet: the name itself, or with a number."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} {number}"
    return free


def _read(path: Path) -> tuple[list[str], list[Line]]:
    text = path.read_bytes().decode("utf-8-sig", errors="surrogateescape")
    header, lines = read_csv(text, path, "Score anew.", strict=False)
    return header, [line for _, line in lines] if "neuron" in header else []


def _is_ours(header: Sequence[str]) -> bool:
    """Say whether linexp wrote the file: then the second column is the score, and others are not."""
    return len(header) > 2 and header[0] == "neuron" and header[2] == f"{header[1]}{_ERROR}"


def _by_origin(path: Path, header: Sequence[str], lines: Sequence[Line]) -> dict[Origin | None, list[Line]]:
    found: dict[Origin | None, list[Line]] = {}
    known = set(_ORIGIN) <= set(header)
    for line in lines:
        n_seen = int(_number(path, "n_seen", line["n_seen"])) if line.get("n_seen") else None
        origin = Origin(*(line[name] or "" for name in _ORIGIN), n_seen=n_seen) if known else None
        found.setdefault(origin, []).append(line)
    return found


def _is_wanted(path: Path, origin: Origin | None, run: Run | None) -> bool:
    if origin is None:
        return True
    own = None if run is None else run.activations.images
    if own and origin.images and origin.images != own:
        warnings.warn(
            f"The scores in '{path}' are on other images than the result's, so they are left out.",
            UserWarning,
            stacklevel=4,
        )
        return False
    return origin.part in ("", "test")


def _method(path: Path, header: Sequence[str], origin: Origin | None) -> str:
    """Say whose scores these are, "" for the result's own: those of a folder, in a file that names no other method.

    The name of the folder proves nothing, because results are moved; other methods are files, or named by people.
    """
    if origin is None or not origin.method:
        return f"unknown origin ({path.name})"
    if not origin.part:
        return f"{origin.method}, on unknown images"
    metric = re.escape(re.sub(r"[^\w.]+", "-", header[1]).strip("-"))
    has_own_name = re.fullmatch(rf"scores(-by-.+)?(-{metric})?(-\d+)?", path.stem)
    is_file = Path(origin.method).suffix.lower() in (".csv", ".json")
    return "" if has_own_name and not is_file else origin.method


def _judge(path: Path, origin: Origin | None, run: Run | None) -> str:
    named = path.stem.partition("-by-")[2]
    if origin is None or not origin.simulator:
        return named
    own = LABELS if run is None else run.judge
    return origin.simulator if named or origin.simulator != own else ""


def _score_columns(
    path: Path, header: Sequence[str], lines: Sequence[Line], method: str = "", judge: str = ""
) -> list[Column]:
    """Return the scores of some lines; of an ablation that linexp wrote, also those with the closed-form scaling."""
    neurons = [int(_number(path, "neuron", line["neuron"])) for line in lines]
    silent = frozenset(n for n, line in zip(neurons, lines, strict=True) if line.get(_SILENT) == "1")
    columns: list[Column] = []
    for metric, name in _metrics(header, lines).items():
        values = _cells(path, lines, neurons, name)
        errors = _cells(path, lines, neurons, f"{name}{_ERROR}")
        is_vague = path.stem.startswith("scores") and _SILENT not in header and len(values) < len(lines)
        shown = f"{metric}{_seen_note(lines[0], method)}" + (f" ({_LEFT_OUT})" if is_vague else "")
        columns.append(Column(shown, judge, values, errors, method, silent))
    return columns


def _seen_note(line: Line, method: str) -> str:
    """Return what stands behind a score's name if it was taken on images that the explanations have seen."""
    n_seen = line.get("n_seen", "0")
    if not n_seen:  # a result's own explanations keep to its split
        return " (on images it was perhaps fitted on)" if method else ""
    return "" if n_seen == "0" else f" (fitted on {n_seen} of these {line['n_images']} images)"


def _metrics(header: Sequence[str], lines: Sequence[Line]) -> dict[str, str]:
    """Return what is measured, and in which column."""
    if _is_ours(header):
        norm, second = re.sub(r"\([\w-]+", "(norm", header[1], count=1), f"{header[1]}_norm"
        # With least-squares scaling both columns are the same, and only the first has errors.
        return {header[1]: header[1], **({norm: second} if second in header and norm != header[1] else {})}
    names = [name for name in header if name not in _NO_SCORES and not name.endswith(_NO_SCORE_ENDINGS)]
    certain = [name for name in names if f"{name}{_ERROR}" in header]
    return {name: name for name in certain or names if _is_numeric(lines, name)}


def _apart(path: Path, columns: Sequence[Column], before: Sequence[Column]) -> list[Column]:
    """Tell columns from earlier ones of the same title by their file."""
    taken = {column.title for column in before}
    return [
        replace(column, metric=f"{column.metric} ({path.name})") if column.title in taken else column
        for column in columns
    ]


def _name_methods(columns: Sequence[Column]) -> list[Column]:
    """Shorten methods and judges that are paths; each method keeps a name of its own."""
    names = {"": ""}
    for column in columns:
        if column.method not in names:
            names[column.method] = free_name(_shown(column.method), list(names.values()))
    return [replace(column, method=names[column.method], judge=_shown(column.judge)) for column in columns]


def _shown(name: str) -> str:
    return as_text(hide_folders(name))


def _is_numeric(lines: Sequence[Line], name: str) -> bool:
    """Say whether the column's first filled cell is a number: others, such as a layer's name, are no scores."""
    first = next((line[name] for line in lines if line[name]), "")
    try:
        return math.isfinite(float(first))
    except ValueError:
        return False


def _cells(path: Path, lines: Sequence[Line], neurons: Sequence[int], name: str) -> dict[int, float]:
    pairs = zip(neurons, lines, strict=True)
    return {neuron: _number(path, name, line[name]) for neuron, line in pairs if line.get(name)}


def _number(path: Path, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"The column '{name}' of '{path}' holds {text!r}, which is no number. Score anew.")
    return value
