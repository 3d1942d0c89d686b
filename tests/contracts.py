"""One row per implementation: whatever is in these tables passes the same contract (test_contracts.py).

A new image collection, kind of unit, concept source, explainer, search or scorer is one row here.
"""

from __future__ import annotations

import numpy as np

import linexp as le

N_IMAGES = 120
CLASSES = ("red", "green", "blue")


def pictures() -> np.ndarray:
    """Small pictures, each of one colour with noise; the colour is the label."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 60, (N_IMAGES, 12, 12, 3), dtype=np.uint8)
    for image, label in enumerate(labels()):
        values[image, :, :, label] += 150
    return values


def labels() -> list[int]:
    return [image % 3 for image in range(N_IMAGES)]


def array_images(folder):
    return le.ImageArray(pictures(), labels(), CLASSES)


def file_images(folder):
    from PIL import Image

    paths = []
    for image, values in enumerate(pictures()):
        paths.append(folder / f"{image:03d}.png")
        Image.fromarray(values).save(paths[-1])
    return le.ImageFiles(paths, labels(), CLASSES)


def folder_images(folder):
    from PIL import Image

    for image, (values, label) in enumerate(zip(pictures(), labels(), strict=True)):
        (folder / CLASSES[label]).mkdir(exist_ok=True)
        Image.fromarray(values).save(folder / CLASSES[label] / f"{image:03d}.png")
    return le.ImageFolder(folder)


def hugging_face_images(folder):
    from datasets import ClassLabel, Dataset, Features, Image
    from PIL import Image as Pillow

    features = Features({"image": Image(), "label": ClassLabel(names=list(CLASSES))})
    rows = {"image": [Pillow.fromarray(values) for values in pictures()], "label": labels()}
    return le.HuggingFaceImages(Dataset.from_dict(rows, features=features))


def subset_images(folder):
    return le.ImageSubset(le.ImageArray(pictures(), labels(), CLASSES), range(N_IMAGES))


IMAGES = {
    "ImageArray": array_images,
    "ImageFiles": file_images,
    "ImageFolder": folder_images,
    "HuggingFaceImages": hugging_face_images,
    "ImageSubset": subset_images,
}

ENGINES = {
    "eager": lambda: le.Eager(),
    "fused": lambda: le.Fused(),
    "onnxruntime": lambda: le.OnnxRuntime(),
    # Without a C++ compiler, which takes a minute; benchmarks/engines.py runs what that one makes.
    "compile": lambda: le.Compiled("eager"),
}

# Kind of unit → the shape of an output that it reads, of 4 images.
UNITS = {
    "channels, mean": (lambda: le.Channels("mean"), (4, 3, 2, 5)),
    "channels, max": (lambda: le.Channels("max"), (4, 3, 2, 5)),
    "channels, none": (lambda: le.Channels("none"), (4, 3)),
    "channels, last": (lambda: le.Channels(channels="last"), (4, 2, 5, 3)),
    "channels of tokens": (lambda: le.Channels(), (4, 6, 3)),
    "token": (lambda: le.Token(0), (4, 6, 3)),
    "rotation": (lambda: le.Rotation(1), (4, 6, 3)),
    "directions": (lambda: le.Directions.random(3), (4, 3, 2, 5)),
    "directions, max": (lambda: le.Directions.random(3, pool="max"), (4, 6, 3)),
    "directions, token": (lambda: le.Directions.random(3, pool="token"), (4, 6, 3)),
}

CONCEPT_SOURCES = {
    "classes": lambda: le.LabelConcepts(),
    "groups": lambda: le.LabelConcepts({"warm": ["red"], "cold": ["green", "blue"]}),
    "table": lambda: le.LabelConcepts(table=np.eye(3, dtype=int)[labels()], names=CLASSES),
}

EXPLAINERS = {
    "linear, greedy": lambda: le.LinearExplainer(),
    "linear, greedy-nonzero": lambda: le.LinearExplainer(search="greedy-nonzero"),
    "linear, stepwise": lambda: le.LinearExplainer(search="stepwise"),
    "linear, swaps": lambda: le.LinearExplainer(search="swaps"),
    "linear, top": lambda: le.LinearExplainer(search="top", max_terms=2),
    "linear, Greedy": lambda: le.LinearExplainer(search=le.Greedy(n_candidates=5)),
    "linear, GreedyNonzero": lambda: le.LinearExplainer(search=le.GreedyNonzero(min_gain=0.01)),
    "linear, Stepwise": lambda: le.LinearExplainer(search=le.Stepwise(max_terms=3)),
    "linear, Swaps": lambda: le.LinearExplainer(search=le.Swaps(max_terms=3)),
    "linear, Top": lambda: le.LinearExplainer(search=le.Top(max_terms=2)),
    "clip-dissect, soft_wpmi": lambda: le.CLIPDissectExplainer(n_top=20),
    "clip-dissect, wpmi": lambda: le.CLIPDissectExplainer("wpmi"),
    "clip-dissect, rank_reorder": lambda: le.CLIPDissectExplainer("rank_reorder"),
    "clip-dissect, cos_similarity": lambda: le.CLIPDissectExplainer("cos_similarity"),
    "clip-dissect, cos_similarity_cubed": lambda: le.CLIPDissectExplainer("cos_similarity_cubed"),
    "www": lambda: le.WWWExplainer(),
    "splice": lambda: le.SpLiCEExplainer(),
    "falcon": lambda: le.FalconExplainer(n_deviations=1),
    "best": lambda: le.BestConceptExplainer(),
    "random": lambda: le.RandomConceptExplainer(),
    "others": lambda: le.OthersExplainer(le.BestConceptExplainer()),
    "invert": lambda: le.InvertExplainer(),
    "dissection": lambda: le.DissectionExplainer(quantile=0.9),
    "dissection, categories": lambda: le.DissectionExplainer(0.9, categories={"some": ["concept 0", "concept 1"]}),
    "compositional": lambda: le.CompositionalExplainer(quantile=0.9),
    "clustered": lambda: le.ClusteredExplainer(),
    "clustered, one range": lambda: le.ClusteredExplainer(n_ranges=1, quantile=0.9),
}
# Those that take nothing but concepts with embeddings.
EMBEDDING_EXPLAINERS = {"splice"}

# The share leaves several of the few images to be found.
SCORERS = {
    "correlation": lambda: le.CorrelationScorer(),
    "cosine": lambda: le.CosineScorer(),
    "auprc": lambda: le.AUPRCScorer(top_share=0.25),
    "f1": lambda: le.F1Scorer(top_share=0.25),
    "iou": lambda: le.IoUScorer(top_share=0.25),
    "spearman": lambda: le.SpearmanScorer(),
    "auroc": lambda: le.AUROCScorer(top_share=0.25),
}
