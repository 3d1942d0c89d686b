"""From similarity to probability: P(concept | image) = σ(a·(cos + b)), with a and b of one encoder."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from linexp._internal.checks import StoreMismatchError, closest, listing
from linexp._internal.files import check_writable_folder, decode_text, write_atomically


@dataclass(frozen=True)
class Calibration:
    """The two numbers that turn an encoder's similarities into probabilities, and where they come from.

    Parameters
    ----------
    a
        Steepness, above 0: how fast the probability rises with similarity.
    b
        Shift: the probability is one half at the similarity -b. Usually negative.
    encoder
        Name of the encoder it was fitted for; with another one it means nothing. Empty: not checked.
    source
        What it was fitted on, in words.
    bce, ece
        Mean binary cross-entropy (nats) and expected calibration error (0 to 1) on the images it was measured on;
        ``None`` if unknown.
    images
        Fingerprint of the images it was fitted on; empty if unknown.
    date
        Day it was fitted, as "2025-01-31" (ISO 8601); empty if unknown.

    Raises
    ------
    ValueError
        ``a`` is not above 0, or one of the two is not finite.

    References
    ----------
    Paper, Section 3.1 (a and b), Eq. 5 and 8.
    """

    a: float
    b: float
    encoder: str = ""
    source: str = ""
    bce: float | None = None
    ece: float | None = None
    images: str = ""
    date: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.a) and math.isfinite(self.b) and self.a > 0):
            raise ValueError(f"The calibration is a = {self.a}, b = {self.b}. Give finite numbers, a above 0.")

    def probability(self, similarity: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return σ(a·(similarity + b)) for cosine similarities, from 0 to 1."""
        return torch.sigmoid(self.a * (similarity + self.b))

    def check(self, encoder: str) -> None:
        """Raise ``ValueError`` if this calibration was fitted for another encoder than the one named."""
        if self.encoder and encoder != self.encoder:
            raise ValueError(
                f"The calibration was fitted for the encoder '{self.encoder}', not for '{encoder}'. "
                "Fit one for this encoder with fit_calibration."
            )

    def to_json(self, path: str | Path) -> None:
        """Write the calibration as a small JSON file, which is there whole or not at all.

        Raises
        ------
        OSError
            The folder cannot be made or written.
        """
        path = Path(path)
        check_writable_folder(path.parent)
        write_atomically(path, (json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n").encode())

    @staticmethod
    def from_json(path: str | Path) -> Calibration:
        """Read a calibration that ``to_json`` wrote, or that of a result from its ``run.json``.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        StoreMismatchError
            The file is no calibration.
        """
        try:
            fields: Any = json.loads(decode_text(Path(path).read_bytes(), Path(path)))
            if isinstance(fields, dict) and "settings" in fields:
                fields = cast("dict[str, Any]", fields)["settings"]["calibration"]
            _check_kinds(fields)
            return Calibration(**fields)
        except FileNotFoundError:
            raise FileNotFoundError(f"There is no file '{path}'. Give the path of a calibration.") from None
        except IsADirectoryError:
            raise IsADirectoryError(f"'{path}' is a folder. Give the path of a calibration.") from None
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise StoreMismatchError(
                f"'{path}' is not a calibration ({error}). Write it anew with Calibration.to_json."
            ) from error

    @staticmethod
    def shipped(encoder: str) -> Calibration:
        """Return the calibration of an encoder that comes with linexp; ``source`` says whose it is.

        There are the authors' for the paper's three encoders, and our own for ConSE with the packaged networks.

        Raises
        ------
        ValueError
            None comes for this encoder.
        """
        found = _shipped()
        if encoder not in found:
            raise ValueError(
                f"No calibration for the encoder '{encoder}' comes with linexp.{closest(encoder, found)} "
                "Fit one with linexp calibrate and pass it with --calibration, or with fit_calibration in Python. "
                f"If it has the weights of one that has a calibration, name that one: {listing(found, 4)}."
            )
        return found[encoder]


def _check_kinds(fields: Any) -> None:
    """Raise ``TypeError`` unless each member of what was read is of the kind that ``to_json`` writes."""
    if not isinstance(fields, dict):
        raise TypeError(f"it holds a {type(fields).__name__}")  # pyright: ignore[reportUnknownArgumentType]
    for name, value in cast("dict[str, Any]", fields).items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if name in ("a", "b", "bce", "ece"):
            fits = number or (value is None and name not in "ab")
        else:
            fits = isinstance(value, str)
        if not fits:
            raise TypeError(f"{name} is {value!r}")


@cache
def _shipped() -> dict[str, Calibration]:
    text = resources.files("linexp.concepts.calibration").joinpath("calibrations.json").read_text(encoding="utf-8")
    return {entry["encoder"]: Calibration(**entry) for entry in json.loads(text)}
