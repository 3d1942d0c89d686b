"""What an image-text encoder is, and what is checked of texts and embeddings whatever makes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from linexp._internal.checks import check_at_least
from linexp.models import move_to
from linexp.store import Store


@runtime_checkable
class Encoder(Protocol):
    """Embeds images and texts in one space, where the cosine says how well they fit; any class like this is one.

    Where its two methods also take ``store=``, they are handed the `Store` in which the user wants embeddings kept, if
    any.
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
        """Return one row of unit length for each text, in their order: float32, on the CPU.

        Parameters
        ----------
        texts
            At least one.
        """
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


def unit_length(
    rows: Float[Tensor, "rows dims"], row_name: Callable[[int], str], encoder: str
) -> Float[Tensor, "rows dims"]:
    """Scale every row to length 1, in float32; computed in float64, so that doing it twice changes nothing.

    Raises ``ValueError`` for a row of zeros or one that is not finite, in the words of ``row_name``.
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
    """Return the texts as a list, once it is one and has any."""
    if isinstance(texts, str) or not len(texts):
        raise ValueError(f"The texts are {texts!r}. Give a list of at least one word or phrase.")
    return list(texts)


def check_lengths(texts: Sequence[str], lengths: Sequence[int], most: int, encoder: str) -> None:
    """Refuse a text the encoder would cut: what was cut off would be missing from the explanation's meaning."""
    for text, length in zip(texts, lengths, strict=True):
        if length > most:
            raise ValueError(
                f"The text '{text}' has {length} tokens, and '{encoder}' reads at most {most}. Shorten it."
            )


def check_batch_size(batch_size: int | None) -> None:
    """Raise ``ValueError`` unless ``batch_size`` is ``None`` or at least 1."""
    check_at_least("batch_size", 1 if batch_size is None else batch_size, 1)


def place(module: nn.Module, device: str | torch.device | None) -> nn.Module:
    """Return a network just loaded, ready for use: float32, in eval mode, on the device."""
    # Published weights may be in half precision, which inputs in float32 cannot enter.
    return move_to(module.float().eval(), device)
