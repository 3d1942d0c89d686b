"""Predict ("simulate") what neurons do on images from their explanations alone."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from linexp.explanations.columns import Columns
from linexp.explanations.layer import Explanations
from linexp.matrix import ActivationMatrix, ConceptMatrix

# Always the same pieces, so that the bytes do not depend on how much fits in memory.
_BLOCK_ROWS = 2048


def simulate(explanations: Explanations, concepts: ConceptMatrix) -> ActivationMatrix:
    """Predict the activation of every explained neuron on every image: Σ weight·P(concept) + bias.

    Where an explanation has a link, it is put on that.

    Parameters
    ----------
    explanations
        Explanations by any method. One without terms predicts its bias everywhere.
    concepts
        Presence of (at least) the concepts that occur in them, judged by the simulator: labels, or a model other than
        the one that found the explanations.

    Returns
    -------
    ActivationMatrix
        Simulated activations [images, neurons], with the explanations' neurons and the concepts' images.

    Raises
    ------
    ValueError
        An explanation uses a concept that ``concepts`` does not have.

    References
    ----------
    Paper, Eq. 9; the bias is the fitted one, which no correlation sees and ablation scoring needs.
    """
    columns = Columns(concepts, explanations.concepts)
    weights, bias = _as_matrix(explanations)
    pieces: list[Tensor] = []
    for start in range(0, concepts.n_images, _BLOCK_ROWS):
        rows = slice(start, min(start + _BLOCK_ROWS, concepts.n_images))
        sums = columns.block(rows).to(torch.float64) @ weights + bias
        for neuron, item in enumerate(explanations):
            if item.link is not None:
                sums[:, neuron] = item.link(sums[:, neuron])
        pieces.append(sums)
    values = torch.cat(pieces).to(torch.float32)
    return ActivationMatrix(values, explanations.neurons, explanations.layer, concepts.images)


def _as_matrix(explanations: Explanations) -> tuple[Float[Tensor, "used neurons"], Float[Tensor, " neurons"]]:
    """Return weights and biases, a row for each concept that some explanation uses."""
    row = {name: number for number, name in enumerate(explanations.concepts)}
    weights = torch.zeros(len(row), len(explanations), dtype=torch.float64)
    for neuron, item in enumerate(explanations):
        for term in item.terms:
            weights[row[term.concept], neuron] += term.weight
    return weights, torch.tensor([item.bias for item in explanations], dtype=torch.float64)
