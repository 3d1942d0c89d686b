"""How sharp the presence of words should be for some neurons: chosen on train and validation images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from linexp._internal.checks import check_within
from linexp.explainers.base import Explainer
from linexp.explainers.correlations import correlate
from linexp.explainers.linear import LinearExplainer
from linexp.explainers.usable import Usable, find_usable
from linexp.explanations import Explanations, simulate
from linexp.matrix import ActivationMatrix, EmbeddedConceptMatrix, Split

SHARPNESSES = (1.0, 0.7, 0.5, 0.3, 0.2, 0.1)
"""What is tried, by about the root of 2 each; on drawings and photographs nothing is gained below."""
# More neurons make the choice no surer than it needs to be, and each trial longer.
_MOST_NEURONS = 256
# Of fewer, a half has no correlation worth the name.
_LEAST_IMAGES = 6
_LINEAR = LinearExplainer()


@dataclass(frozen=True)
class SharpnessTrial:
    """What came of one sharpness.

    Parameters
    ----------
    sharpness
        As in ``TextConcepts``.
    correlation
        Mean correlation over the neurons looked at, on validation images that did not choose the terms; one that is
        not explained counts as 0.
    behind
        How much higher the best one's is.
    error
        Standard error of that difference over the neurons.
    n_terms
        Mean number of terms of the neurons explained.
    """

    sharpness: float
    correlation: float
    behind: float
    error: float
    n_terms: float

    def __str__(self) -> str:
        behind = f", {self.behind:.4f} ± {self.error:.4f} behind the best" if self.behind else ", the best"
        return f"{self.sharpness:g}: correlation {self.correlation:.4f}{behind}, {self.n_terms:.2f} terms"


@dataclass(frozen=True)
class SharpnessChoice:
    """The sharpness that was chosen, and why: ``str`` says it.

    Parameters
    ----------
    sharpness
        The largest of those tried whose mean correlation is not more than one standard error below the best.
    trials
        All that were tried, the sharpest first.
    n_neurons
        How many neurons were looked at.
    """

    sharpness: float
    trials: tuple[SharpnessTrial, ...]
    n_neurons: int

    def __str__(self) -> str:
        head = (
            f"sharpness {self.sharpness:g}: the largest within one standard error of the best,\n"
            f"  for {self.n_neurons:,} neurons, on validation images that did not choose the terms"
        )
        return "\n".join([head, *(f"  {trial}" for trial in self.trials)])

    @property
    def brief(self) -> str:
        """The choice in a line: what it is worth, and what the sharpest of those tried is."""
        found = {trial.sharpness: trial.correlation for trial in self.trials}
        sharpest = self.trials[0].sharpness
        beside = "" if sharpest == self.sharpness else f"; {sharpest:g} has {found[sharpest]:.4f}"
        return f"sharpness {self.sharpness:g} (val correlation {found[self.sharpness]:.4f}{beside})"


def choose_sharpness(
    activations: ActivationMatrix,
    concepts: EmbeddedConceptMatrix,
    split: Split,
    explainer: Explainer = _LINEAR,
    *,
    sharpnesses: Sequence[float] = SHARPNESSES,
    usable: Usable | None = None,
) -> SharpnessChoice:
    """Choose the sharpness by which some neurons are explained best: the test images play no part.

    Every sharpness is tried with the same explainer, which fits on ``split.train`` and chooses terms on one half of
    ``split.val``; how well it predicts the other half counts, and then the halves change places. On the images that
    chose the terms, sharper presences look better than they are. Of more than 256 neurons as many are looked at, evenly
    spaced.

    Parameters
    ----------
    activations
        Recorded activations [images, neurons].
    concepts
        Presence of words in the same images; its own sharpness does not matter.
    split
        Which images are for what.
    explainer
        How explanations are made; standard errors and redraws are left out.
    sharpnesses
        What is tried, each from 0.001 to 1,000.
    usable
        What ``find_usable`` found in these concepts. Default: it is found anew.

    Raises
    ------
    ValueError
        There is nothing to try, a sharpness is outside its range, or there are fewer than 6 validation images; whatever
        the explainer raises it for.
    """
    if not sharpnesses:
        raise ValueError("There is no sharpness to try. Give at least one.")
    for one in sharpnesses:
        check_within("sharpness", one, 1e-3, 1e3)
    if len(split.val) < _LEAST_IMAGES:
        raise ValueError(
            f"There are {len(split.val)} validation images, and to choose a sharpness takes at least {_LEAST_IMAGES}. "
            "Give a sharpness."
        )
    chosen = activations.select(_spread(activations.neurons))
    quick, usable = _without_errors(explainer), usable or find_usable(concepts, split, explainer.min_activity)
    tried = sorted(set(sharpnesses), reverse=True)
    found = [_try(chosen, concepts.with_sharpness(one), split, quick, usable) for one in tried]
    values = np.array([value for value, _ in found])
    behind = values[values.mean(1).argmax()] - values
    errors = behind.std(1, ddof=1) / len(chosen.neurons) ** 0.5 if len(chosen.neurons) > 1 else 0 * behind.mean(1)
    trials = tuple(
        SharpnessTrial(one, float(values[k].mean()), float(behind[k].mean()), float(errors[k]), found[k][1])
        for k, one in enumerate(tried)
    )
    best = next(trial for trial in trials if trial.behind <= trial.error)
    return SharpnessChoice(best.sharpness, trials, len(chosen.neurons))


def _try(
    activations: ActivationMatrix, concepts: EmbeddedConceptMatrix, split: Split, explainer: Explainer, usable: Usable
) -> tuple[list[float], float]:
    """Return each neuron's mean correlation on the two halves, and the mean number of terms."""
    halves = split.val[::2], split.val[1::2]
    values: list[list[float]] = []
    said: list[Explanations] = []
    for chooses, counts in (halves, halves[::-1]):
        said.append(explainer.explain(activations, concepts, Split(split.train, chooses, counts), usable=usable))
        known = correlate(simulate(said[-1], concepts).block(counts), activations.block(counts))
        values.append([0.0 if value is None else value for value in known])
    return np.mean(values, 0).tolist(), float(np.mean([one.mean_terms for one in said]))


def _spread(neurons: Sequence[int]) -> list[int]:
    places = np.linspace(0, len(neurons) - 1, min(len(neurons), _MOST_NEURONS)).round().astype(int)
    return [neurons[place] for place in places.tolist()]


def _without_errors(explainer: Explainer) -> Explainer:
    """Return the explainer without what no explanation depends on, where it has that."""
    own = {field.name for field in fields(explainer)}
    changes: dict[str, Any] = dict.fromkeys(own & {"n_groups", "n_repeats"}, 0)
    return replace(explainer, **changes)
