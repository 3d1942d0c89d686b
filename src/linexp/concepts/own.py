"""An encoder fitted on the very pictures that are explained: on half of their training images each for two models."""

from __future__ import annotations

from typing import Literal

import torch

from linexp.concepts.encoders import FittedEncoder, fit_text_encoder
from linexp.concepts.labels import LabelConcepts
from linexp.forward.engines import Engine
from linexp.images import Images
from linexp.matrix import Split
from linexp.store import Store

FIT = "fit:"
"""How the name of an encoder begins that is fitted where it is used: "fit:efficientnet_lite2"."""
Half = Literal["first", "second", "both"]


def fit_on_train(
    images: Images,
    split: Split,
    features: str,
    *,
    layer: str | None = None,
    labels: LabelConcepts | None = None,
    half: Half = "both",
    device: str | torch.device | None = "auto",
    batch_size: int | None = None,
    engine: Engine | str = "auto",
    store: Store | None = None,
    show_progress: bool = True,
) -> FittedEncoder:
    """Fit an encoder on what the training images are called; see ``fit_text_encoder``.

    Parameters
    ----------
    images
        With labels: a class each, or a table of words.
    split
        Only its train part is looked at.
    features, layer
        The network, by a name for ``load_model``, with or without "fit:" before it; and its layer.
    labels
        What an image is called, with its groups if they have any. Default: its class, or the words of its table.
    half
        Which half of the train images: every second from the first on, every second from the second on, or both. What
        explains and what judges must not have learned from the same pictures.
    device, batch_size, engine, store, show_progress
        As in ``fit_text_encoder``.

    Raises
    ------
    ValueError
        The images have no labels; or as ``fit_text_encoder``.
    """
    known = (labels or LabelConcepts()).describe(images)
    texts = [[known.names[column] for column in row.nonzero()[:, 0].tolist()] for row in known.values > 0]
    part = {"first": split.train[::2], "second": split.train[1::2], "both": split.train}[half]
    rows = [row for row in part.tolist() if texts[row]]  # a picture of a table may have no word
    told = {"first": "every second of ", "second": "every second of ", "both": ""}[half]
    return fit_text_encoder(
        images,
        texts,
        features.removeprefix(FIT),
        layer=layer,
        rows=rows,
        source=f"{told}the {len(split.train):,} training images{', from the second on' if half == 'second' else ''}",
        device=device,
        batch_size=batch_size,
        engine=engine,
        store=store,
        show_progress=show_progress,
    )
