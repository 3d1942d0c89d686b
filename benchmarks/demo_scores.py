"""Correlation and ablation scores of the demo's explanations, of one-word ones, and of controls that say nothing.

The 1,280 neurons before EfficientNet-Lite0's classifier on OpenMoji drawings, as in ``linexp demo``: explained by their
labels, and by words that Lite2 sees and Lite1 judges. Drawings have no ImageNet labels, so the loss is that of the
network's own answers, at temperature 1, for there is none at which those are true. Prints Markdown: mean ± standard
error over neurons, and medians.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

import linexp as le
from linexp.cli.recipe_file import find_recipe, read_toml
from linexp.concepts.vocabulary.openmoji import emoji_concepts, emoji_words
from linexp.concepts.vocabulary.read import read_vocabulary
from linexp.images import ImageSubset, draw_openmoji
from real_scores import SCALINGS, print_relation

LAYER, LOGITS = "_avg_pooling", "_fc"
DEMO = read_toml(find_recipe(Path("demo")))
WORDS, JUDGE = DEMO["explain"]["text"], DEMO["score"]["simulator"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="take every n-th drawing only, to try it out")
    options = parser.parse_args()
    words = emoji_words()[:: options.every]
    images = draw_openmoji([word.stem for word in words])
    model = le.load_model(DEMO["model"])
    both = le.record_layers(model, [LAYER, LOGITS], images)
    recorded, own = both[LAYER], both[LOGITS].values.argmax(1).tolist()
    split = le.Split.random(len(images))
    print("| simulation | terms | correlation | ablation, norm | optim | beyond | optim-adam | medians: norm | optim |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    alone, medians = [], ""
    for name, terms, simulated in simulations(words, images, recorded, split):
        correlation = le.CorrelationScorer().score(simulated, recorded, split.test)
        optim, adam = (
            le.AblationScorer(scaling, temperature=1.0).score(
                simulated, recorded, split, model, images, labels=own, show_progress=False
            )
            for scaling in SCALINGS
        )
        beyond = le.compare_scores(optim, optim.by_constant)
        shown = [f"{one.mean:.4f} ± {one.sem:.4f}" for one in (correlation, optim.by_norm, optim, beyond, adam)]
        shown += [f"{one.defined.median():.4f}" for one in (optim.by_norm, optim)]
        medians = f"0 | {optim.by_constant.defined.median():.4f}"
        alone = [f"{one.by_constant.mean:.4f} ± {one.by_constant.sem:.4f}" for one in (optim, adam)]
        print(f"| {name} | {terms:.2f} | {' | '.join(shown)} |", flush=True)
        if name in ("labels", "words"):
            pairs.append((correlation.values.double().numpy(), optim.norm.double().numpy()))
    print(f"| a constant | 0 | – | 0 | {alone[0]} | 0 | {alone[1]} | {medians} |")
    print_relation(*(np.concatenate(side) for side in zip(*pairs, strict=True)))


def simulations(
    words: list, images: le.ImageFiles, recorded: le.ActivationMatrix, split: le.Split
) -> Iterator[tuple[str, float, le.ActivationMatrix]]:
    """Yield the name, the mean number of terms and the simulated activations of each method, on all images."""
    names, table = emoji_concepts(words)
    labels = le.LabelConcepts(table=table, names=names).describe(images)
    vocabulary = read_vocabulary(WORDS["vocabulary"], labels=names)
    seen = see(WORDS["encoder"], vocabulary.words, images)
    for most, suffix in ((10, ""), (1, ", one word")):
        explainer = le.LinearExplainer(max_terms=most, n_groups=0)
        by_labels = explainer.explain(recorded, labels, split)
        yield f"labels{suffix}", by_labels.mean_terms, le.simulate(by_labels, labels)
        by_words = replace(explainer, min_activity=WORDS["min-activity"]).explain(recorded, seen, split)
        whole = le.simulate(by_words, see(JUDGE, by_words.concepts, images))
        yield f"words{suffix}", by_words.mean_terms, whole
        if most > 1:
            others = np.roll(np.random.default_rng(0).permutation(recorded.n_neurons), 1)
            shuffled = le.ActivationMatrix(whole.values[:, others], whole.neurons, whole.layer, whole.images)
            yield "words of other neurons", by_words.mean_terms, shuffled


def see(encoder: str, texts: list[str], images: le.ImageFiles | ImageSubset) -> le.ConceptMatrix:
    """Return which words an encoder finds in the drawings."""
    loaded = le.load_encoder(encoder)
    return le.TextConcepts(texts, loaded, le.Calibration.shipped(loaded.name)).describe(images)


if __name__ == "__main__":
    main()
