"""What several commands read alike: pictures and what their classes are called, groups, encoders, calibrations."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from linexp._checks import check_writable_folder, choose_device, listing
from linexp.commands.digests import keep_digests
from linexp.concepts import Calibration, Encoder, superclasses
from linexp.concepts.files import open_folder, read_class_names, read_groups
from linexp.concepts.open_clip import imagenet_names
from linexp.concepts.wordnet import imagenet_classes
from linexp.images import ImageFolder, Images, find_broken, skip_broken
from linexp.models import VisionModel
from linexp.progress import progress_bar
from linexp.shards import Store, UnknownContentError

T = TypeVar("T")
IMAGENET, IMAGENET_PAPER, WORDNET = "imagenet", "imagenet-paper", "wordnet"


def tell_device(device: str) -> None:
    """Say where the models run."""
    print(f"device: {choose_device(device)}")


def tell_model(model: VisionModel, asked: str) -> None:
    """Say which weights a library chose, where that was left to it."""
    if model.name != asked:
        print(f"model: {model.name}, the default of {asked}")


def open_pictures(folder: Path, class_names: str | None) -> ImageFolder:
    """Open a folder of pictures; ``class_names`` is a file, or names a list for sub-folders called by wnids."""
    if class_names == IMAGENET:
        return open_folder(folder, {one.wnid: one.name for one in imagenet_classes()}, "ImageNet")
    if class_names == IMAGENET_PAPER:
        wnids = (one.wnid for one in imagenet_classes())
        return open_folder(folder, dict(zip(wnids, imagenet_names(), strict=True)), "ImageNet")
    names = None if class_names is None else read_class_names(Path(class_names))
    return open_folder(folder, names, f"'{class_names}'")


def only_readable(
    images: ImageFolder, *, workers: int | None = None, leave_out: bool = False, store: Path | None = None
) -> Images:
    """Look at every picture before the long work: name the broken ones, or leave them out if asked to.

    Every file is read, and what was in it is kept in the folder of the store: later commands need not read those that
    are still the same.

    Raises
    ------
    OSError
        A picture cannot be read, and is not to be left out.
    """
    with progress_bar("checking", len(images)) as advance:
        broken = find_broken(images, workers=workers, progress=advance)
    keep_digests(images, store)
    if broken and not leave_out:
        names = [f"'{images.name(row)}' ({reason})" for row, reason in broken.items()]
        raise OSError(
            f"{len(broken)} of {len(images)} pictures cannot be read: {listing(names, 5)}. "
            "Remove them, or leave them out with --skip-broken."
        )
    return skip_broken(images, broken) if broken else images


def open_groups(groups: str | None, images: ImageFolder, *, merge_homonyms: bool = False) -> Mapping[str, Any] | None:
    """Read groups of classes from a file, or let WordNet make them where the classes are ImageNet's ("wordnet")."""
    if merge_homonyms and groups != WORDNET:
        raise ValueError(
            f"--merge-homonyms is about the groups that WordNet makes, and --groups is {groups or 'not given'}. "
            "Add --groups wordnet, or leave it out."
        )
    if groups == WORDNET:
        return _from_wordnet(images, merge_homonyms=merge_homonyms)
    return None if groups is None else read_groups(Path(groups))


def _from_wordnet(images: ImageFolder, *, merge_homonyms: bool) -> Mapping[str, Any]:
    """Find the classes by their sub-folders where these are wnids, whatever they are called; else by their names."""
    folders = list(dict.fromkeys(file.partition("/")[0] for file in images.files))
    if not set(folders) <= {one.wnid for one in imagenet_classes()}:
        return superclasses(images.label_names, merge_homonyms=merge_homonyms)
    found = superclasses(dict(zip(folders, images.label_names, strict=True)), merge_homonyms=merge_homonyms)
    place = {wnid: number for number, wnid in enumerate(folders)}
    return {name: [place[wnid] for wnid in members] for name, members in found.items()}


def find_calibration(asked: str | None, encoder: Encoder) -> Calibration:
    """Find what turns an encoder's similarities into probabilities.

    Parameters
    ----------
    asked
        A file; or the name of an encoder whose calibration comes with linexp, if ``encoder`` has the same weights under
        another name, such as a folder. ``None``: the one of ``encoder`` itself that comes with linexp.

    Raises
    ------
    ValueError
        The calibration is of another encoder, or none comes with linexp.
    OSError
        There is no such file.
    """
    if asked is None:
        return Calibration.shipped(encoder.name)
    if not Path(asked).exists() and asked.startswith(("hf:", "open_clip:", "conse:")):
        return replace(Calibration.shipped(asked), encoder=encoder.name)
    calibration = Calibration.from_json(asked)
    calibration.check(encoder.name)
    return calibration


def open_store(folder: Path | None) -> Store | None:
    """Open the store in a folder, in which it must be possible to write; ``None``: work without one."""
    if folder is None:
        return None
    store = Store(folder, tell=print)
    check_writable_folder(store.folder)
    return store


def with_store(store: Store | None, work: Callable[[Store | None], T]) -> T:
    """Do work with the store, or with a warning without it where nobody can say what the result depends on."""
    try:
        return work(store)
    except UnknownContentError as error:  # it comes before the work begins
        warnings.warn(f"Nothing of this is stored: {error}", UserWarning, stacklevel=2)
        return work(None)
