"""Weights for what a method says without any: least squares on the training images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from linexp._internal.checks import check_same_images, check_whole
from linexp.explainers.fit import Rows, Units, blocks, find_errors
from linexp.explainers.terms import in_words
from linexp.explanations import Columns, Concept, Explanation, Explanations, FittedOn, Term
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split
from linexp.solve import Shortlist, accumulate_shortlist, measure_columns, refit_among


def fit_weights(
    said: Sequence[Sequence[Concept]],
    activations: ActivationMatrix,
    concepts: ConceptMatrix,
    split: Split,
    *,
    n_groups: int = 20,
) -> Explanations:
    """Give each neuron's concepts the weights, and the bias, that predict it best on the training images.

    Parameters
    ----------
    said
        Concepts of each neuron, in the order of ``activations.neurons``: words, texts or formulas. One that is said
        twice counts once. Where there is none, the neuron is "empty".
    activations
        Recorded activations [images, neurons].
    concepts
        Presence in the same images of (at least) all that is named; it is read in blocks of rows.
    split
        Fits on ``split.train`` and correlates on ``split.val``; never looks at ``split.test``.
    n_groups
        Groups of images that are left out once each for the standard errors; 0: no errors.

    Returns
    -------
    Explanations
        One per neuron, with a term for each concept: one that is constant on the training images, or a combination of
        those said before it, has weight 0. Neurons constant on the training images have the outcome "constant".

    Raises
    ------
    DifferentImagesError
        The two matrices are of different images, or the split names images they do not have.
    ValueError
        Another number of neurons is explained than was recorded, or ``concepts`` lacks what is named.
    """
    check_same_images(activations.images, concepts.images, activations.n_images, concepts.n_images)
    split.check(activations.n_images)
    check_whole("n_groups", n_groups, 2 if n_groups else 0)
    if len(said) != len(activations.neurons):
        raise ValueError(f"{len(said)} neurons are explained, {len(activations.neurons)} recorded. Say it of each.")
    constant = measure_columns(blocks(activations, split.train)).is_constant.tolist()
    fitted = [() if still else tuple(dict.fromkeys(some)) for some, still in zip(said, constant, strict=True)]
    wanted = tuple(dict.fromkeys(concept for some in fitted for concept in some))
    place = {concept: number for number, concept in enumerate(wanted)}
    lists = [np.array([place[concept] for concept in some], np.int64) for some in fitted]
    every = torch.ones(len(lists), dtype=torch.bool)
    rows = Rows(activations, Columns(concepts, wanted), every, split.train, split.val, torch.device("cpu"))
    found = _fit(rows, lists, wanted, n_groups)
    items = map(_complete, found, activations.neurons, fitted, constant)
    images = activations.images or concepts.images
    fitted_on = None if images is None else FittedOn.of(split, images)
    return Explanations(tuple(items), activations.layer, fitted_on=fitted_on)


def _fit(rows: Rows, lists: list[NDArray[np.int64]], wanted: Sequence[Concept], n_groups: int) -> list[Explanation]:
    """Return what least squares makes of each neuron's columns; what is constant or collinear is left out."""
    shortlist = Shortlist.of_lists(lists)
    train, val = (accumulate_shortlist(rows.blocks(part), shortlist) for part in (rows.train, rows.val))
    padded = np.full((len(lists), max(map(len, lists))), -1)
    for neuron, some in enumerate(lists):
        padded[neuron, : len(some)] = some
    solution = refit_among(train, val, padded)
    # Nothing is divided by a deviation: what makes columns collinear is a share, whatever their scale.
    mean, ones = np.zeros(len(wanted)), np.ones(max(len(wanted), len(lists)))
    mean[shortlist.concepts] = train.concept_mean
    units = Units(mean, ones[: len(wanted)], train.neuron_mean, ones[: len(lists)])
    return in_words(solution, units, wanted, find_errors(rows, solution, units, n_groups))


def _complete(item: Explanation, neuron: int, said: Sequence[Concept], constant: bool) -> Explanation:
    """Return the explanation with what was left out at weight 0, so that it says what the method says."""
    if constant:
        return Explanation(neuron, (), item.bias, None, "constant")
    left_out = [Term(concept, 0.0) for concept in said if concept not in item.concepts]
    terms = tuple(sorted([*item.terms, *left_out], key=lambda term: -term.weight))
    return replace(item, neuron=neuron, terms=terms, outcome="explained" if terms else "empty")
