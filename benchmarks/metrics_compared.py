"""Do the metrics agree on which explanations are better? Prints the second table of docs/scoring.md.

Takes recorded activations, labels and split (``tinyimagenet_effnetlite0_head.npz``). Explains all neurons in four ways
and scores each on the test images by every metric: the paper's search, ours by swaps, the first term of the latter
alone, and the label with the highest IoU on the training images, as Network Dissection would choose it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

import linexp as le
from linexp.results.tables import Cell, Measured, Table, as_markdown
from linexp.score import METRICS, scorers_of
from linexp.score.threshold import cut

SHARES = (0.005, 0.01, 0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recorded", type=Path, help="activations, labels and split, as .npz")
    arrays = np.load(parser.parse_args().recorded, allow_pickle=False)
    activations = le.ActivationMatrix(arrays["activations"].astype(np.float32), layer="head")
    concepts = le.ConceptMatrix(arrays["labels_concepts"], [str(name) for name in arrays["concept_names"]])
    split = le.Split(*(np.asarray(arrays[part]) for part in ("train", "val", "test")))
    swaps = le.LinearExplainer(search="swaps").explain(activations, concepts, split)
    methods = {
        "paper's search": le.LinearExplainer().explain(activations, concepts, split),
        "swaps": swaps,
        "first term of swaps": le.Explanations(tuple(shorten(item) for item in swaps)),
        "highest IoU": choose_by_iou(activations, concepts, split),
    }
    rows: list[tuple[Cell, ...]] = []
    for scorer in dict.fromkeys(scorers_of([name], share)[0] for name in METRICS for share in SHARES):
        scores = [scorer.score(le.simulate(found, concepts), activations, split.test) for found in methods.values()]
        difference = le.compare_scores(scores[1], scores[0])
        spread = float(scores[1].errors[~scores[1].errors.isnan()].median())
        means = (Measured(one.mean, one.sem) for one in scores)
        rows.append((scores[0].metric, *means, round(difference.mean / difference.sem, 1), spread))
    columns = ("metric", *methods, "swaps − paper's, in standard errors", "error of one neuron")
    print(as_markdown(Table(columns, tuple(rows))))


def shorten(item: le.Explanation) -> le.Explanation:
    return le.Explanation(item.neuron, item.terms[:1], item.bias, None, item.outcome)


def choose_by_iou(activations: le.ActivationMatrix, concepts: le.ConceptMatrix, split: le.Split) -> le.Explanations:
    active = cut(activations.block(split.train), 0.005).to(torch.float32)
    labels = concepts.block(split.train).to(torch.float32)
    both = active.T @ labels
    best = (both / (active.sum(0)[:, None] + labels.sum(0) - both)).argmax(1).tolist()
    terms = [(le.Term(concepts.names[column], 1.0),) for column in best]
    return le.Explanations(tuple(map(le.Explanation, activations.neurons, terms)), activations.layer)


if __name__ == "__main__":
    main()
