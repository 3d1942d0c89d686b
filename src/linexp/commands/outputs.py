"""Which output of a classifier the classes of a folder of pictures are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from linexp._checks import listing
from linexp.commands.sources import IMAGENET
from linexp.concepts.files import read_class_names
from linexp.concepts.wordnet import imagenet_classes
from linexp.images import Images


def find_outputs(outputs: str | None, images: Images) -> list[int] | None:
    """Return which output of the model each image's class is; ``None``: its position among the classes.

    Parameters
    ----------
    outputs
        A file of lines "sub-folder, tab, number from 0"; "imagenet" where sub-folders are called by wnids.
    images
        The pictures.

    Raises
    ------
    ValueError
        The pictures are in no sub-folders, a class is missing in the file, or something there is no number.
    """
    if outputs is None:
        return None
    if images.labels is None:
        raise ValueError(
            f"The pictures are in no sub-folders, so {outputs} cannot say which output the class of one is. "
            "Put the pictures of each class into a sub-folder."
        )
    place = _imagenet() if outputs == IMAGENET else _read(Path(outputs))
    names = images.label_names
    missing = [name for name in names if name not in place]
    if missing:
        raise ValueError(
            f"{outputs} does not say which output the class '{listing(missing, 1)}' is. "
            "Give a line for each sub-folder: its name, a tab, the output's number from 0."
        )
    return [place[names[label]] for label in images.labels]


def _imagenet() -> Mapping[str, int]:
    return {one.wnid: number for number, one in enumerate(imagenet_classes())}


def _read(path: Path) -> Mapping[str, int]:
    numbers = read_class_names(path)
    wrong = [text for text in numbers.values() if not text.isdecimal()]
    if wrong:
        raise ValueError(f"'{wrong[0]}' in '{path}' is no number of an output. Number the outputs from 0.")
    return {name: int(text) for name, text in numbers.items()}
