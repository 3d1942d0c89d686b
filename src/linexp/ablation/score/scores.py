"""What ablation scoring returns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from linexp._internal.numbers import exact
from linexp.forward.units import Replace
from linexp.score import Scores

_SCORES = ("norm", "constant", "val", "ceiling", "ceiling_norm", "signed", "signed_mean")
_SCALES = ("c", "d", "level")
_COLUMNS = (*_SCORES, *_SCALES)
COLUMNS = ("values", "errors", *_COLUMNS)
"""What there is of each neuron."""


_BY_CONSTANT, _BY_RECORDED = "a constant", "the recorded activations"


@dataclass(frozen=True, eq=False, kw_only=True)
class AblationScores(Scores):
    """Ablation scores per neuron: 0 is the neuron's mean; below 0 it is worse than that.

    A perfect simulation scores ``ceiling``: 1, unless a pattern over positions is overwritten (``replace`` "set" where
    more than a linear head follows the pooled positions) or the neuron does not vary on the validation images.
    Above 0 need not mean that the simulation says anything: the mean is not the constant that does least harm, and a
    fitted shift finds a better one. ``constant`` is what that alone scores, so ``values`` − ``constant`` is what the
    simulation adds.

    A value is NaN where replacing the neuron by its mean changes no loss: it is constant, or nothing reads it.
    Standard errors hold for c and d as they are.

    The score counts every change of an image's loss against the simulation, also one for the better. ``signed`` is what
    is left when changes are summed by sign; with the changes in the unit of the score, Σ|L(mean) − L|, the rises are
    (1 − values + signed) / 2 and the falls (1 − values − signed) / 2.

    Parameters
    ----------
    norm
        Scores on the same images with the closed-form scaling [neurons].
    constant
        Scores on the same images of a constant, fitted like c and d on validation images without any simulation
        [neurons]; 0 with the closed-form scaling, whose constant is the mean.
    val
        Scores on the validation images, with the scaling that ``values`` are for.
    ceiling
        Scores on the same images of the recorded activations themselves, scaled as the simulated ones [neurons].
    ceiling_norm
        The same with the closed-form scaling.
    signed
        Σ(L(simulated) − L) / Σ|L(mean) − L| [neurons]: by how much the simulation raises the loss; below 0 it lowers
        it, from −(1 − values) to 1 − values.
    signed_mean
        Σ(L(mean) − L) / Σ|L(mean) − L| [neurons], from −1 to 1.
    c, d
        Scale and shift of each neuron.
    level
        The constant whose score ``constant`` is, in the neuron's own unit.
    temperature
        What the logits were divided by.
    linear
        Whether a linear head follows the layer, so that no part of the network had to run.
    replace
        What became of a feature map or of tokens: "set" or "shift", also if it was chosen ("auto").
    exact
        Whether putting in the recorded activations themselves changes nothing, so that the ceiling is known.
    accuracy
        On which share of the images scored on the model's highest logit is the label's, from 0 to 1. Where it is that
        of guessing, the labels are probably not positions in the model's output.
    """

    norm: Float[Tensor, " neurons"]
    constant: Float[Tensor, " neurons"]
    val: Float[Tensor, " neurons"]
    ceiling: Float[Tensor, " neurons"]
    ceiling_norm: Float[Tensor, " neurons"]
    signed: Float[Tensor, " neurons"]
    signed_mean: Float[Tensor, " neurons"]
    c: Float[Tensor, " neurons"]
    d: Float[Tensor, " neurons"]
    level: Float[Tensor, " neurons"]
    temperature: float
    linear: bool
    accuracy: float
    replace: Replace
    exact: bool

    @property
    def n_improved(self) -> int:
        """How many neurons score higher than with the closed-form scaling, on the images scored on."""
        return int((self.values > self.norm).sum())

    @property
    def by_norm(self) -> Scores:
        """The scores with the closed-form scaling, as scores of their own; without standard errors over images."""
        metric = re.sub(r"\([\w-]+", "(norm", self.metric, count=1)
        return Scores(self.norm, self.neurons, metric, self.n_images, None, self.origin, self.silent)

    @property
    def by_constant(self) -> Scores:
        """The scores of the constant alone, to be compared with these (``compare_scores``) or shown beside them."""
        return self._by(_BY_CONSTANT, self.constant)

    @property
    def by_recorded(self) -> Scores:
        """The scores of the recorded activations themselves: what a perfect simulation reaches."""
        return self._by(_BY_RECORDED, self.ceiling)

    def _by(self, method: str, values: Tensor) -> Scores:
        origin = None if self.origin is None else replace(self.origin, method=method, n_seen=0)
        return Scores(values, self.neurons, self.metric, self.n_images, None, origin)

    @property
    def n_lowered(self) -> int:
        """For how many neurons the simulation lowers the loss, summed over the images scored on."""
        return int((self.signed < 0).sum())

    def only(self, neurons: Sequence[int]) -> AblationScores:
        """Return the scores of some neurons, in the order asked for; see ``Scores.only``."""
        chosen = super().only(neurons)
        rows = [self.neurons.index(neuron) for neuron in neurons]
        return replace(self, **vars(chosen) | {name: getattr(self, name)[rows] for name in _COLUMNS})

    def more_columns(self) -> list[tuple[str, Sequence[object]]]:
        """Return what a file of scores says beside these: everything else there is of each neuron, and ``replace``."""
        names = [*(f"{self.metric}_{name}" for name in _SCORES), *_SCALES]
        columns = [[exact(number) for number in getattr(self, name).tolist()] for name in _COLUMNS]
        return [*zip(names, columns, strict=True), ("replace", [self.replace] * len(self.neurons))]
