"""Run a model in the fastest way that changes nothing but rounding, for the time of a context."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

from linexp.recording.fold import PairFinder, folded
from linexp.recording.hooks import evaluating, watching
from linexp.recording.outputs import first_tensor, named_tensors
from linexp.recording.shortcut import NO_SHORTCUT, Shortcut, is_close, shortcuts

Prepare = Callable[[Tensor], Tensor]


@contextmanager
def quickened(
    model: nn.Module, layers: Mapping[str, nn.Module], examples: Tensor, *, fold: bool = True
) -> Generator[Prepare, None, None]:
    """Fold batch normalisations into convolutions while the context is open, where that changes only rounding.

    Parameters
    ----------
    model
        It is as it was after the context.
    layers
        Layers whose outputs are looked at or replaced.
    examples
        A few inputs on which the layers' and the model's outputs are compared.
    fold
        If false, only the memory layout is chosen.

    Yields
    ------
    Callable
        Brings a batch into the memory layout that is faster on this processor.
    """
    with evaluating(model):
        shortcut = _find(model, layers, examples, fold=fold)
    with folded(shortcut.pairs):
        yield shortcut.prepare


def _find(model: nn.Module, layers: Mapping[str, nn.Module], examples: Tensor, *, fold: bool) -> Shortcut:
    try:
        finder = PairFinder(model, layers)
        with finder.watch():
            model(examples)
        pairs = finder.pairs() if fold else []
        plain = _outputs(model, layers, examples)
    except Exception:  # noqa: BLE001 - a model that does not let itself be watched is run as it is
        return NO_SHORTCUT
    for shortcut in shortcuts(pairs, examples):
        try:
            with folded(shortcut.pairs):
                quick = _outputs(model, layers, shortcut.prepare(examples))
        except Exception:  # noqa: BLE001 - such as .view, which does not take every memory layout
            continue
        if quick.keys() == plain.keys() and all(is_close(quick[name], plain[name]) for name in plain):
            return shortcut
    return NO_SHORTCUT


def _outputs(model: nn.Module, layers: Mapping[str, nn.Module], examples: Tensor) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}

    def receive(name: str, _: object, output: object) -> None:
        for part, tensor in named_tensors(output):
            found[f"{name} {part}"] = tensor.detach().clone()

    with watching(layers, receive):
        logits = first_tensor(model(examples))
    return found if logits is None else found | {"": logits.detach()}
