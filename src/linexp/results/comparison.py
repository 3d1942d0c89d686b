"""One layer explained by several methods, judged alike: which is better, by how much, and how sure that is."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from linexp.explainers import Explainer, Given, Usable, check_needs, explainers_of, find_usable
from linexp.explanations import Explanations
from linexp.figures import table_html
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split
from linexp.results.comparison_table import differences_table, methods_table, per_neuron, shown
from linexp.results.judge import Judgement
from linexp.results.result import Result
from linexp.results.run import Run
from linexp.results.scoring import score_case
from linexp.results.tables import Table, draw_table, show
from linexp.score import CorrelationScorer, Difference, Origin, Scorer, Scores, compare_scores

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several methods on one layer: the same neurons, concepts, split, judge and test images.

    Parameters
    ----------
    results
        What each method says, with its scores; the first is the one that others are compared with.
    seconds
        How long each took to explain.
    """

    results: tuple[Result, ...]
    seconds: tuple[float, ...]

    @property
    def methods(self) -> tuple[str, ...]:
        """What the methods are called."""
        return tuple(one.method for one in self.results)

    def __getitem__(self, method: str) -> Result:
        """Return the result of one method.

        Raises
        ------
        KeyError
            There is no such method.
        """
        if method not in self.methods:
            raise KeyError(f"There is no method '{method}' here. Methods: {', '.join(self.methods)}.")
        return self.results[self.methods.index(method)]

    def scores(self, metric: str | None = None) -> dict[str, Scores]:
        """Return the scores of every method, neuron by neuron.

        Parameters
        ----------
        metric
            Which scores, such as "correlation". Default: the first that there are.

        Raises
        ------
        KeyError
            Nobody was scored by this metric.
        """
        known = [scores.metric for scores in self.results[0].scores]
        wanted = metric or known[0]
        if wanted not in known:
            raise KeyError(f"There are no scores by '{wanted}'. Metrics: {', '.join(known)}.")
        return {name: one.scores[known.index(wanted)] for name, one in zip(self.methods, self.results, strict=True)}

    def differences(self, metric: str | None = None) -> tuple[Difference, ...]:
        """Return how much higher each method but the first scores than the first, paired by neuron.

        ``metric`` is as in ``scores``.
        """
        first, *others = self.scores(metric).values()
        return tuple(compare_scores(other, first) for other in others)

    def table(self) -> Table:
        """Return a line for each method: means over the same neurons ± standard errors, differences, and counts."""
        return methods_table(self.results, self.seconds)

    def tables(self) -> dict[str, Table]:
        """Return the table, and the differences with their intervals, by what stands behind the name of their files."""
        beside = {"-differences": differences_table(self.results)} if len(self.results) > 1 else {}
        return {"": self.table(), **beside}

    def to_frame(self, metric: str | None = None) -> pd.DataFrame:
        """Return the scores as a pandas table, a row for each neuron and a column for each method."""
        return per_neuron(self.scores(metric))

    def __str__(self) -> str:
        return draw_table(shown(self.table())).removesuffix("\n")

    def _repr_html_(self) -> str:
        table = shown(self.table())
        rows = [[show(cell) for cell in (*row[1:], row[0])] for row in table.rows]
        return table_html(table.title, (*table.columns[1:], table.columns[0]), rows)


def compare(
    activations: ActivationMatrix,
    concepts: ConceptMatrix,
    split: Split,
    methods: Sequence[str] | Mapping[str, Explainer] = ("linear", "best", "random"),
    *,
    simulator: ConceptMatrix | None = None,
    scorers: Sequence[Scorer] = (CorrelationScorer(),),
) -> Comparison:
    """Explain a layer by several methods and judge them alike.

    Parameters
    ----------
    activations
        Recorded activations [images, neurons].
    concepts
        Presence of the concepts in the same images, which all methods explain by.
    split
        Fits on ``split.train``, chooses on ``split.val``, judges on ``split.test``.
    methods
        Names: those of ``EXPLAINERS``, or of a search, which is the linear method with it; or explainers by the names
        that they get here.
    simulator
        Presence of (at least) all concepts that are named, in the same images, as another model sees it. Default: the
        concepts that explained judge too, and scores are too high.
    scorers
        What is measured.

    Returns
    -------
    Comparison
        Its text is the table.

    Raises
    ------
    DifferentImagesError
        The matrices are of different images, or the split names images they do not have.
    ValueError
        A method is unknown or lacks what it needs; the message says it of all of them before any begins.

    Examples
    --------
    >>> import linexp as le
    >>> planted = le.make_planted(n_images=400)
    >>> found = le.compare(planted.activations, planted.concepts, le.Split.random(400), ["swaps", "invert", "random"])
    >>> found.methods
    ('swaps', 'invert', 'random')
    >>> [one.mean < 0 for one in found.differences()]
    [True, True]
    """
    run = Run(activations, concepts, split)
    explainers = methods if methods and isinstance(methods, Mapping) else explainers_of(tuple(methods))
    check_needs(explainers, Given.of(concepts, split))
    judged = Judgement(concepts if simulator is None else simulator, split.test, None)
    results: list[Result] = []
    seconds: list[float] = []
    for name, found, took in explain_each(explainers, run):
        case = score_case(Result.of(run, found, method=name), judged, scorers, None)
        results.append(named(case, name, "" if simulator is None else "simulator"))
        seconds.append(took)
    return Comparison(tuple(results), tuple(seconds))


def explain_each(
    explainers: Mapping[str, Explainer],
    run: Run,
    way: Callable[[str, Explainer, Usable], tuple[Explanations, float]] | None = None,
) -> Iterator[tuple[str, Explanations, float]]:
    """Yield name, explanations and seconds of each method; which concepts are usable is found once for all alike.

    ``way`` explains in place of the explainer alone, and returns the seconds.
    """

    def explain(_: str, explainer: Explainer, usable: Usable) -> tuple[Explanations, float]:
        started = perf_counter()
        found = explainer.explain(run.activations, run.concepts, run.split, usable=usable)
        return found, perf_counter() - started

    usable: dict[float, Usable] = {}
    told: set[str] = set()
    for name, explainer in explainers.items():
        least = explainer.min_activity
        if least not in usable:
            usable[least] = find_usable(run.concepts, run.split, least)
        with _warning_once(told):
            found, seconds = (way or explain)(name, explainer, usable[least])
        yield name, found, seconds


@contextmanager
def _warning_once(told: set[str]) -> Generator[None, None, None]:
    """Pass on what a method warns of, but for what another has warned of in the same words."""
    show = warnings.showwarning

    def show_new(message: Warning | str, *where: Any, **more: Any) -> None:
        if str(message) not in told:
            told.add(str(message))
            show(message, *where, **more)

    with warnings.catch_warnings():
        warnings.showwarning = show_new
        yield


def named(case: Result, name: str, simulator: str = "") -> Result:
    """Return a scored case whose scores say the name of the method, not the folder it lies in."""
    told = [one.origin or Origin() for one in case.scores]
    origins = [replace(one, method=name, simulator=simulator or one.simulator) for one in told]
    scores = (replace(one, origin=origin) for one, origin in zip(case.scores, origins, strict=True))
    return replace(case, method=name, scores=tuple(scores))
