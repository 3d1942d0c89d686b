"""Problems with a planted truth that are no kinder than life; solvers and scores are tested on every row of the table.

A new kind of trouble is one function here and one row of ``PROBLEMS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

import linexp as le
from linexp.solve import Moments, Solution, accumulate_moments, solve_elastic_net
from tests.reference import paper

Array = NDArray[np.float64]
Part = tuple[Array, Array]
N_TRAIN, N_VAL, N_CONCEPTS, N_NEURONS = 300, 100, 14, 6


@dataclass(frozen=True, eq=False)
class Problem:
    """Concepts [images, concepts] and neurons [images, neurons]; the first ``n_train`` images are to fit on.

    ``alike`` groups concepts that nothing but rounding tells apart, so that either may stand for the other.
    """

    concepts: Array
    neurons: Array
    n_train: int = N_TRAIN
    alike: tuple[tuple[int, ...], ...] = ()

    @property
    def train(self) -> Part:
        return self.concepts[: self.n_train], self.neurons[: self.n_train]

    @property
    def val(self) -> Part:
        return self.concepts[self.n_train :], self.neurons[self.n_train :]

    def names(self, concepts: Iterable[int]) -> list[int]:
        """The chosen concepts (-1: none), each group of those that are alike under its first one."""
        first = {concept: group[0] for group in self.alike for concept in group}
        return [first.get(int(concept), int(concept)) for concept in concepts if concept >= 0]

    def matrices(self) -> tuple[le.ActivationMatrix, le.ConceptMatrix]:
        names = [f"concept {column}" for column in range(self.concepts.shape[1])]
        return le.ActivationMatrix(self.neurons), le.ConceptMatrix(self.concepts, names)


def make_problem(
    seed: int = 0, n_images: int = 600, n_concepts: int = 30, n_neurons: int = 12, duplicate: bool = True
) -> tuple[Part, Part]:
    """Rows of unequal concepts, some nested, and neurons that are sums of a few of them plus noise."""
    rng = np.random.default_rng(seed)
    concepts = (rng.random((n_images, n_concepts)) < rng.uniform(0.03, 0.5, n_concepts)).astype(np.float64)
    concepts[:, 1] = np.maximum(concepts[:, 2], concepts[:, 3])  # a superclass
    if duplicate:
        concepts[:, 5] = concepts[:, 4]
    weights = np.where(rng.random((n_concepts, n_neurons)) < 0.15, rng.uniform(0.5, 3, (n_concepts, n_neurons)), 0)
    neurons = concepts @ weights + rng.uniform(0.2, 2, n_neurons) * rng.standard_normal((n_images, n_neurons))
    return (concepts[:450], neurons[:450]), (concepts[450:], neurons[450:])


def measure(train: Part, val: Part) -> list[Moments]:
    """Moments of both parts in the scale of the training part, as the explainer passes them."""
    raw = [accumulate_moments([tuple(map(torch.from_numpy, part))]) for part in (train, val)]  # pyright: ignore
    scales = [raw[0].concept_variance.sqrt(), raw[0].neuron_variance.sqrt()]
    return [part.standardise(*scales) for part in raw]


def elastic_net(moments: Moments, strength: float = 0.05) -> Array:
    """The weights by which searches rank concepts."""
    arrays = (moments.gram.numpy(), moments.cross.numpy(), moments.neuron_variance.numpy())
    return solve_elastic_net(*arrays, strength=strength).weights


def assert_least_squares(found: Solution, neuron: int, train: Part, val: Part) -> None:
    """A neuron's weights and validation correlation are those of its terms' literal least-squares fit."""
    used = found.concepts[neuron][found.concepts[neuron] >= 0]
    weights, bias = paper.least_squares(train[0][:, used], train[1][:, neuron])
    scale = train[0][:, used].std(0) / train[1][:, neuron].std()
    np.testing.assert_allclose(found.weights[neuron][: len(used)], weights * scale, atol=1e-8)
    assert (found.weights[neuron][len(used) :] == 0).all()
    expected = paper.correlation(val[0][:, used] @ weights + bias, val[1][:, neuron]) if len(used) else np.nan
    np.testing.assert_allclose(found.val_correlation[neuron], expected, atol=1e-9)


def present(rng: np.random.Generator, n_concepts: int = N_CONCEPTS) -> Array:
    """Independent concepts of unequal frequency."""
    return (rng.random((N_TRAIN + N_VAL, n_concepts)) < rng.uniform(0.1, 0.5, n_concepts)).astype(np.float64)


def sums(rng: np.random.Generator, concepts: Array, n_neurons: int = N_NEURONS) -> Array:
    """Neurons of two to four concepts each, of either sign, with more noise from one to the next."""
    neurons = np.linspace(0.1, 1.5, n_neurons) * rng.standard_normal((len(concepts), n_neurons))
    for neuron in range(n_neurons):
        chosen = rng.choice(concepts.shape[1], min(2 + neuron % 3, concepts.shape[1]), replace=False)
        neurons[:, neuron] += concepts[:, chosen] @ rng.choice([-1.5, -1.0, 1.0, 1.5, 2.0], len(chosen))
    return neurons


def correlated_concepts(rng: np.random.Generator) -> Array:
    """Probabilities that share causes: pairs correlate up to about 0.95, as similar words do."""
    causes = rng.standard_normal((N_TRAIN + N_VAL, 3))
    mixed = causes @ rng.standard_normal((3, N_CONCEPTS)) + 0.5 * rng.standard_normal((N_TRAIN + N_VAL, N_CONCEPTS))
    return 1 / (1 + np.exp(-2 * mixed))


def independent(seed: int) -> Problem:
    rng = np.random.default_rng(seed)
    concepts = present(rng)
    return Problem(concepts, sums(rng, concepts))


def correlated(seed: int) -> Problem:
    """Many neurons of many terms: where concepts are independent, most mistakes of a search change nothing."""
    rng = np.random.default_rng(seed)
    concepts = correlated_concepts(rng)
    weights = np.where(rng.random((N_CONCEPTS, 12)) < 0.4, rng.standard_normal((N_CONCEPTS, 12)), 0)
    neurons = concepts @ weights + rng.uniform(0.05, 0.5, 12) * rng.standard_normal((len(concepts), 12))
    return Problem(concepts, neurons)


def nested(seed: int) -> Problem:
    """A tree of classes: four members, two groups of two of them, the group of all four; each counts by itself."""
    rng = np.random.default_rng(seed)
    concepts = present(rng)
    concepts[:, 4] = np.maximum(concepts[:, 0], concepts[:, 1])
    concepts[:, 5] = np.maximum(concepts[:, 2], concepts[:, 3])
    concepts[:, 6] = np.maximum(concepts[:, 4], concepts[:, 5])
    return Problem(concepts, sums(rng, concepts[:, :7]))


def equal(seed: int) -> Problem:
    """Copies and opposites: a group with one member, a word said three times, and what is there when another is not."""
    rng = np.random.default_rng(seed)
    concepts = present(rng)
    concepts[:, 1] = concepts[:, 0]
    concepts[:, [3, 9]] = concepts[:, [2]]
    concepts[:, 5] = 1 - concepts[:, 4]
    alike = ((0, 1), (2, 3, 9), (4, 5))
    return Problem(concepts, sums(rng, concepts[:, [0, 2, 4, 6, 7, 8]]), alike=alike)


def rare(seed: int) -> Problem:
    """Half of the concepts are in two to five of the images to fit on, and in one or two of those to choose by."""
    rng = np.random.default_rng(seed)
    concepts = present(rng)
    for column in range(0, N_CONCEPTS, 2):
        concepts[:, column] = 0
        concepts[rng.choice(N_TRAIN, rng.integers(2, 6), replace=False), column] = 1
        concepts[N_TRAIN + rng.choice(N_VAL, rng.integers(1, 3), replace=False), column] = 1
    neurons = sums(rng, concepts) + 4 * concepts[:, :N_NEURONS]
    return Problem(concepts, neurons)


def tied(seed: int) -> Problem:
    """Two concepts that are not equal but correlate equally with everything: images come as pairs of mirror images."""
    rng = np.random.default_rng(seed)
    concepts = present(rng)
    concepts[:, 1] = rng.permutation(concepts[:, 0])
    neurons = sums(rng, concepts[:, 2:]) + np.linspace(0, 1.5, N_NEURONS) * concepts[:, [0]]
    neurons += np.linspace(0, 1.5, N_NEURONS) * concepts[:, [1]]
    turned = concepts.copy()
    turned[:, [0, 1]] = concepts[:, [1, 0]]
    order = [*range(N_TRAIN // 2), *range(N_TRAIN, N_TRAIN + N_VAL // 2)]
    both = [np.concatenate([side[order[: N_TRAIN // 2]], other[order[: N_TRAIN // 2]],
                            side[order[N_TRAIN // 2 :]], other[order[N_TRAIN // 2 :]]])
            for side, other in ((concepts, turned), (neurons, neurons))]  # fmt: skip
    return Problem(both[0], both[1], alike=((0, 1),))


def heavy_tailed(seed: int) -> Problem:
    """A few images make up most of a neuron's variance."""
    rng = np.random.default_rng(seed)
    concepts = correlated_concepts(rng)
    return Problem(concepts, np.exp(1.2 * sums(rng, concepts)))


def half_zero(seed: int) -> Problem:
    """What a layer behind a ReLU gives: nothing on half of the images."""
    rng = np.random.default_rng(seed)
    concepts = correlated_concepts(rng)
    neurons = sums(rng, concepts)
    return Problem(concepts, np.maximum(neurons - np.median(neurons, axis=0), 0))


def two_classes(seed: int) -> Problem:
    """The smallest set of labels: each of two classes is where the other is not."""
    rng = np.random.default_rng(seed)
    concepts = present(rng, 1)
    concepts = np.column_stack([concepts, 1 - concepts])
    return Problem(concepts, sums(rng, concepts) + np.linspace(0, 2, N_NEURONS) * concepts[:, [0]], alike=((0, 1),))


def one_image(seed: int) -> Problem:
    """Some classes have one image to fit on, and none or one to choose by."""
    rng = np.random.default_rng(seed)
    concepts = present(rng)
    for column in range(4):
        concepts[:, column] = 0
        concepts[7 * column, column] = 1
    concepts[[N_TRAIN, N_TRAIN + 7], [0, 1]] = 1
    neurons = sums(rng, concepts)
    neurons[:, :4] += 6 * concepts[:, :4]
    return Problem(concepts, neurons)


PROBLEMS: dict[str, Callable[[int], Problem]] = {
    "independent": independent,
    "correlated": correlated,
    "nested": nested,
    "equal": equal,
    "rare": rare,
    "tied": tied,
    "heavy-tailed": heavy_tailed,
    "half zero": half_zero,
    "two classes": two_classes,
    "one image": one_image,
}
