"""Means over layers are of the same images: two layers measured on others are refused, however few they are."""

from __future__ import annotations

import dataclasses

import pytest

import linexp as le
from linexp.ablation.impact import mean_figures, measure_figures
from tests.small_classifiers import small_inputs, small_labels, small_resnet


def figures(layer: str, n_images: int = 40, name: str = "f"):
    found = le.impact(small_resnet(), layer, small_inputs(n_images), labels=small_labels(n_images), show_progress=False)
    named = dataclasses.replace(found.activations, images=name)
    return measure_figures(dataclasses.replace(found, activations=named), [0.1])


def test_two_layers():
    same = mean_figures([figures("stem"), figures("layer1.0")])
    assert same.n_neurons == 12
    with pytest.raises(le.DifferentImagesError, match="fingerprints"):
        mean_figures([figures("stem"), figures("layer1.0", name="g")])
    with pytest.raises(le.DifferentImagesError, match="One matrix has 40 images and the other 30"):
        mean_figures([figures("stem"), figures("layer1.0", 30)])


def test_the_last_of_three_layers():
    with pytest.raises(le.DifferentImagesError, match="fingerprints"):
        mean_figures([figures("stem"), figures("layer1.0"), figures("layer2", name="g")])
