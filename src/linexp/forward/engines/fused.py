"""Batch normalisations folded into the convolutions before them: fewer operations, the same activations."""

from __future__ import annotations

import weakref
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeGuard

import torch
from torch import Tensor, nn

from linexp.forward.engines.base import Engine, Runner, Watch, Way
from linexp.forward.engines.dataflow import ConvolutionTrace
from linexp.forward.engines.eager import in_layout, layouts
from linexp.forward.engines.passes import Passes
from linexp.forward.hooks import has_hooks, watching
from linexp.forward.outputs import named_tensors


class Pair(NamedTuple):
    """A convolution whose output goes into one batch normalisation and nowhere else."""

    convolution: nn.Conv2d
    normalisation: nn.BatchNorm2d


class PairFinder:
    """Finds the pairs by watching one forward pass, operation by operation.

    It is a pair if the convolution's weight and bias are read once, by that convolution; its result is read once, by
    the batch normalisation, which runs once; nobody keeps the result; and no number was read out of a tensor on the
    way, by which other images might be treated differently.

    Parameters
    ----------
    model
        The model, without hooks of this library.
    layers
        The layers to record: a convolution's result that is their output stays as it is.
    """

    def __init__(self, model: nn.Module, layers: Mapping[str, nn.Module]) -> None:
        modules = list(model.named_modules())
        self._convolutions = {id(module.weight): module for _, module in modules if _is_plain(module)}
        self._normalisations = {name: module for name, module in modules if _has_constants(module)}
        self._layers = layers
        self._recorded: list[Any] = []  # held here, and so counted as kept by somebody
        self._candidates: list[tuple[int, str]] = []
        self._n_calls = dict.fromkeys(self._normalisations, 0)
        self._trace = ConvolutionTrace(
            parameter
            for convolution in self._convolutions.values()
            for parameter in (convolution.weight, convolution.bias)
            if parameter is not None
        )

    @contextmanager
    def watch(self) -> Generator[None, None, None]:
        """Open the context in which the forward pass must run."""
        kept = watching(self._layers, lambda _, __, output: self._recorded.append(list(named_tensors(output))))
        with kept, watching(self._normalisations, self._receive), self._trace:
            yield

    def _receive(self, name: str, given: Any, _: Any) -> None:
        self._n_calls[name] += 1
        for weight, result in self._trace.results.items():
            if result is given:
                self._candidates.append((weight, name))

    def pairs(self) -> list[Pair]:
        """Return the pairs, once the forward pass is over."""
        results = {weight: weakref.ref(result) for weight, result in self._trace.results.items()}
        n_result_reads = {weight: self._trace.n_reads[id(result)] for weight, result in self._trace.results.items()}
        self._trace.results.clear()
        if self._trace.depends_on_values:
            return []
        found: list[Pair] = []
        for weight, name in self._candidates:
            convolution, normalisation = self._convolutions[weight], self._normalisations[name]
            n_reads = [self._trace.n_reads.get(id(part), 1) for part in (convolution.weight, convolution.bias)]
            once = {*n_reads, n_result_reads[weight], self._n_calls[name]} == {1}
            if once and results[weight]() is None:
                found.append(Pair(convolution, normalisation))
        self._recorded.clear()
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
    scale = (_exact(normalisation.running_var) + normalisation.eps).rsqrt()
    if normalisation.weight is not None:  # pyright: ignore[reportUnnecessaryComparison] - None when affine=False
        scale = scale * _exact(normalisation.weight)
    shift = -_exact(normalisation.running_mean) * scale
    if convolution.bias is not None:
        shift = shift + _exact(convolution.bias) * scale
    if normalisation.bias is not None:  # pyright: ignore[reportUnnecessaryComparison]
        shift = shift + _exact(normalisation.bias)
    weight = _exact(convolution.weight) * scale[:, None, None, None]
    return weight.to(convolution.weight), shift.to(convolution.weight)


def _exact(tensor: Tensor) -> Tensor:
    # In float64, so that what is folded is rounded once; on the CPU, because not every device has float64.
    return tensor.detach().cpu().double()


def _is_plain(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether a convolution's weights may be replaced: single precision, and nothing else looks at them."""
    return (
        isinstance(module, nn.Conv2d)
        and not hasattr(module, "parametrizations")
        and not has_hooks(module)  # spectral and weight norm in their older form are hooks
        and module.weight.dtype == torch.float32
    )


def _has_constants(normalisation: nn.Module) -> TypeGuard[nn.BatchNorm2d]:
    """Whether a batch normalisation multiplies and shifts by constants, and nothing else looks at it."""
    return (
        type(normalisation) is nn.BatchNorm2d
        and normalisation.running_mean is not None
        and normalisation.running_var is not None
        and "forward" not in normalisation.__dict__
        and not has_hooks(normalisation)
    )


@dataclass(frozen=True)
class Fused(Engine):
    """The model with its batch normalisations folded into convolutions, and the memory layout of ``Eager``.

    Folded is where no other operation, hook, cache or recorded layer sees the convolution's result; the parameters
    that were there are back in place at the end.
    """

    def ways(self, passes: Passes, example: Tensor, watch: Watch) -> Iterator[Way]:
        """Yield folding in each layout, and the layout alone, the fastest first."""
        finder = PairFinder(passes.module, passes.layers)
        watch(finder.watch())
        pairs = finder.pairs()
        del finder  # and the feature maps it looked at
        for channels_last in layouts(example):
            if pairs:
                yield partial(_run_folded, passes, pairs, channels_last=channels_last)
            if channels_last:
                yield partial(in_layout, passes, channels_last=True)


@contextmanager
def _run_folded(passes: Passes, pairs: Sequence[Pair], *, channels_last: bool) -> Generator[Runner, None, None]:
    with folded(pairs), in_layout(passes, channels_last=channels_last) as runner:
        yield runner
