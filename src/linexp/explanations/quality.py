"""How good an explanation is said to be: with its error, what chose the terms marked as such, and which comes first."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from jaxtyping import Float
from torch import Tensor

from linexp._internal.checks import check_within
from linexp._internal.numbers import format_decimals, format_number


class _Origin(Protocol):
    @property
    def part(self) -> str: ...


class Judged(Protocol):
    """What is needed here of ``Scores``, which stand below explanations and are described there."""

    @property
    def values(self) -> Float[Tensor, " neurons"]:
        """One score per neuron."""
        ...

    @property
    def neurons(self) -> tuple[int, ...]:
        """Identifiers of the neurons."""
        ...

    @property
    def metric(self) -> str:
        """What was measured."""
        ...

    @property
    def errors(self) -> Float[Tensor, " neurons"] | None:
        """Standard error of each score."""
        ...

    @property
    def origin(self) -> _Origin | None:
        """Where the scores are from."""
        ...


class Quality(NamedTuple):
    """A correlation or a score, and its standard error; ``None`` is what is not known or undefined."""

    value: float | None = None
    error: float | None = None

    def __str__(self) -> str:
        if self.value is None:
            return "undefined"
        return format_decimals(self.value, 2) + ("" if self.error is None else f" ± {format_decimals(self.error, 2)}")


@dataclass(frozen=True)
class Measure:
    """What a method itself measures an explanation by, on the images that it explains from.

    Parameters
    ----------
    name
        What is measured: "IoU", "AUROC", "soft-WPMI" and so on.
    value
        As the method defines it, finite.
    p_value
        Probability of at least such a value by chance, from 0 to 1; ``None`` where the method knows none.
    """

    name: str
    value: float
    p_value: float | None = None

    def __post_init__(self) -> None:
        if not (self.name.strip() and math.isfinite(self.value)):
            raise ValueError(f"The measure {self.name!r} is {self.value}. Give it a name and a finite number, or none.")
        if self.p_value is not None:
            check_within("p_value", self.p_value, 0, 1)

    def __str__(self) -> str:
        known = "" if self.p_value is None else f", p {format_number(self.p_value)}"
        return f"{self.name} {format_number(self.value)}{known}"


def rank(qualities: Iterable[Quality]) -> list[int]:
    """Return the places of those that have a value, highest value less error first; of equal ones the earlier.

    Those without an error come last, by the value alone: a correlation without one often hangs on a single image.
    """
    known = [(place, *one) for place, one in enumerate(qualities)]
    bounds = [(error is None, (error or 0.0) - value, place) for place, value, error in known if value is not None]
    return [place for _, _, place in sorted(bounds)]


def show_selected(val: Quality) -> str:
    """Write a validation correlation, ± ? where its error is not known; it chose the terms, so it is too high."""
    return f"val {val}{' ± ?' if val.error is None else ''}, selected"


def qualities_of(scores: Judged) -> dict[int, Quality]:
    """Return the score of each neuron."""
    errors = [math.nan] * len(scores.neurons) if scores.errors is None else scores.errors.tolist()
    pairs = zip(scores.values.tolist(), errors, strict=True)
    return dict(zip(scores.neurons, (Quality(_known(value), _known(error)) for value, error in pairs), strict=True))


def title_of(scores: Judged) -> str:
    """Return what scores are called: the part of the split, where it is known, and the metric."""
    part = "" if scores.origin is None else scores.origin.part
    return f"{part} {scores.metric}".strip()


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
