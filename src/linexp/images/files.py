"""Pictures in files: a list of paths, or a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from linexp.images.base import check_labels, summary
from linexp.images.file_contents import FilePictures
from linexp.images.scan import EXTENSIONS, check_folder, find_pictures

FilePath: TypeAlias = str | os.PathLike[str]


@dataclass(frozen=True, eq=False, init=False, repr=False)
class ImageFiles(FilePictures):
    """Pictures in the files of a list, in the order of the list.

    Parameters
    ----------
    paths
        At least one path. That the files exist and can be read shows when they are read.
    labels
        Class of each image, from 0; ``None``: not known.
    label_names
        Human name of each class.

    Raises
    ------
    ValueError
        There is no path; labels and images differ in number; a label has no name.
    TypeError
        ``paths`` is one path or contains something that is no path.
    """

    paths: tuple[Path, ...]
    labels: tuple[int, ...] | None
    label_names: tuple[str, ...]

    def __init__(
        self, paths: Iterable[FilePath], labels: Sequence[int] | None = None, label_names: Sequence[str] = ()
    ) -> None:
        files = _as_paths(paths)
        object.__setattr__(self, "paths", files)
        object.__setattr__(self, "labels", check_labels(labels, label_names, len(files)))
        object.__setattr__(self, "label_names", tuple(label_names))

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        return summary("ImageFiles", len(self), self.label_names)

    def path_of(self, index: int) -> str:
        """Return the path of one image."""
        return str(self.paths[index])

    def key_of(self, index: int) -> str:
        """Return the absolute path of one image."""
        return os.path.abspath(self.paths[index])


@dataclass(frozen=True, eq=False, init=False, repr=False)
class ImageFolder(FilePictures):
    """Pictures in a folder: one sub-folder for each class, or all at the top.

    Classes are the sub-folders that hold a picture, sorted by name; a class's pictures may lie deeper, and are
    sorted by path. Without sub-folders ``labels`` is ``None``. Hidden files are ignored. The folder is listed
    once, here.

    Parameters
    ----------
    folder
        The folder.
    class_names
        Human names of sub-folders (``{"n02084071": "dog"}``). A folder that is not in it keeps its own name;
        two folders of the same human name stay two classes.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        There is no such folder, or it is a file.
    ValueError
        The folder holds no picture, or pictures both at the top and in sub-folders.
    """

    folder: Path
    class_names: Mapping[str, str] | None
    files: tuple[str, ...]
    """Paths relative to ``folder``, in the order of the images."""
    labels: tuple[int, ...] | None
    label_names: tuple[str, ...]

    def __init__(self, folder: FilePath, class_names: Mapping[str, str] | None = None) -> None:
        top = Path(folder)
        check_folder(top)
        files = find_pictures(top)
        _check_layout(top, files)
        classes = sorted({file.split("/", 1)[0] for file in files if "/" in file})
        place = {name: label for label, name in enumerate(classes)}
        # Sorting whole paths would put the folder "a-b" before the pictures of "a": "-" comes before "/".
        files.sort(key=lambda file: (place.get(file.split("/", 1)[0], 0), file))
        names = class_names or {}
        object.__setattr__(self, "folder", top)
        object.__setattr__(self, "class_names", class_names)
        object.__setattr__(self, "files", tuple(files))
        labels = tuple(place[file.split("/", 1)[0]] for file in files) if classes else None
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "label_names", tuple(names.get(name, name) for name in classes))

    def __len__(self) -> int:
        return len(self.files)

    def __repr__(self) -> str:
        return summary(f"ImageFolder '{self.folder}' ", len(self), self.label_names)

    def path_of(self, index: int) -> str:
        """Return the path of one image, the folder included."""
        return os.path.join(self.folder, self.files[index])

    def key_of(self, index: int) -> str:
        """Return the path of one image inside the folder."""
        return self.files[index]


def _as_paths(paths: Iterable[FilePath]) -> tuple[Path, ...]:
    if isinstance(paths, (str, os.PathLike)):
        raise TypeError(f"'{paths}' is one path. Give a list of paths, or use ImageFolder for a folder.")
    files = list(paths)
    for row, path in enumerate(files):
        if not isinstance(path, (str, os.PathLike)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"Path {row} is of type {type(path).__name__}. Give text or pathlib.Path.")
    if not files:
        raise ValueError("The list of image paths is empty. Give at least one path.")
    return tuple(Path(path) for path in files)


def _check_layout(folder: Path, files: Sequence[str]) -> None:
    if not files:
        raise ValueError(
            f"No images found in '{folder}'. Give a folder with pictures in it or in its sub-folders "
            f"({', '.join(sorted(EXTENSIONS))})."
        )
    at_top = [file for file in files if "/" not in file]
    below = [file for file in files if "/" in file]
    if at_top and below:
        raise ValueError(
            f"'{folder}' holds pictures both at the top ({len(at_top)}, such as '{at_top[0]}') and in "
            f"sub-folders ({len(below)}, such as '{below[0]}'), so their classes are ambiguous. "
            "Move all of them into sub-folders, one for each class, or all to the top."
        )
