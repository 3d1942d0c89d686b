"""Which search explains best with few terms: mean test correlation against mean length, for every search.

Takes the folder of a recorded run with ``tinyimagenet_effnetlite0_head.npz`` (activations, concepts, split) and, if
wanted, result folders written by ``linexp explain`` or ``linexp demo``. Where concepts are words, "swaps, flattened"
is swaps with the sharpness that explains best on a part of the training and validation images, held out for this
alone. Prints Markdown tables, draws a figure, and exits with 1 if the best of ours misses a goal: at the mean length of
greedy at least 15 % more test correlation, beyond two standard errors over the neurons, and at greedy's test
correlation at most 0.6 of its terms. How much of the gap between swaps and ridge regression on all concepts is closed
at ten terms is printed too. A neuron without a term, or whose explanation does not vary over the test images, counts
as 0.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

import linexp as le
from linexp.results.folder import load_run
from linexp.solve import (
    Moments,
    Solution,
    accumulate_moments,
    search_greedy,
    search_greedy_nonzero,
    search_stepwise,
    search_swaps,
    search_top,
    solve_elastic_net,
)

MIN_GAINS = (0.1, 0.05, 0.03, 0.02, 0.015, 0.01, 0.005, 0.0)
MAX_TERMS = (1, 2, 3, 5, 7, 10)
COLOURS = {
    "greedy": "tab:red",
    "greedy-nonzero": "tab:purple",
    "top": "tab:orange",
    "stepwise": "tab:blue",
    "swaps": "tab:green",
    "swaps, flattened": "black",
}
BLOCK_ROWS = 2048
MORE_CORRELATION, SHARE_OF_TERMS = 1.15, 0.6
SHARPNESSES = (1.0, 0.5, 0.3, 0.2, 0.1)

Search = Callable[..., Solution]
P = TypeVar("P")


@dataclass(frozen=True, eq=False)
class Problem:
    """One layer: its moments in the scale of the training images, and the weights of the elastic net."""

    title: str
    train: Moments
    val: Moments
    test: Moments
    guide: np.ndarray
    flattened: Problem | None = None

    @property
    def searches(self) -> dict[str, Search]:
        """Every search, still to be told its settings."""
        given, flat = (self.train, self.val), self.flattened
        return {
            "greedy": partial(search_greedy, *given, self.guide),
            "greedy-nonzero": partial(search_greedy_nonzero, *given, self.guide),
            "top": partial(search_top, *given, self.guide),
            "stepwise": partial(search_stepwise, *given),
            "swaps": partial(search_swaps, *given),
            **({"swaps, flattened": partial(search_swaps, flat.train, flat.val)} if flat else {}),
        }

    def test_of(self, name: str) -> Moments:
        """Test images as a search sees them."""
        return self.flattened.test if self.flattened and name == "swaps, flattened" else self.test


@dataclass(frozen=True, eq=False)
class Point:
    """A search with some settings: terms and test correlation of each neuron."""

    setting: str
    terms: np.ndarray
    test: np.ndarray
    val: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the recorded run")
    parser.add_argument("results", type=Path, nargs="*", help="result folders of linexp explain")
    parser.add_argument("--figure", type=Path, default=Path("search-frontier.svg"), help="where to draw the figure")
    wanted = parser.parse_args()
    drawn, missed = [], False
    for problem in read_problems(wanted.folder, wanted.results):
        ceiling = score_ridge(problem)
        sizes = problem.train.n_images, problem.val.n_images, problem.test.n_images
        print(
            f"\n## {problem.title}\n\n{len(problem.train.neuron_variance)} neurons, {len(problem.guide)} concepts, ",
            end="",
        )
        print(f"{sizes[0]} train, {sizes[1]} val and {sizes[2]} test images. Ridge on all concepts: {ceiling:.4f}.\n")
        curves = {name: list(trace(name, search, problem.test_of(name))) for name, search in problem.searches.items()}
        print_curves(curves)
        missed |= not compare(problem)
        tell_gap(problem, ceiling)
        drawn.append((problem.title, curves, ceiling))
    draw(drawn, wanted.figure)
    print(f"\n{'a goal is missed' if missed else 'all goals met'}; the figure is {wanted.figure}")
    return int(missed)


Source = tuple[str, le.ActivationMatrix, le.ConceptMatrix, le.Split, float]


def read_problems(folder: Path, results: list[Path]) -> Iterator[Problem]:
    for source in read_sources(folder, results):
        yield flatten(measure(*source), source)


def read_sources(folder: Path, results: list[Path]) -> Iterator[Source]:
    """Yield title, activations, concepts, split and filter of each layer."""
    arrays = np.load(folder / "tinyimagenet_effnetlite0_head.npz", allow_pickle=False)
    names = [str(name) for name in arrays["concept_names"]]
    activations = le.ActivationMatrix(arrays["activations"].astype(np.float32), layer="head")
    split = le.Split(*(np.asarray(arrays[part]) for part in ("train", "val", "test")))
    yield "recorded run", activations, le.ConceptMatrix(arrays["labels_concepts"], names), split, 0.5
    for result in results:
        run = load_run(result)
        least = run.settings["explainer"]["min_activity"]
        yield result.name, run.activations, run.concepts, run.split, least


def measure(
    title: str,
    activations: le.ActivationMatrix,
    concepts: le.ConceptMatrix,
    split: le.Split,
    min_activity: float = 0.5,
) -> Problem:
    usable = le.LinearExplainer(min_activity=min_activity).find_usable(concepts, split)
    living = activations.values[split.train].std(0) > 0
    parts = []
    for rows in (split.train, split.val, split.test):
        pieces = rows.split(BLOCK_ROWS)
        parts.append(
            accumulate_moments(
                (concepts.block(piece)[:, usable], activations.values[piece][:, living]) for piece in pieces
            )
        )
    scales = parts[0].concept_variance.sqrt(), parts[0].neuron_variance.sqrt()
    train, val, test = (part.standardise(*scales) for part in parts)
    fit = solve_elastic_net(train.gram.numpy(), train.cross.numpy(), train.neuron_variance.numpy())
    return Problem(title, train, val, test, fit.weights)


def flatten(problem: Problem, source: Source) -> Problem:
    """Add what swaps sees where the presence of words is flattened, if it can be."""
    title, activations, concepts, split, least = source
    if not isinstance(concepts, le.EmbeddedConceptMatrix):
        return problem
    sharpness = choose_sharpness(source)
    flat = measure(f"{title}, sharpness {sharpness}", activations, concepts.with_sharpness(sharpness), split, least)
    return replace(problem, flattened=flat)


def choose_sharpness(source: Source, step: int = 4) -> float:
    """Return the sharpness with which swaps explains best, at greedy's length, without looking at a test image.

    Of many neurons every ``step``-th is looked at.
    """
    title, activations, concepts, split, least = source
    assert isinstance(concepts, le.EmbeddedConceptMatrix)
    held_out = hold_out(split)
    some = activations.select(activations.neurons[:: step if len(activations.neurons) > 200 else 1])
    length = 0.0
    found: list[tuple[float, float]] = []
    for sharpness in SHARPNESSES:
        problem = measure(title, some, concepts.with_sharpness(sharpness), held_out, least)
        if not found:
            length = evaluate("", problem.searches["greedy"](), problem.test).terms.mean()
        point = at_length(problem, "swaps", length)
        found.append((point.test.mean(), sharpness))
        print(f"sharpness {sharpness}: {point.test.mean():.4f} at {point.terms.mean():.2f} terms, held out", flush=True)
    return max(found)[1]


def hold_out(split: le.Split) -> le.Split:
    """Split the training and validation images again: seven tenths to fit on, one to choose terms by, two to tell."""
    known = np.concatenate([split.train.numpy(), split.val.numpy()])
    order = np.random.default_rng(1).permutation(known)
    parts = np.split(order, [int(0.7 * len(order)), int(0.8 * len(order))])
    return le.Split(*(np.sort(part) for part in parts))


def tell_gap(problem: Problem, ceiling: float) -> None:
    """Print how far ten terms reach between swaps and ridge regression on all concepts."""
    reached = {
        name: evaluate("", problem.searches[name](min_gain=0.0), problem.test_of(name)).test.mean()
        for name in problem.searches
        if name.startswith("swaps")
    }
    best = max(reached.values())
    closed = (best - reached["swaps"]) / (ceiling - reached["swaps"])
    told = ", ".join(f"{name} {value:.4f}" for name, value in reached.items())
    print(f"\nAt ten terms: {told}; ridge on all concepts {ceiling:.4f}; {closed:.0%} of the gap closed.", flush=True)


def trace(name: str, search: Search, test: Moments) -> Iterator[Point]:
    """Run a search over its settings: every min_gain, and every max_terms where no term is refused."""
    if name != "top":
        for min_gain in MIN_GAINS:
            yield evaluate(f"min_gain {min_gain}", search(min_gain=min_gain), test)
    for max_terms in MAX_TERMS[: len(MAX_TERMS) if name == "top" else -1]:
        settings = {} if name == "top" else {"min_gain": 0.0}
        yield evaluate(f"max_terms {max_terms}", search(max_terms=max_terms, **settings), test)


def evaluate(setting: str, found: Solution, test: Moments) -> Point:
    terms = (found.concepts >= 0).sum(1)
    return Point(setting, terms, correlate(found, test), float(np.nanmean(found.val_correlation)))


def correlate(found: Solution, moments: Moments) -> np.ndarray:
    """Correlation of each neuron with its explanation; 0 where either does not vary."""
    gram, cross, variance = moments.gram.numpy(), moments.cross.numpy(), moments.neuron_variance.numpy()
    chosen, weights = np.maximum(found.concepts, 0), found.weights  # padding has weight 0
    along = (weights * cross[chosen, np.arange(len(chosen))[:, None]]).sum(1)
    spread = np.einsum("nk,nkl,nl->n", weights, gram[chosen[:, :, None], chosen[:, None, :]], weights)
    scale = np.sqrt(np.maximum(spread * variance, 0))
    return np.divide(along, scale, out=np.zeros_like(along), where=scale > 1e-9)


def score_ridge(problem: Problem) -> float:
    """Mean test correlation of ridge regression on all concepts, its penalty chosen for the layer on val."""
    gram, cross = problem.train.gram.numpy(), problem.train.cross.numpy()
    best, result = -np.inf, 0.0
    for noise in (0.3, 1, 3, 10, 30):
        penalty = noise * len(gram) / problem.train.n_images
        weights = np.linalg.solve(gram + penalty * np.eye(len(gram)), cross)
        val, test = (score_dense(weights, part) for part in (problem.val, problem.test))
        if val > best:
            best, result = val, test
    return result


def score_dense(weights: np.ndarray, moments: Moments) -> float:
    along = (weights * moments.cross.numpy()).sum(0)
    scale = np.sqrt((weights * (moments.gram.numpy() @ weights)).sum(0) * moments.neuron_variance.numpy())
    return float(np.divide(along, scale, out=np.zeros_like(along), where=scale > 1e-9).mean())


def print_curves(curves: dict[str, list[Point]]) -> None:
    print("| search | setting | mean terms | val | test |\n|---|---|---:|---:|---:|")
    for name, points in curves.items():
        for point in points:
            print(
                f"| {name} | {point.setting} | {point.terms.mean():.2f} | {point.val:.4f} | {point.test.mean():.4f} |"
            )


def compare(problem: Problem) -> bool:
    """Print every search against greedy as the paper runs it; tell whether one meets the goals."""
    found = search_greedy(problem.train, problem.val, problem.guide)
    greedy = evaluate("", found, problem.test)
    length, goal = greedy.terms.mean(), greedy.test.mean()
    print(f"\nAgainst greedy at min_gain 0.02 ({length:.2f} terms, test {goal:.4f}):\n")
    used = found.concepts >= 0
    weightless = used & (np.take_along_axis(problem.guide.T, np.maximum(found.concepts, 0), 1) == 0)
    print(f"{weightless.sum()} of greedy's {used.sum()} terms have no weight in the elastic net.\n")
    print("| search | terms | test | difference, paired | more | terms for the same test | of greedy's |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    reached = False
    for name in [name for name in problem.searches if name not in ("greedy", "top")]:
        run = partial(run_at, problem, name)
        same = at_length(problem, name, length)
        short = bisect(run, lambda point: point.test.mean() < goal, upper=False)
        gain = same.test - greedy.test
        error = gain.std(ddof=1) / np.sqrt(len(gain))
        share = short.terms.mean() / length
        print(
            f"| {name} | {same.terms.mean():.2f} | {same.test.mean():.4f} | {gain.mean():+.4f} ± {error:.4f} ", end=""
        )
        print(f"| {same.test.mean() / goal - 1:+.1%} | {short.terms.mean():.2f} | {share:.2f} |")
        reached |= same.test.mean() >= MORE_CORRELATION * goal and gain.mean() > 2 * error and share <= SHARE_OF_TERMS
    return bool(reached)


def run_at(problem: Problem, name: str, min_gain: float) -> Point:
    return evaluate("", problem.searches[name](min_gain=min_gain), problem.test_of(name))


def at_length(problem: Problem, name: str, length: float) -> Point:
    """Run a search at the price at which it is just no longer than so many terms."""
    return bisect(partial(run_at, problem, name), lambda point: bool(point.terms.mean() <= length))


def bisect(run: Callable[[float], P], is_high: Callable[[P], bool], *, upper: bool = True, n_steps: int = 12) -> P:
    """Find where ``is_high``, false at a low min_gain, becomes true: the point above that min_gain, or that below."""
    low, high = 0.0, 0.2
    points = run(low), run(high)
    for _ in range(n_steps):
        middle = (low + high) / 2
        point = run(middle)
        if is_high(point):
            high, points = middle, (points[0], point)
        else:
            low, points = middle, (point, points[1])
    return points[1] if upper else points[0]


def draw(drawn: list[tuple[str, dict[str, list[Point]], float]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "linexp"
    from matplotlib import pyplot

    columns = min(len(drawn), 3)
    rows = -(-len(drawn) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(4.5 * columns, 3.8 * rows), squeeze=False, layout="tight")
    for axis in axes.flat[len(drawn) :]:
        axis.axis("off")
    for axis, (title, curves, ceiling) in zip(axes.flat, drawn, strict=False):
        for name, points in curves.items():
            shown = sorted((p.terms.mean(), p.test.mean()) for p in points if p.setting.startswith(prefix_of(name)))
            axis.plot(*zip(*shown, strict=True), "o-", markersize=3, color=COLOURS[name], label=name)
        axis.axhline(ceiling, color="grey", linestyle="--", label="ridge on all concepts")
        axis.spines[["top", "right"]].set_visible(False)
        axis.set(title=title, xlabel="mean terms", ylabel="mean test correlation", ylim=(0, None))
    axes[0][0].legend(frameon=False, fontsize="small", loc="lower right")
    figure.savefig(path, metadata={"Date": None})


def prefix_of(name: str) -> str:
    """Return which settings make the curve of a search: its length is set by what a term must add, if it can be."""
    return "max_terms" if name == "top" else "min_gain"


if __name__ == "__main__":
    sys.exit(main())
