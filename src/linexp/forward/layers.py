"""What layers a model has, and what each returns: to choose one by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from PIL import Image as PillowImage
from PIL.Image import Image
from torch import Tensor, nn

from linexp._internal.checks import closest, listing
from linexp.forward.batches import open_module
from linexp.forward.hooks import evaluating, watching
from linexp.forward.outputs import first_tensor
from linexp.models import VisionModel, to_unit_tensor


@dataclass(frozen=True)
class LayerInfo:
    """One layer of a model.

    Parameters
    ----------
    name
        Dotted name, as ``record`` wants it.
    kind
        Class of the module.
    shape
        Shape of its output for one image, without the axis of images; ``None`` if it does not run or returns no tensor.
    n_calls
        How often it runs in one forward pass; only layers that run once can be recorded.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    n_calls: int


def list_layers(
    model: nn.Module | VisionModel, *, side: int = 224, preprocess: Callable[[Image], Tensor] | None = None
) -> list[LayerInfo]:
    """Run the model on one grey picture and list all its layers, in the order of ``named_modules()``.

    Parameters
    ----------
    model
        Any PyTorch module, or what ``load_model`` returns.
    side
        Width and height of the picture before preprocessing, in pixels.
    preprocess
        From the picture to the tensor the model expects. Default: the one the model was loaded with; for a bare module
        `to_unit_tensor`, as only shapes are looked at.

    Raises
    ------
    TypeError
        The model is no PyTorch module.
    """
    whole, device = open_module(model)
    if preprocess is None:
        preprocess = model.preprocess if isinstance(model, VisionModel) else to_unit_tensor
    modules = {name: module for name, module in whole.named_modules() if name}
    shapes: dict[str, tuple[int, ...]] = {}
    n_calls = dict.fromkeys(modules, 0)

    def receive(name: str, _: Any, output: Any) -> None:
        n_calls[name] += 1
        tensor = first_tensor(output)
        if tensor is not None and tensor.ndim:
            shapes[name] = tuple(tensor.shape[1:])

    picture = PillowImage.new("RGB", (side, side), (128, 128, 128))
    batch: Tensor = preprocess(picture).unsqueeze(0)
    with evaluating(whole), watching(modules, receive):
        whole(batch.to(device))
    return [LayerInfo(name, type(module).__name__, shapes.get(name), n_calls[name]) for name, module in modules.items()]


def find_layers(model: nn.Module, names: Iterable[str]) -> dict[str, nn.Module]:
    """Return the modules of some names, each given once; a name that the model does not have is a ``ValueError``."""
    if isinstance(names, str):
        raise ValueError(f"The layers asked for are the text '{names}'. Give a list of names, such as ['{names}'].")
    wanted = list(names)
    if not wanted or len(set(wanted)) < len(wanted):
        raise ValueError(f"The layers asked for are {wanted}. Name at least one, each once.")
    known = {name: module for name, module in model.named_modules() if name}
    for name in wanted:
        if name not in known:
            children = [child for child, _ in model.named_children()]
            raise ValueError(
                f"The model has no layer '{name}'.{closest(name, known)} Layers: {listing(children)} "
                f"({len(known)} with those inside; all are in model.named_modules())."
            )
    return {name: known[name] for name in wanted}
