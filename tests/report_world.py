"""A small result to report on, whose names try to break out of the page and whose area charts are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import linexp as le
from linexp.results import Column
from linexp.results.folder import Run, save_explanations, save_run, save_scores

EVIL = "<script>document.title='broken'</script>"
NAMES = ("dog", "canine", "snow", EVIL, "</script><img src=x onerror=alert(1)>", 'quote "and" \\ slash', "日本語")
N_IMAGES, N_NEURONS = 240, 24


def make_pictures(n_images: int = N_IMAGES) -> np.ndarray:
    """Pictures of one colour each, no two alike."""
    rows = np.arange(n_images)
    pixels = np.stack([rows % 256, 255 - rows % 256, (rows * 7) % 256], axis=1).astype(np.uint8)
    return np.broadcast_to(pixels[:, None, None, :], (n_images, 16, 24, 3)).copy()


def make_run(n_images: int = N_IMAGES, n_neurons: int = N_NEURONS, images: str | None = None) -> Run:
    """Neurons that are sums of concepts; the last one is dead, the one before follows nothing."""
    generator = torch.Generator().manual_seed(0)
    presence = (torch.rand(n_images, len(NAMES), generator=generator) < 0.25).float()
    presence[:, 1] = torch.maximum(presence[:, 1], presence[:, 0])  # every dog is a canine
    weights = torch.rand(len(NAMES), n_neurons, generator=generator) * 2
    weights[torch.rand(weights.shape, generator=generator) < 0.6] = 0.0
    values = presence @ weights + 0.1 * torch.rand(n_images, n_neurons, generator=generator)
    values[:, -2] = torch.rand(n_images, generator=generator)
    values[:, -1] = 0.0
    activations = le.ActivationMatrix(values, range(100, 100 + n_neurons), "layer4.<b>", images)
    names = tuple(f"/home/somebody/pictures/class {row % 3}/{row}&<i>.png" for row in range(n_images))
    settings = {
        "model": "hf:/home/somebody/models/net",
        "layer": "layer4.<b>",
        "images": "/home/somebody/pictures",
        "concepts": "labels",
        "weights": "/home/somebody/weights.safetensors",
        "explainer": {"search": "greedy", "strength": 0.05},
        "seed": 0,
    }
    return Run(
        activations,
        le.ConceptMatrix(presence, NAMES, images),
        le.Split.random(n_images),
        image_names=names,
        settings=settings,
    )


def make_findings() -> list[le.Result]:
    """Two methods on one layer, the first with an ablation score and impact; with pictures."""
    pictures = le.ImageArray(make_pictures())
    run = make_run(images=pictures.fingerprint)
    found = []
    for method, explainer in (("ours", le.LinearExplainer()), ("one & only", le.LinearExplainer(max_terms=1))):
        explanations = explainer.explain(run.activations, run.concepts, run.split)
        scores = le.CorrelationScorer().score(le.simulate(explanations, run.concepts), run.activations, run.split.test)
        own = {n: v for n, v in zip(scores.neurons, scores.values.tolist(), strict=True) if v == v}
        columns = [Column("correlation", "", own, dict.fromkeys(own, 0.01))]
        if method == "ours":
            columns += [Column("ablation", "", {neuron: value**2 for neuron, value in own.items()})]
            columns += [Column("impact", "", {neuron: float(neuron % 7) for neuron in own})]
        found.append(le.Result.of(run, explanations, method=method, known=tuple(columns), images=pictures))
    return found


def save_result(folder: Path, pictures: Path | None = None) -> Path:
    """Write a result folder as the command line does, with two files of scores; returns the folder."""
    run = make_run()
    if pictures is not None:
        for row, pixels in enumerate(make_pictures()):
            file = pictures / f"class {row % 3}" / f"{row:03}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(file)
        images = le.ImageFolder(pictures)
        names = tuple(images.name(row) for row in range(len(images)))
        run = make_run(images=images.fingerprint)
        run = replace(run, image_names=names, settings={**run.settings, "images": str(pictures)})
    explanations = le.LinearExplainer().explain(run.activations, run.concepts, run.split)
    save_run(folder, run)
    save_explanations(folder, explanations)
    scores = le.CorrelationScorer().score(le.simulate(explanations, run.concepts), run.activations, run.split.test)
    save_scores(folder, scores)
    save_scores(folder, scores, "scores-by-someone")
    return folder
