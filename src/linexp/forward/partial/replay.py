"""Stand in for modules' forward functions, and find out which modules are done before a layer begins."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import nn

Forward = Callable[..., Any]


@contextmanager
def standing_in(forwards: Mapping[nn.Module, Forward]) -> Generator[None, None, None]:
    """Let modules run other functions than their own ``forward`` while the context is open."""
    before = {module: module.__dict__.get("forward") for module in forwards}
    try:
        for module, forward in forwards.items():
            module.__dict__["forward"] = forward
        yield
    finally:
        for module, forward in before.items():
            if forward is None:
                module.__dict__.pop("forward", None)
            else:
                module.__dict__["forward"] = forward


@dataclass(eq=False)
class _Frame:
    """A module that is running, and the calls inside it that are done."""

    module: nn.Module
    done: list[nn.Module] = field(default_factory=lambda: [])


class CallOrder:
    """Watches one forward pass: what was done when the layer began, and how often the layer ran.

    Of calls inside each other only the outermost counts: the other ones need not run when it is replayed.
    """

    def __init__(self, model: nn.Module, layer: nn.Module) -> None:
        self.layer = layer
        self.n_calls = 0
        self.before: list[nn.Module] = []
        """The modules called before the layer, in order; one that was called twice is there twice."""
        self._root = _Frame(model)
        self._open = [self._root]
        self.forwards = {module: self._watch(module, module.forward) for module in nn.Module.modules(model)}

    def _watch(self, module: nn.Module, forward: Forward) -> Forward:
        def watched(*args: Any, **kwargs: Any) -> Any:
            if module is self.layer:
                self.n_calls += 1
                self.before = [one for frame in self._open for one in frame.done] if self.n_calls == 1 else self.before
            self._open.append(_Frame(module))
            try:
                return forward(*args, **kwargs)
            finally:
                self._open.pop()
                self._open[-1].done.append(module)

        return watched
