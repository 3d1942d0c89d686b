"""The only file that touches torch's hooks. Everything here undoes itself, whatever happens inside."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as all_modules
from torch.utils.hooks import RemovableHandle


class PassComplete(BaseException):
    """Raised inside a forward pass once every wanted layer has run: what follows it would be computed for nothing.

    A ``BaseException`` so that no ``except Exception`` in a user's model catches it.
    """


@contextmanager
def watching(layers: Mapping[str, nn.Module], receive: Callable[[str, Any, Any], None]) -> Generator[None, None, None]:
    """Call ``receive(name, input, output)`` whenever one of the layers returns, as long as the context is open.

    ``input`` is the layer's first positional argument. Both are passed on as they are, before any later in-place
    operation can change them.
    """
    handles: list[RemovableHandle] = []
    try:
        for name, module in layers.items():

            def hook(_: nn.Module, inputs: tuple[Any, ...], output: Any, name: str = name) -> None:
                receive(name, inputs[0] if inputs else None, output)

            handles.append(module.register_forward_hook(hook))
        yield
    finally:
        for handle in handles:
            handle.remove()


def has_hooks(module: nn.Module) -> bool:
    """Whether somebody has hooked into this module's forward pass, or into that of all modules."""
    own = module._forward_hooks or module._forward_pre_hooks  # pyright: ignore[reportPrivateUsage]
    everywhere = all_modules._global_forward_hooks or all_modules._global_forward_pre_hooks  # pyright: ignore[reportPrivateUsage]
    return bool(own or everywhere)


@contextmanager
def evaluating(model: nn.Module) -> Generator[None, None, None]:
    """Put the model in eval mode without gradients, and leave every module's training flag as it was found.

    Not ``torch.inference_mode``: what a model caches inside its forward pass must stay usable for training. Not
    ``model.eval()``: that is ``train(False)``, which some models override to change more than the flags, such as
    merging weights, and nobody could undo. And not ``model.modules()``, which an attribute of that name can hide.
    """
    training = [module for module in nn.Module.modules(model) if module.training]
    try:
        for module in training:
            module.training = False
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True
