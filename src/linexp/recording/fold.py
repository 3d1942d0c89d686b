"""Batch normalisation folded into the convolution before it, for the duration of a recording.

In eval mode a batch normalisation multiplies and shifts each channel by constants; doing that to the convolution's
weights once instead of to every feature map saves about a quarter of the time of a small network on a CPU.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from linexp.recording.hooks import has_hooks, watching


class Pair(NamedTuple):
    """A convolution whose output goes straight into a batch normalisation."""

    convolution: nn.Conv2d
    normalisation: nn.BatchNorm2d


class PairFinder:
    """Finds the pairs by watching one forward pass: the very tensor one returns is the other's input."""

    def __init__(self, model: nn.Module) -> None:
        modules = model.named_modules()
        self._layers = {name: module for name, module in modules if _is_plain(module) or _has_constants(module)}
        self._outputs: dict[int, tuple[str, Tensor]] = {}  # the tensor is kept so that its id stays its own
        self._candidates: list[tuple[str, str]] = []
        self._n_calls: dict[str, int] = {}

    def watch(self) -> Any:
        """Return the context in which the forward pass must run."""
        return watching(self._layers, self._receive)

    def _receive(self, name: str, given: Any, output: Any) -> None:
        self._n_calls[name] = self._n_calls.get(name, 0) + 1
        if isinstance(self._layers[name], nn.Conv2d):
            self._outputs[id(output)] = (name, output)
        elif id(given) in self._outputs:
            self._candidates.append((self._outputs[id(given)][0], name))

    def pairs(self, kept: Sequence[Any]) -> list[Pair]:
        """Return the pairs, without those whose convolution's output is one of the ``kept`` tensors."""
        wanted = {id(tensor) for tensor in kept}
        spoken_for = {name for identity, (name, _) in self._outputs.items() if identity in wanted}
        found: list[Pair] = []
        for first, second in self._candidates:
            convolution, normalisation = self._layers[first], self._layers[second]
            assert isinstance(convolution, nn.Conv2d)
            assert isinstance(normalisation, nn.BatchNorm2d)
            once = self._n_calls[first] == self._n_calls[second] == 1
            if once and first not in spoken_for:
                found.append(Pair(convolution, normalisation))
        return found


@contextmanager
def folded(pairs: Sequence[Pair]) -> Generator[None, None, None]:
    """Fold each pair while the context is open; afterwards the very same parameters are back in place."""
    originals = [(pair, pair.convolution.weight, pair.convolution.bias) for pair in pairs]
    try:
        for pair in pairs:
            weight, bias = _fold(pair)
            pair.convolution.weight = nn.Parameter(weight, requires_grad=False)
            pair.convolution.bias = nn.Parameter(bias, requires_grad=False)
            pair.normalisation.forward = _pass_through
        yield
    finally:
        for pair, weight, bias in originals:
            pair.convolution.weight = weight
            pair.convolution.bias = bias
            pair.normalisation.__dict__.pop("forward", None)


def _pass_through(input: Tensor) -> Tensor:
    return input


def _fold(pair: Pair) -> tuple[Tensor, Tensor]:
    convolution, normalisation = pair
    assert normalisation.running_mean is not None
    assert normalisation.running_var is not None
    scale = (normalisation.running_var.double() + normalisation.eps).rsqrt()
    if normalisation.weight is not None:  # pyright: ignore[reportUnnecessaryComparison] - None when affine=False
        scale = scale * normalisation.weight.detach().double()
    shift = -normalisation.running_mean.double() * scale
    if convolution.bias is not None:
        shift = shift + convolution.bias.detach().double() * scale
    if normalisation.bias is not None:  # pyright: ignore[reportUnnecessaryComparison]
        shift = shift + normalisation.bias.detach().double()
    weight = convolution.weight.detach().double() * scale[:, None, None, None]
    return weight.to(torch.float32), shift.to(torch.float32)


def _is_plain(module: nn.Module) -> bool:
    """Whether a convolution's weights may be replaced: single precision, and nothing else looks at them."""
    return (
        isinstance(module, nn.Conv2d)
        and not hasattr(module, "parametrizations")
        and not has_hooks(module)  # spectral and weight norm in their older form are hooks
        and module.weight.dtype == torch.float32
    )


def _has_constants(normalisation: nn.Module) -> bool:
    """Whether a batch normalisation multiplies and shifts by constants, and nothing else looks at it."""
    return (
        type(normalisation) is nn.BatchNorm2d
        and normalisation.running_mean is not None
        and normalisation.running_var is not None
        and "forward" not in normalisation.__dict__
        and not has_hooks(normalisation)
    )
