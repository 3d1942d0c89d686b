"""ConSE: any ImageNet classifier and a sentence encoder make an image-text encoder that needs no training."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from linexp._internal.checks import check_within
from linexp.concepts.encoders.base import check_batch_size, unit_length
from linexp.concepts.encoders.minilm import NAME, MiniLM, load_minilm
from linexp.forward import first_tensor, record
from linexp.forward.engines import Engine, find_engine
from linexp.images import as_images
from linexp.models import VisionModel, load_model
from linexp.store import Store

_DEFAULT_N_CLASSES = 10  # the T of the reference's experiments
_DEFAULT_TEMPLATE = "{}"
# Chosen on training images (Tiny-ImageNet): flatter weights calibrate better and explain better; see docs.
_DEFAULT_TEMPERATURE = 2.0


@dataclass(frozen=True)
class ConSE:
    """An ``Encoder`` that puts an image where its most probable classes are in the space of sentences.

    A text's embedding is MiniLM's. An image's is the mean of those of its ``n_classes`` most probable class names,
    weighted with their probabilities and scaled to unit length. Both networks come as packages, so this works
    without a download; the first use loads them, and they stay loaded as long as the object lives.

    Parameters
    ----------
    classifier
        A name for ``load_model``, of a model that returns one logit for each class.
    n_classes
        Number of most probable classes averaged over (T in the reference), from 1 to all.
    temperature
        What the logits are divided by before they become probabilities; above 1 the less probable classes count for
        more than they do in the reference (which is 1).
    class_names
        What each output of the classifier means, in their order. Default: ImageNet's 1,000 classes, each with all its
        words and what it is a kind of ("beagle, hound").
    template
        What MiniLM is told for a class: "{}" is replaced by its words.
    device
        Where the classifier runs; MiniLM runs on the CPU. Default: CUDA, else MPS, else the CPU.
    batch_size
        Images at a time; does not change the result beyond rounding. ``None``: 8 on a CPU, 64 on a GPU.
    engine
        How the classifier is run; as in ``record``.

    Raises
    ------
    ValueError
        ``n_classes`` is below 1 or above the number of classes; ``temperature`` is not above 0; there are no class
        names; ``template`` has no "{}"; ``batch_size`` is below 1.

    References
    ----------
    Norouzi et al., Zero-Shot Learning by Convex Combination of Semantic Embeddings, ICLR 2014, Eq. 3 (in which the
    weights are divided by their sum).

    Examples
    --------
    >>> ConSE(n_classes=2, class_names=["cat", "dog", "car"], classifier="my_models:three_classes").name
    'conse:my_models:three_classes+minilm,n_classes=2,class_names=34a8f34f'
    """

    classifier: str = "efficientnet_lite2"
    n_classes: int = _DEFAULT_N_CLASSES
    temperature: float = _DEFAULT_TEMPERATURE
    class_names: Sequence[str] | None = None
    template: str = _DEFAULT_TEMPLATE
    device: str | torch.device | None = "auto"
    batch_size: int | None = None
    engine: Engine | str = "auto"

    def __post_init__(self) -> None:
        if isinstance(self.class_names, str) or (self.class_names is not None and not len(self.class_names)):
            raise ValueError(f"The class names are {self.class_names!r}. Give a list with one for each class.")
        if self.class_names is not None:  # a tuple, so that nobody changes it and equal encoders are equal
            object.__setattr__(self, "class_names", tuple(self.class_names))
        if "{}" not in self.template:
            raise ValueError(f"The template '{self.template}' has no '{{}}'. Put '{{}}' where the class name belongs.")
        check_within("n_classes", self.n_classes, 1, len(self._names))
        check_within("temperature", self.temperature, 1e-3, 1e3)
        check_batch_size(self.batch_size)
        find_engine(self.engine)

    @property
    def name(self) -> str:
        """Both networks, and every setting that differs from the default and moves the embeddings."""
        parts = [f"conse:{self.classifier}+{NAME}"]
        if self.n_classes != _DEFAULT_N_CLASSES:
            parts.append(f"n_classes={self.n_classes}")
        if self.temperature != _DEFAULT_TEMPERATURE:
            parts.append(f"temperature={self.temperature:g}")
        if self.class_names is not None:
            digest = hashlib.sha256("\n".join(self.class_names).encode()).hexdigest()
            parts.append(f"class_names={digest[:8]}")
        if self.template != _DEFAULT_TEMPLATE:
            parts.append(f"template={self.template!r}")
        return ",".join(parts)

    def load(self) -> None:
        """Load both networks now, so that whatever is wrong with them is said; otherwise the first use does it."""
        _ = self._minilm, self._model

    def encode_images(
        self, images: Any, *, show_progress: bool = True, store: Store | None = None
    ) -> Float[Tensor, "images dims"]:
        """Return one row of unit length for each image; see ``Encoder``.

        Raises
        ------
        OSError
            A picture cannot be read, or the store not be used.
        ValueError
            There is no image; the classifier has not as many outputs as there are class names, or is no classifier.
        ImportError
            A package is missing.
        """
        collection = as_images(images)
        model = self._model
        # The mean is the last layer of what is recorded, so that the logits of all images are never held at once.
        mean = _MeanOfTopClasses(self._class_embeddings, self)
        module = nn.Sequential(OrderedDict(classifier=model.module, conse=mean))
        recorded = record(
            VisionModel(self.name, module, model.preprocess),
            "conse",
            collection,
            batch_size=self.batch_size,
            engine=self.engine,
            show_progress=show_progress,
            store=store,
        )
        return unit_length(recorded.values, lambda row: f"the image '{collection.name(row)}'", self.name)

    def encode_texts(self, texts: Sequence[str], *, show_progress: bool = True) -> Float[Tensor, "texts dims"]:
        """Return one row of unit length for each text; see ``Encoder``.

        Raises
        ------
        ValueError
            There is no text; one has nothing to read, or more tokens than MiniLM reads.
        ModuleNotFoundError
            MiniLM's package is missing.
        """
        return self._minilm.encode_texts(texts, show_progress=show_progress)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        if self.class_names is not None:
            return tuple(self.class_names)
        from linexp.concepts.vocabulary import imagenet_classes

        return tuple(one.description for one in imagenet_classes())

    @cached_property
    def _minilm(self) -> MiniLM:
        return load_minilm()

    @cached_property
    def _model(self) -> VisionModel:
        return load_model(self.classifier, device=self.device)

    @cached_property
    def _class_embeddings(self) -> Float[Tensor, "classes dims"]:
        # Not str.format: a name or the template may hold other braces.
        texts = [self.template.replace("{}", name) for name in self._names]
        return self._minilm.encode_texts(texts, show_progress=False)


class _MeanOfTopClasses(nn.Module):
    """From logits to the mean embedding of the most probable classes, weighted with their probabilities."""

    def __init__(self, embeddings: Float[Tensor, "classes dims"], settings: ConSE) -> None:
        super().__init__()
        # Not a buffer: it follows the logits to their device, and the classifier stays where it is.
        self.embeddings = embeddings
        # No more of the settings than counts here: this module's content is part of what is stored under.
        self.classifier, self.n_classes, self.temperature = (
            settings.classifier,
            settings.n_classes,
            settings.temperature,
        )

    def forward(self, output: Any) -> Float[Tensor, "images dims"]:
        logits = self._logits(output)
        top = logits.float().topk(self.n_classes, dim=1)
        # The softmax over all, divided by its sum over these, is the softmax over these.
        weights = (top.values / self.temperature).softmax(1)
        return (weights.unsqueeze(2) * self.embeddings.to(logits.device)[top.indices]).sum(1)

    def _logits(self, output: Any) -> Float[Tensor, "images classes"]:
        logits = first_tensor(output)
        if logits is None or logits.ndim != 2:
            what = f"a {type(output).__name__}" if logits is None else f"a tensor of shape {list(logits.shape)}"
            raise ValueError(
                f"The classifier '{self.classifier}' returns {what}, not one number for each image and class. "
                "Choose a model with a classification head."
            )
        if logits.shape[1] != len(self.embeddings):
            raise ValueError(
                f"The classifier '{self.classifier}' has {logits.shape[1]:,} outputs and there are "
                f"{len(self.embeddings):,} class names. Give class_names, one for each output, in their order."
            )
        return logits
