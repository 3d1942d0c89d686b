"""Weights for what a method says without any: least squares on the training images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np
from torch import Tensor

from linexp._internal.checks import check_same_images, check_whole
from linexp._internal.compiled import Indices
from linexp.explainers.fit import Units, blocks
from linexp.explainers.parts import moments_of_groups, n_images_of
from linexp.explainers.terms import in_words
from linexp.explanations import Columns, Concept, Explanation, Explanations, FittedOn, Measure, Term
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split
from linexp.solve import Shortlist, ShortlistMoments, jackknife, measure_columns, refit_among


def fit_weights(
    said: Sequence[Sequence[Concept]],
    activations: ActivationMatrix,
    concepts: ConceptMatrix,
    split: Split,
    *,
    measures: Sequence[Measure | None] = (),
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
    measures
        The method's own measure of what it says of each neuron, to be kept beside it. Default: none.
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
    for given, what in ((said, "explained"), (measures or said, "measured")):
        if len(given) != len(activations.neurons):
            n_recorded = len(activations.neurons)
            raise ValueError(f"{len(given)} neurons are {what}, {n_recorded} recorded. Say it of each.")
    constant = measure_columns(blocks(activations, split.train)).is_constant.tolist()
    fitted = [() if still else tuple(dict.fromkeys(some)) for some, still in zip(said, constant, strict=True)]
    wanted = tuple(dict.fromkeys(concept for some in fitted for concept in some))
    place = {concept: number for number, concept in enumerate(wanted)}
    lists = [np.array([place[concept] for concept in some], np.int64) for some in fitted]
    columns = Columns(concepts, wanted)
    n_groups = max(min(n_groups, *(n_images_of(activations, part) for part in (split.train, split.val))), 1)
    train, val = (_moments(columns, activations, part, lists, n_groups) for part in (split.train, split.val))
    found = _fit(train, val, wanted)
    items = map(_complete, found, activations.neurons, fitted, measures or [None] * len(said), constant)
    images = activations.images or concepts.images
    fitted_on = None if images is None else FittedOn.of(split, images)
    return Explanations(tuple(items), activations.layer, fitted_on=fitted_on)


def _moments(
    columns: Columns, activations: ActivationMatrix, part: Tensor, lists: list[Indices], n_groups: int
) -> list[ShortlistMoments]:
    """Return the moments of each group of a part of the images, all of it read once."""

    def pairs(rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        return zip(blocks(columns, rows), blocks(activations, rows), strict=True)

    return moments_of_groups(activations, pairs, part, n_groups, Shortlist.of_lists(lists))


def _fit(train: list[ShortlistMoments], val: list[ShortlistMoments], wanted: Sequence[Concept]) -> list[Explanation]:
    """Return what least squares makes of each neuron's columns; what is constant or collinear is left out."""
    whole = reduce(ShortlistMoments.merge, train)
    n_neurons, lengths = len(whole.neuron_mean), np.diff(whole.shortlist.starts)
    padded = np.full((n_neurons, int(lengths.max())), -1)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = whole.shortlist.concepts
    solution = refit_among(whole, reduce(ShortlistMoments.merge, val), padded)
    errors = jackknife(train, val, solution) if min(len(train), len(val)) > 1 else None
    # Nothing was divided by a deviation: what makes columns collinear is a share, whatever their scale.
    mean, ones = np.zeros(len(wanted)), np.ones(max(len(wanted), n_neurons))
    mean[whole.shortlist.concepts] = whole.concept_mean
    units = Units(mean, ones[: len(wanted)], whole.neuron_mean, ones[:n_neurons])
    return in_words(solution, units, wanted, errors)


def _complete(
    item: Explanation, neuron: int, said: Sequence[Concept], measure: Measure | None, constant: bool
) -> Explanation:
    """Return the explanation with what was left out at weight 0, so that it says what the method says."""
    if constant:
        return Explanation(neuron, (), item.bias, None, "constant")
    left_out = [Term(concept, 0.0) for concept in said if concept not in item.concepts]
    terms = tuple(sorted([*item.terms, *left_out], key=lambda term: -term.weight))
    return replace(item, neuron=neuron, terms=terms, outcome="explained" if terms else "empty", measure=measure)
