"""Do better searches explain better by an independent judge too: words judged by another model than found them.

Takes result folders of ``linexp explain --concepts text``, whose pictures must still lie where they did. Explains each
layer as the paper does, with swaps, and with swaps on flattened presences (``search_frontier.py`` says how the
sharpness is chosen), the last two at the price of a term that gives greedy's mean length. The judge says what is in the
test images; its presences are flattened as the explainer's are. A neuron without a term counts as 0.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from torch import Tensor

import linexp as le
from linexp.images import ImageSubset
from linexp.results.folder import Run, load_run
from linexp.results.pictures import reopen_pictures
from search_frontier import Source, bisect, choose_sharpness, measure, run_at


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="+", help="result folders of linexp explain --concepts text")
    parser.add_argument("--judge", default="conse:efficientnet_lite1", help="encoder of images and texts")
    parser.add_argument("--neurons", type=int, default=100_000, help="neurons of each layer at most, evenly spread")
    parser.add_argument("--images", type=int, default=100_000, help="test images judged at most, evenly spread")
    wanted = parser.parse_args()
    judge = le.load_encoder(wanted.judge)
    print("| layer | explained by | terms | own test | by the judge | difference to greedy, paired | more |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for result in wanted.results:
        run = load_run(result)
        source = open_source(result, run, wanted.neurons)
        explained = explain(source)
        names = list(dict.fromkeys(name for _, found, _ in explained for name in found.names))
        test = run.split.test[:: max(-(-len(run.split.test) // wanted.images), 1)]
        pictures = ImageSubset(reopen_pictures(run, None), test.tolist())
        seen = le.TextConcepts(names, judge, le.Calibration.shipped(judge.name)).describe(pictures)
        assert isinstance(seen, le.EmbeddedConceptMatrix)
        table(source, explained, seen, test)


def open_source(result: Path, run: Run, n_neurons: int) -> Source:
    """Return the layer with some of its neurons and the concepts that take part."""
    least = run.settings["explainer"]["min_activity"]
    usable = le.LinearExplainer(min_activity=least).find_usable(run.concepts, run.split)
    names = [name for name, kept in zip(run.concepts.names, usable.tolist(), strict=True) if kept]
    neurons = run.activations.neurons[:: max(-(-len(run.activations.neurons) // n_neurons), 1)]
    return result.name, run.activations.select(neurons), run.concepts.only(names), run.split, 0.0


def explain(source: Source) -> list[tuple[str, le.Explanations, le.EmbeddedConceptMatrix]]:
    """Return what each way finds, and the concepts it finds it in."""
    title, activations, concepts, split, least = source
    assert isinstance(concepts, le.EmbeddedConceptMatrix)
    plain = {"min_activity": least, "n_groups": 0, "n_repeats": 0}
    found = [("greedy", le.LinearExplainer(**plain).explain(activations, concepts, split), concepts)]
    length = np.mean([len(item.terms) for item in found[0][1] if item.outcome != "constant"])
    sharpness = choose_sharpness(source)
    for name, flat in (("swaps", concepts), (f"swaps, sharpness {sharpness}", concepts.with_sharpness(sharpness))):
        problem = measure(title, activations, flat, split, least)
        price = find_price(problem, float(length))
        swaps = le.LinearExplainer(search="swaps", min_gain=price, **plain)
        found.append((name, swaps.explain(activations, flat, split), flat))
    return found


def find_price(problem, length: float) -> float:
    """Return the least price of a term, of those tried, with which swaps is no longer than greedy."""
    prices: list[float] = []

    def is_short(point) -> bool:
        return bool(point.terms.mean() <= length)

    def run(min_gain: float):
        point = run_at(problem, "swaps", min_gain)
        prices.extend([min_gain] if is_short(point) else [])
        return point

    bisect(run, is_short)
    return min(prices)


def table(source: Source, explained: list, seen: le.EmbeddedConceptMatrix, rows: Tensor) -> None:
    title, activations, _, split, _ = source
    test = le.ActivationMatrix(activations.values[rows], activations.neurons)
    greedy = np.zeros(0)
    for name, found, flat in explained:
        living = np.array([item.outcome != "constant" for item in found])
        own = score(found, flat, activations, split.test)[living]
        judged = score(found, seen.with_sharpness(flat.sharpness), test, None)[living]
        greedy = judged if name == "greedy" else greedy
        gain, terms = judged - greedy, np.array([len(item.terms) for item in found])[living]
        error = gain.std(ddof=1) / np.sqrt(len(gain))
        print(
            f"| {title} | {name} | {terms.mean():.2f} | {own.mean():.4f} | {judged.mean():.4f} "
            f"| {gain.mean():+.4f} ± {error:.4f} | {judged.mean() / greedy.mean() - 1:+.1%} |",
            flush=True,
        )


def score(found: le.Explanations, concepts: le.ConceptMatrix, activations: le.ActivationMatrix, rows) -> np.ndarray:
    simulated = le.simulate(found, concepts).values.double().numpy()
    actual = activations.values.double().numpy()
    if rows is not None:
        simulated, actual = simulated[rows.numpy()], actual[rows.numpy()]
    simulated, actual = simulated - simulated.mean(0), actual - actual.mean(0)
    scale = np.sqrt((simulated**2).sum(0) * (actual**2).sum(0))
    varies = (np.abs(simulated).max(0) > 1e-6 * np.abs(actual).max(0)) & (scale > 0)
    return np.divide((simulated * actual).sum(0), scale, out=np.zeros_like(scale), where=varies)


if __name__ == "__main__":
    main()
