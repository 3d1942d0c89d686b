"""Train a sparse autoencoder: enough to go from a layer to latents; for more, use a package made for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import load_file, save
from torch import Tensor

from linexp._internal.checks import StoreMismatchError, check_at_least, check_within
from linexp._internal.files import write_atomically
from linexp._internal.progress import progress_bar
from linexp.forward.units.autoencoder import SparseAutoencoder
from linexp.forward.units.sparse import TopK
from linexp.matrix import ActivationMatrix
from linexp.store import content_of

_AT_A_TIME = 4096  # rows in which means are summed
_AUXILIARY = 1 / 32  # of the loss that revives dead latents, as in Gao et al.
_PATIENCE = 200  # steps after which a latent that was never active is dead


@dataclass(frozen=True)
class AutoencoderFit:
    """What training gives.

    Parameters
    ----------
    autoencoder
        With decoder columns of norm 1.
    unexplained
        Share of the variance of the last batches that is not reconstructed, in [0, 1] if it has learned anything.
    active
        Mean number of latents that are not 0, of a vector (L0).
    n_dead
        Latents that were active on none of the last 200 batches.
    n_steps
        Batches seen.
    """

    autoencoder: SparseAutoencoder
    unexplained: float
    active: float
    n_dead: int
    n_steps: int

    def told(self) -> str:
        """Return it in a line."""
        n_latents = self.autoencoder.n_units
        return (
            f"autoencoder: {n_latents} latents, {self.n_dead} of them dead; {self.active:.1f} active in a vector; "
            f"{100 * self.unexplained:.1f} % of the variance unexplained after {self.n_steps} batches"
        )


@dataclass(frozen=True, kw_only=True)
class AutoencoderTraining:
    """Settings of ``fit_autoencoder``.

    Parameters
    ----------
    n_latents
        How many latents.
    k
        How many of them are active in a vector, at most.
    n_steps
        Batches to see; rows are drawn anew for each.
    batch_rows
        Vectors of a batch.
    learning_rate
        Adam's; inputs are scaled to unit variance first.
    seed
        Of the weights and the batches.

    Raises
    ------
    ValueError
        A setting is outside its range, such as k above ``n_latents``.
    """

    n_latents: int
    k: int = 32
    n_steps: int = 2000
    batch_rows: int = 1024
    learning_rate: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("n_latents", "k", "n_steps", "batch_rows"):
            check_at_least(name, getattr(self, name), 1)
        check_within("learning_rate", self.learning_rate, 0.0, 1.0)
        if self.k > self.n_latents:
            raise ValueError(f"k is {self.k}, and there are {self.n_latents} latents. Use at most {self.n_latents}.")


def fit_autoencoder(
    rows: ActivationMatrix | Any,
    training: AutoencoderTraining,
    *,
    checkpoint: str | Path | None = None,
    every: int = 200,
    show_progress: bool = True,
    **pooling: Any,
) -> AutoencoderFit:
    """Train a TopK autoencoder on vectors.

    Parameters
    ----------
    rows
        Vectors [rows, width]: a recorded matrix (``record(..., pool="grid")`` gives a row for each position), a tensor,
        or an array, which may be mapped into memory: only a batch of it is read at a time.
    training
        The settings.
    checkpoint
        Where to keep the state, so that training that was interrupted goes on there and ends with the same bytes.
        Default: nothing is kept.
    every
        After how many batches it is kept.
    show_progress
        Show batches per second on standard error.
    pooling
        Pool, channels, token and output of the autoencoder.

    Raises
    ------
    ValueError
        The rows are no matrix, or do not vary.
    StoreMismatchError
        The checkpoint is of another training.

    References
    ----------
    Gao et al., Scaling and evaluating sparse autoencoders, 2024: TopK, and the loss that revives dead latents.
    """
    vectors = rows.values if isinstance(rows, ActivationMatrix) else rows
    if len(vectors.shape) != 2 or not len(vectors):
        raise ValueError(f"The rows have the shape {list(vectors.shape)}. Give vectors [rows, width].")
    mean, scale = _moments(vectors)
    state = _State.begin(training, vectors.shape[1])
    path = None if checkpoint is None else Path(checkpoint)
    identity = content_of((training, mean, scale, len(vectors)), "training")
    begun = state.resume(path, identity) if path is not None and path.is_file() else 0
    with progress_bar("training", training.n_steps, "batches", show=show_progress) as advance:
        advance(begun)
        for step in range(begun, training.n_steps):
            generator = torch.Generator().manual_seed(training.seed + (step + 1) * 1_000_003)
            drawn = torch.randint(len(vectors), (training.batch_rows,), generator=generator)
            state.step((_taken(vectors, drawn) - mean) / scale)
            advance(1)
            if path is not None and ((step + 1) % every == 0 or step + 1 == training.n_steps):
                state.keep(path, identity, step + 1)
    return state.ended(mean, scale, training.n_steps, pooling)


class _State:
    """Weights and what Adam knows of them; four tensors by name."""

    def __init__(self, training: AutoencoderTraining, weights: dict[str, Tensor]) -> None:
        self.training, self.weights = training, weights
        self.adam = torch.optim.Adam(weights.values(), lr=training.learning_rate)
        # Steps since each latent was last active, and running means of what is told.
        self.idle, self.told = torch.zeros(training.n_latents), torch.zeros(2)

    @classmethod
    def begin(cls, training: AutoencoderTraining, width: int) -> _State:
        generator = torch.Generator().manual_seed(training.seed)
        decoder = _unit(torch.randn(training.n_latents, width, generator=generator))
        weights = {"encoder": decoder.clone(), "decoder": decoder, "encoder_bias": torch.zeros(training.n_latents)}
        weights["decoder_bias"] = torch.zeros(width)
        return cls(training, {name: tensor.requires_grad_() for name, tensor in weights.items()})

    def step(self, inputs: Float[Tensor, "rows width"]) -> None:
        with torch.enable_grad():
            before = (inputs - self.weights["decoder_bias"]) @ self.weights["encoder"].T + self.weights["encoder_bias"]
            latents = TopK(self.training.k)(before)
            error = inputs - latents @ self.weights["decoder"] - self.weights["decoder_bias"]
            loss = error.square().mean()
            is_dead = self.idle > _PATIENCE
            if bool(is_dead.any()):  # those reconstruct what the others leave over
                k = min(int(is_dead.sum()), max(1, inputs.shape[1] // 2))
                revived = TopK(k)(before.masked_fill(~is_dead, -torch.inf))
                left = error.detach() - revived @ self.weights["decoder"]
                loss = loss + _AUXILIARY * left.square().mean()
            self.adam.zero_grad()
            loss.backward()
        self.adam.step()
        with torch.no_grad():
            self.weights["decoder"].copy_(_unit(self.weights["decoder"]))
            self.idle = torch.where((latents > 0).any(0), 0.0, self.idle + 1)
            now = torch.stack([error.square().sum() / inputs.square().sum(), (latents > 0).sum(1).float().mean()])
            self.told = now if not bool(self.told.any()) else 0.95 * self.told + 0.05 * now

    def keep(self, path: Path, identity: str, step: int) -> None:
        tensors = {name: tensor.detach() for name, tensor in self.weights.items()}
        for name, weight in self.weights.items():
            tensors |= {f"{name}.{key}": value for key, value in self.adam.state[weight].items()}
        tensors |= {"idle": self.idle, "told": self.told, "step": torch.tensor(step)}
        write_atomically(path, save(tensors, {"training": identity}))

    def resume(self, path: Path, identity: str) -> int:
        """Take up the state of a file; returns how many steps it has done."""
        from safetensors import safe_open

        with safe_open(path, "pt") as file:  # pyright: ignore[reportUnknownVariableType] - it has no annotations
            told: Mapping[str, str] = file.metadata() or {}
        if told.get("training") != identity:
            raise StoreMismatchError(
                f"The checkpoint '{path}' is of another training: other rows or settings. Give another path, or remove "
                "it."
            )
        tensors = load_file(path)
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(tensors[name])
                state = {key: tensors[f"{name}.{key}"] for key in ("step", "exp_avg", "exp_avg_sq")}
                self.adam.state[weight] = state
        self.idle, self.told = tensors["idle"], tensors["told"]
        return int(tensors["step"])

    def ended(self, mean: Tensor, scale: float, n_steps: int, pooling: dict[str, Any]) -> AutoencoderFit:
        own = {name: weight.detach() for name, weight in self.weights.items()}
        bias = own["decoder_bias"] * scale + mean
        # TopK of numbers that are all scaled alike is scaled itself: latents get the inputs' unit.
        sae = SparseAutoencoder(
            own["encoder"], own["decoder"], own["encoder_bias"] * scale, bias, bias, TopK(self.training.k), **pooling
        )
        return AutoencoderFit(
            sae, float(self.told[0]), float(self.told[1]), int((self.idle > _PATIENCE).sum()), n_steps
        )


def _moments(vectors: Any) -> tuple[Float[Tensor, " width"], float]:
    """Return the mean vector and the root mean square of what deviates from it, in float64 sums over blocks."""
    sums, squares = torch.zeros(vectors.shape[1], dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for start in range(0, len(vectors), _AT_A_TIME):
        block = _tensor(vectors[start : start + _AT_A_TIME]).double()
        sums, squares = sums + block.sum(0), squares + block.square().sum()
    mean = sums / len(vectors)
    variance = float(squares / len(vectors) / len(mean) - mean.square().mean())
    if not 0 < variance < float("inf"):
        raise ValueError(f"The rows have the variance {variance:.3g}. Give vectors of finite numbers that vary.")
    return mean.float(), variance**0.5


def _taken(vectors: Any, drawn: Tensor) -> Float[Tensor, "rows width"]:
    return _tensor(vectors[drawn if isinstance(vectors, Tensor) else drawn.numpy()]).to(torch.float32)


def _tensor(rows: Any) -> Tensor:
    return rows if isinstance(rows, Tensor) else torch.from_numpy(np.array(rows))  # a copy: maps are read-only


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-8)
