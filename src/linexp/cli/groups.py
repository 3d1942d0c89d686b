"""Options that belong together: written once, and opened here."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from linexp.cli.options import flag, option, told

if TYPE_CHECKING:
    from linexp.concepts import Half
    from linexp.concepts.encoders import Encoder
    from linexp.forward.engines import Engine
    from linexp.forward.units import Unit
    from linexp.images import ImageFolder, Images
    from linexp.matrix import Split
    from linexp.models import VisionModel
    from linexp.store import Store


StoreFolder = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="DIR",
        help="Where recorded activations and embeddings are kept; what was interrupted goes on there.",
        show_default="the user's cache",
    ),
]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run Python code that comes with an hf: model. Read it first.")
]


@dataclass(frozen=True, kw_only=True)
class Running:
    """Where models run."""

    device: str = option(
        "auto", "NAME", "Where the models run: cpu, cuda, cuda:1, mps, …; auto: cuda, else mps, else cpu."
    )
    batch_size: int | None = option(None, "N", "Images at a time.", "8 on cpu, 64 on cuda")
    engine: str = option(
        "auto",
        "NAME",
        "How networks are run: torch, onnxruntime, compile, or eager (as they are). auto: onnxruntime for 512 pictures "
        "and more on a cpu, if it is installed and gives the same; else torch.",
    )
    precision: str = option(
        "float32",
        "NAME",
        "What the networks compute in: float32, or bfloat16 or float16, which differ by what is then said.",
    )
    verbose: bool = flag("--verbose", "Say why an engine is not used.")
    trust_remote_code: TrustRemoteCode = False

    def __post_init__(self) -> None:
        from linexp.cli.told import tell_engines

        tell_engines(verbose=self.verbose)

    def settings(self, n_images: int) -> dict[str, Any]:
        """Return what a result says of them, with the engine that ran its networks."""
        import torch

        from linexp.forward.engines import choose_engine

        used = choose_engine(self.runs, n_images, torch.device(self.device)).told
        # What is explained again is run in the same way, also where ONNX Runtime is installed by then.
        engine = "torch" if (self.engine, used) == ("auto", "torch") else self.engine
        plain = {name: value for name, value in vars(self).items() if name != "verbose"}
        return {**plain, "engine": engine, "engine_used": used}

    def check(self) -> None:
        """Check what needs no model."""
        from linexp._internal.checks import check_at_least
        from linexp.forward.engines import find_engine

        check_at_least("batch_size", 1 if self.batch_size is None else self.batch_size, 1)
        find_engine(self.runs)

    @property
    def runs(self) -> Engine | str:
        """The engine, in a lower precision where one is asked for."""
        from linexp.forward.engines import with_precision

        return with_precision(self.engine, self.precision)

    def network(self, name: str, weights: str | Path | None, preprocess: str | None) -> VisionModel:
        """Load a network."""
        from linexp.models import load_model

        remote = self.trust_remote_code
        return load_model(name, weights=weights, device=self.device, trust_remote_code=remote, preprocess=preprocess)

    def encoder(self, name: str) -> Encoder:
        """Load an encoder of images and texts."""
        from linexp.concepts.encoders import load_encoder

        return load_encoder(
            name,
            device=self.device,
            batch_size=self.batch_size,
            trust_remote_code=self.trust_remote_code,
            engine=self.runs,
        )

    def fit(self, name: str, images: Images, split: Split, store: Store | None, half: Half = "first") -> Encoder:
        """Fit an encoder on half of the training images; the judge's is the second."""
        from linexp.concepts import fit_on_train
        from linexp.store import with_store

        running: dict[str, Any] = {"device": self.device, "batch_size": self.batch_size, "engine": self.runs}
        made = with_store(store, lambda store: fit_on_train(images, split, name, half=half, store=store, **running))
        print(made.told())
        return made


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """Where long work is kept."""

    store: StoreFolder = None
    no_store: bool = flag("--no-store", "Keep nothing, and use nothing that was kept.")

    def folder(self) -> Path | None:
        """Return the store's folder; where the user's cache cannot be written, it is done without, with a warning."""
        if self.no_store or self.store is not None:
            if self.no_store and self.store is not None:
                raise ValueError(f"--no-store and --store '{self.store}' contradict each other. Leave one out.")
            return self.store
        from linexp._internal.files import check_writable_folder
        from linexp.store import default_folder

        try:
            return check_writable_folder(default_folder())
        except OSError as error:
            warnings.warn(f"Nothing is stored: {error} Name one with --store.", UserWarning, stacklevel=2)
            return None


@dataclass(frozen=True, kw_only=True)
class Network:
    """The network whose neurons it is about."""

    model: str = option(
        ...,
        "NAME",
        "efficientnet_lite0, hf:NAME, torchvision:NAME or torchvision:NAME:WEIGHTS (the paper's: "
        "torchvision:resnet50:IMAGENET1K_V1), timm:NAME, or package.module:function for your own "
        "(a function without arguments that returns the pair module, transform).",
    )
    weights: Path | None = option(None, "FILE", "Weights on this machine: .safetensors or a state dict.")
    preprocess: str | None = option(
        None,
        "NAME",
        "How pictures become inputs: unit (scaled to [0, 1] and nothing else), or package.module:function, which "
        "makes a tensor of a picture.",
        "what comes with the model",
    )

    def open(self, running: Running) -> VisionModel:
        """Load it."""
        return running.network(self.model, self.weights, self.preprocess)


@dataclass(frozen=True, kw_only=True)
class Units:
    """What of a layer's output is a neuron."""

    units: str = option(
        "channels",
        "WHAT",
        "What a neuron is: channels; random or random:SEED, a random rotation of them; directions:FILE, a matrix "
        "(linexp units pca makes one); or sae:FILE, the latents of a sparse autoencoder (linexp units fit, SAELens, "
        "sparsify, ViT-Prisma, saev, overcomplete, dictionary_learning).",
    )
    pool: str = option("mean", "HOW", "From a feature map to one number per neuron: mean, max, token or none.")
    channels: str = option(
        "auto",
        "WHERE",
        "Where feature maps have their channels: first or last; auto: first, but what looks like last is refused.",
    )
    token: int = option(0, "N", "Which token --pool token takes; 0 is the class token.")
    output: str | None = option(
        None, "NAME", "Which tensor to take where a layer returns several: its name or place.", "the first"
    )

    def open(self) -> Unit:
        """Return it as forward passes take it."""
        from linexp.forward.units import units_of

        return units_of(self.units, cast(Any, self.pool), cast(Any, self.channels), self.token, self.output)


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Pictures in sub-folders, and what these are called."""

    images: Path = option(..., "DIR", "Folder of pictures, one sub-folder per class.")
    class_names: str | None = option(
        None,
        "FILE",
        "What sub-folders are called: lines of sub-folder, tab, name; or, if they are wnids, imagenet (WordNet's "
        "words) or imagenet-paper (the paper's, which open_clip brings).",
        "theirs",
    )
    groups: str | None = option(
        None,
        "FILE",
        'Groups of classes in JSON: {"animal": ["cat", "dog"]}; or wordnet, if they are ImageNet\'s.',
        "none",
    )
    merge_homonyms: bool = flag(
        "--merge-homonyms",
        "With --groups wordnet: all meanings of a word are one group, as in the paper's released code.",
    )

    def open(self) -> ImageFolder:
        """Open the pictures."""
        from linexp.concepts.vocabulary import open_pictures

        return open_pictures(self.images, self.class_names)

    def open_groups(self, images: ImageFolder) -> Mapping[str, Any] | None:
        """Read the groups."""
        from linexp.concepts.vocabulary import open_groups

        return open_groups(self.groups, images, merge_homonyms=self.merge_homonyms)


CalibrationName = Annotated[
    str | None,
    told(
        "FILE",
        "Calibration of the encoder, from linexp calibrate; or the name under which linexp knows the same weights.",
        "comes with linexp",
    ),
]
Template = Annotated[
    list[str] | None,
    told("TEXT", 'What the encoder is told for a concept, such as "a photo of a {}"; repeated: averaged.', "{}"),
]
