"""Problems whose true explanations are known, for documentation, tests and benchmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor, from_numpy

from linexp._internal.checks import check_at_least
from linexp.matrix.activation import ActivationMatrix
from linexp.matrix.concept import ConceptMatrix


@dataclass(frozen=True, eq=False)
class Planted:
    """A made-up layer and the truth about it.

    Parameters
    ----------
    activations
        Weighted sums of concepts plus a bias plus noise.
    concepts
        Presence of the concepts, 0 or 1.
    weights
        True weights [concepts, neurons]; zero where a concept plays no part.
    bias
        True bias [neurons].
    """

    activations: ActivationMatrix
    concepts: ConceptMatrix
    weights: Float[Tensor, "concepts neurons"]
    bias: Float[Tensor, " neurons"]

    def terms(self, neuron: int) -> dict[str, float]:
        """Return the true concepts of one neuron with their weights, largest weight first."""
        column = self.weights[:, neuron].tolist()
        pairs = [(name, weight) for name, weight in zip(self.concepts.names, column, strict=True) if weight != 0]
        return dict(sorted(pairs, key=lambda pair: -pair[1]))


def make_planted(
    n_images: int = 1000, n_concepts: int = 40, n_neurons: int = 16, n_terms: int = 3, noise: float = 0.1, seed: int = 0
) -> Planted:
    """Make a layer whose neurons are known sums of concepts.

    Each concept is present in 5 to 50 % of the images, independently; each neuron is the sum of ``n_terms`` random
    concepts with weights from 1 to 3, a bias from -1 to 1, and normal noise.

    Parameters
    ----------
    n_images, n_concepts, n_neurons
        Sizes.
    n_terms
        True number of concepts per neuron, at most ``n_concepts``; 0 gives neurons of noise alone.
    noise
        Standard deviation of the noise; the activations themselves have one of about 1.
    seed
        Seed of everything random here.

    Raises
    ------
    ValueError
        A size is below 1, ``n_terms`` exceeds ``n_concepts``, or ``noise`` is negative.

    Examples
    --------
    >>> planted = make_planted(n_images=200, n_terms=2)
    >>> len(planted.terms(0))
    2
    """
    for name, size in (("n_images", n_images), ("n_concepts", n_concepts), ("n_neurons", n_neurons)):
        check_at_least(name, size, 1)
    check_at_least("noise", noise, 0)
    check_at_least("n_terms", n_terms, 0)
    if n_terms > n_concepts:
        raise ValueError(f"n_terms is {n_terms} but there are only {n_concepts} concepts. Ask for fewer terms.")
    rng = np.random.default_rng(seed)
    present = (rng.random((n_images, n_concepts)) < rng.uniform(0.05, 0.5, n_concepts)).astype(np.float32)
    weights = np.zeros((n_concepts, n_neurons))
    for neuron in range(n_neurons):
        chosen = rng.choice(n_concepts, n_terms, replace=False)
        weights[chosen, neuron] = rng.uniform(1, 3, n_terms)
    bias = rng.uniform(-1, 1, n_neurons)
    values = present @ weights + bias + noise * rng.standard_normal((n_images, n_neurons))
    return Planted(
        ActivationMatrix(values, layer="planted"),
        ConceptMatrix(present, [f"concept {column}" for column in range(n_concepts)]),
        from_numpy(weights),
        from_numpy(bias),
    )
