"""How good are explanations in words, and what do they depend on? The paper's Tables 5, 6 and 7 on one's own pictures.

EfficientNet-Lite0's last layer is explained on a folder of ImageNet classes (sub-folders called by wnids), by labels
and by ConSE with Lite0, Lite1 and Lite2, and judged by each of the three. Prints Markdown; all scores are of test
images, all calibrations are fitted on training images.
"""

from __future__ import annotations

import argparse
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import linexp as le
from linexp.concepts.encoders.base import unit_length
from linexp.concepts.encoders.conse import _MeanOfTopClasses
from linexp.concepts.vocabulary.wordnet import imagenet_classes
from linexp.forward.malloc import reuse_large_buffers
from linexp.matrix import load_activations, save_activations
from linexp.models.base import VisionModel

NETWORKS = (2, 1, 0)
LOGITS = "logits"
EXPLAINER, SIMULATOR = 2, 1
VOCABULARY = "labels+superclasses+imagenet+nouns:8000"
SIZES = (
    "labels",
    "labels+superclasses",
    "imagenet",
    "nouns:500",
    "nouns:1000",
    "nouns:2000",
    "nouns:4000",
    "nouns:8000",
)


@dataclass(frozen=True, eq=False)
class World:
    """What is the same in all tables."""

    images: le.Images
    split: le.Split
    activations: le.ActivationMatrix
    labels: le.ConceptMatrix
    logits: dict[int, torch.Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of pictures, sub-folders called by wnids")
    parser.add_argument("--keep", type=Path, help="folder to keep the networks' outputs in, and to read them from")
    parser.add_argument("--every", type=int, default=1, help="take every n-th picture only, to try it out")
    arguments = parser.parse_args()
    world = look(arguments.folder, arguments.every, arguments.keep)
    words = {spec: read(spec, world) for spec in dict.fromkeys((VOCABULARY, *SIZES))}
    print_networks(world, words[VOCABULARY])
    print_sizes(world, words)
    print_settings(world, words[VOCABULARY])


def look(folder: Path, every: int, keep: Path | None) -> World:
    names = {one.wnid: one.name for one in imagenet_classes()}
    whole = le.ImageFolder(folder, names)
    images = le.ImageSubset(whole, range(0, len(whole), every))
    labels = le.LabelConcepts(le.superclasses(whole.label_names)).describe(images)
    reuse_large_buffers()
    activations = record("efficientnet_lite0", "_avg_pooling", images, keep)
    logits = {number: record(f"efficientnet_lite{number}", LOGITS, images, keep).values for number in NETWORKS}
    print(f"{len(images):,} images, {len(set(images.labels or ()))} classes, {labels.n_concepts} label concepts\n")
    return World(images, le.Split.random(len(images)), activations, labels, logits)


def record(name: str, layer: str, images: le.Images, keep: Path | None) -> le.ActivationMatrix:
    """Record a layer, or what the network returns, unless that was kept from an earlier run."""
    path = None if keep is None else keep / f"{name}-{layer}.safetensors"
    if path is not None and path.exists():
        found = load_activations(path)
        if found.images == images.fingerprint:
            return found
    model = le.load_model(name)
    if layer == LOGITS:
        ended = nn.Sequential(OrderedDict(network=model.module, logits=nn.Identity()))
        model = VisionModel(name, ended, model.preprocess)
    found = le.record(model, layer, images)
    if path is not None:
        save_activations(path, found)
    return found


def read(spec: str, world: World) -> tuple[str, ...]:
    return le.read_vocabulary(spec, labels=world.images.label_names).words


def embed(world: World, encoder: le.ConSE) -> torch.Tensor:
    """Do what ``encoder.encode_images`` does from logits that were recorded before."""
    mean = _MeanOfTopClasses(encoder._class_embeddings, encoder)
    blocks = world.logits[int(encoder.classifier[-1])].split(256)
    return unit_length(torch.cat([mean(block) for block in blocks]), str, encoder.name)


class Eyes:
    """An encoder that has already looked at the images, calibrated on the training ones."""

    def __init__(self, world: World, number: int, **settings: object) -> None:
        self.encoder = le.ConSE(f"efficientnet_lite{number}", **settings)
        self.images = embed(world, self.encoder)
        texts = self.encoder.encode_texts(world.labels.names, show_progress=False)
        self.calibration = le.fit_calibration(
            self.images, texts, world.labels, fitted_on=world.split.train, measured_on=world.split.val
        ).calibration

    def describe(self, words: Sequence[str], world: World) -> le.ConceptMatrix:
        """Return how much of each word is in each image."""
        texts = self.encoder.encode_texts(list(words), show_progress=False)
        a, b = self.calibration.a, self.calibration.b
        return le.EmbeddedConceptMatrix(self.images, texts, list(words), a, b, world.activations.images)


def explain(world: World, concepts: le.ConceptMatrix) -> le.Explanations:
    return le.LinearExplainer().explain(world.activations, concepts, world.split)


def judge(world: World, explanations: le.Explanations, eyes: Eyes | None) -> le.Scores:
    concepts = world.labels if eyes is None else eyes.describe(explanations.concepts, world)
    return le.CorrelationScorer().score(le.simulate(explanations, concepts), world.activations, world.split.test)


def print_networks(world: World, words: Sequence[str]) -> None:
    """Print who explains (Table 7) against who judges (Table 5)."""
    eyes = {number: Eyes(world, number) for number in NETWORKS}
    print("| explained by | concepts kept | terms | val | labels judge | Lite2 judges | Lite1 judges | Lite0 judges |")
    print("|---|---|---|---|---|---|---|---|")
    sources = {"labels and superclasses": world.labels}
    sources |= {f"Lite{number} + MiniLM": eyes[number].describe(words, world) for number in NETWORKS}
    for name, concepts in sources.items():
        found = explain(world, concepts)
        kept = concepts.n_concepts - len(found.dropped_concepts)
        scores = [judge(world, found, eyes[number]) for number in NETWORKS]
        own = str_of(judge(world, found, None)) if concepts is world.labels else ""
        print(
            f"| {name} | {kept:,} of {concepts.n_concepts:,} | {found.mean_terms:.2f} "
            f"| {found.mean_val_correlation:.3f} | {own} | {' | '.join(map(str_of, scores))} |"
        )
    print()


def print_sizes(world: World, words: dict[str, tuple[str, ...]]) -> None:
    """Print what the vocabulary does (Table 6)."""
    explainer, simulator = Eyes(world, EXPLAINER), Eyes(world, SIMULATOR)
    print("| vocabulary | words | kept | terms | val | test |")
    print("|---|---|---|---|---|---|")
    for spec, chosen in sorted(words.items(), key=lambda item: len(item[1])):
        found = explain(world, explainer.describe(chosen, world))
        print(
            f"| `{spec}` | {len(chosen):,} | {len(chosen) - len(found.dropped_concepts):,} | {found.mean_terms:.2f} "
            f"| {found.mean_val_correlation:.3f} | {str_of(judge(world, found, simulator))} |"
        )
    print()


def print_settings(world: World, words: Sequence[str]) -> None:
    """Print what ConSE's own settings do; the cross-entropy on validation images chose the defaults."""
    names = [one.name for one in imagenet_classes()]
    rows = {
        "as in the reference: names, temperature 1": {"class_names": names, "temperature": 1.0},
        "all words and hypernym, temperature 1": {"temperature": 1.0},
        "names, temperature 2": {"class_names": names},
        "all words and hypernym, temperature 2 (default)": {},
        "the same, 30 classes": {"n_classes": 30},
        "the same, 1 class": {"n_classes": 1},
    }
    print("| ConSE | cross-entropy | kept | terms | val | test |")
    print("|---|---|---|---|---|---|")
    for name, settings in rows.items():
        explainer, simulator = (Eyes(world, number, **settings) for number in (EXPLAINER, SIMULATOR))
        found = explain(world, explainer.describe(words, world))
        kept = len(words) - len(found.dropped_concepts)
        print(
            f"| {name} | {explainer.calibration.bce:.4f} | {kept:,} | {found.mean_terms:.2f} "
            f"| {found.mean_val_correlation:.3f} | {str_of(judge(world, found, simulator))} |"
        )


def str_of(scores: le.Scores) -> str:
    return f"{scores.mean:.4f} ± {scores.sem:.4f}"


if __name__ == "__main__":
    main()
