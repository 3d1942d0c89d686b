"""Simulability: whether the judge means by a word what the explainer means by it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from linexp._internal.checks import check_same_images
from linexp._internal.files import csv_text, decode_text, read_csv
from linexp._internal.numbers import exact
from linexp.explanations import Columns, Concept, Explanations, names_in
from linexp.matrix import ConceptMatrix
from linexp.score.correlation import correlate_columns

SIMULABLE = 0.1
"""From which simulability on a judge counts as knowing a concept.

Of 1,000 images, what has nothing to do with each other correlates by 0.03 either way, so 0.1 is more than chance; and a
term whose concept correlates by 0.1 predicts a hundredth of the variance it was chosen to predict.
"""


_COLUMNS = ("concept", "simulability", "in_terms", "simulator", "n_images")


@dataclass(frozen=True, eq=False)
class Simulability:
    """How well a judge knows concepts: the correlation of their presence by the explainer and by the judge.

    Parameters
    ----------
    concepts
        The concepts.
    values
        Correlations [concepts], from -1 to 1. NaN means exactly one thing: the concept is equally present in all of the
        images, for the explainer or for the judge. Such a concept counts as not known.
    n_images
        On how many images.
    simulator
        Who judges; "" if unknown.
    """

    concepts: tuple[str, ...]
    values: Float[Tensor, " concepts"]
    n_images: int
    simulator: str = ""

    def of(self, concept: Concept) -> float | None:
        """Return the simulability of one concept; NaN if it is undefined, ``None`` if it was not measured.

        Of a formula it is that of the least known of the concepts it names.
        """
        known = [(self._known[name], name) for name in names_in(concept) if name in self._known]
        return min(known, key=_least_known)[0] if known else None

    @cached_property
    def _known(self) -> dict[str, float]:
        return dict(self._pairs())

    @property
    def unknown(self) -> tuple[str, ...]:
        """The concepts that the judge does not know: below ``SIMULABLE``, or undefined; the least known first."""
        low = [(value, name) for name, value in self._pairs() if not value >= SIMULABLE]
        return tuple(name for _, name in sorted(low, key=_least_known))

    def count_unknown(self, explanations: Explanations) -> int:
        """Count the terms with a concept, or a formula of one, that the judge does not know."""
        unknown = set(self.unknown)
        return sum(not unknown.isdisjoint(names_in(term.concept)) for item in explanations for term in item.terms)

    def to_csv(self, path: str | Path, explanations: Explanations) -> None:
        """Write ``concept, simulability, in_terms, simulator, n_images``, the least known first.

        ``in_terms`` says in how many terms of the explanations the concept stands, alone or in a formula: a formula of
        two counts for both, so these do not add up to a number of terms. Undefined simulability is left empty.
        """
        pairs = sorted(((value, name) for name, value in self._pairs()), key=_least_known)
        counts = Counter(name for item in explanations for term in item.terms for name in names_in(term.concept))
        lines = [(name, exact(value), counts[name], self.simulator, self.n_images) for value, name in pairs]
        Path(path).write_bytes(csv_text([_COLUMNS, *lines]).encode(errors="surrogateescape"))

    def _pairs(self) -> list[tuple[str, float]]:
        return list(zip(self.concepts, self.values.tolist(), strict=True))


def _least_known(pair: tuple[float, str]) -> tuple[bool, float, str]:
    value, name = pair
    return (False, 0.0, name) if math.isnan(value) else (True, value, name)


def simulability(
    explaining: ConceptMatrix,
    judging: ConceptMatrix,
    rows: Sequence[int] | Int[Tensor, " rows"],
    concepts: Sequence[str] | None = None,
    simulator: str = "",
) -> Simulability:
    """Correlate the presence of concepts by the explainer with that by the judge.

    A term with a concept that the judge does not know cannot be judged: its explanation scores as if it were wrong.

    Parameters
    ----------
    explaining, judging
        Presence of the concepts in the same images by the two.
    rows
        Images to measure on: the validation rows of the split, so that no test image plays a part.
    concepts
        Which. Default: all that both have.
    simulator
        Name of the judge.

    Raises
    ------
    DifferentImagesError
        The two are of different images.
    ValueError
        A concept is not among those of one of them, or there are fewer than two rows.
    """
    check_same_images(explaining.images, judging.images, explaining.n_images, judging.n_images)
    if len(rows) < 2:
        raise ValueError(f"There are {len(rows)} images to correlate on. Give at least two.")
    known = set(judging.names)
    names = [name for name in explaining.names if name in known] if concepts is None else list(concepts)
    asked = torch.as_tensor(rows)
    if not names:
        return Simulability((), torch.zeros(0), len(asked), simulator)
    one, other = (Columns(matrix, names).block(asked) for matrix in (explaining, judging))
    return Simulability(tuple(names), correlate_columns(one, other), len(asked), simulator)


def read_simulability(path: str | Path) -> Simulability:
    """Read what ``Simulability.to_csv`` wrote.

    Raises
    ------
    ValueError
        The file is another one.
    """
    path = Path(path)
    text = decode_text(path.read_bytes(), path)
    try:
        lines = [line for _, line in read_csv(text, path, "")[1]]
        values = [float(line["simulability"] or math.nan) for line in lines]
        names = tuple(line["concept"] for line in lines)
        n_images, simulator = (int(lines[0]["n_images"]), lines[0]["simulator"]) if lines else (0, "")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"'{path}' does not say how well concepts are known ({error}). Remove it, and score anew."
        ) from error
    return Simulability(names, torch.tensor(values, dtype=torch.float64), n_images, simulator)
