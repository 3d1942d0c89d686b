"""transformers' image models: ``hf:NAME`` on the Hugging Face hub, or ``hf:FOLDER`` on this machine."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from linexp._internal.checks import listing
from linexp.models.base import VisionModel
from linexp.models.weights import load_weights

_PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")


@dataclass(frozen=True)
class ProcessorTransform:
    """A transformers image processor as a function of one picture."""

    processor: Any

    def __call__(self, picture: Image.Image) -> Tensor:
        """Return the picture as the tensor [channels, height, width] the model expects."""
        return self.processor(images=picture, return_tensors="pt")["pixel_values"][0]


def load(name: str, weights: Path | None, *, trust_remote_code: bool = False) -> VisionModel:
    """Load an image classifier, a backbone, an encoder, or the vision tower of a model with two towers.

    ``name`` is one on the hub or a folder written by ``save_pretrained``; the ``weights`` of a file go into the
    architecture of the model's configuration.
    """
    source = find_source(name)
    import transformers

    with telling_where(name), quiet(transformers):
        family, config = _family(transformers, source, trust_remote_code)
        processor = load_processor(transformers, source, trust_remote_code)
        if weights is None:
            module, found = family.from_pretrained(source, config=config, output_loading_info=True)
        else:
            module, found = family.from_config(config), {}
    _check_reads_pictures(module, name)
    if weights is None:
        _check_loaded(module, [str(key) for key in sorted(found["missing_keys"])], name)
    else:
        load_weights(module, weights)
    # Published weights may be in half precision, which pictures in float32 cannot enter.
    return VisionModel(f"hf:{name}", module.float().eval(), ProcessorTransform(processor))


@dataclass(frozen=True)
class _Family:
    """A class of transformers that builds the module; asked the same way whether an Auto class or not."""

    kind: Any
    trust: dict[str, bool]

    def from_pretrained(self, source: str, **options: Any) -> Any:
        return self.kind.from_pretrained(source, **options, **self.trust)

    def from_config(self, config: Any) -> Any:
        return self.kind.from_config(config, **self.trust) if self.trust else self.kind(config)


def find_source(name: str) -> str:
    """Return the folder's path, its two configurations checked, or the name on the hub."""
    folder = Path(name).expanduser()
    if not folder.is_dir():
        if folder.is_absolute() or name.startswith((".", "~")):
            raise FileNotFoundError(
                f"There is no folder '{folder}'. Pass one written by model.save_pretrained(folder)."
            )
        return name
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(
            f"The folder '{folder}' has no config.json. Write it with model.save_pretrained('{folder}')."
        )
    if not any((folder / file).is_file() for file in _PROCESSOR_FILES):
        raise FileNotFoundError(
            f"The folder '{folder}' has no preprocessor_config.json, which says how pictures enter the model. "
            f"Write it with AutoImageProcessor.from_pretrained(...).save_pretrained('{folder}')."
        )
    return str(folder)


def _family(transformers: Any, source: str, trust_remote_code: bool) -> tuple[_Family, Any]:
    """Choose what to build by what was saved, and the part of the configuration that describes it."""
    config = transformers.AutoConfig.from_pretrained(source, trust_remote_code=trust_remote_code)
    saved = (getattr(config, "architectures", None) or [""])[0]
    trust = {"trust_remote_code": trust_remote_code}
    if saved.endswith("ForImageClassification"):
        return _Family(transformers.AutoModelForImageClassification, trust), config
    if saved.endswith("Backbone") and hasattr(transformers, saved):
        # Not AutoBackbone: it asks the hub about every name, also about a local folder.
        return _Family(getattr(transformers, saved), {}), config
    # CLIP, SigLIP and their like: the vision tower, so that a batch of pictures is the only input.
    return _Family(transformers.AutoModel, trust), getattr(config, "vision_config", None) or config


def load_processor(transformers: Any, source: str, trust_remote_code: bool) -> Any:
    """Return the image processor, the Pillow one, so that everybody gets the same numbers."""
    # Through PIL, whether torchvision is installed or not: its processors give slightly other numbers.
    is_old = int(transformers.__version__.split(".")[0]) < 5
    options: dict[str, Any] = {"use_fast": False} if is_old else {"backend": "pil"}
    return transformers.AutoImageProcessor.from_pretrained(source, trust_remote_code=trust_remote_code, **options)


def _check_reads_pictures(module: Any, name: str) -> None:
    first, *others = inspect.signature(module.forward).parameters.values()
    required = [one.name for one in others if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    if first.name != "pixel_values" or required:
        inputs = ", ".join([first.name, *required])
        raise ValueError(
            f"'hf:{name}' is a {type(module).__name__}, which reads {inputs} and not pictures alone. "
            "Choose an image model, or wrap it in a module of your own and pass 'package.module:function'."
        )


def _check_loaded(module: Any, missing: list[str], name: str) -> None:
    """Refuse a mostly untrained model; say so when a part of it, often an unused head, is untrained."""
    if not missing:
        return
    n_keys = len(module.state_dict())
    absent = listing(missing, most=4)
    fact = f"{len(missing)} of the {n_keys} weights of 'hf:{name}' are not in its checkpoint ({absent})"
    if len(missing) > n_keys / 2:
        raise ValueError(f"{fact}. Pass a checkpoint of a {type(module).__name__}.")
    warnings.warn(
        f"{fact} and were set at random. Do not explain neurons that depend on them.",
        UserWarning,
        stacklevel=2,
    )


@contextmanager
def quiet(transformers: Any) -> Generator[None, None, None]:
    """Silence transformers' log for a while: it reports a second tower's unused weights key by key."""
    logging = transformers.utils.logging
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


@contextmanager
def telling_where(name: str) -> Generator[None, None, None]:
    """Put what was asked for, and what to do, into transformers' errors."""
    try:
        yield
    except (OSError, ValueError) as error:
        if "trust_remote_code" in str(error):
            raise ValueError(
                f"'hf:{name}' brings Python code of its own, which has not been run. "
                "Read that code and, if you trust it, pass trust_remote_code=True."
            ) from error
        reason = str(error).strip().splitlines()[0].split(". ")[0].rstrip(".")
        kind = OSError if isinstance(error, OSError) else ValueError
        raise kind(
            f"'hf:{name}' could not be loaded ({reason}). Check the name and the connection, "
            "or pass a folder written by save_pretrained: 'hf:/path/to/folder'."
        ) from error
