"""What embeddings depend on: the keys under which a store keeps them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from linexp.images import Images, content_fingerprint
from linexp.store import Key, content_of, model_of, rows_per_shard, surroundings, weights_of

EMBEDDINGS = "embeddings"


def image_embeddings_key(
    images: Images,
    module: nn.Module,
    preprocess: Callable[[Image.Image], Tensor],
    embed: Callable[..., Tensor],
    *,
    name: str,
    batch_size: int,
    device: torch.device,
) -> Key:
    """Return the key of embedding a collection; reads every weight and every image.

    Raises
    ------
    UnknownContentError
        The module or the preprocessing holds something whose content cannot be known.
    """
    own = {"preprocess": content_of(preprocess, "preprocess"), "images": content_fingerprint(images)}
    return _key("images", own, module, embed, name, len(images), batch_size, device)


def text_embeddings_key(
    batches: Sequence[Mapping[str, Tensor]],
    module: nn.Module,
    embed: Callable[..., Tensor],
    *,
    name: str,
    n_texts: int,
    batch_size: int,
    device: torch.device,
) -> Key:
    """Return the key of embedding texts: their tokens count, and so words, templates and tokenizer."""
    own = {"tokens": content_of([dict(batch) for batch in batches], "tokens")}
    return _key("texts", own, module, embed, name, n_texts, batch_size, device)


def _key(
    of: str,
    own: Mapping[str, Any],
    module: nn.Module,
    embed: Callable[..., Tensor],
    name: str,
    n_rows: int,
    batch_size: int,
    device: torch.device,
) -> Key:
    parts = {
        "of": of,
        "model": model_of(module),
        "embed": getattr(embed, "__qualname__", type(embed).__qualname__),
        "batch_size": batch_size,
        "surroundings": surroundings(device),
        **own,
        "weights": weights_of(module),
    }
    return Key("embeddings", parts, n_rows, rows_per_shard(batch_size), {"model": name, "of": [of]})
