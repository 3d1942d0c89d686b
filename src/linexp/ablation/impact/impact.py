"""What removing each neuron of a layer does to each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from linexp.matrix import ActivationMatrix


@dataclass(frozen=True, eq=False, kw_only=True)
class Impact:
    """What a classifier loses on each image when one neuron of a layer is removed, that is, set to 0 (Eq. 1 to 3).

    All signs say what the neuron is good for: positive means that the network does better with it.

    Parameters
    ----------
    activations
        Pooled activations of the neurons; they order the images.
    losses
        The network's own loss on each image, in nats, after division of the logits by ``temperature``.
    correct
        Whether the network's answer is the label.
    loss_added
        How much higher the loss is without the neuron, in nats.
    answers_lost
        1: the answer is right with the neuron and wrong without it; −1: the other way round; 0: neither.
    temperature
        What the logits were divided by.
    resolution
        Changes of the loss below this, in nats, are rounding of the network's own arithmetic.
    linear
        Whether a linear head follows the layer, so that no part of the network had to run.
    n_layer_neurons
        How many neurons the layer has.

    Raises
    ------
    ValueError
        The shapes do not go together, or no answer of the network is right: there is no share of it to lose.

    References
    ----------
    Paper, Section 2.1.
    """

    activations: ActivationMatrix
    losses: Float[Tensor, " images"]
    correct: Bool[Tensor, " images"]
    loss_added: Float[Tensor, "images neurons"]
    answers_lost: Int[Tensor, "images neurons"]
    temperature: float
    resolution: float
    linear: bool
    n_layer_neurons: int

    def __post_init__(self) -> None:
        shape = self.activations.values.shape
        shapes = (self.loss_added.shape, self.answers_lost.shape, (len(self.losses), len(self.correct)))
        if shapes != (shape, shape, (shape[0], shape[0])):
            raise ValueError(f"There are {shape[0]} images and {shape[1]} neurons, but the parts have shapes {shapes}.")
        if not bool(self.correct.any()):
            raise ValueError(
                f"The model gives none of the {self.n_images:,} images its label, so it has no answers to lose. "
                "Check that the labels are positions in the model's output (labels=, --outputs)."
            )

    @property
    def layer(self) -> str:
        """Name of the layer."""
        return self.activations.layer

    @property
    def neurons(self) -> tuple[int, ...]:
        """Identifiers of the neurons."""
        return self.activations.neurons

    @property
    def n_images(self) -> int:
        """Number of images."""
        return self.activations.n_images

    @property
    def n_neurons(self) -> int:
        """Number of neurons that were removed."""
        return self.activations.n_neurons

    @property
    def accuracy(self) -> float:
        """Share of images whose answer is the label, with all neurons."""
        return float(self.correct.double().mean())

    @property
    def is_dead(self) -> Bool[Tensor, " neurons"]:
        """Whether each neuron's largest activation over the images is below 0.01 (Appendix C.2)."""
        return self.activations.is_dead

    @property
    def values(self) -> Float[Tensor, "images neurons"]:
        """I_k for each image and neuron, as a share of what the network gets right and of its loss; float64 (Eq. 1)."""
        return sum(self.parts(range(self.n_neurons)))  # pyright: ignore[reportReturnType]

    def parts(self, columns: Sequence[int]) -> tuple[Float[Tensor, "images neurons"], Float[Tensor, "images neurons"]]:
        """Return the halves of I_k that are ΔAcc and −ΔL, for some columns; float64 (Eq. 2, 3)."""
        chosen = list(columns)
        answers = self.answers_lost[:, chosen].double() / (2 * self.correct.double().sum())
        return answers, self.loss_added[:, chosen].double() / (2 * self.losses.sum())

    def has_impact(self, columns: Sequence[int]) -> Bool[Tensor, "images neurons"]:
        """Say where removing a neuron changes the answer, or the loss by more than ``resolution``."""
        chosen = list(columns)
        return (self.answers_lost[:, chosen] != 0) | (self.loss_added[:, chosen].abs() > self.resolution)

    def only(self, neurons: Sequence[int]) -> Impact:
        """Return the impact of some neurons, in the order asked for.

        Raises
        ------
        ValueError
            A neuron was not measured.
        """
        activations = self.activations.select(neurons)
        columns = torch.tensor([self.neurons.index(neuron) for neuron in neurons])
        return replace(
            self,
            activations=activations,
            loss_added=self.loss_added[:, columns],
            answers_lost=self.answers_lost[:, columns],
        )
