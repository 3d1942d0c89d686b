"""Cut a model at a layer: keep what the layer returned, and run only what comes behind it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from linexp.forward.hooks import evaluating
from linexp.forward.layers import find_layers
from linexp.forward.outputs import Output, Tree, first_tensor, grows, keep, pick, take_apart, tile
from linexp.forward.partial.checks import check_logits, check_output, check_reached, check_undisturbed, shaken
from linexp.forward.partial.replay import CallOrder, Forward, standing_in
from linexp.forward.partial.state import Stored, position
from linexp.forward.rounding import is_close

# Two numbers that no part of a model is likely to hide both.
_FILLERS = (math.nan, 7.0)


class BehindLayer:
    """The part of a classifier behind one layer.

    Parameters
    ----------
    model
        A classifier: it returns logits [images, classes], alone or as the first tensor of its output.
    layer
        Dotted name from ``model.named_modules()``; it runs once in a forward pass.
    examples
        A few inputs [images, …], on which the cut is tried.
    cut
        If false, only check the layer: the whole model runs each time.
    output
        Which of several tensors that the layer returns is changed; see ``record_layers``.

    Attributes
    ----------
    n_classes
        Number of logits.

    Raises
    ------
    ValueError
        There is no such layer, it does not run once, does not return activations or does not reach the logits; or
        the model does not return logits.
    """

    def __init__(
        self, model: nn.Module, layer: str, examples: Tensor, *, cut: bool = True, output: Output = None
    ) -> None:
        self.model, self.name, self._which = model, layer, output
        self.layer = find_layers(model, [layer])[layer]
        self._before: list[nn.Module] = []
        self._grows: list[list[bool]] = []
        self._needed: list[list[bool]] = []
        self._inputs_needed = True
        small, large = (examples[torch.arange(n) % len(examples)] for n in (2, 3))
        with evaluating(model):
            order = self._watch(large)
            whole = self.store(large)
            self.n_classes = check_logits(whole.logits, 3)
            self._output_grows = self._compare(self.store(small).output, whole.output)
            check_output(whole, layer, output)
            changed = shaken(whole.layer_output)
            expected = self._rest(whole, changed)
            check_reached(whole, expected, layer)
            check_undisturbed(whole, self._rest(whole, whole.layer_output), layer)
            if cut:
                self._cut(order.before, small, large, changed, expected)

    @property
    def n_skipped(self) -> int:
        """How many calls of modules before the layer are skipped; 0: the whole model runs each time."""
        return len(self._before)

    def store(self, batch: Tensor) -> Stored:
        """Run the whole model once and keep what the part behind the layer needs."""
        trees: list[Tree] = []
        outputs: list[Tree] = []
        remaining = list(self._before)

        def keeping(module: nn.Module, forward: Forward) -> Forward:
            def kept(*args: Any, **kwargs: Any) -> Any:
                result = forward(*args, **kwargs)
                if remaining and remaining[0] is module and not outputs:
                    remaining.pop(0)
                    tree = take_apart(result)
                    needed = self._needed[len(trees)] if self._needed else [True] * len(tree.parts)
                    parts = [keep(part, needed=flag) for part, flag in zip(tree.parts, needed, strict=True)]
                    trees.append(tree._replace(parts=parts))
                return result

            return kept

        def layer_kept(*args: Any, **kwargs: Any) -> Any:
            result = own(*args, **kwargs)
            tree = take_apart(result)
            outputs.append(tree._replace(parts=[keep(part, needed=True) for part in tree.parts]))
            return result

        own = self.layer.forward
        forwards = {module: keeping(module, module.forward) for module in self._before} | {self.layer: layer_kept}
        with evaluating(self.model), standing_in(forwards):
            logits = first_tensor(self.model(batch))
        if not outputs:
            raise ValueError(f"Layer '{self.name}' does not run in the model's forward pass. Choose another.")
        check_logits(logits, len(batch))
        assert logits is not None
        place = position(outputs[0], self._which, self.name)
        return Stored(keep(batch, needed=self._inputs_needed), trees, outputs[0], logits.detach().clone(), place)

    def pick(self, stored: Stored, rows: Int[Tensor, " picked"]) -> Stored:
        """Return what is stored of some images of a batch; one may be picked more than once."""
        rows, n_images = rows.to(stored.logits.device), stored.n_images

        def picked(tree: Tree, flags: list[bool]) -> Tree:
            parts = [pick(part, rows, n_images, per_image=flag) for part, flag in zip(tree.parts, flags, strict=True)]
            return tree._replace(parts=parts)

        return Stored(
            pick(stored.inputs, rows, n_images, per_image=True),
            [picked(tree, flags) for tree, flags in zip(stored.before, self._grows, strict=True)],
            picked(stored.output, self._output_grows),
            stored.logits[rows],
            stored.place,
        )

    def logits(self, stored: Stored, changed: Float[Tensor, "stacked ..."]) -> Float[Tensor, "stacked classes"]:
        """Run the part behind the layer with another output of the layer.

        Parameters
        ----------
        stored
            What ``store`` returned.
        changed
            What the layer returns instead, for all the images of the batch, once or several times one after another:
            [tiles · images, …].
        """
        with evaluating(self.model):
            return self._rest(stored, changed)

    def _rest(self, stored: Stored, changed: Tensor, filler: float = 0.0) -> Tensor:
        n_tiles = len(changed) // stored.n_images
        queues: dict[nn.Module, list[Any]] = {}
        for module, tree, flags in zip(self._before, stored.before, self._grows, strict=True):
            queues.setdefault(module, []).append((tree, flags))

        def replaying(queue: Iterator[tuple[Tree, list[bool]]], forward: Forward) -> Forward:
            def replayed(*args: Any, **kwargs: Any) -> Any:
                found = next(queue, None)
                if found is None:  # the same module, called once more behind the layer
                    return forward(*args, **kwargs)
                return _tiled(*found, n_tiles, filler)

            return replayed

        def layer_output(*_: Any, **__: Any) -> Any:
            parts = [
                tile(part, n_tiles, filler, per_image=flag)
                for part, flag in zip(stored.output.parts, self._output_grows, strict=True)
            ]
            parts[stored.place] = changed.clone()
            return stored.output.together(parts)

        forwards: dict[nn.Module, Forward] = {
            module: replaying(iter(queue), module.forward) for module, queue in queues.items()
        }
        with standing_in(forwards | {self.layer: layer_output}):
            result = first_tensor(self.model(tile(stored.inputs, n_tiles, filler, per_image=True)))
        assert result is not None
        return result.detach()

    def _watch(self, batch: Tensor) -> CallOrder:
        order = CallOrder(self.model, self.layer)
        with standing_in(order.forwards):
            self.model(batch)
        if order.n_calls != 1:
            how = f"runs {order.n_calls} times in one" if order.n_calls else "does not run in the model's"
            raise ValueError(
                f"Layer '{self.name}' {how} forward pass, so its neurons cannot be changed. "
                "Choose a layer that runs once, such as the block around it."
            )
        return order

    def _cut(self, before: list[nn.Module], small: Tensor, large: Tensor, changed: Tensor, expected: Tensor) -> None:
        """Replay what ran before the layer, if that gives the same logits, and keep only what they depend on."""
        self._before = before
        try:
            trees = [self.store(batch).before for batch in (small, large)]
            self._grows = [self._compare(one, other) for one, other in zip(*trees, strict=True)]
            self._needed = [[True] * len(tree.parts) for tree in trees[1]]
            if not (self._agrees(large, changed, expected) and self._picks(large, changed, expected)):
                raise ValueError("the cut changes the logits")
            self._forget_unread(large, changed, expected)
        except Exception:  # noqa: BLE001 - a model that does not let itself be cut runs as a whole
            self._before, self._grows, self._needed, self._inputs_needed = [], [], [], True

    @staticmethod
    def _compare(small: Tree, large: Tree) -> list[bool]:
        return [grows(one, other, 2, 3) for one, other in zip(small.parts, large.parts, strict=True)]

    def _agrees(self, batch: Tensor, changed: Tensor, expected: Tensor) -> bool:
        """Whether what is kept suffices, with several tiles at once and whatever stands in for the rest."""
        stored = self.store(batch)
        twice = torch.cat([changed, stored.layer_output])
        both = torch.cat([expected, stored.logits])
        return all(is_close(self._rest(stored, twice, filler), both, unit=1.0) for filler in _FILLERS)

    def _picks(self, batch: Tensor, changed: Tensor, expected: Tensor) -> bool:
        """Whether what is kept of some images is found again, in another order."""
        rows = torch.tensor([2, 0, 2])
        return is_close(self._rest(self.pick(self.store(batch), rows), changed[rows]), expected[rows], unit=1.0)

    def _forget_unread(self, batch: Tensor, changed: Tensor, expected: Tensor) -> None:
        def try_without() -> bool:
            try:
                return self._agrees(batch, changed, expected)
            except Exception:  # noqa: BLE001 - such as an in-place operation on the filler: it is read
                return False

        self._inputs_needed = False
        self._inputs_needed = not try_without()
        for needed in self._needed:
            for part in range(len(needed)):
                needed[part] = False
                needed[part] = not try_without()


def _tiled(tree: Tree, flags: list[bool], n_tiles: int, filler: float) -> Any:
    parts = [tile(part, n_tiles, filler, per_image=flag) for part, flag in zip(tree.parts, flags, strict=True)]
    return tree.together(parts)
