"""From similarity to probability: P(concept | image) = σ(a·(cos + b)), with a and b of one encoder."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from linexp._checks import StoreMismatchError, closest

_AUTHORS = "the authors' released code: ImageNet validation images, classes and superclasses"


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
        Mean binary cross-entropy (nats) and expected calibration error (0 to 1) on the images it was fitted on;
        ``None`` if unknown.

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
        """Write the calibration as a small JSON file."""
        Path(path).write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @staticmethod
    def from_json(path: str | Path) -> Calibration:
        """Read a calibration that ``to_json`` wrote.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        StoreMismatchError
            The file is no calibration.
        """
        try:
            fields: Any = json.loads(Path(path).read_text(encoding="utf-8"))
            return Calibration(**fields)
        except FileNotFoundError:
            raise FileNotFoundError(f"There is no file '{path}'. Give the path of a calibration.") from None
        except (ValueError, TypeError) as error:
            raise StoreMismatchError(
                f"'{path}' is not a calibration ({error}). Write it anew with Calibration.to_json."
            ) from error

    @staticmethod
    def published(encoder: str) -> Calibration:
        """Return the authors' calibration of one of the paper's three encoders.

        Raises
        ------
        ValueError
            They published none for this encoder.
        """
        name = encoder.removeprefix("hf:")
        if name not in PUBLISHED:
            raise ValueError(
                f"The paper's authors published no calibration for '{encoder}'.{closest(name, PUBLISHED)} "
                f"There are some for {', '.join(PUBLISHED)}; fit your own with fit_calibration."
            )
        a, b = PUBLISHED[name]
        return Calibration(a, b, f"hf:{name}", _AUTHORS)


# Encoder on the Hugging Face hub → the authors' a and b. They used the same weights through another library.
PUBLISHED = {
    "google/siglip-so400m-patch14-384": (58.0, -0.13),
    "google/siglip-large-patch16-384": (60.0, -0.09),
    "openai/clip-vit-large-patch14-336": (58.0, -0.25),
}
