"""Shared argument checks and the package's three exceptions: the only home of their wording."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class DifferentImagesError(ValueError):
    """Two matrices, or a matrix and a split, do not describe the same images."""


class StoreMismatchError(ValueError):
    """A file on disk does not hold what its reader was told to expect."""


class NotConvergedWarning(UserWarning):
    """A solver stopped at its iteration limit before reaching the tolerance asked for."""


def closest(word: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the known word nearest to ``word``, or an empty string."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean '{near[0]}'?" if near else ""


def listing(words: Iterable[object], most: int = 12) -> str:
    """Join ``words`` with commas and keep the line readable: at most ``most`` of them, the middle left out."""
    shown = [str(word) for word in words]
    if len(shown) > most:
        shown = [*shown[: most - 2], "…", shown[-1]]
    return ", ".join(shown)


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise ``ValueError`` unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}.{closest(value, choices)} Choose one of: {', '.join(choices)}.")


def check_at_least(name: str, value: float, least: float) -> None:
    """Raise ``ValueError`` unless ``value`` is a number and at least ``least``."""
    if not value >= least:  # written so that NaN fails too
        raise ValueError(f"{name} is {value}. It must be at least {least}.")


def check_within(name: str, value: float, least: float, most: float) -> None:
    """Raise ``ValueError`` unless ``value`` is a number from ``least`` to ``most``."""
    if not least <= value <= most:
        raise ValueError(f"{name} is {value}. It must lie between {least} and {most}.")


def check_same_images(first: str | None, second: str | None, n_first: int, n_second: int) -> None:
    """Raise ``DifferentImagesError`` unless two matrices may describe the same images, row by row.

    Parameters
    ----------
    first, second
        Fingerprints of the images of the two matrices; ``None`` where they are not known.
    n_first, n_second
        Numbers of rows (images) of the two matrices.
    """
    if n_first != n_second:
        raise DifferentImagesError(
            f"One matrix has {n_first} images and the other {n_second}. "
            "Record and describe the same image collection, in the same order."
        )
    if first is not None and second is not None and first != second:
        raise DifferentImagesError(
            f"The two matrices come from different images (fingerprints {first[:12]} and {second[:12]}). "
            "Record and describe the same image collection, in the same order."
        )


def check_writable_folder(path: Path) -> Path:
    """Create the folder ``path`` if needed, prove that a file can be written in it, and return it.

    Raises
    ------
    OSError
        The folder cannot be made or written; the message names it and says what to do.
    """
    probe = path / ".linexp-write-test"
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(f"Cannot write in the folder '{path}' ({reason}). Choose another folder.") from error
    return path


def check_device(device: str | torch.device) -> torch.device:
    """Return the device, with its number, once a tensor could be sent there and back."""
    import torch  # here, so that who only asks for help or a version does not wait for it

    try:
        tensor = torch.empty(0, device=device)
        tensor.cpu()
    except (RuntimeError, AssertionError) as error:  # an AssertionError is how a CPU build of torch refuses CUDA
        reason = str(error).splitlines()[0].rstrip(".")
        raise ValueError(f"The device '{device}' cannot be used here ({reason}). Use device 'cpu'.") from error
    return tensor.device
