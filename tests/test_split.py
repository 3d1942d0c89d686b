"""Splits: disjoint, reproducible, and refused when they are not what they say."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import linexp as le


@given(st.integers(20, 3000), st.integers(0, 2**32))
def test_random_split_is_a_partition_of_the_right_sizes(n_images, seed):
    split = le.Split.random(n_images, seed)
    everything = torch.cat([split.train, split.val, split.test])
    assert sorted(everything.tolist()) == list(range(n_images))
    for rows, share in ((split.train, 0.7), (split.val, 0.1), (split.test, 0.2)):
        assert abs(len(rows) - share * n_images) <= 1
    again = le.Split.random(n_images, seed)
    assert torch.equal(split.test, again.test)


def test_the_split_of_a_seed_never_changes():
    """Written down once: other versions and machines must draw the same images."""
    assert le.Split.random(20, seed=7).test.tolist() == [2, 9, 11, 17]


def test_another_seed_is_another_split():
    assert not torch.equal(le.Split.random(100, 0).test, le.Split.random(100, 1).test)


def test_rows_of_any_kind():
    split = le.Split([0, 1], np.array([2, 3]), torch.tensor([4, 5]))
    assert split.val.tolist() == [2, 3]
    split.check(6)
    with pytest.raises(le.DifferentImagesError, match=r"names image 5, but there are only 5 images \(0 to 4\)"):
        split.check(5)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (([0, 1], [1, 2], [3, 4]), "1 images both in train and in val (row 1 first)"),
        (([0, 1], [2, 3], [5, 0]), "both in train and in test (row 0 first)"),
        (([0, 1], [2, 3], [3, 4]), "both in val and in test (row 3 first)"),
        (([0, 1], [], [3, 4]), "The val part of the split has 0 images"),
        (([0, 1], [2, 3], [4]), "The test part of the split has 1 images"),
        (([0, 1, 0], [2, 3], [4, 5]), "The train part of the split contains row 0 twice"),
        (([0, -1], [2, 3], [4, 5]), "contains row -1. Rows start at 0"),
        (([0.5, 1], [2, 3], [4, 5]), "Give row numbers"),
        (([True, False], [2, 3], [4, 5]), "Give row numbers"),
    ],
)
def test_refused(parts, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        le.Split(*parts)


@pytest.mark.parametrize("fractions", [(0.7, 0.1, 0.1), (0.9, 0.2, -0.1), (1, 0, 0), (0.5, 0.5)])
def test_fractions(fractions):
    with pytest.raises(ValueError, match="add up to 1"):
        le.Split.random(100, fractions=fractions)


def test_too_few_images():
    with pytest.raises(ValueError, match=r"10 images split by .* leave fewer than two .* val 1, test 2"):
        le.Split.random(10)
