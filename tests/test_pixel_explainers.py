"""Methods by overlap count pixels where there are maps; each against a literal count over all pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import linexp as le
from linexp.matrix import IGNORED, NONE, Regions
from linexp.solve import number_known, pixels_within, unpack_columns

SIDE, CELLS, N_IMAGES = 12, 4, 12
NAMES = ("sky", "road", "car")


def enlarged(values: torch.Tensor) -> torch.Tensor:
    """Return maps [images, neurons, side, side] as torch's own interpolation makes them."""
    maps = values.double().unflatten(0, (-1, CELLS, CELLS)).permute(0, 3, 1, 2)
    return torch.nn.functional.interpolate(maps, (SIDE, SIDE), mode="bilinear", align_corners=False)


@pytest.fixture(scope="module")
def problem() -> tuple[le.ActivationMatrix, le.PixelConceptMatrix, le.Split]:
    generator = np.random.default_rng(3)
    regions = Regions(N_IMAGES, CELLS, CELLS, "images")
    values = generator.normal(size=(regions.n_rows, 5)) ** 2
    maps = generator.choice([0, 1, NONE, IGNORED], (N_IMAGES, 2, SIDE, SIDE), p=[0.4, 0.3, 0.2, 0.1]).astype(np.int16)
    maps[:, 1] = np.where(generator.random((N_IMAGES, SIDE, SIDE)) < 0.2, 2, NONE)
    maps[0, 1] = NONE  # an image without a car
    shares = generator.random((regions.n_rows, 3))
    categories = {"stuff": ("sky", "road"), "things": ("car",)}
    concepts = le.PixelConceptMatrix(shares, NAMES, maps, categories, regions.fingerprint)
    activations = le.ActivationMatrix(values, layer="layer", regions=regions)
    split = le.Split([0, 1, 2, 3, 4, 5, 6], [7, 8], [9, 10, 11]).for_rows(activations)
    return activations, concepts, split


def literal_iou(given: Any, images: Any, neuron: int, holds: Any, cut: float, field: Any = None) -> float:
    """Go through all pixels of some images, one by one."""
    activations, concepts, _ = given
    large = enlarged(activations.values)
    both = either = 0
    for image in images:
        for row in range(SIDE):
            for column in range(SIDE):
                shown = set(concepts.maps[image, :, row, column].tolist())
                if shown == {IGNORED}:
                    continue
                active = bool(large[image, neuron, row, column] > cut)
                if field is not None and not np.isin(concepts.maps[image], list(field)).any():
                    active = False
                both += active and holds(shown)
                either += active or holds(shown)
    return both / either if either else 0.0


def shows(one: int) -> Callable[[set[int]], bool]:
    return lambda shown: one in shown


def cut_of(given: Any, neuron: int, quantile: float) -> float:
    activations, _, split = given
    return float(np.quantile(activations.values[split.train, neuron].numpy().astype(np.float64), quantile))


def test_enlarged_maps_are_those_of_torch() -> None:
    torch.manual_seed(0)
    for height, width, side in ((3, 5, 16), (1, 1, 4), (7, 7, 112), (14, 9, 9)):
        maps = torch.randn(3, height, width, 4)
        known = np.ones((3, side, side), bool)
        known[1, : side // 2] = False
        ranges = np.array([[[0.3, np.inf], [-0.5, 0.2]]] * 3 + [[[np.nan, np.nan], [-np.inf, np.inf]]])
        for strict in (False, True):
            found = pixels_within(maps, ranges, number_known(known), strict=strict)
            large = torch.nn.functional.interpolate(
                maps.double().permute(0, 3, 1, 2), (side, side), mode="bilinear", align_corners=False
            )
            n_rows = int(known.sum())
            for neuron in range(4):
                for which in range(2):
                    low, high = ranges[neuron, which]
                    inside = (large[:, neuron] >= low) & (large[:, neuron] <= high)
                    rows = unpack_columns(found[neuron, which][None], n_rows)[:, 0]
                    # A value within rounding of an end may fall on either side of it.
                    near = ((large[:, neuron] - low).abs() < 1e-9) | ((large[:, neuron] - high).abs() < 1e-9)
                    clear = ~near[torch.from_numpy(known)]
                    assert torch.equal(rows[clear], inside[torch.from_numpy(known)][clear])


@pytest.mark.parametrize("categories", [None, {"stuff": ("sky", "road"), "things": ("car",)}])
def test_dissection_counts_pixels(problem: Any, categories: Any) -> None:
    activations, concepts, split = problem
    explainer = le.DissectionExplainer(quantile=0.8, categories=categories)
    explanations = explainer.explain(activations, concepts, split)
    fields: list[Any] = [None] * 3 if categories is None else [(0, 1), (0, 1), (2,)]
    for neuron, found in enumerate(explanations):
        cut = cut_of(problem, neuron, 0.8)
        ious = [literal_iou(problem, range(7), neuron, shows(one), cut, fields[one]) for one in range(3)]
        assert found.measure is not None
        assert found.measure.value == pytest.approx(max(ious))
        assert found.names == (NAMES[int(np.argmax(ious))],)
    tested = explainer.measure_test(explanations, activations, concepts, split)
    for neuron, measure in enumerate(tested):
        one = NAMES.index(explanations[neuron].names[0])
        expected = literal_iou(problem, (9, 10, 11), neuron, shows(one), cut_of(problem, neuron, 0.8), fields[one])
        assert measure is not None
        assert measure.value == pytest.approx(expected)


def test_a_formula_is_measured_in_pixels(problem: Any) -> None:
    activations, concepts, split = problem
    explainer = le.CompositionalExplainer(quantile=0.8)
    explanations = explainer.explain(activations, concepts, split)
    tested = explainer.measure_test(explanations, activations, concepts, split)
    assert any(isinstance(item.concepts[0], le.Formula) for item in explanations)
    for part, measures in (
        (range(7), [item.measure for item in explanations]),
        ((9, 10, 11), tested),
    ):
        for neuron, measure in enumerate(measures):
            concept = explanations[neuron].concepts[0]
            formula = concept if isinstance(concept, le.Formula) else le.Formula.of(concept)

            def holds(shown: set[int], formula: le.Formula = formula) -> bool:
                present = {name: torch.tensor([float(place in shown)]) for place, name in enumerate(NAMES)}
                return bool(formula.evaluate(present)[0] > 0)

            assert measure is not None
            expected = literal_iou(problem, part, neuron, holds, cut_of(problem, neuron, 0.8))
            assert measure.value == pytest.approx(expected)


def test_ranges_are_explained_in_pixels(problem: Any) -> None:
    activations, concepts, split = problem
    explanations = le.ClusteredExplainer(n_ranges=2, max_length=1).explain(activations, concepts, split)
    assert [item.measure is not None for item in explanations] == [True] * 5


def planted_detector() -> tuple[le.ActivationMatrix, np.ndarray[Any, Any], le.Split]:
    """A neuron whose map is a concept's mask, made coarse: the share of a rectangle in each cell."""
    generator = np.random.default_rng(0)
    masks = np.zeros((20, 64, 64), bool)
    for mask in masks:
        row, column = generator.integers(0, 32, 2)
        mask[row : row + 32, column : column + 32] = True
    regions = Regions(20, 16, 16)
    values = masks.reshape(20, 16, 4, 16, 4).mean((2, 4)).reshape(-1, 1)
    activations = le.ActivationMatrix(values + generator.normal(size=values.shape) * 1e-3, regions=regions)
    return activations, masks, le.Split(range(14), [14, 15], range(16, 20)).for_rows(activations)


def iou_of_detector(masks: np.ndarray[Any, Any], activations: le.ActivationMatrix, split: le.Split) -> float:
    generator = np.random.default_rng(1)
    other = generator.random(masks.shape) < 0.3
    maps = np.stack([np.where(masks, 0, NONE), np.where(other, 1, NONE)], 1).astype(np.int16)
    shares = np.stack([one.reshape(20, 16, 4, 16, 4).mean((2, 4)).reshape(-1) for one in (masks, other)], 1)
    concepts = le.PixelConceptMatrix(shares, ["planted", "other"], maps, {})
    found = le.DissectionExplainer(quantile=0.75).explain(activations, concepts, split)
    assert found[0].measure is not None
    return found[0].measure.value


def test_a_planted_detector_is_found_and_a_shifted_mask_destroys_it() -> None:
    activations, masks, split = planted_detector()
    assert iou_of_detector(masks, activations, split) > 0.9
    assert iou_of_detector(np.roll(masks, 32, axis=2), activations, split) < 0.4


def test_a_split_of_single_cells_is_refused(problem: Any) -> None:
    activations, concepts, _ = problem
    with pytest.raises(ValueError, match="for_rows"):
        le.DissectionExplainer().explain(activations, concepts, le.Split.random(activations.n_images))


def test_concepts_that_all_pixels_show_are_refused(problem: Any) -> None:
    activations, _, split = problem
    maps = np.zeros((N_IMAGES, 1, SIDE, SIDE), np.int16)
    shares = np.random.default_rng(0).random((activations.n_images, 1))
    concepts = le.PixelConceptMatrix(shares, ["sky"], maps, {}, activations.images)
    with pytest.raises(ValueError, match="vary over these images"):
        le.DissectionExplainer().explain(activations, concepts, split)


@pytest.mark.parametrize("way", ["linear", "weights"])
def test_errors_leave_out_images_and_not_their_regions(problem: Any, way: str) -> None:
    """Regions that are copies of each other say nothing new: the errors are those of the images."""
    generator = np.random.default_rng(5)
    values, shares = generator.normal(size=(40, 2)), generator.random((40, 3))
    values[:, 0] += 4 * shares[:, 0]
    values[:, 1] += 4 * shares[:, 2]
    regions = Regions(40, 2, 2, "images")
    split = le.Split(range(28), range(28, 34), range(34, 40))

    def explain(n_copies: int, of: Regions | None) -> Any:
        names = None if of is None else of.fingerprint
        activations = le.ActivationMatrix(np.repeat(values, n_copies, 0), layer="layer", regions=of)
        concepts = le.ConceptMatrix(np.repeat(shares, n_copies, 0), NAMES, names)
        parts = split.for_rows(activations)
        if way == "weights":
            return le.fit_weights([["sky"], ["car"]], activations, concepts, parts, n_groups=5)
        return le.LinearExplainer(min_activity=0, n_groups=5, n_repeats=4).explain(activations, concepts, parts)

    for whole, parted in zip(explain(1, None), explain(4, regions), strict=True):
        assert parted.names == whole.names
        assert parted.terms[0].error == pytest.approx(whole.terms[0].error, rel=1e-6)
        assert parted.val_error == pytest.approx(whole.val_error, rel=1e-6)
        assert [term.kept for term in parted.terms] == [term.kept for term in whole.terms]
