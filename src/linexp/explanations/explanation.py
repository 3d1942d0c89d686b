"""What comes out: one short weighted sum of concepts per neuron; how it prints, and its table and CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from jaxtyping import Int
from torch import Tensor

from linexp._internal.checks import check_choice
from linexp._internal.numbers import format_number
from linexp.explanations.drawing import bars_of, plot_area, plot_ranges
from linexp.explanations.formula import Concept, Formula, names_in
from linexp.explanations.link import Link
from linexp.explanations.quality import Measure, Quality, show_selected
from linexp.figures import Shares, bars_html
from linexp.matrix import ActivationMatrix, ConceptMatrix

Outcome = Literal["explained", "empty", "constant"]
OUTCOMES = get_args(Outcome)
# A term chosen again in a smaller share of redraws is marked: more often than not the images name another one.
STABLE = 0.5
# A bias smaller than this share of the largest weight is what remains of 0 after rounding, and not shown.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Term:
    """One concept and its weight: how much the neuron's activation rises when the concept is fully present.

    Parameters
    ----------
    concept
        A word or a text of any length, or a ``Formula`` of these.
    weight
        In units of the neuron's activation.
    error
        Standard error of the weight, the terms being given; ``None`` if unknown.
    kept
        How stable the choice is: the share, from 0 to 1, of random redraws of the images to fit on and to choose by in
        which the whole procedure chose the term again. Its mean says how many terms another random split of the same
        images would choose again. ``None`` if unknown.
    synonyms
        Other words that were found for the neuron and mean the same, so that this one stands for them too.
    """

    concept: Concept
    weight: float
    error: float | None = None
    kept: float | None = None
    synonyms: tuple[str, ...] = ()

    @property
    def is_unstable(self) -> bool:
        """Whether it is known to have been chosen again in fewer than half of the redraws."""
        return self.kept is not None and self.kept < STABLE

    def __str__(self) -> str:
        concept = self.concept.grouped if isinstance(self.concept, Formula) else self.concept
        return f"{format_number(self.weight)}·{concept}"


@dataclass(frozen=True)
class Explanation:
    """A neuron as a weighted sum of concepts (E in the paper, Eq. 7): activation ≈ Σ weight·P(concept) + bias.

    With a link, activation ≈ link(Σ weight·P(concept) + bias).

    Parameters
    ----------
    neuron
        Identifier of the neuron.
    terms
        Concepts and weights, largest weight first; weights are in units of the neuron's activation.
    bias
        Predicted activation where no concept is present.
    val_correlation
        Correlation with the neuron on the validation images, which chose the terms: higher than on new images, the more
        so the higher it is. ``None`` if unknown or undefined.
    outcome
        "explained"; "empty": no concept predicts the neuron, there is no term and the bias is its mean; "constant":
        the neuron has the same activation on every training image, there is nothing to explain.
    val_error
        Standard error of the validation correlation, the terms being given; ``None`` if unknown.
    measure
        The method's own measure of it; ``None`` if it has none, or it is unknown.
    link
        How the activation rises with the weighted sum (``fit_links``); ``None``: it is the sum, as in the paper.
    """

    neuron: int
    terms: tuple[Term, ...]
    bias: float = 0.0
    val_correlation: float | None = None
    outcome: Outcome = "explained"
    val_error: float | None = None
    measure: Measure | None = None
    link: Link | None = None

    def __post_init__(self) -> None:
        check_choice("outcome", self.outcome, OUTCOMES)
        if (self.outcome == "explained") != bool(self.terms):
            raise ValueError(
                f"Neuron {self.neuron} has the outcome '{self.outcome}' with {len(self.terms)} terms. "
                "An explained neuron has terms; an empty or constant one has none."
            )

    @property
    def concepts(self) -> tuple[Concept, ...]:
        """What its terms are about, largest weight first."""
        return tuple(term.concept for term in self.terms)

    @property
    def names(self) -> tuple[str, ...]:
        """Every word or text that it names, alone or in a formula, each once."""
        return tuple(dict.fromkeys(name for term in self.terms for name in names_in(term.concept)))

    @property
    def formula(self) -> str:
        """The weighted sum alone, as in "2.41·snow + 1.07·ski slope − 0.30"."""
        signed = [(term.weight, str(Term(term.concept, abs(term.weight)))) for term in self.terms]
        if not signed or abs(self.bias) > _ROUNDING * max(abs(term.weight) for term in self.terms):
            signed.append((self.bias, format_number(abs(self.bias))))
        first = ("−" if signed[0][0] < 0 else "") + signed[0][1]
        return first + "".join(f" {'−' if weight < 0 else '+'} {text}" for weight, text in signed[1:])

    @property
    def predicted(self) -> str:
        """The formula, with the link where there is one: "link(2.41·snow − 0.30), link: −0.3 → 0.01, 2.1 → 3.2"."""
        return self.formula if self.link is None else f"link({self.formula}), link: {self.link}"

    def __str__(self) -> str:
        return line_of(self, "" if self.val_correlation is None else show_selected(val_quality(self)))

    def plot_ranges(
        self,
        recorded: ActivationMatrix,
        images: Any,
        *,
        rows: Sequence[int] | Int[Tensor, " rows"] | None = None,
        n_ranges: int = 8,
        n_pictures: int = 3,
        seed: int = 0,
        axes: Any = None,
    ) -> Any:
        """Draw pictures from even ranges of the neuron's activation, the highest on the left.

        Parameters
        ----------
        recorded
            Activations of at least this neuron.
        images
            The images behind the rows of ``recorded``: whatever ``record`` takes.
        rows
            Images to choose from, normally those of the test split. Default: all.
        n_ranges
            Into how many ranges of equal width 0 to the highest activation are divided.
        n_pictures
            Pictures of each range at most, drawn by lot.
        seed
            Decides the lots.
        axes
            matplotlib axes to draw into. Default: new ones.

        Returns
        -------
        matplotlib.axes.Axes
            The axes drawn into.

        Raises
        ------
        ValueError
            The neuron was not recorded, or there is no row.
        DifferentImagesError
            ``images`` are not the ones that were recorded.

        References
        ----------
        Paper, Figures 4 and 6 to 15.
        """
        return plot_ranges(self, recorded, images, rows, n_ranges, n_pictures, seed, axes)

    def plot_area(
        self,
        recorded: ActivationMatrix,
        concepts: ConceptMatrix,
        *,
        rows: Sequence[int] | Int[Tensor, " rows"] | None = None,
        n_ranges: int = 8,
        shares: Shares = "plain",
        axes: Any = None,
    ) -> Any:
        """Draw which share of the images in each range of activation has each concept of the explanation.

        Parameters
        ----------
        recorded
            Activations of at least this neuron.
        concepts
            Presence of the explanation's concepts in the same images.
        rows
            Images to count. Default: all.
        n_ranges
            Into how many ranges of equal width 0 to the highest activation are divided.
        shares
            "plain", the paper's: an image counts for each concept that it has, so concepts that overlap stack to more
            than 1. "divided": for the innermost of them, or in equal parts, so that all stack to 1.
        axes
            matplotlib axes to draw into. Default: new ones.

        Returns
        -------
        matplotlib.axes.Axes
            The axes drawn into.

        Raises
        ------
        ValueError
            The neuron was not recorded, ``concepts`` lacks one of the explanation's, or there is no row.
        DifferentImagesError
            The two matrices are of different images.

        References
        ----------
        Paper, Figure 3.
        """
        return plot_area(self, recorded, concepts, rows, n_ranges, shares, axes)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the concepts as bars."""
        if not self.terms:
            return bars_html(str(self), ())
        val = "" if self.val_correlation is None else f"{show_selected(val_quality(self))}; "
        measure = "" if self.measure is None else f"{self.measure}; "
        link = "" if self.link is None else f"; link: {self.link}"
        bias = f"bias {format_number(self.bias)}"
        return bars_html(f"neuron {self.neuron}", bars_of(self), f"{val}{measure}{bias}{link}")


def val_quality(item: Explanation) -> Quality:
    """Return the validation correlation, by which the terms were selected."""
    return Quality(item.val_correlation, item.val_error)


def line_of(item: Explanation, quality: str) -> str:
    """Return an explanation in one line, with what is known of its quality behind it."""
    if item.outcome == "constant":
        return f"neuron {item.neuron} is {why_not(item)}"
    if item.outcome == "empty":
        return f"neuron {item.neuron}: {why_not(item)}"
    known = "; ".join(filter(None, (quality, "" if item.measure is None else str(item.measure))))
    return f"neuron {item.neuron} ≈ {item.predicted}" + (f"   ({known})" if known else "")


def why_not(item: Explanation) -> str:
    """Say why a neuron has no explanation."""
    if item.outcome == "empty":
        return "no concept predicts it"
    return f"constant on the training images ({format_number(item.bias)}): not explained"
