"""open_clip's models: by architecture and weights, from its hub, or from a folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from linexp._internal.checks import closest, listing
from linexp.concepts.encoders.base import check_batch_size, check_lengths, place
from linexp.concepts.encoders.towers import TwoTowers
from linexp.forward.engines import Engine, find_engine
from linexp.models import needs, read_weights, tensors_only

_CONFIG = "open_clip_config.json"
_HUB = "hf-hub:"
_LOOK = ("mean", "std", "interpolation", "resize_mode")


@dataclass(frozen=True, eq=False)
class OpenClipEncoder(TwoTowers):
    """A model of open_clip as an ``Encoder``; ``load_open_clip`` makes one."""

    def _towers(self) -> tuple[Callable[[Tensor], Tensor], Callable[..., Tensor]]:
        return self.model.encode_image, self.model.encode_text

    def _tokenise(self, texts: Sequence[str]) -> dict[str, Tensor]:
        lengths = [_n_tokens(self.tokenizer, text) for text in texts]
        check_lengths(texts, lengths, self.tokenizer.context_length, self.name)
        return {"text": self.tokenizer(list(texts))}


def load_open_clip(
    model: str | Path,
    pretrained: str | Path | None = None,
    *,
    device: str | torch.device | None = "auto",
    batch_size: int | None = None,
    engine: Engine | str = "auto",
) -> OpenClipEncoder:
    """Load any image-text model of open_clip. Files of weights are read as tensors only, never unpickled.

    Parameters
    ----------
    model
        The name of an architecture, such as "ViT-L-16-SigLIP-384"; a folder with open_clip_config.json, weights
        and, unless open_clip brings it, the tokenizer; or "hf-hub:owner/name".
    pretrained
        For an architecture, the tag of its weights, such as "webli", or a local file of them; otherwise ``None``.
        A file does not say which activation function it was trained with: for OpenAI's, name an architecture that
        ends in "-quickgelu". Pictures are prepared for a file as for the architecture's tags.
    device, batch_size, engine
        As in ``load_encoder``.

    Raises
    ------
    ImportError
        open_clip is missing or does not work beside this torch.
    ValueError
        There is no such architecture or tag, ``pretrained`` is missing or too many, or the weights are of another
        architecture; the device cannot be used.
    OSError
        The folder or file does not exist, or the hub cannot be reached.
    """
    check_batch_size(batch_size)
    find_engine(engine)
    open_clip = _open_clip()
    asked = ",".join(str(part) for part in (model, pretrained) if part is not None)
    source, weights = _source(open_clip, model, pretrained)
    corrections = _corrections(open_clip, source, weights)
    with _told_where(asked), tensors_only():
        module, preprocess = open_clip.create_model_from_pretrained(source, weights, weights_only=True, **corrections)
        tokenizer = open_clip.get_tokenizer(source)
    return OpenClipEncoder(f"open_clip:{asked}", place(module, device), preprocess, tokenizer, batch_size, engine)


def imagenet_names() -> tuple[str, ...]:
    """Return what open_clip calls ImageNet's 1,000 classes, in class order; the paper calls them the same."""
    return tuple(_open_clip("the paper's names of ImageNet's classes").IMAGENET_CLASSNAMES)


def _open_clip(what: str = "this model") -> Any:
    with needs("open_clip_torch", "open-clip", what):
        import open_clip
    return open_clip


def _source(open_clip: Any, model: str | Path, pretrained: str | Path | None) -> tuple[str, str | None]:
    """Return what open_clip calls the model and its weights, once it is sure that both are known."""
    folder = Path(str(model).removeprefix("local-dir:")).expanduser()
    if str(model).startswith(_HUB) or folder.is_dir() or str(model) != folder.name:
        if pretrained is not None:
            raise ValueError(
                f"'{model}' brings its own weights, but pretrained is '{pretrained}'. Leave pretrained out, or give "
                "the name of an architecture."
            )
        return (str(model) if str(model).startswith(_HUB) else _folder(folder)), None
    known = open_clip.list_models()
    if model not in known:
        raise ValueError(
            f"open_clip has no architecture '{model}'.{closest(str(model), known)} All {len(known)} are in "
            "open_clip.list_models()."
        )
    return str(model), _weights(open_clip, str(model), pretrained)


def _folder(folder: Path) -> str:
    if not (folder / _CONFIG).is_file():
        raise FileNotFoundError(
            f"There is no file '{folder / _CONFIG}'. Pass a folder written for open_clip, with its weights beside it."
        )
    for file in [*folder.glob("*.bin"), *folder.glob("*.pth")]:
        read_weights(file)
    return f"local-dir:{folder.absolute()}"


def _weights(open_clip: Any, model: str, pretrained: str | Path | None) -> str:
    tags = open_clip.list_pretrained_tags_by_model(model)
    known = f"Its tags are {listing(tags)}." if tags else "It has no tags: pass a local file."
    if pretrained is None:
        raise ValueError(f"Nothing says which weights '{model}' gets. Pass pretrained, a tag or a file. {known}")
    file = Path(pretrained).expanduser()
    if file.is_file():
        if file.suffix != ".npz":  # which numpy reads without unpickling
            read_weights(file)  # open_clip's reader has a way back to pickle in torch before 2.6
        return str(file.absolute())  # not a bare name, which might also be a tag
    if file.is_dir():
        raise ValueError(f"The weights '{file}' are a folder. Pass a folder as model, without pretrained.")
    if str(pretrained) not in tags:
        raise ValueError(
            f"'{pretrained}' is neither a file nor a tag of '{model}'.{closest(str(pretrained), tags)} {known}"
        )
    return str(pretrained)


def _corrections(open_clip: Any, model: str, weights: str | None) -> dict[str, Any]:
    """Say what open_clip would get wrong about the weights: for a local file, how pictures enter the model."""
    tags = open_clip.list_pretrained_tags_by_model(model)
    if weights in tags:
        # By default it only warns that these weights were trained with another activation function.
        is_quick = open_clip.get_pretrained_cfg(model, weights).get("quick_gelu", False)
        return {"force_quick_gelu": True} if is_quick else {}
    if weights is None or not tags:
        return {}
    known = [open_clip.get_pretrained_cfg(model, tag) for tag in tags]
    looks = [{f"image_{key}": one[key] for key in _LOOK if key in one} for one in known]
    if any(look != looks[0] for look in looks):
        raise ValueError(
            f"The weights of '{model}' do not all take the same preprocessing, and the file '{weights}' does not say "
            f"which it takes. Pass a folder with {_CONFIG}, or a tag: {listing(tags)}."
        )
    return looks[0]


def _n_tokens(tokenizer: Any, text: str) -> int:
    """Count a text's tokens before anything is cut off; open_clip's tokenizers only return what is left."""
    if hasattr(tokenizer, "encode"):  # its own: adds a start and an end
        return len(tokenizer.encode(text)) + 2
    clean = getattr(tokenizer, "clean_fn", str)
    return len(tokenizer.tokenizer(clean(text), truncation=False, verbose=False)["input_ids"])


@contextmanager
def _told_where(asked: str) -> Generator[None, None, None]:
    """Put what was asked for, and what to do, into open_clip's errors; silence its remarks meanwhile."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    # Weights of another architecture fail in any of these ways.
    except (OSError, ValueError, RuntimeError, AssertionError, LookupError, AttributeError, TypeError) as error:
        reason = " ".join(str(error).split())[:200].rstrip(".: ")
        kind = OSError if isinstance(error, OSError) or "download" in reason else ValueError
        raise kind(
            f"open_clip's '{asked}' could not be loaded ({reason}). Check the names and the connection, or pass a "
            "local file of weights as pretrained, or a folder with its tokenizer as model."
        ) from error
    finally:
        logging.disable(before)
