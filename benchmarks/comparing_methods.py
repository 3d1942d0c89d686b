"""Time the methods that compare neurons with concepts against a straightforward loop, and see how good they are.

Takes the folder of a recorded run with ``tinyimagenet_effnetlite0_head.npz`` (activations, concepts, split). Every
method explains all neurons by labels; SpLiCE, which needs embeddings, by made-up ones: a random vector for each label,
the sum of its labels' vectors and some noise for each image. The loops score all concepts for a few neurons, one after
the other, with NumPy, as one would write them down, and fit weight and bias of the best one, in the same run; their
seconds are for all neurons, as many times longer. Ours also fit on 20 groups each, for standard errors. Exits with 1
if a closed form takes more than ``LIMIT`` seconds, or one of the known correlations is missed.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import Lasso

import linexp as le

N_LOOPED, LIMIT = 6, 10.0
SETTINGS = {
    "soft-WPMI": le.CLIPDissectExplainer(),
    "WPMI": le.CLIPDissectExplainer("wpmi"),
    "rank reorder": le.CLIPDissectExplainer("rank_reorder"),
    "cosine": le.CLIPDissectExplainer("cos_similarity"),
    "cosine cubed": le.CLIPDissectExplainer("cos_similarity_cubed"),
    "www": le.WWWExplainer(),
    "splice": le.SpLiCEExplainer(),
    "falcon": le.FalconExplainer(),
    "best": le.BestConceptExplainer(),
    "random": le.RandomConceptExplainer(),
    "others": le.OthersExplainer(),
}
# Mean test correlation of one concept per neuron, from a quick computation with NumPy: of the best one with the neuron
# after the fit, of soft-WPMI's with the neuron as it is.
KNOWN = {"best": 0.1595, "soft-WPMI": 0.0954}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the recorded run")
    arrays = np.load(parser.parse_args().folder / "tinyimagenet_effnetlite0_head.npz", allow_pickle=False)
    names = [str(name) for name in arrays["concept_names"]]
    activations = le.ActivationMatrix(arrays["activations"].astype(np.float32), layer="head")
    labels = le.ConceptMatrix(arrays["labels_concepts"], names)
    split = le.Split(*(np.asarray(arrays[part]) for part in ("train", "val", "test")))
    embedded = make_embeddings(labels)
    active = activations.values.double().numpy()[split.train]
    similar = labels.values.double().numpy()[split.train]
    loops = make_loops(active, similar, embedded.image_embeddings[split.train], embedded.text_embeddings)

    missed: list[str] = []
    print(f"{activations.n_neurons} neurons, {labels.n_concepts} concepts, {len(split.train)} training images")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; the loops on {N_LOOPED} neurons")
    titles = f"{'loop':>8}{'ratio':>7}{'explained':>11}{'terms':>7}{'test':>9}{'as it is':>10}"
    print(f"{'':14}{'seconds':>8}{'CPU s':>8}{titles}")
    for title, explainer in SETTINGS.items():
        concepts = embedded if title == "splice" else labels
        explainer.explain(activations.select(range(40)), concepts, split)  # compiled before the clock starts
        started, spent = time.perf_counter(), cpu_seconds()
        found = explainer.explain(activations, concepts, split)
        seconds, spent = time.perf_counter() - started, cpu_seconds() - spent
        looped = time_loop(loops.get(title), activations.n_neurons, active, similar)
        test = le.CorrelationScorer().score(le.simulate(found, concepts), activations, split.test).mean
        plain = correlate_plain(found, labels, activations, split)
        n_explained = sum(item.outcome == "explained" for item in found)
        told = f"{looped:8.1f}{looped / seconds:7.1f}" if looped else f"{'':15}"
        shown = f"{plain:10.4f}" if found.mean_terms == 1 else ""
        print(
            f"{title:14}{seconds:8.2f}{spent:8.2f}{told}{n_explained:11d}{found.mean_terms:7.2f}{test:9.4f}{shown}",
            flush=True,
        )
        if seconds > LIMIT:
            missed.append(f"{title}: {seconds:.1f} s")
        value = {"best": test, "soft-WPMI": plain}.get(title)
        if value is not None and abs(value - KNOWN[title]) > 5e-4:
            missed.append(f"{title}: {value:.4f} for {KNOWN[title]}")
    print("all goals met" if not missed else f"missed: {'; '.join(missed)}")
    return int(bool(missed))


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def make_embeddings(labels: le.ConceptMatrix) -> le.EmbeddedConceptMatrix:
    generator = torch.Generator().manual_seed(0)
    texts = torch.nn.functional.normalize(torch.randn(labels.n_concepts, 64, generator=generator))
    noise = 0.3 * torch.randn(labels.n_images, 64, generator=generator)
    images = torch.nn.functional.normalize(labels.values @ texts + noise)
    return le.EmbeddedConceptMatrix(images, texts, labels.names, 20.0, -0.3)


def correlate_plain(
    found: le.Explanations, concepts: le.ConceptMatrix, activations: le.ActivationMatrix, split: le.Split
) -> float:
    """Return the mean test correlation of neurons with their first concept, whatever the sign of its weight."""
    rows, values = split.test, []
    for item, active in zip(found, activations.block(split.test).T, strict=True):
        if item.terms:
            column = concepts.only([item.names[0]]).block(rows)[:, 0]
            values.append(float(torch.corrcoef(torch.stack([column, active]).double())[0, 1]))
    return float(np.mean(values))


def time_loop(
    loop: Callable[[int], np.ndarray] | None, n_neurons: int, active: np.ndarray, similar: np.ndarray
) -> float:
    """Return the seconds that a loop would take for all neurons, the fit of the best concept included."""
    if loop is None:
        return 0.0
    started = time.perf_counter()
    for neuron in range(N_LOOPED):
        best = int(loop(neuron).argmax())
        np.linalg.lstsq(np.column_stack([similar[:, best], np.ones(len(similar))]), active[:, neuron], rcond=None)
    return (time.perf_counter() - started) / N_LOOPED * n_neurons


def make_loops(
    active: np.ndarray, similar: np.ndarray, images: torch.Tensor, texts: torch.Tensor
) -> dict[str, Callable[[int], np.ndarray]]:
    """Return what finds the concept of one neuron, by method; what is the same for all neurons is made here."""
    soft, wide = (np.exp(scale * similar) for scale in (10, 2))
    soft, wide = soft / soft.sum(1, keepdims=True), wide / wide.sum(1, keepdims=True)
    centred = similar - similar.mean(0)
    cubed = centred**3
    rows = active / np.linalg.norm(active, axis=1, keepdims=True)
    bar = rows.mean() + 5 * rows.std()
    words = np.exp(100 * similar)
    words /= words.sum(1, keepdims=True)
    words = np.where(words >= np.sort(words, 1)[:, -5:-4], words, 0)
    vectors, dictionary = images.double().numpy(), texts.double().numpy()
    vectors = vectors - vectors.mean(0)
    dictionary = dictionary - dictionary.mean(0)
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)

    def highest(neuron: int, n_top: int) -> np.ndarray:
        return np.argsort(-active[:, neuron], kind="stable")[:n_top]

    def information(neuron: int) -> np.ndarray:
        inside = 0.998 - np.arange(100)[:, None] / 100 * 0.028
        return np.log(1 + inside * (soft[highest(neuron, 100)] - 1) + 1e-7).sum(0)

    def reorder(neuron: int) -> np.ndarray:
        top = highest(neuron, int(0.05 * len(active)))
        ascending = active[top[::-1], neuron]
        near = similar[top[::-1]]
        orders = [ascending[column.argsort().argsort()] for column in near.T]
        return -np.array([(np.abs(ascending - order) ** 3).mean() for order in orders])

    def cosine(column: np.ndarray, right: np.ndarray) -> np.ndarray:
        return column @ right / np.linalg.norm(column) / np.linalg.norm(right, axis=0)

    def splice(neuron: int) -> np.ndarray:
        vector = active[:, neuron] @ vectors
        lasso = Lasso(0.25 / 2 / len(vector), positive=True, fit_intercept=False, tol=1e-6)
        return lasso.fit(dictionary.T, vector / np.linalg.norm(vector)).coef_

    def falcon(neuron: int) -> np.ndarray:
        high, others = rows[:, neuron] >= bar, np.delete(rows, neuron, 1)
        if not high.any():
            return np.zeros(words.shape[1])
        alike = others @ others[high].mean(0)
        low = np.flatnonzero((rows[:, neuron] < rows.mean()) & (alike >= 0.3))
        low = low[np.argsort(-alike[low])][:10]
        return np.where(words[low].mean(0) < 0.1, words[high].mean(0), 0) if len(low) else words[high].mean(0)

    activation = active - active.mean(0)
    return {
        "soft-WPMI": information,
        "WPMI": lambda neuron: np.log(wide[highest(neuron, 28)] + 1e-7).sum(0),
        "rank reorder": reorder,
        "cosine": lambda neuron: cosine(active[:, neuron], similar),
        "cosine cubed": lambda neuron: cosine(activation[:, neuron] ** 3, cubed),
        "www": lambda neuron: similar[highest(neuron, 40)].mean(0),
        "splice": splice,
        "falcon": falcon,
        "best": lambda neuron: np.abs(cosine(activation[:, neuron], centred)),
    }


if __name__ == "__main__":
    sys.exit(main())
