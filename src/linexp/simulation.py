"""Predict ("simulate") what neurons do on images from their explanations alone."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from linexp._checks import closest, listing
from linexp.explanation import Explanations
from linexp.matrix import ActivationMatrix, ConceptMatrix

# Always the same pieces, so that the bytes do not depend on how much fits in memory.
_BLOCK_ROWS = 2048


def simulate(explanations: Explanations, concepts: ConceptMatrix) -> ActivationMatrix:
    """Predict the activation of every explained neuron on every image: Σ weight·P(concept) + bias.

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
    used, weights, bias = _as_matrix(explanations, concepts)
    pieces = [
        concepts.block(slice(start, start + _BLOCK_ROWS))[:, used].to(torch.float64) @ weights + bias
        for start in range(0, concepts.n_images, _BLOCK_ROWS)
    ]
    values = torch.cat(pieces).to(torch.float32)
    return ActivationMatrix(values, explanations.neurons, explanations.layer, concepts.images)


def _as_matrix(
    explanations: Explanations, concepts: ConceptMatrix
) -> tuple[Tensor, Float[Tensor, "used neurons"], Float[Tensor, " neurons"]]:
    place = {name: column for column, name in enumerate(concepts.names)}
    missing = [name for name in explanations.concepts if name not in place]
    if missing:
        raise ValueError(
            f"The concept '{missing[0]}' of the explanations is not in the concept matrix"
            f"{f' (nor are {len(missing) - 1} others)' if len(missing) > 1 else ''}."
            f"{closest(missing[0], concepts.names)} Describe the images with every concept the explanations use: "
            f"{listing(explanations.concepts, 6)}."
        )
    row = {name: number for number, name in enumerate(explanations.concepts)}
    weights = torch.zeros(len(row), len(explanations), dtype=torch.float64)
    for neuron, item in enumerate(explanations):
        for term in item.terms:
            weights[row[term.concept], neuron] += term.weight
    used = torch.tensor([place[name] for name in row], dtype=torch.int64)
    bias = torch.tensor([item.bias for item in explanations], dtype=torch.float64)
    return used, weights, bias
