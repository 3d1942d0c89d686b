"""Correlation and ablation scores of real explanations, of one-word ones, and of controls that say nothing.

EfficientNet-Lite0's last layer on a folder of ImageNet classes (sub-folders called by wnids), as in
``text_concepts.py``: explained by labels and superclasses, and by words (Lite2 sees them, Lite1 judges). Controls are
the explanations in words given to other neurons, and a constant fitted as the simulations are scaled. Prints Markdown:
mean ± standard error over neurons, "beyond" being the score with "optim" less that of the constant, and how the
ablation score depends on the correlation (Figure 5 of the paper).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import linexp as le
from linexp.concepts.vocabulary.wordnet import imagenet_classes
from text_concepts import EXPLAINER, SIMULATOR, VOCABULARY, Eyes, World, look, read

SCALINGS = ("optim", "optim-adam")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of pictures, sub-folders called by wnids")
    parser.add_argument("--keep", type=Path, help="folder to keep the networks' outputs in, and to read them from")
    parser.add_argument("--every", type=int, default=1, help="take every n-th picture only, to try it out")
    parser.add_argument("--neurons", type=int, default=256, help="how many neurons, drawn with seed 0")
    options = parser.parse_args()
    world = look(options.folder, options.every, options.keep)
    drawn = np.random.default_rng(0).permutation(world.activations.n_neurons)[: options.neurons]
    recorded = world.activations.select(sorted(drawn.tolist()))
    outputs = find_outputs(options.folder, world)
    print("| simulation | terms | correlation | ablation, norm | optim | beyond | optim-adam |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for name, terms, simulated in simulations(world, recorded):
        correlation = le.CorrelationScorer().score(simulated, recorded, world.split.test)
        found = {
            scaling: le.AblationScorer(scaling).score(
                simulated,
                world.activations,  # all neurons: then the logits come from them, and no network runs
                world.split,
                le.load_model("efficientnet_lite0"),
                world.images,
                labels=outputs,
                show_progress=False,
            )
            for scaling in SCALINGS
        }
        optim, adam = (found[scaling] for scaling in SCALINGS)
        beyond = le.compare_scores(optim, optim.by_constant)
        shown = [f"{one.mean:.4f} ± {one.sem:.4f}" for one in (correlation, optim.by_norm, optim, beyond, adam)]
        print(f"| {name} | {terms} | {' | '.join(shown)} |", flush=True)
        if name in ("labels", "words"):
            pairs.append((correlation.values.double().numpy(), optim.norm.double().numpy()))
        if name == "words":  # of any simulation: the constant knows none
            alone = [f"{one.by_constant.mean:.4f} ± {one.by_constant.sem:.4f}" for one in (optim, adam)]
            print(f"| a constant | 0 | – | 0 | {alone[0]} | 0 | {alone[1]} |", flush=True)
    print_relation(*(np.concatenate(side) for side in zip(*pairs, strict=True)))


def simulations(world: World, recorded: le.ActivationMatrix) -> Iterator[tuple[str, str, le.ActivationMatrix]]:
    """Yield the name, the mean number of terms and the simulated activations of each method."""
    words = read(VOCABULARY, world)
    seen = Eyes(world, EXPLAINER).describe(words, world)
    judge = Eyes(world, SIMULATOR)
    for most, suffix in ((10, ""), (1, ", one word")):
        explainer = le.LinearExplainer(max_terms=most, n_groups=0)
        by_labels = explainer.explain(recorded, world.labels, world.split)
        yield f"labels{suffix}", f"{by_labels.mean_terms:.2f}", le.simulate(by_labels, world.labels)
        by_words = explainer.explain(recorded, seen, world.split)
        judged = judge.describe(by_words.concepts, world)
        yield f"words{suffix}", f"{by_words.mean_terms:.2f}", le.simulate(by_words, judged)
        if most > 1:
            whole = le.simulate(by_words, judged)
            others = np.roll(np.random.default_rng(0).permutation(recorded.n_neurons), 1)
            shuffled = le.ActivationMatrix(whole.values[:, others], whole.neurons, whole.layer, whole.images)
            yield "words of other neurons", f"{by_words.mean_terms:.2f}", shuffled


def find_outputs(folder: Path, world: World) -> list[int]:
    """Return which of the model's outputs each image's class is."""
    place = {one.wnid: number for number, one in enumerate(imagenet_classes())}
    wnids = sorted(path.name for path in folder.iterdir() if path.is_dir())
    return [place[wnids[label]] for label in world.images.labels or ()]


def print_relation(correlation: np.ndarray, ablation: np.ndarray) -> None:
    """Fit ablation = k · correlation² and say how much of the ablation scores it explains."""
    known = ~np.isnan(correlation) & ~np.isnan(ablation)
    across, up = correlation[known] * np.abs(correlation[known]), ablation[known]
    factor = float(across @ up / (across @ across))
    share = 1 - np.square(up - factor * across).sum() / np.square(up - up.mean()).sum()
    print(f"\nablation (norm) = {factor:.3f} · correlation², R² = {share:.3f}, {known.sum()} explanations")


if __name__ == "__main__":
    main()
