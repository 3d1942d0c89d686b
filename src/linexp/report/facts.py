"""What a page says about a result before any neuron: how it was made, and the table of scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, cast

from linexp._internal.numbers import format_decimals, format_number
from linexp._internal.privacy import as_text, hide_folders
from linexp.explanations import tell_dropped
from linexp.matrix import EmbeddedConceptMatrix
from linexp.results import Column, Result

Cell: TypeAlias = tuple[str, str, str, str, str, str]


@dataclass(frozen=True)
class Row:
    """One line of the score table; what is not known of a method is "".

    ``cells`` are (mean, standard error, number of neurons) as text, behind these the mean over the neurons that are not
    silent and how many these are, "" where all are such, and how much higher it is than that of the first method of the
    layer, paired by neuron, "" for that one; or ``None``.
    """

    layer: str
    method: str
    explained: str
    empty: str
    constant: str
    dead: str
    terms: str
    cells: tuple[Cell | None, ...]


def titles(layers: Sequence[Sequence[Result]]) -> list[str]:
    """Return the heading of every score that some method has, each once, in the order first met."""
    return list(dict.fromkeys(column.heading for layer in layers for finding in layer for column in finding.columns))


def score_rows(layers: Sequence[Sequence[Result]]) -> list[Row]:
    """Return the score table: a line for each layer and method, the scores of others on its neurons behind a result."""
    wanted = titles(layers)
    return [
        row
        for layer in layers
        for finding in layer
        for row in (_row(finding, wanted, layer[0]), *_others(finding, wanted))
    ]


def subtitle(layers: Sequence[Sequence[Result]]) -> list[str]:
    """Return the models and the numbers of images, each once."""
    models = (_text(layer[0].settings.get("model")) for layer in layers)
    counts = (f"{layer[0].n_pictures:,} images" for layer in layers)
    return [text for text in dict.fromkeys([*models, *counts]) if text]


def layer_facts(layer: Sequence[Result]) -> list[tuple[str, str]]:
    """Return what was explained and on which images, as pairs of name and text."""
    run, settings = layer[0], layer[0].settings
    split = run.split_of_images
    folder = _text(settings.get("images"))
    pictures = f"{run.n_pictures:,}" + (f" from {Path(folder).name or folder}" if folder else "")
    facts = [
        ("Model", _text(settings.get("model"))),
        ("Weights", _text(settings.get("weights"))),
        ("Layer", _text(run.activations.layer)),
        ("Units", "" if settings.get("units") == "channels" else _text(settings.get("units"))),
        ("Pooling", _text(settings.get("pool"))),
        ("Images", pictures),
        ("Regions", _regions(run)),
        ("Split", f"{len(split.train):,} to fit, {len(split.val):,} to choose terms, {len(split.test):,} to score"),
        ("Split's seed", _text(settings.get("seed"))),
        ("Split from", Path(_text(settings.get("split"))).name),
    ]
    return [(name, text) for name, text in facts if text]


def _regions(run: Result) -> str:
    regions = run.activations.regions
    return "" if regions is None else f"{regions.height} x {regions.width} of each image, of which scores are"


def method_facts(finding: Result) -> list[tuple[str, str]]:
    """Return how one method made its explanations, as pairs of name and text."""
    settings, run = finding.settings, finding
    dropped = finding.explanations.dropped
    used = f"{run.concepts.n_concepts - len(dropped):,} of " if dropped else ""
    kind = "probabilities" if isinstance(run.concepts, EmbeddedConceptMatrix) else "concepts"
    facts = [
        ("Concepts", f"{used}{run.concepts.n_concepts:,} {_source(settings)}".strip()),
        ("Dropped", "not known" if dropped is None else _text("; ".join(tell_dropped(dropped)))),
        ("Encoder", _text(settings.get("encoder")) if kind == "probabilities" else ""),
        ("Sharpness", "" if run.sharpness == 1 else f"{run.sharpness:g} (of presences; 1: probabilities)"),
        ("Vocabulary", _text(settings.get("vocabulary"))),
        ("Groups", _text(settings.get("groups"))),
        ("Explainer", _explainer(settings.get("explainer"))),
        ("Made with", f"linexp {finding.version}" if finding.version else ""),
    ]
    return [(name, text) for name, text in facts if text]


def _row(finding: Result, wanted: Sequence[str], first: Result) -> Row:
    explanations = finding.explanations
    return Row(
        _text(explanations.layer or finding.activations.layer),
        finding.method,
        f"{explanations.n_with('explained'):,}",
        f"{explanations.n_with('empty'):,}",
        f"{explanations.n_with('constant'):,}",
        f"{int(finding.activations.select(explanations.neurons).is_dead.sum()):,}",
        f"{explanations.mean_terms:.2f}",
        _cells(finding, "", wanted, None if finding is first else first),
    )


def _others(finding: Result, wanted: Sequence[str]) -> list[Row]:
    layer = _text(finding.explanations.layer or finding.activations.layer)
    methods = dict.fromkeys(column.method for column in finding.columns if column.method)
    return [Row(layer, method, "", "", "", "", "", _cells(finding, method, wanted)) for method in methods]


def _cells(finding: Result, method: str, wanted: Sequence[str], first: Result | None = None) -> tuple[Cell | None, ...]:
    columns = {column.heading: column for column in finding.columns if column.method == method}
    name, before = "", dict[str, Column]()
    if first is not None:
        # What explained judges where no judge is named: a stricter one would pass for a worse method.
        same = first.judge == finding.judge
        before = {column.heading: column for column in first.columns if not column.method and (column.judge or same)}
        name = first.method
    return tuple(_cell(columns[title], before.get(title), name) if title in columns else None for title in wanted)


def _cell(column: Column, before: Column | None, name: str) -> Cell:
    n_explained = len(set(column.values) - column.silent)
    explained, how_many = (format_decimals(column.mean_explained, 3), f"{n_explained:,}") if column.silent else ("", "")
    return (
        format_decimals(column.mean, 3),
        format_decimals(column.sem, 3),
        f"{len(column.values):,}",
        explained,
        how_many,
        "" if before is None else _difference(column, before, name),
    )


def _difference(column: Column, before: Column, name: str) -> str:
    """Say how much higher a score is than another of the same neurons, where both know some."""
    shared = [neuron for neuron in column.values if neuron in before.values]
    if not column.is_score or not shared:
        return ""
    found = replace(column, values={neuron: column.values[neuron] - before.values[neuron] for neuron in shared})
    return f"{format_decimals(found.mean, 3)} ± {format_decimals(found.sem, 3)} against {name}"


def _source(settings: Mapping[str, Any]) -> str:
    source = settings.get("concepts")
    told = {"labels": "from the images' labels", "text": "from words", "pixels": "from masks", "colours": "of pixels"}
    name = str(source or "")
    return f"from {name.partition(':')[2]}" if name.startswith("segmenter:") else told.get(name, "")


def _explainer(settings: Any) -> str:
    if not isinstance(settings, Mapping):
        return _text(settings)
    pairs = cast("Mapping[str, Any]", settings).items()
    return ", ".join(f"{name} = {_plain(value)}" for name, value in pairs)


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}" if 1e-4 <= abs(value) < 1e4 else format_number(value)
    return _text(value)


def _text(value: Any) -> str:
    return "" if value is None else as_text(hide_folders(str(value)))
