"""Whether a term that is an AND of two concepts pays, if it counts as two words.

Takes the same folders as ``search_frontier.py``. For each of some neurons a shortlist of concepts is drawn up: the ten
that swaps finds, and those that explain most of what these leave. The same search, swaps with a price for each word,
then runs twice on it: with the concepts alone, and with the products of each two of them, where both are present in
enough training images. Terms are chosen on training and validation images, weights fitted on the training images, and
the correlation is on the test images, at the mean number of words that greedy takes. An AND that scores as much as two
words do would be worth it only for being said as one thing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import linexp as le
from linexp.solve import search_greedy, search_swaps
from search_frontier import measure, read_sources

N_SHORT, MOST_WORDS = 24, 12
# Products that fewer training images have say what these images are.
FEWEST_IMAGES = 10
PENALTIES = (0.01, 0.3, 2.0, 6.0, 20.0)

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Columns:
    """Candidate columns of one neuron in all images, standardised on the training images, and the words of each."""

    values: Array
    words: Array


@dataclass(frozen=True, eq=False)
class Steps:
    """For each number of words the correlation expected on other images, and that on test images."""

    expected: Array
    test: Array
    n_ands: Array


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the recorded run")
    parser.add_argument("results", type=Path, nargs="*", help="result folders of linexp explain")
    parser.add_argument("--neurons", type=int, default=100, help="neurons of each layer, evenly spread")
    wanted = parser.parse_args()
    print("| layer | neurons | mean words | concepts alone | with ANDs | difference, paired | more | ANDs |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for source in read_sources(wanted.folder, wanted.results):
        print(compare(*source, wanted.neurons), flush=True)


def compare(
    title: str, activations: le.ActivationMatrix, concepts: le.ConceptMatrix, split: le.Split, least: float, n: int
) -> str:
    living = np.flatnonzero((activations.values[split.train].std(0) > 0).numpy())
    chosen = living[:: max(len(living) // n, 1)][:n]
    activations = activations.select([activations.neurons[place] for place in chosen.tolist()])
    problem = measure(title, activations, concepts, split, least)
    words = float((search_greedy(problem.train, problem.val, problem.guide).concepts >= 0).sum(1).mean())
    usable = le.LinearExplainer(min_activity=least).find_usable(concepts, split)
    rows = np.concatenate([part.numpy() for part in (split.train, split.val, split.test)])
    ends = len(split.train), len(split.train) + len(split.val)
    present = concepts.only([name for name, kept in zip(concepts.names, usable.tolist(), strict=True) if kept])
    values = present.values.numpy()[rows].astype(np.float64)
    active = activations.values.numpy()[rows].astype(np.float64)
    shortlists = list(draw_up(problem))
    plain, ands = (
        [
            follow(make_columns(values[:, short], ends[0], with_ands=with_ands), active[:, neuron], ends)
            for neuron, short in enumerate(shortlists)
        ]
        for with_ands in (False, True)
    )
    without, told = at_words(plain, words), at_words(ands, words)
    gain = told[1] - without[1]
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    return (
        f"| {title} | {len(gain)} | {without[0]:.2f}, {told[0]:.2f} | {without[1].mean():.4f} | {told[1].mean():.4f} "
        f"| {gain.mean():+.4f} ± {error:.4f} | {told[1].mean() / without[1].mean() - 1:+.1%} | {told[2]:.0%} |"
    )


def draw_up(problem) -> Iterator[Array]:
    """Yield the shortlist of each neuron."""
    found = search_swaps(problem.train, problem.val, min_gain=0.0)
    both = problem.train.merge(problem.val)
    gram, cross = both.gram.numpy(), both.cross.numpy()
    for neuron, row in enumerate(found.concepts):
        used = row[row >= 0]
        weights = np.linalg.solve(gram[np.ix_(used, used)], cross[used, neuron])
        left = np.abs(cross[:, neuron] - gram[:, used] @ weights)
        left[used] = np.inf
        yield np.argsort(-left, kind="stable")[:N_SHORT]


def make_columns(present: Array, n_train: int, *, with_ands: bool) -> Columns:
    columns, words = [present], [np.ones(present.shape[1], int)]
    if with_ands:
        first, second = np.triu_indices(present.shape[1], 1)
        products = present[:, first] * present[:, second]
        enough = products[:n_train].sum(0) >= FEWEST_IMAGES
        columns.append(products[:, enough])
        words.append(np.full(enough.sum(), 2))
    values = np.concatenate(columns, 1)
    values = values - values[:n_train].mean(0)
    scale = values[:n_train].std(0)
    return Columns(values / np.where(scale > 0, scale, 1), np.concatenate(words))


def follow(columns: Columns, neuron: Array, ends: tuple[int, int]) -> Steps:
    """Find the terms of each number of words, for what all columns predict of the neuron."""
    n_fit = ends[1]
    both = columns.values[:n_fit] - columns.values[:n_fit].mean(0)
    gram = both.T @ both / n_fit
    cross = both.T @ (neuron[:n_fit] - neuron[:n_fit].mean()) / n_fit
    target, spread, ceiling = reference(gram, cross, float(neuron[:n_fit].var()), n_fit)
    expected, test, n_ands = np.zeros(MOST_WORDS + 1), np.zeros(MOST_WORDS + 1), np.zeros(MOST_WORDS + 1)
    paths: list[list[int]] = [[]]
    for n_words in range(1, MOST_WORDS + 1) if ceiling > 0 else ():
        # One word more than the last, or an AND more than the one before it.
        trials = [grow(gram, target, columns.words, path, n_words) for path in paths[-2:]]
        terms = max(trials, key=lambda trial: explained_by(gram, target, trial))
        paths.append(terms)
        expected[n_words] = ceiling * np.sqrt(min(explained_by(gram, target, terms) / spread, 1))
        test[n_words] = on_test(columns.values[:, terms], neuron, ends)
        n_ands[n_words] = np.mean(columns.words[terms] == 2) if terms else 0
    return Steps(expected, test, n_ands)


def reference(gram: Array, cross: Array, variance: float, n_images: int) -> tuple[Array, float, float]:
    """Return the covariance of the columns with the ridge prediction, its variance, and its expected correlation."""
    target, spread, least = np.zeros_like(cross), 0.0, variance
    for noise in PENALTIES:
        penalty = noise * len(gram) / n_images
        inverse = np.linalg.inv(gram + penalty * np.eye(len(gram)))
        freedom = 1 + len(gram) - penalty * np.trace(inverse)
        weights = inverse @ cross
        along, size = weights @ cross, weights @ weights
        error = (variance - along - penalty * size) / (1 - freedom / n_images) ** 2
        if error < least:
            target, spread, least = cross - penalty * weights, along - penalty * size, error
    return target, spread, float(np.sqrt(max(variance - least, 0) / variance)) if spread > 0 else 0.0


def explained_by(gram: Array, target: Array, terms: list[int]) -> float:
    return float(target[terms] @ np.linalg.solve(gram[np.ix_(terms, terms)], target[terms])) if terms else 0.0


def grow(gram: Array, target: Array, words: Array, terms: list[int], most: int) -> list[int]:
    """Add concepts, or an AND first, up to so many words, and swap terms while that explains more."""
    starts = [fill(gram, target, words, terms, most)]
    if most - int(words[terms].sum()) >= 2 and (words == 2).any():
        gains = np.where(words == 2, gains_of(gram, target, terms), 0.0)
        if gains.max() > 0:
            starts.append(fill(gram, target, words, [*terms, int(np.argmax(gains))], most))
    return max(
        (swap(gram, target, words, start, most) for start in starts), key=lambda t: explained_by(gram, target, t)
    )


def fill(gram: Array, target: Array, words: Array, terms: list[int], most: int) -> list[int]:
    """Add the concept that explains most for as long as there are words left."""
    terms = list(terms)
    while most - int(words[terms].sum()) > 0:
        gains = np.where(words == 1, gains_of(gram, target, terms), 0.0)
        if gains.max() <= 0:
            break
        terms.append(int(np.argmax(gains)))
    return terms


def swap(gram: Array, target: Array, words: Array, terms: list[int], most: int) -> list[int]:
    for _ in range(50):
        trials: list[tuple[float, int, int]] = []
        for place in range(len(terms)):
            rest = terms[:place] + terms[place + 1 :]
            gains = gains_of(gram, target, rest)
            allowed = np.where(words <= most - int(words[rest].sum()), gains, 0.0)
            best = int(np.argmax(allowed))
            trials.append((float(allowed[best] - gains[terms[place]]), place, best))
        gain, place, best = max(trials, default=(0.0, 0, 0))
        if gain <= 1e-6 * explained_by(gram, target, terms):
            break
        terms[place] = best
        terms = fill(gram, target, words, terms, most)
    return terms


def gains_of(gram: Array, target: Array, terms: list[int]) -> Array:
    """Return what each column would explain beside the terms; 0 for what these explain already."""
    if not terms:
        left, slack = gram.diagonal(), target
    else:
        inner = np.linalg.solve(gram[np.ix_(terms, terms)], gram[terms])
        left = gram.diagonal() - np.einsum("tc,tc->c", gram[terms], inner)
        slack = target - target[terms] @ inner
    varies = left > 1e-5 * gram.diagonal()
    return np.where(varies, slack**2 / np.where(varies, left, 1.0), 0.0)


def on_test(columns: Array, neuron: Array, ends: tuple[int, int]) -> float:
    n_train, n_fit = ends
    design = np.column_stack([columns[:n_train], np.ones(n_train)])
    weights = np.linalg.lstsq(design, neuron[:n_train], rcond=None)[0][:-1]
    predicted, actual = columns[n_fit:] @ weights, neuron[n_fit:]
    varies = predicted.std() > 1e-9 and actual.std() > 0
    return float(np.corrcoef(predicted, actual)[0, 1]) if varies else 0.0


def at_words(paths: list[Steps], wanted: float) -> tuple[float, Array, float]:
    """Return mean words, test correlations and the share of ANDs at the price of a word that gives so many words."""
    low, high = 0.0, 0.3
    for _ in range(30):
        price = (low + high) / 2
        sizes = [int(np.argmax(path.expected - price * np.arange(MOST_WORDS + 1))) for path in paths]
        low, high = (low, price) if np.mean(sizes) <= wanted else (price, high)
    sizes = [int(np.argmax(path.expected - high * np.arange(MOST_WORDS + 1))) for path in paths]
    test = np.array([path.test[size] for path, size in zip(paths, sizes, strict=True)])
    told = [path.n_ands[size] for path, size in zip(paths, sizes, strict=True) if size]
    return float(np.mean(sizes)), test, float(np.mean(told))


if __name__ == "__main__":
    main()
