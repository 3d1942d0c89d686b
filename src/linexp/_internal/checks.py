"""Shared argument checks and the package's three exceptions: the only home of their wording."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


AUTO = "auto"
# Control characters, marks that turn the order of reading around, and halves of characters.
_STEERS = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


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


def check_whole(name: str, value: int, least: int) -> None:
    """Raise ``ValueError`` unless ``value`` is a whole number and at least ``least``."""
    if not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} is {value}. It must be a whole number and at least {least}.")


def check_within(name: str, value: float, least: float, most: float) -> None:
    """Raise ``ValueError`` unless ``value`` is a number from ``least`` to ``most``."""
    if not least <= value <= most:
        raise ValueError(f"{name} is {value}. It must lie between {least} and {most}.")


def check_same_images(first: str | None, second: str | None, n_first: int, n_second: int) -> None:
    """Raise ``DifferentImagesError`` unless two matrices may describe the same images, row by row.

    They are known by fingerprint, ``None`` where that is not known, and number of rows.
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


def check_text(text: str, what: str) -> None:
    """Raise ``ValueError`` if ``text`` cannot be saved: a NUL, or half a character that UTF-8 does not know."""
    if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError(f"{what} is {text!r}, which is not text in UTF-8 and cannot be saved. Rename it.")


def printable(text: str) -> str:
    """Return a line of text with what could steer a terminal written out: escape sequences, reversed reading order."""
    return "".join(letter.encode("unicode_escape").decode() if _STEERS.match(letter) else letter for letter in text)


def choose_device(device: str | torch.device) -> str | torch.device:
    """Return what "auto" means on this machine, CUDA, then MPS, then the CPU; any other device as it is."""
    import torch  # here, so that who only asks for help or a version does not wait for it

    if device != AUTO:
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def device_for_doubles(device: str | torch.device) -> str | torch.device:
    """Return the device, or the CPU in place of MPS, which has no float64."""
    chosen = choose_device(device)
    return "cpu" if str(chosen).startswith("mps") else chosen


def check_device(device: str | torch.device) -> torch.device:
    """Return the device ("auto": `choose_device`), with its number, once a tensor could be sent there and back."""
    import torch

    device = choose_device(device)
    try:
        tensor = torch.empty(0, device=device)
        tensor.cpu()
    except (RuntimeError, AssertionError) as error:  # an AssertionError is how a CPU build of torch refuses CUDA
        reason = str(error).splitlines()[0].rstrip(".")
        raise ValueError(f"The device '{device}' cannot be used here ({reason}). Use device 'cpu'.") from error
    return tensor.device
