"""Ablation scoring (Eq. 11 to 14): how little the loss changes when a neuron is replaced by its simulation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from PIL.Image import Image
from torch import Tensor, nn

from linexp._internal.checks import check_choice, check_same_images
from linexp._internal.progress import progress_bar
from linexp.ablation.score.model import ReplaceChoice, cut_model, open_losses
from linexp.ablation.score.scaling import Scaling, fit_adam, fit_constant, fit_norm, fit_optim
from linexp.ablation.score.scores import COLUMNS, AblationScores
from linexp.ablation.score.side import Side
from linexp.forward import Output
from linexp.forward.units import ChannelAxis, Pool, Unit, choose_units
from linexp.matrix import ActivationMatrix, Split
from linexp.models import VisionModel
from linexp.score import check_same_layer, is_constant
from linexp.store import Keep, Parts, Store, after, gather

ScalingName = Literal["optim", "norm", "optim-adam"]
SCALINGS = ("optim", "norm", "optim-adam")
# Always the same blocks, so that the bytes do not depend on how much fits in memory.
_NEURONS_PER_BLOCK = 32
# How far beyond its own range a neuron's replacement is tabulated, in widths of that range.
_MARGIN = 0.1
_ADAM_REACH = 1.1


@dataclass(frozen=True)
class AblationScorer:
    """1 − Σ|L(simulated) − L| / Σ|L(mean) − L|: the neuron's activation is replaced and the loss compared.

    Parameters
    ----------
    scaling
        How simulated activations are scaled to the neuron's, on validation images. "optim": what maximises the
        score there, from least squares on. "norm": least squares. "optim-adam": the released code's 100 steps of
        Adam from c = 1, d = 0, which cannot reach c > 2; for comparison.
    temperature
        What logits are divided by before the loss. Default: fitted on validation images. (The released code: 1.1.)
    replace
        What becomes of a feature map or of tokens. "set": the same value everywhere. "shift": the pattern stays and
        is shifted so that its pooled activation is the value. "auto": "shift" where several positions are pooled and
        more than a linear head follows, so that a perfect simulation changes nothing; elsewhere "set", which is as
        exact there.
    units, pool, channels, token, output
        What the activations were recorded with; as in ``record``.

    References
    ----------
    Paper, Section 4 B and Appendix B.5; Bills et al. (2023), Language models can explain neurons in language models.
    """

    scaling: ScalingName = "optim"
    temperature: float | None = None
    replace: ReplaceChoice = "auto"
    pool: Pool = "mean"
    channels: ChannelAxis = "auto"
    token: int = 0
    output: Output = None
    units: Unit | None = None

    def __post_init__(self) -> None:
        check_choice("scaling", self.scaling, SCALINGS)
        check_choice("replace", self.replace, ("auto", "set", "shift"))
        if self.temperature is not None and not 0 < self.temperature < float("inf"):
            raise ValueError(f"temperature is {self.temperature}. It must be above 0; None fits it.")
        self._units()

    @property
    def metric(self) -> str:
        """What the scores are called: "ablation(optim)", and whatever else of the settings is not usual.

        Scores whose "auto" became "shift" say so too: "ablation(optim,shift)".
        """
        unusual = [self.replace] if self.replace != "auto" else []
        unusual += [f"T={self.temperature}"] if self.temperature is not None else []
        return f"ablation({','.join([self.scaling, *unusual])})"

    def score(
        self,
        simulated: ActivationMatrix,
        recorded: ActivationMatrix,
        split: Split,
        model: nn.Module | VisionModel,
        images: Any,
        *,
        labels: Sequence[int] | Tensor | None = None,
        preprocess: Callable[[Image], Tensor] | None = None,
        batch_size: int | None = None,
        show_progress: bool = True,
        store: Store | None = None,
    ) -> AblationScores:
        """Score each simulated neuron on the test images, scaled on the validation images.

        Where only pooling and a linear head follow the layer, the recorded activations suffice and the model runs on
        three images to prove it. Elsewhere the part of the model behind the layer runs for every neuron.

        Parameters
        ----------
        simulated
            Output of ``simulate``, for all the recorded neurons or some of them.
        recorded
            Output of ``record``; its ``layer`` says where the neurons are.
        split
            Whose ``val`` and ``test`` rows are used.
        model
            A classifier that returns logits. It comes back as it was.
        images
            The images of both matrices, in any form that ``record`` takes.
        labels
            Class of each image. Default: the labels of ``images``.
        preprocess, batch_size, show_progress
            As in ``record``; ``batch_size`` is of images before several neurons are put in one batch.
        store
            Where finished blocks of 32 neurons are kept, so that work that was interrupted goes on there; the key is
            the content of everything that counts. Default: nothing is stored.

        Returns
        -------
        AblationScores
            In the order of ``simulated.neurons``.

        Raises
        ------
        DifferentImagesError
            The matrices, the split and the images do not belong together.
        ValueError
            There are no labels, or one lies outside the logits; a simulated neuron was not recorded, or is one of
            another layer; the model is no classifier, has no such layer, or the layer does not reach the logits; or
            the recorded activations are not what the layer does.
        """
        check_same_images(simulated.images, recorded.images, simulated.n_images, recorded.n_images)
        chosen = recorded.select(simulated.neurons)
        check_same_layer(simulated.layer, recorded.layer)
        cut = cut_model(self._units(), recorded, split, model, images, labels, preprocess, batch_size)
        how, test_rows = cut.replace(self.replace), cut.rows[1]
        opened = open_losses(cut, recorded, simulated.neurons, self.temperature, how)

        def compute(parts: Parts, keep: Keep) -> None:
            with progress_bar("ablating", parts.n_rows, show=show_progress, unit="neurons") as advance:
                for columns in parts.batches(_NEURONS_PER_BLOCK):
                    val, test = (
                        Side(losses, columns, *(one.values[:, columns][rows].double() for one in (simulated, chosen)))
                        for losses, rows in zip(opened.losses, cut.rows, strict=True)
                    )
                    block = self._score_block(val, test)
                    ceiling = self._score_ceiling(val, test, block, exact=cut.is_exact(how))
                    after(keep, advance)(block | ceiling)

        if store is None:
            found: dict[str, Any] = gather(chosen.n_neurons, compute)
        else:
            settings = {"scaling": self.scaling, "temperature": self.temperature, "replace": how}
            key = cut.key(settings, simulated, recorded, _NEURONS_PER_BLOCK)
            found = store.fill(key, COLUMNS, compute, what="ablation scores", unit="neurons")
        named = replace(self, replace=how) if how != "set" else self
        return AblationScores(
            **found,
            neurons=simulated.neurons,
            silent=is_constant(simulated.values[test_rows]) & ~found["values"].isnan(),
            metric=named.metric,
            n_images=len(test_rows),
            temperature=opened.temperature,
            linear=cut.tail is not None,
            accuracy=opened.accuracy,
            replace=how,
            exact=cut.is_exact(how),
        )

    def check(
        self,
        recorded: ActivationMatrix,
        split: Split,
        model: nn.Module | VisionModel,
        images: Any,
        *,
        labels: Sequence[int] | Tensor | None = None,
        preprocess: Callable[[Image], Tensor] | None = None,
    ) -> None:
        """Raise what ``score`` would raise about these, from three images: before the long work of simulating."""
        cut_model(self._units(), recorded, split, model, images, labels, preprocess, None)

    def _units(self) -> Unit:
        return choose_units(self.units, self.pool, self.channels, self.token, self.output)

    def _score_block(self, val: Side, test: Side) -> dict[str, Tensor]:
        norm = fit_norm(val.simulated, val.actual)
        mean = val.actual.mean(0)
        chosen, level = (norm, mean) if self.scaling == "norm" else self._optimise(val, norm, mean)
        on_val = val.scores(mean, norm, chosen, level)
        by_chosen = on_val["values"]
        if self.scaling == "optim":  # the curves are close, the scores are exact: the better start is kept
            worse = on_val["norm"] > by_chosen
            chosen = Scaling(*(torch.where(worse, one, other) for one, other in zip(norm, chosen, strict=True)))
            level = torch.where(on_val["constant"] < 0, mean, level)
            by_chosen = torch.maximum(on_val["norm"], by_chosen)
        return test.scores(mean, norm, chosen, level) | {"val": by_chosen, **chosen._asdict(), "level": level}

    def _score_ceiling(self, val: Side, test: Side, block: dict[str, Tensor], *, exact: bool) -> dict[str, Tensor]:
        """Return what the recorded activations score in the place of the simulated ones, with both scalings.

        Where putting them in changes nothing it is known: least squares give c = 1 and d = 0, with which "optim" and
        "optim-adam" start and which nothing can better; but where a neuron does not vary on val they give its mean.
        """
        if not exact:
            found = self._score_block(*(replace(side, simulated=side.actual) for side in (val, test)))
            return {"ceiling": found["values"], "ceiling_norm": found["norm"]}
        by_norm = torch.where(block["values"].isnan(), torch.nan, (~is_constant(val.actual)).double())
        nothing_moves = self.scaling == "optim-adam"
        return {"ceiling": by_norm.clamp_min(1) if nothing_moves else by_norm, "ceiling_norm": by_norm}

    def _optimise(self, val: Side, norm: Scaling, mean: Tensor) -> tuple[Scaling, Tensor]:
        """Return the scaling, and the constant to which the same procedure leads without a simulation."""
        low, high = val.actual.amin(0), val.actual.amax(0)
        margin = _MARGIN * (high - low)
        reached = [norm.of(val.simulated)]
        if self.scaling == "optim-adam":
            reached += [k * val.simulated + d for k in (0, 2) for d in (-_ADAM_REACH, _ADAM_REACH)]
        for replacement in reached:
            low, high = torch.minimum(low, replacement.amin(0)), torch.maximum(high, replacement.amax(0))
        curves = val.losses.curves(val.columns, low - margin, high + margin)
        if self.scaling == "optim":
            spread = val.actual.std(0, correction=0)
            return fit_optim(curves, val.simulated, norm, spread), fit_constant(curves, mean, spread)
        unit = curves.total(mean.expand_as(val.actual))
        nothing = torch.zeros_like(val.simulated)
        return fit_adam(curves, val.simulated, unit), fit_adam(curves, nothing, unit).d
