"""What the tables of docs/comparing.md have in common: a recorded layer, its pictures, labels and words.

A result folder of ``linexp explain --concepts text`` on a folder of ImageNet classes (sub-folders called by wnids)
holds what was recorded once: the layer before the classifier, how much of each word is in each picture, and the split.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

import linexp as le
from linexp.concepts.vocabulary import imagenet_classes
from linexp.explainers import find_usable
from linexp.results import load_run

MODEL, EXPLAINER, JUDGE = "efficientnet_lite0", "efficientnet_lite2", "efficientnet_lite1"
# What the paper's search leaves out as too weak; every method gets the same words.
MIN_ACTIVITY = 0.5


@dataclass(frozen=True, eq=False)
class World:
    """What is the same in all tables: everything of the same pictures, row by row."""

    images: le.Images
    split: le.Split
    activations: le.ActivationMatrix
    labels: le.ConceptMatrix
    words: le.EmbeddedConceptMatrix
    outputs: torch.Tensor

    @property
    def seen(self) -> torch.Tensor:
        """The validation and test images, the only ones that a judge looks at."""
        return torch.cat([self.split.val, self.split.test])

    @cached_property
    def seen_images(self) -> le.Images:
        """These images."""
        return le.ImageSubset(self.images, self.seen.tolist())


def add_world(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("result", type=Path, help="result folder of linexp explain --concepts text, layer _avg_pooling")
    parser.add_argument("pictures", type=Path, help="folder of the pictures, sub-folders called by wnids")
    parser.add_argument("--store", type=Path, help="where what networks say of the pictures is kept")


def open_world(options: argparse.Namespace) -> World:
    run = load_run(options.result)
    classes = [one.name for one in imagenet_classes()]
    images = le.ImageFolder(options.pictures, {one.wnid: one.name for one in imagenet_classes()})
    assert images.fingerprint == run.activations.images, "these are not the pictures of the result"
    labels = le.LabelConcepts(le.superclasses(images.label_names)).describe(images)
    words = run.concepts
    assert isinstance(words, le.EmbeddedConceptMatrix), "explain with --concepts text"
    kept = find_usable(words, run.split, MIN_ACTIVITY)
    some = words.only([name for name, used in zip(words.names, kept.columns.tolist(), strict=True) if used])
    assert isinstance(some, le.EmbeddedConceptMatrix)
    print(f"{len(images):,} pictures, {labels.n_concepts} labels, {some.n_concepts} of {words.n_concepts:,} words")
    outputs = [classes.index(images.label_names[label]) for label in images.labels or ()]
    return World(images, run.split, run.activations, labels, some, torch.tensor(outputs))


def class_names(world: World) -> list[str]:
    """Return what the classes of the pictures are called."""
    return [world.images.label_names[label] for label in sorted(set(world.images.labels or ()))]


def draw(n_neurons: int, most: int) -> list[int]:
    """Return some neurons, drawn with seed 0."""
    return sorted(np.random.default_rng(0).permutation(n_neurons)[:most].tolist())
