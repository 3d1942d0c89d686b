"""The explanations of a layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, overload

from linexp._internal.checks import check_at_least, check_choice, listing
from linexp.explanations.csv_format import read_rows, write_rows
from linexp.explanations.dropped import DroppedConcept
from linexp.explanations.fitted_on import FittedOn
from linexp.explanations.formula import Concept, names_in
from linexp.explanations.frame import frame_of
from linexp.explanations.quality import Judged, Quality, qualities_of, rank, show_selected, title_of
from linexp.figures import table_html

if TYPE_CHECKING:
    import pandas as pd
from linexp.explanations.explanation import OUTCOMES, Explanation, Outcome, line_of, val_quality, why_not


@dataclass(frozen=True, repr=False)
class Explanations:
    """The explanations of a layer, one per neuron, in the order of the neurons.

    ``explanations[17]`` is the one of neuron 17 and ``17 in explanations`` asks for it; ``explanations[:10]`` are the
    first ten; iteration gives them all.

    Parameters
    ----------
    items
        One explanation per neuron.
    layer
        Name of the layer.
    dropped
        Concepts that took no part because they are too weak or constant on the training images, each with the reason;
        ``None``: not known. Explanations are equal whatever stands here.
    scores
        What is printed instead of validation correlations, see ``with_scores``; equal explanations may differ in it.
    network
        The network that the neurons are of, as ``load_model`` calls it, where a file of the paper's published results
        was read; "" where it is not known.
    fitted_on
        The images that the weights were fitted and the terms chosen on, so that nobody scores on these unawares
        (``check_unseen``); ``None``: not known.
    """

    items: tuple[Explanation, ...]
    layer: str = ""
    dropped: tuple[DroppedConcept, ...] | None = field(default=None, compare=False)
    scores: Judged | None = field(default=None, compare=False)
    network: str = field(default="", compare=False)  # our files do not carry it
    fitted_on: FittedOn | None = None

    def __post_init__(self) -> None:
        if len(self._place) < len(self.items):
            repeated = next(neuron for neuron in self.neurons if self.neurons.count(neuron) > 1)
            raise ValueError(f"Neuron {repeated} is explained twice. Keep one explanation per neuron.")

    @property
    def neurons(self) -> tuple[int, ...]:
        """Identifiers of the explained neurons."""
        return tuple(item.neuron for item in self.items)

    @property
    def concepts(self) -> tuple[Concept, ...]:
        """Every concept that some explanation uses, each once, in order of first use."""
        return tuple(dict.fromkeys(term.concept for item in self.items for term in item.terms))

    @property
    def names(self) -> tuple[str, ...]:
        """Every word or text that some explanation names, alone or in a formula, each once, in order of first use."""
        return tuple(dict.fromkeys(name for concept in self.concepts for name in names_in(concept)))

    @property
    def dropped_concepts(self) -> tuple[str, ...]:
        """Names of the concepts that took no part; none if that is not known, see ``dropped``."""
        return tuple(one.concept for one in self.dropped or ())

    @property
    def mean_terms(self) -> float:
        """Mean number of terms over the neurons that have an explanation; 0 if none has."""
        lengths = [len(item.terms) for item in self.items if item.outcome == "explained"]
        return sum(lengths) / len(lengths) if lengths else 0.0

    @property
    def mean_val_correlation(self) -> float:
        """Mean validation correlation over the neurons that have one; NaN if none has. It chose the terms."""
        known = [item.val_correlation for item in self.items if item.val_correlation is not None]
        return sum(known) / len(known) if known else math.nan

    @cached_property
    def _place(self) -> dict[int, int]:
        return {item.neuron: place for place, item in enumerate(self.items)}

    def n_with(self, outcome: Outcome) -> int:
        """Count the neurons with this outcome."""
        check_choice("outcome", outcome, OUTCOMES)
        return sum(item.outcome == outcome for item in self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Explanation]:
        return iter(self.items)

    def __contains__(self, neuron: object) -> bool:
        return neuron in self.items if isinstance(neuron, Explanation) else neuron in self._place

    def __repr__(self) -> str:
        return f"Explanations({len(self)} neurons of layer '{self.layer}')"

    @overload
    def __getitem__(self, neuron: int) -> Explanation: ...
    @overload
    def __getitem__(self, neuron: slice) -> Explanations: ...
    def __getitem__(self, neuron: int | slice) -> Explanation | Explanations:
        if isinstance(neuron, slice):
            return self._with(self.items[neuron])
        if neuron not in self._place:
            raise KeyError(f"Neuron {neuron} is not among the {len(self)} explained ones ({listing(self.neurons, 6)}).")
        return self.items[self._place[neuron]]

    def only(self, neurons: Sequence[int]) -> Explanations:
        """Return the explanations of some neurons, in the order asked for.

        Raises
        ------
        KeyError
            A neuron is not among the explained ones.
        """
        return self._with(tuple(self[neuron] for neuron in neurons))

    def best(self, n: int = 10, scores: Judged | None = None) -> Explanations:
        """Return the ``n`` best explanations, best first: by what they score at least, value less standard error.

        Behind them come those without an error, by the value alone.

        Parameters
        ----------
        n
            How many at most. Neurons without a value are left out.
        scores
            Scores on images that nobody chose by, printed with the explanations. Default: those of ``with_scores``, or
            else the validation correlations: these chose the terms, so the best of them are too high.
        """
        if scores is not None:
            return self.with_scores(scores).best(n)
        check_at_least("n", n, 0)
        known = (val_quality(item) if self.scores is None else self._scored.get(item.neuron) for item in self.items)
        ranked = rank(one or Quality() for one in known)
        return self._with(tuple(self.items[place] for place in ranked[:n]))

    def with_scores(self, scores: Judged) -> Explanations:
        """Return the same explanations, to be printed and ordered by scores instead of validation correlations.

        ``scores`` is what a scorer returned for these neurons, on images that nobody fitted on or chose by.

        Raises
        ------
        ValueError
            None of the neurons was scored.
        """
        if self.items and not set(self.neurons) & set(scores.neurons):
            raise ValueError(
                f"None of the {len(self)} explained neurons is among the {len(scores.neurons)} scored ones. "
                "Give scores of the same layer."
            )
        return replace(self, scores=scores)

    @cached_property
    def _scored(self) -> dict[int, Quality]:
        return {} if self.scores is None else qualities_of(self.scores)

    def _told(self, item: Explanation) -> str:
        """Return what is printed beside an explanation; "" where nothing is known."""
        if self.scores is not None and item.neuron in self._scored:
            return f"{title_of(self.scores)} {self._scored[item.neuron]}"
        return "" if item.val_correlation is None else show_selected(val_quality(item))

    def about(self, text: str) -> Explanations:
        """Return the explanations that name a word with ``text`` in it, upper and lower case alike.

        A formula names each of its words, what stands behind NOT too.
        """
        wanted = text.casefold()
        return self._with(tuple(item for item in self if any(wanted in name.casefold() for name in item.names)))

    def _with(self, items: tuple[Explanation, ...]) -> Explanations:
        return replace(self, items=items)

    def __str__(self) -> str:
        more = [f"… and {len(self) - 20} more"] if len(self) > 20 else []
        return "\n".join([line_of(item, self._told(item)) for item in self.items[:20]] + more) or "no explanations"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: a table of the first twenty."""
        rows = [
            (str(item.neuron), self._told(item) if item.terms else "", item.predicted if item.terms else why_not(item))
            for item in self.items[:20]
        ]
        more = f", the first {len(rows)} of them" if len(self) > len(rows) else ""
        return table_html(f"{self!r}{more}", ("neuron", "quality", "explanation"), rows)

    def to_frame(self) -> pd.DataFrame:
        """Return a table with one row per neuron: its outcome, its correlation and what its terms are.

        ``least_kept`` is the ``Term.kept`` of its least stable term. Where some have a method's own measure, its name,
        value and p-value are in ``measure``, ``measure_value`` and ``measure_p``.
        """
        return frame_of(self.items, self.layer)

    def to_csv(self, path: str | Path) -> None:
        """Write one line for each neuron, UTF-8: its outcome, correlation, bias, measure and terms, with their errors.

        Reading it back with ``from_csv`` gives equal explanations, to the last bit; ``dropped`` and ``scores`` are not
        written. Which images they were fitted on stands in the first line, behind the terms.
        """
        write_rows(Path(path), self.items, self.layer, self.fitted_on)

    @staticmethod
    def from_csv(path: str | Path, layer: str | None = None) -> Explanations:
        """Read explanations from our CSV layout, either of the paper's published ones, or anybody's CSV or JSON.

        Anybody's is a neuron and a text, of any length, which becomes one term of weight 1: two columns of CSV, with
        or without names, or a file that ends in .json with ``{"3": "snow"}``, ``[[3, "snow"]]`` or
        ``[{"neuron": 3, "text": "snow"}]``. A text is a formula only where it is called ``formula``.

        Parameters
        ----------
        path
            The file.
        layer
            Which layer's explanations to take of a file of several, such as CLIP-Dissect's. A file of one layer is
            read whatever its layer is called.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            The file is of no known layout (the message says what is missing), a line makes no sense (the message names
            line, column and value), or there are several layers, of which none is ``layer``.
        """
        read = read_rows(Path(path), layer)
        return Explanations(read.items, read.layer, network=read.network, fitted_on=read.fitted_on)
