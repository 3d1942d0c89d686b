"""Concepts from words: an image-text encoder says how much of each is in each image (LE(SigLIP) in the paper)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from linexp._internal.checks import check_text, check_within
from linexp.concepts.calibration import Calibration
from linexp.concepts.encoders import Encoder, FittedEncoder, check_texts, embed_prompts, storing
from linexp.images import as_images
from linexp.matrix import ConceptMatrix, EmbeddedConceptMatrix
from linexp.store import Store

# Beyond these, every presence is a half, or nothing but 0 and 1.
_LEAST_SHARPNESS, _MOST_SHARPNESS = 1e-3, 1e3


@dataclass(frozen=True)
class TextConcepts:
    """Presence of any words: P(concept | image) = σ(a·(cos(text, image) + b)).

    Parameters
    ----------
    texts
        The concepts, each once.
    encoder
        Embeds images and texts in one space.
    calibration
        Turns its similarities into probabilities; must be of this encoder.
    templates
        What the encoder is told for a concept: "{}" is replaced by it; the embeddings of several are averaged.
    sharpness
        Above 0. 1: presence is the calibrated probability, as in the paper. Below 1 it is a flatter function of the
        same cosine, σ(sharpness·a·(cos + b)): activations rise gradually where a probability jumps, and are predicted
        better by it (docs/text-concepts.md). Explanations mean the presences they were fitted on, so a judge needs the
        same.

    Raises
    ------
    ValueError
        The calibration is of another encoder; there is no text, an empty one, one that is no UTF-8, or one twice.

    References
    ----------
    Paper, Section 3.1 and Eq. 8.
    """

    texts: Sequence[str]
    encoder: Encoder
    calibration: Calibration
    templates: Sequence[str] = ("{}",)
    sharpness: float = 1.0

    def __post_init__(self) -> None:
        self.calibration.check(self.encoder.name)
        check_within("sharpness", self.sharpness, _LEAST_SHARPNESS, _MOST_SHARPNESS)
        seen: set[str] = set()
        for text in check_texts(self.texts):
            if not text.strip():
                raise ValueError("One of the texts is empty. Leave it out.")
            check_text(text, "One of the texts")
            if text in seen:
                raise ValueError(f"The text '{text}' occurs twice. Name each concept once.")
            seen.add(text)

    def describe(self, images: Any, *, store: Store | None = None) -> ConceptMatrix:
        """Embed texts and images and return the concept matrix, which makes its blocks from them on demand.

        Parameters
        ----------
        images
            An image collection, or anything ``as_images`` turns into one.
        store
            Where the encoder keeps its embeddings; linexp's own can, and yours if its methods take ``store=``.
            Default: nothing is stored.
        """
        collection = as_images(images)
        # Texts first: a bad text is said at once.
        texts = embed_prompts(self.encoder, list(self.texts), self.templates, store=store)
        return EmbeddedConceptMatrix(
            self.encoder.encode_images(collection, **storing(self.encoder.encode_images, store)),
            texts,
            list(self.texts),
            self.calibration.a,
            self.calibration.b,
            collection.fingerprint,
            sharpness=self.sharpness,
        )


def read_sharpness(text: str | None) -> float | None:
    """Read a sharpness; nothing is 1, and "auto" is ``None``: to be chosen by the data.

    Raises
    ------
    ValueError
        It is something else.
    """
    if text == "auto":
        return None
    try:
        value = 1.0 if text is None else float(text)
        check_within("sharpness", value, _LEAST_SHARPNESS, _MOST_SHARPNESS)
    except ValueError:
        raise ValueError(
            f"sharpness is {text!r}. It must be a number from {_LEAST_SHARPNESS:g} to {_MOST_SHARPNESS:g}, or auto."
        ) from None
    return value


def find_calibration(asked: str | None, encoder: Encoder) -> Calibration:
    """Find what turns an encoder's similarities into probabilities.

    Parameters
    ----------
    asked
        A file; or the name of an encoder whose calibration comes with linexp, if ``encoder`` has the same weights under
        another name, such as a folder. ``None``: the encoder's own, or the one that comes with linexp.

    Raises
    ------
    ValueError
        The calibration is of another encoder, or none comes with linexp.
    OSError
        There is no such file.
    """
    if asked is None:
        return encoder.calibration if isinstance(encoder, FittedEncoder) else Calibration.shipped(encoder.name)
    if not Path(asked).exists() and asked.startswith(("hf:", "open_clip:", "conse:")):
        return replace(Calibration.shipped(asked), encoder=encoder.name)
    calibration = Calibration.from_json(asked)
    calibration.check(encoder.name)
    return calibration
