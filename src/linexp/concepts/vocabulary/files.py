"""The small files people write by hand: what classes are called, and which belong together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from linexp._internal.checks import listing
from linexp._internal.files import decode_text
from linexp.concepts.encoders import imagenet_names
from linexp.concepts.vocabulary.openmoji import OpenMojiImages
from linexp.concepts.vocabulary.wordnet import imagenet_classes, superclasses
from linexp.images import ImageFolder, is_openmoji

_FORM = 'Write it as {"animal": ["cat", "dog"]}.'


def read_groups(path: Path) -> Mapping[str, Any]:
    """Read groups of classes from JSON: an object from each group's name to a list of its members (or an object again).

    Raises ``OSError`` where there is no file, ``ValueError`` where it holds something else or a group twice.
    """
    text = _read_text(path, "groups")
    try:
        groups: Any = json.loads(text, object_pairs_hook=_unique)
    except _TwiceError as error:
        raise ValueError(f"'{path}' names the group '{error}' twice. Keep one of the two.") from error
    except RecursionError:
        raise ValueError(f"'{path}' is nested too deeply to be groups of classes. {_FORM}") from None
    except ValueError as error:  # also a number of more digits than Python reads
        raise ValueError(f"'{path}' is not JSON ({str(error).partition(';')[0]}). {_FORM}") from error
    if not isinstance(groups, dict) or not groups:
        held = f"a {type(groups).__name__}" if groups else "no group"
        raise ValueError(f"'{path}' holds {held}. {_FORM}")
    return cast("dict[str, Any]", groups)


def read_class_names(path: Path) -> dict[str, str]:
    """Read lines of folder name, tab, class name; empty lines are ignored, a folder's second name is refused."""
    names: dict[str, str] = {}
    text = _read_text(path, "class names").replace("\r\n", "\n").replace("\r", "\n")
    for number, line in enumerate(text.split("\n"), start=1):
        folder, _, name = (part.strip() for part in line.partition("\t"))
        if not line.strip():
            continue
        if not folder or not name:
            raise ValueError(f"Line {number} of '{path}' is {line!r}. Write folder, tab, name.")
        if names.setdefault(folder, name) != name:
            raise ValueError(
                f"Line {number} of '{path}' calls the folder '{folder}' '{name}', but it was '{names[folder]}' above. "
                "Keep one name for each folder."
            )
    return names


def open_folder(path: Path, names: Mapping[str, str] | None, called: str) -> ImageFolder:
    """Open a folder of pictures, its sub-folders called by other names, if there are any.

    Raises what ``ImageFolder`` does; and ``ValueError`` if none of the names, which are from what is ``called`` so, is
    of a sub-folder that is there.
    """
    folder = ImageFolder(path, names)
    classes = list(dict.fromkeys(file.partition("/")[0] for file in folder.files))
    if names is not None and folder.labels is not None and not names.keys() & set(classes):
        raise ValueError(
            f"None of the {len(names)} folders named in {called} is among the {len(classes)} of '{path}' "
            f"({listing(classes, 6)}). Write folder, tab, name on each line of a file."
        )
    return folder


class _TwiceError(ValueError):
    """A name that stands twice."""


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that names a member twice: JSON itself would silently keep the last."""
    found: dict[str, Any] = {}
    for name, members in pairs:
        if name in found:
            raise _TwiceError(name)
        found[name] = members
    return found


def _read_text(path: Path, what: str) -> str:
    try:
        return decode_text(path.read_bytes(), path)
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file '{path}' to read {what} from. Give its path.") from None
    except IsADirectoryError:
        raise IsADirectoryError(f"'{path}' is a folder. Give the file to read {what} from.") from None


IMAGENET, IMAGENET_PAPER, WORDNET = "imagenet", "imagenet-paper", "wordnet"


def open_pictures(folder: Path, class_names: str | None) -> ImageFolder:
    """Open a folder of pictures, or the drawings that are called OpenMoji.

    ``class_names`` is a file, or names a list for sub-folders called by wnids.
    """
    if is_openmoji(str(folder)) and class_names is None:
        return OpenMojiImages()
    if class_names == IMAGENET:
        return open_folder(folder, {one.wnid: one.name for one in imagenet_classes()}, "ImageNet")
    if class_names == IMAGENET_PAPER:
        wnids = (one.wnid for one in imagenet_classes())
        return open_folder(folder, dict(zip(wnids, imagenet_names(), strict=True)), "ImageNet")
    names = None if class_names is None else read_class_names(Path(class_names))
    return open_folder(folder, names, f"'{class_names}'")


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
