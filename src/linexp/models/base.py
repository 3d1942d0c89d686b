"""What a model is here (a module, its preprocessing, its name), and what the adapters that make one share."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from linexp._internal.checks import check_at_least, choose_device

Preprocess: TypeAlias = Callable[[Image.Image], Tensor]


@dataclass(frozen=True)
class VisionModel:
    """A network that looks at pictures, with the preprocessing its weights were trained with.

    Parameters
    ----------
    name
        The name it was asked for with, and the tag of its weights where that was left to the library, such as
        ``torchvision:resnet50:IMAGENET1K_V2``.
    module
        The network, in eval mode; takes a batch [images, channels, height, width] as its only argument.
    preprocess
        Maps one RGB picture to the tensor [channels, height, width] the module expects. Picklable, so that
        worker processes can run it.
    """

    name: str
    module: torch.nn.Module
    preprocess: Preprocess


@dataclass(frozen=True)
class PhotoTransform:
    """The usual preprocessing of photographs, with PIL alone: resize, crop the centre, normalise.

    It agrees with torchvision's transforms on PIL pictures, also in how lengths and corners are rounded.

    Parameters
    ----------
    side
        Side of the square crop, in pixels.
    resize
        Length the shorter side is resized to before the crop, in pixels; at least ``side``.
    mean, std
        Of each of the three channels, on the scale where white is 1; the result is (x − mean) / std.
    interpolation
        PIL's filter for the resize.

    Raises
    ------
    ValueError
        ``side`` is below 1 or ``resize`` is below ``side``.
    """

    side: int
    resize: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Image.Resampling = Image.Resampling.BICUBIC

    def __post_init__(self) -> None:
        check_at_least("side", self.side, 1)
        check_at_least("resize", self.resize, self.side)

    def __call__(self, picture: Image.Image) -> Float[Tensor, "channels height width"]:
        """Return the picture as a float32 tensor [3, side, side]."""
        picture = self._crop(self._resize(picture.convert("RGB")))
        # On the scale of 0 to 255, so that mean = 127/255 and std = 128/255 give exactly (x − 127) / 128.
        mean, std = (255 * np.array(numbers) for numbers in (self.mean, self.std))
        values = (np.asarray(picture, dtype=np.float64) - mean) / std
        return torch.from_numpy(values.astype(np.float32)).permute(2, 0, 1).contiguous()

    def _resize(self, picture: Image.Image) -> Image.Image:
        shorter = min(picture.size)
        width, height = (self.resize * length // shorter for length in picture.size)
        return picture.resize((width, height), self.interpolation)

    def _crop(self, picture: Image.Image) -> Image.Image:
        left, top = (round((length - self.side) / 2) for length in picture.size)
        return picture.crop((left, top, left + self.side, top + self.side))


def to_unit_tensor(picture: Image.Image) -> Float[Tensor, "channels height width"]:
    """Return a picture as RGB float32 in [0, 1] at its own size: for a module that brings no preprocessing."""
    values = np.array(picture.convert("RGB"), dtype=np.float32) / 255
    return torch.from_numpy(values).permute(2, 0, 1).contiguous()


def move_to(module: torch.nn.Module, device: str | torch.device | None) -> torch.nn.Module:
    """Return the module on ``device`` ("auto": `choose_device`; ``None``: where it is), if this torch can use it."""
    if device is None:
        return module
    device = choose_device(device)
    try:
        return module.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:  # the latter is how a CPU build of torch refuses CUDA
        reason = str(error).splitlines()[0].rstrip(".")
        raise ValueError(
            f"The model cannot be moved to the device '{device}' ({reason}). Use 'cpu', or a device this torch can use."
        ) from error


@contextmanager
def needs(package: str, extra: str, what: str = "this model") -> Generator[None, None, None]:
    """Turn a failed import of ``package`` in the block into an ``ImportError`` that says how to install it."""
    try:
        yield
    except ImportError as error:
        raise ModuleNotFoundError(
            f"The package '{package}' is needed for {what} and cannot be imported ({error}). "
            f"Install it: pip install 'linexp[{extra}]'.",
            name=package,
        ) from error
    except RuntimeError as error:  # torchvision beside a torch of another build: "operator torchvision::nms …"
        raise ImportError(
            f"The package '{package}' is installed but fails beside torch {torch.__version__} ({error}). "
            f"Install the '{package}' made for this torch: https://pytorch.org/get-started/locally"
        ) from error
