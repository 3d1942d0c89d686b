"""Watch the operations of one forward pass: where a convolution's result goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode  # pyright: ignore[reportPrivateUsage] - no public home yet

_CONVOLUTION = torch.ops.aten.convolution.default
# What ``.item()``, ``int()``, ``if`` and the like come to; ``torch.equal`` answers with a bool of Python at once.
_READS_A_NUMBER = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.equal.default)


class ConvolutionTrace(TorchDispatchMode):
    """Notes, while it is active, how often each of some parameters and each convolution's result is read.

    Below modules and Python code every computation is one of torch's operations, so nothing escapes: a view, an
    in-place change, a second branch are operations that read the result.
    """

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        super().__init__()
        self.n_reads = {id(parameter): 0 for parameter in parameters}
        self.results: dict[int, Tensor] = {}
        """Result of the convolution with a weight, by the weight's ``id``; kept, so that no other gets its ``id``."""
        self.depends_on_values = False
        """Whether Python read a number out of a tensor: then other images may take another way through the model."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch would import its compiler, which takes a second, to be told that nothing is compiled here

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        for tensor in _tensors((args, kwargs)):
            if id(tensor) in self.n_reads:
                self.n_reads[id(tensor)] += 1
        result = func(*args, **(kwargs or {}))
        if func is _CONVOLUTION and id(args[1]) in self.n_reads:
            self.results[id(args[1])] = result
            self.n_reads[id(result)] = 0
        self.depends_on_values |= func in _READS_A_NUMBER
        return result


def _tensors(arguments: Any) -> Iterator[Tensor]:
    if isinstance(arguments, Tensor):
        yield arguments
    elif isinstance(arguments, Mapping):
        for part in cast("Mapping[Any, Any]", arguments).values():
            yield from _tensors(part)
    elif isinstance(arguments, (tuple, list)):
        for part in cast("tuple[Any, ...]", arguments):
            yield from _tensors(part)
