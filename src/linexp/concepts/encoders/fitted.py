"""An encoder of one's own: from any network's features to the embedding of what the pictures are called (DeViSE)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors
from torch import Tensor

from linexp._internal.checks import StoreMismatchError
from linexp._internal.files import check_writable_folder, write_atomically
from linexp.concepts.calibration import Calibration
from linexp.concepts.encoders.base import check_batch_size, unit_length
from linexp.concepts.encoders.minilm import NAME, MiniLM, load_minilm
from linexp.forward import record
from linexp.forward.engines import Engine, find_engine
from linexp.images import Images, as_images
from linexp.models import load_model
from linexp.store import Store

_VERSION = 1
_JSON, _WEIGHTS = "encoder.json", "weights.safetensors"


@dataclass(frozen=True, eq=False)
class FittedEncoder:
    """An ``Encoder`` made of a network's features and a linear map into the space of sentences.

    A text's embedding is MiniLM's; an image's is the map of its features, scaled to unit length. ``fit_text_encoder``
    makes one, ``save`` and ``load`` keep it.

    Parameters
    ----------
    network, layer
        A name for ``load_model``, and which of its layers gives the features (means over positions).
    weights
        float32 [features, dims].
    feature_means, text_mean
        What is taken off the features before, and added after.
    calibration
        Turns cosines into probabilities; fitted on predictions for images that were left out.
    source
        What it was fitted on, in words.
    r2
        Share of the variance of the texts' embeddings predicted for images left out.
    penalty
        Of the ridge regression.
    fitted_on
        Fingerprint of the collection it was fitted on.
    n_images
        How many of its images were looked at.
    device, batch_size, engine
        Where the network runs, images at a time, and how it is run; as in ``load_encoder``.

    References
    ----------
    Frome et al., DeViSE: A Deep Visual-Semantic Embedding Model, NeurIPS 2013 (there with a ranking loss).
    """

    network: str
    layer: str
    weights: Float[Tensor, "features dims"]
    feature_means: Float[Tensor, " features"]
    text_mean: Float[Tensor, " dims"]
    calibration: Calibration
    source: str = ""
    r2: float = 0.0
    penalty: float = 0.0
    fitted_on: str = ""
    n_images: int = 0
    device: str | torch.device | None = "auto"
    batch_size: int | None = None
    engine: Engine | str = "auto"

    @property
    def name(self) -> str:
        """The network, the layer and the digest of the map."""
        return name_of(self.network, self.layer, self._digest)

    def encode_images(
        self, images: Any, *, show_progress: bool = True, store: Store | None = None
    ) -> Float[Tensor, "images dims"]:
        """Return one row of unit length for each image; see ``Encoder``.

        Raises
        ------
        ValueError
            There is no image; the network's layer has not as many neurons as the map has features.
        OSError
            A picture cannot be read, or the store not be used.
        """
        collection = as_images(images)
        running: dict[str, Any] = {"device": self.device, "batch_size": self.batch_size, "engine": self.engine}
        features = features_of(
            collection, self.network, self.layer, store=store, show_progress=show_progress, **running
        )
        if features.shape[1] != len(self.weights):
            raise ValueError(
                f"The layer '{self.layer}' of '{self.network}' has {features.shape[1]:,} neurons and the encoder was "
                f"fitted on {len(self.weights):,}. Use it with the network it was fitted on."
            )
        # In float64 and block by block: a row's embedding is its own, whatever lies beside it.
        rows = [
            (block.double() - self.feature_means.double()) @ self.weights.double() + self.text_mean.double()
            for block in features.split(4096)
        ]
        return unit_length(torch.cat(rows), lambda row: f"the image '{collection.name(row)}'", self.name)

    def encode_texts(self, texts: Sequence[str], *, show_progress: bool = True) -> Float[Tensor, "texts dims"]:
        """Return one row of unit length for each text; see ``Encoder``."""
        return self._minilm.encode_texts(texts, show_progress=show_progress)

    def told(self) -> str:
        """Say in a line what it is and how much of the words it predicts for images left out."""
        few = "" if len(self.weights) < self.n_images else "; more images would make it better"
        return (
            f"{self.name}: {self.n_images:,} images, {len(self.weights):,} features{few}; {self.r2:.1%} of the "
            "variance of what they are called is predicted for images left out"
        )

    def save(self, folder: str | Path) -> Path:
        """Write the encoder into a folder: what it is as JSON, the map as safetensors."""
        home = check_writable_folder(Path(folder))
        facts = {
            "linexp_encoder": _VERSION,
            "network": self.network,
            "layer": self.layer,
            "texts": NAME,
            "source": self.source,
            "fitted_on": self.fitted_on,
            "n_images": self.n_images,
            "r2": self.r2,
            "penalty": self.penalty,
            "sha256": self._digest,
            "calibration": vars(self.calibration),
        }
        write_atomically(home / _WEIGHTS, write_tensors(self._tensors()))
        write_atomically(home / _JSON, (json.dumps(facts, indent=2, ensure_ascii=False) + "\n").encode())
        return home

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        device: str | torch.device | None = "auto",
        batch_size: int | None = None,
        engine: Engine | str = "auto",
    ) -> FittedEncoder:
        """Read what ``save`` wrote.

        Raises
        ------
        FileNotFoundError
            A file is missing.
        ValueError
            It is no encoder, or of a later version.
        StoreMismatchError
            The map is not the one that the JSON file tells of.
        """
        check_batch_size(batch_size)
        find_engine(engine)
        facts = _read_facts(Path(folder) / _JSON)
        tensors = read_tensors((Path(folder) / _WEIGHTS).read_bytes())
        made = cls(
            network=facts["network"],
            layer=facts["layer"],
            weights=tensors["weights"],
            feature_means=tensors["feature_means"],
            text_mean=tensors["text_mean"],
            calibration=Calibration(**facts["calibration"]),
            source=facts["source"],
            r2=facts["r2"],
            penalty=facts["penalty"],
            fitted_on=facts["fitted_on"],
            n_images=facts["n_images"],
            device=device,
            batch_size=batch_size,
            engine=engine,
        )
        if made._digest != facts["sha256"]:
            raise StoreMismatchError(
                f"'{Path(folder) / _WEIGHTS}' is not the map that '{_JSON}' beside it tells of. Fit the encoder again."
            )
        return made

    def _tensors(self) -> dict[str, Tensor]:
        return {"weights": self.weights, "feature_means": self.feature_means, "text_mean": self.text_mean}

    @cached_property
    def _digest(self) -> str:
        return digest_of(self._tensors())

    @cached_property
    def _minilm(self) -> MiniLM:
        return load_minilm()


def is_fitted_encoder(name: str) -> bool:
    """Tell whether this is the folder of an encoder that ``FittedEncoder.save`` wrote."""
    return (Path(name).expanduser() / _JSON).is_file()


def name_of(network: str, layer: str, digest: str) -> str:
    """Return what a fitted encoder is called: another map, another name."""
    return f"fitted:{network}:{layer}+{NAME},{digest[:8]}"


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of the map's bytes."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


def features_of(
    images: Images,
    network: str,
    layer: str,
    *,
    device: str | torch.device | None,
    batch_size: int | None,
    engine: Engine | str,
    store: Store | None,
    show_progress: bool,
) -> Float[Tensor, "images features"]:
    """Run a network over images and return one layer's means over positions."""
    model = load_model(network, device=device)
    options: dict[str, Any] = {"batch_size": batch_size, "engine": engine, "show_progress": show_progress}
    return record(model, layer, images, store=store, **options).values


def _read_facts(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file '{path}'. Give the folder of an encoder that linexp encoder wrote.")
    try:
        facts = json.loads(path.read_bytes())
        version = facts["linexp_encoder"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"'{path}' is no encoder of linexp ({error!r}). Fit it again.") from error
    if version != _VERSION:
        raise ValueError(f"'{path}' is an encoder of version {version} and this linexp reads {_VERSION}. Fit it again.")
    return facts
