"""SigLIP, SigLIP 2 of a fixed resolution, and CLIP, through transformers: from its hub or a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from linexp._internal.checks import listing
from linexp.concepts.encoders.base import check_batch_size, check_lengths, place
from linexp.concepts.encoders.towers import TwoTowers
from linexp.forward.engines import Engine, find_engine
from linexp.models import ProcessorTransform
from linexp.models import huggingface as models

PAPER_ENCODERS = {
    "explainer": "google/siglip-large-patch16-384",
    "simulator": "google/siglip-so400m-patch14-384",
    "alternative": "openai/clip-vit-large-patch14-336",
}
"""The encoders of the paper: what finds concepts, what judges them, and what it compares with."""


_KINDS = ("siglip", "clip")  # SigLIP 2 of a fixed resolution is saved as the former
_TOKENIZER_FILES = ("tokenizer.json", "spiece.model", "vocab.json", "tokenizer.model")


@dataclass(frozen=True, eq=False)
class HuggingFaceEncoder(TwoTowers):
    """A ``SiglipModel`` or ``CLIPModel`` of transformers as an ``Encoder``; ``load_huggingface`` makes one."""

    def _towers(self) -> tuple[Callable[[Tensor], Tensor], Callable[..., Tensor]]:
        return self._embed_pixels, self._embed_tokens

    # transformers 4 returns the embeddings alone, 5 in an object.

    def _embed_pixels(self, pixels: Tensor) -> Tensor:
        output = self.model.get_image_features(pixel_values=pixels)
        return output if isinstance(output, Tensor) else output.pooler_output

    def _embed_tokens(self, **tokens: Tensor) -> Tensor:
        output = self.model.get_text_features(**tokens)
        return output if isinstance(output, Tensor) else output.pooler_output

    def _tokenise(self, texts: Sequence[str]) -> dict[str, Tensor]:
        most = int(self.model.config.text_config.max_position_embeddings)
        is_siglip = self.model.config.model_type == "siglip"
        # SigLIP was trained on lower case, padded behind the text to the full length, and reads the padding too: it
        # must get no attention mask. SigLIP 2's tokenizer keeps capitals and pads in front if it is left alone.
        padding = {"padding": "max_length", "max_length": most} if is_siglip else {"padding": "longest"}
        tokens = self.tokenizer(
            [text.lower() for text in texts] if is_siglip else list(texts),
            truncation=False,
            padding_side="right",
            return_attention_mask=True,
            **padding,
        )
        check_lengths(texts, [sum(mask) for mask in tokens["attention_mask"]], most, self.name)
        wanted = ("input_ids",) if is_siglip else ("input_ids", "attention_mask")
        return {key: torch.tensor(tokens[key]) for key in wanted}


def load_huggingface(
    name_or_folder: str | Path,
    *,
    device: str | torch.device | None = "auto",
    batch_size: int | None = None,
    trust_remote_code: bool = False,
    engine: Engine | str = "auto",
) -> HuggingFaceEncoder:
    """Load SigLIP, SigLIP 2 of a fixed resolution, or CLIP.

    Parameters
    ----------
    name_or_folder
        A name on the Hugging Face hub, or a folder written by ``save_pretrained`` of model, image processor and
        tokenizer; "hf:" may stand before either.
    device, batch_size, trust_remote_code, engine
        As in ``load_encoder``.

    Raises
    ------
    OSError
        The folder lacks a file, or the hub cannot be reached.
    ValueError
        It is a model of another kind, or one without all its weights; the device cannot be used.
    ImportError
        The tokenizer needs packages that are missing.
    """
    check_batch_size(batch_size)
    find_engine(engine)
    name = str(name_or_folder).removeprefix("hf:")
    import transformers

    with models.quiet(transformers):
        config = _config(transformers, name, trust_remote_code)
        source = models.find_source(name)
        tokenizer = _tokenizer(transformers, name, source, trust_remote_code)
        with models.telling_where(name):
            processor = models.load_processor(transformers, source, trust_remote_code)
            model, found = transformers.AutoModel.from_pretrained(
                source, config=config, output_loading_info=True, trust_remote_code=trust_remote_code
            )
    if missing := sorted(str(key) for key in found["missing_keys"]):
        raise ValueError(
            f"{len(missing)} of the {len(model.state_dict())} weights of 'hf:{name}' are not in its checkpoint "
            f"({listing(missing, most=4)}). Pass a checkpoint of a {type(model).__name__} with both towers."
        )
    transform = ProcessorTransform(processor)
    return HuggingFaceEncoder(f"hf:{name}", place(model, device), transform, tokenizer, batch_size, engine)


def _config(transformers: Any, name: str, trust_remote_code: bool) -> Any:
    """Read what the model is, and refuse another kind before anything else can be missing."""
    folder = Path(name).expanduser()
    # Without this file the folder is no model at all, which find_source says.
    source = str(folder) if (folder / "config.json").is_file() else models.find_source(name)
    with models.telling_where(name):
        config = transformers.AutoConfig.from_pretrained(source, trust_remote_code=trust_remote_code)
    if config.model_type not in _KINDS:
        raise ValueError(
            f"'hf:{name}' is a model of the type '{config.model_type}', which does not embed pictures of a fixed size "
            f"and texts in one space. Choose a SigLIP, SigLIP 2 or CLIP model (of the type {' or '.join(_KINDS)}), "
            f"such as '{PAPER_ENCODERS['explainer']}'."
        )
    return config


def _tokenizer(transformers: Any, name: str, source: str, trust_remote_code: bool) -> Any:
    if Path(source).is_dir() and not any((Path(source) / file).is_file() for file in _TOKENIZER_FILES):
        raise FileNotFoundError(
            f"The folder '{source}' has no tokenizer ({' or '.join(_TOKENIZER_FILES)}), which says how texts enter "
            f"the model. Write it with AutoTokenizer.from_pretrained(...).save_pretrained('{source}')."
        )
    try:
        with models.telling_where(name):
            return transformers.AutoTokenizer.from_pretrained(source, trust_remote_code=trust_remote_code)
    except ImportError as error:
        raise ImportError(
            f"The tokenizer of 'hf:{name}' needs packages that cannot be imported. "
            "Install them: pip install sentencepiece protobuf."
        ) from error
