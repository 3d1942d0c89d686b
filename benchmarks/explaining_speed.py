"""What explaining a layer costs, as ratios to scikit-learn and to the matrix products nobody can avoid.

One run on a planted problem: the whole explainer on all neurons; scikit-learn's elastic net alone on a few of them;
and one float64 product PᵀP and PᵀQ of the training rows on the same machine.
"""

from __future__ import annotations

import argparse
import time

import torch
from sklearn.linear_model import ElasticNet

import linexp as le


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a few seconds")
    small = parser.parse_args().small
    n_images, n_concepts, n_neurons = (2000, 100, 64) if small else (10_000, 331, 1280)
    planted = le.make_planted(n_images, n_concepts, n_neurons, n_terms=5, noise=2.0)
    split = le.Split.random(n_images)
    le.LinearExplainer().explain(planted.activations.select([0, 1]), planted.concepts, split)  # compiles
    ours = timed(lambda: le.LinearExplainer().explain(planted.activations, planted.concepts, split))
    concepts = planted.concepts.values[split.train].double()
    neurons = planted.activations.values[split.train].double()
    floor = timed(lambda: (concepts.T @ concepts, concepts.T @ neurons))
    concepts = (concepts - concepts.mean(0)) / concepts.std(0)
    neurons = (neurons - neurons.mean(0)) / neurons.std(0)
    few = range(0, n_neurons, max(1, n_neurons // 16))
    gram = (concepts.T @ concepts).numpy()  # given to the referee, so that it need not take it for each neuron
    referee = ElasticNet(alpha=0.05 / 0.99, l1_ratio=0.99, fit_intercept=False, tol=1e-6, precompute=gram)
    theirs = timed(lambda: [referee.fit(concepts.numpy(), neurons[:, n].numpy()) for n in few]) / len(few)
    print(f"{n_images} images, {n_concepts} concepts, {n_neurons} neurons")
    rows = (
        ("linexp, everything", ours / n_neurons, ""),
        ("scikit-learn, elastic net alone", theirs, f"ratio {theirs / (ours / n_neurons):.1f}"),
        ("matrix products of the train rows", floor / n_neurons, f"linexp takes {ours / floor:.1f} times as long"),
    )
    for title, seconds, note in rows:
        print(f"{title:34}{seconds * 1e3:10.3f} ms per neuron   {note}")


def timed(run) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
