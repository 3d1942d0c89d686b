"""What can be wrong with a model or a layer whose neurons shall be changed."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from linexp.forward.outputs import Output, choose_tensor
from linexp.forward.partial.state import Stored
from linexp.forward.rounding import is_close


def check_logits(logits: Tensor | None, n_images: int) -> int:
    """Return the number of classes; raise ``ValueError`` unless these are logits [images, classes]."""
    shape = None if logits is None else list(logits.shape)
    if logits is None or logits.ndim != 2 or logits.shape[0] != n_images or not logits.is_floating_point():
        raise ValueError(
            f"The model returns {shape or 'no tensor'} for {n_images} images, so it is no classifier. "
            "Use a model that returns logits [images, classes]."
        )
    if logits.shape[1] < 2:
        raise ValueError(f"The model returns {shape}: a single class. Use a classifier of two classes or more.")
    # Probabilities of 1,000 classes sum to 1 within 6e-7 in float32 and 5e-4 in float16, measured on random logits.
    if bool((logits >= 0).all()) and bool(((logits.sum(1) - 1).abs() < 1e-3).all()):
        raise ValueError(
            "The model returns probabilities (not negative, and they sum to 1), not logits. Leave its last softmax out."
        )
    return logits.shape[1]


def check_output(stored: Stored, layer: str, which: Output) -> None:
    """Raise ``ValueError`` unless the layer returned activations of the three images."""
    found = choose_tensor(stored.output.together(stored.output.parts), which, layer)[1]
    known = stored.output.parts and stored.layer_output is found
    if found is None or not known or not found.is_floating_point() or found.ndim < 2 or len(found) != 3:
        what = "no tensor of numbers" if found is None else f"{list(found.shape)} for 3 images, {found.dtype}"
        raise ValueError(
            f"Layer '{layer}' returns {what}; its neurons cannot be changed. "
            "Choose a layer that returns activations [images, …]."
        )


def check_reached(stored: Stored, changed: Float[Tensor, "images classes"], layer: str) -> None:
    """Raise ``ValueError`` if the logits with another output of the layer are the model's own."""
    if torch.equal(stored.logits, changed):
        raise ValueError(
            f"Layer '{layer}' does not reach the logits: changing what it returns changes none of them. "
            "Choose a layer before the logits."
        )


def check_undisturbed(stored: Stored, undisturbed: Float[Tensor, "images classes"], layer: str) -> None:
    """Raise ``ValueError`` unless the logits with the layer's own output are the model's own."""
    if not is_close(undisturbed, stored.logits, unit=1.0):
        raise ValueError(
            f"Layer '{layer}' changes its input in place, and the model reads that input again, so its "
            "neurons cannot be changed in one place. Choose the layer before it, or a version that is not in-place."
        )


def shaken(output: Tensor) -> Tensor:
    """Return another output of a layer, with noise of its own spread."""
    noise = torch.randn(output.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    return output + noise.to(output) * output.std()
