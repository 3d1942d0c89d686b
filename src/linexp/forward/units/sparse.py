"""What a sparse autoencoder does to the numbers before they are latents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from linexp._internal.checks import check_at_least


@dataclass(frozen=True)
class ReLU:
    """Negative numbers become 0."""

    def __call__(self, before: Float[Tensor, "... latents"]) -> Float[Tensor, "... latents"]:
        """Return the latents."""
        return before.relu()


@dataclass(frozen=True)
class TopK:
    """The largest numbers of each vector stay, the others become 0.

    Parameters
    ----------
    k
        How many stay.
    positive
        Whether those of them that are negative become 0, too, as in every package but saev.

    References
    ----------
    Gao et al., Scaling and evaluating sparse autoencoders, 2024.
    """

    k: int
    positive: bool = True

    def __post_init__(self) -> None:
        check_at_least("k", self.k, 1)

    def __call__(self, before: Float[Tensor, "... latents"]) -> Float[Tensor, "... latents"]:
        """Return the latents."""
        values, places = before.topk(self.k, sorted=False)
        return torch.zeros_like(before).scatter(-1, places, values.relu() if self.positive else values)


@dataclass(frozen=True, eq=False)
class JumpReLU:
    """Numbers stay where they are above a threshold and positive; the others become 0.

    Parameters
    ----------
    threshold
        One for each latent [latents], or one for all.

    References
    ----------
    Rajamanoharan et al., Jumping ahead: improving reconstruction fidelity with JumpReLU sparse autoencoders, 2024.
    """

    threshold: Float[Tensor, " latents"] | float = field(repr=False)

    def __post_init__(self) -> None:
        threshold = torch.as_tensor(self.threshold).detach().to("cpu", torch.float32, copy=True)
        if bool(threshold.isnan().any()):
            raise ValueError("A threshold is NaN. Train the autoencoder again, or leave that latent out.")
        object.__setattr__(self, "threshold", threshold)

    def __call__(self, before: Float[Tensor, "... latents"]) -> Float[Tensor, "... latents"]:
        """Return the latents."""
        return torch.where(before > torch.as_tensor(self.threshold).to(before), before, 0).relu()


@dataclass(frozen=True, eq=False)
class BatchTopK(JumpReLU):
    """The rule of ``JumpReLU``, with the threshold that training with BatchTopK has left.

    In training the largest k·n numbers of n vectors stay; afterwards no vector may depend on others, so that the mean
    smallest number that stayed, which the file holds, is the threshold.

    References
    ----------
    Bussmann et al., BatchTopK sparse autoencoders, 2024.
    """


Sparsity = ReLU | TopK | JumpReLU | BatchTopK


def from_above(threshold: Any) -> Tensor:
    """Return the threshold for which "above" means what "not below" means for this one."""
    given = torch.as_tensor(threshold).detach().to(torch.float32)
    return torch.nextafter(given, torch.full_like(given, -torch.inf))
