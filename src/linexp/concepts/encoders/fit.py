"""Fit an encoder on one's own pictures: ridge regression from features to what the pictures are called."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from linexp._internal.checks import listing
from linexp.concepts.calibration import fit_calibration
from linexp.concepts.encoders.base import unit_length
from linexp.concepts.encoders.fitted import FittedEncoder, digest_of, features_of, name_of
from linexp.concepts.encoders.minilm import NAME, MiniLM, load_minilm
from linexp.forward import list_layers
from linexp.forward.engines import Engine, find_engine
from linexp.images import Images, ImageSubset, as_images
from linexp.matrix import ConceptMatrix, Rows
from linexp.models import load_model
from linexp.solve import fit_ridge
from linexp.store import Store

# What chance alone reaches with some hundred images: below it, words would be found at random.
_LEAST_R2 = 0.01
# What is in more of the pictures is not calibrated on, as in fit_calibration.
_MOST_SHARE = 0.3


def fit_text_encoder(
    images: Any,
    texts: Sequence[str | Sequence[str]],
    features: str,
    *,
    layer: str | None = None,
    rows: Rows | None = None,
    source: str = "",
    device: str | torch.device | None = "auto",
    batch_size: int | None = None,
    engine: Engine | str = "auto",
    show_progress: bool = True,
    store: Store | None = None,
) -> FittedEncoder:
    """Fit an encoder on pictures whose captions, classes or keywords are known.

    Ridge regression, in closed form, from the network's features to the mean embedding of each picture's texts; the
    penalty is the one with the smallest leave-one-out error. The calibration is fitted on the predictions of pictures
    left out, so that it is not too sure: each text is present in the pictures that have it.

    Parameters
    ----------
    images
        An image collection, or anything ``as_images`` turns into one.
    texts
        For each image its caption, its class or a list of keywords; of images that are not fitted on nothing is needed.
    features
        A name for ``load_model``: the network whose features are used.
    layer
        Which layer gives them. Default: the one before the network's last linear layer.
    rows
        The images fitted on; give train rows only, and to a judge others than to what explains. Default: all.
    source
        Written into the encoder: what it was fitted on, in words.
    device, batch_size, engine
        Where the network runs, images at a time, and how it is run; as in ``load_encoder``.
    show_progress
        Show images per second on standard error.
    store
        Where to keep the features, as ``record`` does. Default: nowhere.

    Raises
    ------
    ValueError
        There are not as many texts as images; an image has no text or an empty one; all images have the same texts;
        the features say nothing of the texts; the network has no linear layer and ``layer`` is not given.
    """
    find_engine(engine)
    collection = as_images(images)
    chosen = list(range(len(collection))) if rows is None else torch.as_tensor(rows).tolist()
    named = _check_texts(texts, collection, chosen)
    words = list(dict.fromkeys(word for row in chosen for word in named[row]))
    if len(words) < 2 or len({named[row] for row in chosen}) < 2:
        raise ValueError(f"All {len(chosen)} images are called {listing(words)}. Give images with different texts.")
    place = layer or layer_before_head(features)
    minilm = load_minilm()
    _warn_of_unknown(minilm, words)
    embedded = minilm.encode_texts(words, show_progress=show_progress)
    presence = _presence([named[row] for row in chosen], words)
    running: dict[str, Any] = {"device": device, "batch_size": batch_size, "engine": engine}
    found = _features_of_rows(collection, chosen, features, place, store=store, show_progress=show_progress, **running)
    # Each picture's target has length 1, so that one with many keywords counts as much as one with few.
    targets = unit_length(presence @ embedded, lambda row: f"the texts of '{collection.name(chosen[row])}'", NAME)
    fit = fit_ridge(found, targets)
    if fit.r2 < _LEAST_R2:
        raise ValueError(
            f"The features of '{features}' say nothing of these texts: left out, {fit.r2:.4f} of their variance is "
            "predicted. Check that the texts are in the order of the images, or take another network or layer."
        )
    weights, means = fit.weights.float().contiguous(), (fit.feature_means.float(), fit.target_means.float())
    tensors = {"weights": weights, "feature_means": means[0], "text_mean": means[1]}
    name = name_of(features, place, digest_of(tensors))
    left_out = unit_length(fit.left_out, lambda row: f"the image '{collection.name(chosen[row])}'", name)
    calibration = fit_calibration(
        left_out,
        embedded,
        ConceptMatrix(presence, words),
        # Words of many pictures are left out, but where there are no others: of two classes, each is of many.
        max_share=_MOST_SHARE if bool((presence.mean(0) <= _MOST_SHARE).any()) else 1.0,
        encoder=name,
        source=f"{len(chosen):,} images left out in turn" + (f" ({source})" if source else ""),
        images=collection.fingerprint or "",
    ).calibration
    return FittedEncoder(
        features,
        place,
        weights,
        *means,
        calibration,
        source=source,
        r2=fit.r2,
        penalty=fit.penalty,
        fitted_on=collection.fingerprint or "",
        n_images=len(chosen),
        **running,
    )


def layer_before_head(network: str) -> str:
    """Return the last layer that has as many neurons as the network's last linear layer has inputs.

    Raises
    ------
    ValueError
        There is none.
    """
    model = load_model(network)
    layers = list_layers(model)
    linear = [(place, model.module.get_submodule(one.name)) for place, one in enumerate(layers)]
    heads = [(place, module) for place, module in linear if isinstance(module, torch.nn.Linear)]
    if heads:
        place, head = heads[-1]
        for one in reversed(layers[:place]):
            if one.shape is not None and one.n_calls == 1 and head.in_features in (one.shape[0], one.shape[-1]):
                return one.name
    raise ValueError(
        f"'{network}' has no linear layer with a layer before it, so there is no saying which of its layers gives the "
        "features. Name one with layer; linexp layers lists them."
    )


def _check_texts(texts: Sequence[str | Sequence[str]], images: Images, chosen: Sequence[int]) -> list[tuple[str, ...]]:
    if isinstance(texts, str) or len(texts) != len(images):
        raise ValueError(
            f"There are {len(texts):,} texts for {len(images):,} images. Give each image its text, or a list of them."
        )
    named = [(one,) if isinstance(one, str) else tuple(one) for one in texts]
    for row in chosen:
        words = named[row]
        if not words or not all(word.strip() for word in words):
            raise ValueError(f"The image '{images.name(row)}' has the texts {list(words)}. Give it at least one word.")
    return named


def _warn_of_unknown(minilm: MiniLM, words: Sequence[str]) -> None:
    """Say which words the text encoder cannot read, as those in scripts it was not trained on."""
    unknown = minilm.tokenizer.unk_token_id
    tokens = minilm.tokenizer(list(words), truncation=False, padding=False)["input_ids"]
    lost = [word for word, ids in zip(words, tokens, strict=True) if unknown in ids]
    if lost:
        warnings.warn(
            f"MiniLM reads English and does not know what is in {len(lost)} of {len(words)} texts: {listing(lost)}.",
            stacklevel=3,
        )


def _presence(named: Sequence[Sequence[str]], words: Sequence[str]) -> Float[Tensor, "images words"]:
    place = {word: column for column, word in enumerate(words)}
    presence = torch.zeros(len(named), len(words))
    for row, own in enumerate(named):
        presence[row, [place[word] for word in own]] = 1
    return presence


def _features_of_rows(
    images: Images,
    rows: Sequence[int],
    network: str,
    layer: str,
    *,
    store: Store | None,
    **how: Any,
) -> Float[Tensor, "rows features"]:
    """Return the features of some images; what is stored is of all, so that embedding them finds it there."""
    if store is not None:
        return features_of(images, network, layer, store=store, **how)[list(rows)]
    return features_of(ImageSubset(images, rows), network, layer, store=None, **how)
