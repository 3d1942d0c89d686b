"""What an image-text encoder is (two towers, one space), and what the adapters that make one share."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from linexp._internal.checks import check_at_least
from linexp._internal.progress import progress_bar
from linexp.forward import BATCH_SIZE_CPU, BATCH_SIZE_CUDA, CORES_PER_DECODER, evaluating, network_key, open_source
from linexp.images import as_images
from linexp.models import VisionModel, move_to
from linexp.store import Keep, Key, Parts, Store, content_of, gather

EMBEDDINGS = "embeddings"


@runtime_checkable
class Encoder(Protocol):
    """Embeds images and texts in one space, where the cosine says how well they fit; any class like this is one.

    Where its two methods also take ``store=``, they are handed the `Store` the user chose, if any.
    """

    @property
    def name(self) -> str:
        """Which model with which weights, such as "hf:google/siglip-large-patch16-384"."""
        ...

    def encode_images(self, images: Any, *, show_progress: bool = True) -> Float[Tensor, "images dims"]:
        """Return one row of unit length for each image, in their order: float32, on the CPU.

        Parameters
        ----------
        images
            An image collection, or anything ``as_images`` turns into one.
        show_progress
            Show images per second on standard error.
        """
        ...

    def encode_texts(self, texts: Sequence[str]) -> Float[Tensor, "texts dims"]:
        """Return one row of unit length for each text, in their order: float32, on the CPU."""
        ...


def embed_prompts(
    encoder: Encoder, texts: Sequence[str], templates: Sequence[str] = ("{}",), *, store: Store | None = None
) -> Float[Tensor, "texts dims"]:
    """Put each text into every template, average its embeddings, and make the averages unit length.

    Parameters
    ----------
    encoder
        Embeds the prompts.
    texts
        At least one.
    templates
        Such as "a photo of a {}."; "{}" stands for the text. At least one.
    store
        Where the encoder keeps its embeddings, if it can. Default: nowhere.

    Returns
    -------
    Tensor
        Row i belongs to text i, however many templates there are. The rows have unit length.

    Raises
    ------
    ValueError
        There is no text or no template, or one without "{}"; the embeddings of a text cancel out.

    References
    ----------
    Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021, Section 3.1.4.
    """
    texts = check_texts(texts)
    if isinstance(templates, str) or not len(templates):
        raise ValueError(f"The templates are {templates!r}. Give a list of them, such as ['a photo of a {{}}.'].")
    for template in templates:
        if "{}" not in template:
            raise ValueError(f"The template '{template}' has no '{{}}'. Put '{{}}' where the text belongs.")
    # Template by template, so that all rows of a pass are in the order of the texts. Not str.format: a text or a
    # template may hold other braces.
    options = storing(encoder.encode_texts, store)
    prompts = ([template.replace("{}", text) for text in texts] for template in templates)
    total = sum(encoder.encode_texts(several, **options) for several in prompts)
    return unit_length(torch.as_tensor(total), lambda row: f"the text '{texts[row]}'", encoder.name)


def storing(method: Callable[..., Any], store: Store | None) -> dict[str, Any]:
    """Return ``{"store": store}`` for a method of an encoder that can store what it embeds, else nothing."""
    return {"store": store} if store is not None and "store" in inspect.signature(method).parameters else {}


def embed_images(
    images: Any,
    module: nn.Module,
    preprocess: Callable[[Image.Image], Tensor],
    embed: Callable[[Tensor], Tensor],
    *,
    name: str,
    batch_size: int | None,
    show_progress: bool,
    store: Store | None = None,
) -> Float[Tensor, "images dims"]:
    """Do an adapter's ``encode_images``: decode, batch, embed on the module's device, make unit length.

    Parameters
    ----------
    images
        Anything ``as_images`` takes.
    module
        The network; in eval mode without gradients while this runs.
    preprocess
        Makes the tensor of one picture.
    embed
        Maps a batch of them to rows of any length.
    name
        The encoder's name, for messages.
    batch_size
        Images at a time, or ``None``: 8 on a CPU, otherwise 64.
    show_progress
        Show images per second on standard error.
    store
        Where to keep the rows, shard by shard; ``None``: nowhere.

    Raises
    ------
    OSError
        A picture cannot be read, or the store not be used.
    ValueError
        There is no image; ``preprocess`` fails on one; the embedding of one is not finite or zero.
    """
    collection = as_images(images)
    if not len(collection):
        raise ValueError("There are 0 images. Give at least one.")
    device = device_of(module)
    size = images_at_a_time(batch_size, device)
    # On a CPU the network needs the cores; see the recording of activations.
    workers = (os.cpu_count() or 1) // CORES_PER_DECODER if device.type == "cpu" else None

    source = open_source(collection, module, preprocess, size, workers)

    def compute(parts: Parts, keep: Keep) -> None:
        with evaluating(module), progress_bar("encoding images", parts.n_rows, show=show_progress) as advance:
            for batch in source.batches(parts):
                keep({EMBEDDINGS: embed(batch.to(device)).cpu()})
                advance(len(batch))

    if store is None:
        rows = gather(len(collection), compute)
    else:
        key = _key("images", module, embed, source.content, len(collection), size, name)
        rows = store.fill(key, [EMBEDDINGS], compute, what=f"images embedded by {name}")
    return unit_length(rows[EMBEDDINGS], lambda row: f"the image '{collection.name(row)}'", name)


def embed_texts(
    texts: Sequence[str],
    module: nn.Module,
    tokenise: Callable[[Sequence[str]], Mapping[str, Tensor]],
    embed: Callable[..., Tensor],
    *,
    name: str,
    batch_size: int | None,
    show_progress: bool,
    store: Store | None = None,
) -> Float[Tensor, "texts dims"]:
    """Do an adapter's ``encode_texts``, as ``embed_images`` does the other.

    Parameters
    ----------
    texts
        At least one.
    module, name, batch_size, show_progress, store
        As in ``embed_images``.
    tokenise
        Maps some texts to what the network reads, by the names of ``embed``'s arguments. Does all texts before the
        first is embedded, so that one it refuses is known at once.
    embed
        Maps that to rows of any length.

    Raises
    ------
    ValueError
        There is no text; the embedding of one is not finite or zero.
    """
    texts = check_texts(texts)
    device = device_of(module)
    size = images_at_a_time(batch_size, device)
    batches = [tokenise(texts[start : start + size]) for start in range(0, len(texts), size)]

    def compute(parts: Parts, keep: Keep) -> None:
        with evaluating(module), progress_bar("encoding texts", parts.n_rows, "texts", show=show_progress) as advance:
            for rows in parts.batches(size):
                tokens = {key: tensor.to(device) for key, tensor in batches[rows.start // size].items()}
                found = embed(**tokens).cpu()
                keep({EMBEDDINGS: found})
                advance(len(found))

    if store is None:
        rows = gather(len(texts), compute)
    else:
        # By their tokens the words count, and so do templates and tokenizer.
        tokens = {"tokens": content_of([dict(batch) for batch in batches], "tokens")}
        key = _key("texts", module, embed, lambda: tokens, len(texts), size, name)
        rows = store.fill(key, [EMBEDDINGS], compute, what=f"texts embedded by {name}", unit="texts")
    return unit_length(rows[EMBEDDINGS], lambda row: f"the text '{texts[row]}'", name)


def _key(
    of: str,
    module: nn.Module,
    embed: Callable[..., Tensor],
    content: Callable[[], Mapping[str, Any]],
    n_rows: int,
    size: int,
    name: str,
) -> Key:
    own = {"of": of, "embed": getattr(embed, "__qualname__", type(embed).__qualname__)}
    return network_key(EMBEDDINGS, module, own, [of], content, n_rows, size, device_of(module), name=name)


def unit_length(
    rows: Float[Tensor, "rows dims"], row_name: Callable[[int], str], encoder: str
) -> Float[Tensor, "rows dims"]:
    """Scale every row to length 1, in float32; computed in float64, so that doing it twice changes nothing.

    Raises
    ------
    ValueError
        A row is zero or not finite, so that it has no direction; the message says what ``row_name`` calls it.
    """
    rows = rows.double()
    length = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    wrong = torch.nonzero(~(length[:, 0].isfinite() & (length[:, 0] > 0)))
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(
            f"'{encoder}' gives {row_name(row)} an embedding of length {float(length[row]):g}, which has no direction. "
            f"Check the encoder's weights, or leave {row_name(row)} out."
        )
    return (rows / length).float()


def check_texts(texts: Sequence[str]) -> list[str]:
    """Return the texts as a list.

    Raises
    ------
    ValueError
        It is one text and no list, or has none.
    """
    if isinstance(texts, str) or not len(texts):
        raise ValueError(f"The texts are {texts!r}. Give a list of at least one word or phrase.")
    return list(texts)


def check_lengths(texts: Sequence[str], lengths: Sequence[int], most: int, encoder: str) -> None:
    """Refuse a text the encoder would cut: what was cut off would be missing from the explanation's meaning.

    Raises
    ------
    ValueError
        A text has more than ``most`` tokens; the message names the first.
    """
    for text, length in zip(texts, lengths, strict=True):
        if length > most:
            raise ValueError(
                f"The text '{text}' has {length} tokens, and '{encoder}' reads at most {most}. Shorten it."
            )


def check_batch_size(batch_size: int | None) -> None:
    """Raise ``ValueError`` unless ``batch_size`` is ``None`` or at least 1."""
    check_at_least("batch_size", 1 if batch_size is None else batch_size, 1)


def images_at_a_time(batch_size: int | None, device: torch.device) -> int:
    """Return ``batch_size``, or where it is ``None`` what suits the device."""
    return batch_size or (BATCH_SIZE_CPU if device.type == "cpu" else BATCH_SIZE_CUDA)


def device_of(module: nn.Module) -> torch.device:
    """Return where a module's parameters are."""
    return next(module.parameters()).device


def place(
    module: nn.Module,
    preprocess: Callable[[Image.Image], Tensor],
    device: str | torch.device | None,
    *,
    name: str,
) -> nn.Module:
    """Return a network just loaded, ready for use: float32, in eval mode, on the device.

    Raises
    ------
    ValueError
        This torch cannot use the device.
    """
    # Published weights may be in half precision, which inputs in float32 cannot enter.
    return move_to(VisionModel(name, module.float().eval(), preprocess), device).module
