"""Ranges, shares and what is drawn of them, against slow literal twins."""

import numpy as np
import pytest
import torch
from matplotlib import pyplot

import linexp as le
from linexp.explanations.explanation import Explanation, Term
from linexp.explanations.layer import Explanations
from linexp.figures import choose_pictures, draw_area, even_ranges, share_ranges
from linexp.figures.area import divide, find_inside
from linexp.figures.pictures import square
from tests.report_world import make_pictures


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


def test_ranges_are_even_from_zero_to_the_highest_activation():
    ranges = even_ranges(np.array([-3.0, 0.5, 8.0]))
    assert ranges.edges.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert ranges.places(np.array([-0.1, 0.0, 0.999, 1.0, 6.5, 7.0, 8.0])).tolist() == [-1, 0, 0, 1, 6, 7, 7]


def test_ranges_begin_at_the_lowest_activation_where_none_is_above_zero():
    ranges = even_ranges(np.array([-8.0, -4.0, 0.0]))
    assert (ranges.low, ranges.high) == (-8.0, 0.0)
    assert ranges.places(np.array([-8.0, 0.0])).tolist() == [0, 7]


def test_every_image_of_a_constant_neuron_is_in_one_range():
    activations = np.zeros(5)
    assert set(even_ranges(activations).places(activations).tolist()) == {7}


@pytest.mark.parametrize("low", [0.0, -2.0])
def test_pictures_are_chosen_within_their_range(low: float):
    activations = np.random.default_rng(1).uniform(low, 4.0, 300)
    ranges = even_ranges(activations)
    chosen = choose_pictures(activations, ranges, 4, 7)
    edges = ranges.edges
    for place, rows in zip(reversed(range(8)), chosen, strict=True):
        values = activations[list(rows)]
        inside = [value for value in activations if (value >= edges[place] or place == 0) and value < edges[place + 1]]
        inside += [value for value in activations if place == 7 and value == edges[8]]
        assert len(rows) == min(4, len(inside)) == len(set(rows))
        assert set(values) <= set(inside)
        assert values.tolist() == sorted(values, reverse=True)
    assert choose_pictures(activations, ranges, 4, 7) == chosen
    assert choose_pictures(activations, ranges, 4, 8) != chosen


def test_preferred_images_come_first_and_others_fill_up():
    activations = np.array([1.0] * 10 + [8.0] * 3)
    preferred = np.array([False] * 6 + [True] * 4 + [True, False, False])
    top, *_, low = (
        choose_pictures(activations, even_ranges(activations), 3, 0, preferred)[:1]
        + choose_pictures(activations, even_ranges(activations), 4, 0, preferred)[6:7]
    )
    assert top == (10, 11, 12)
    assert low == (6, 7, 8, 9)


def test_a_range_is_chosen_from_evenly():
    activations = np.linspace(0, 8, 80)
    ranges = even_ranges(activations)
    counts = np.zeros(80)
    for seed in range(400):
        counts[[row for rows in choose_pictures(activations, ranges, 3, seed) for row in rows]] += 1
    assert counts.min() > 0.5 * 400 * 3 / 10
    assert counts.max() < 1.6 * 400 * 3 / 10


def slow_shares(presence: np.ndarray, activations: np.ndarray) -> np.ndarray:
    """Divide zeros and ones, image by image and range by range."""
    n_images, n_terms = presence.shape
    has = [{term for term in range(n_terms) if row[term]} for row in presence]
    images = [{row for row in range(n_images) if term in has[row]} for term in range(n_terms)]
    shares, counts = np.zeros((8, n_terms)), np.zeros(8)
    for row in range(n_images):
        value = activations[row]
        if value < 0:
            continue
        place = next((k for k in range(8) if value < (k + 1) * activations.max() / 8), 7)
        counts[place] += 1
        # The innermost: none of the image's other concepts lies inside it.
        own = [term for term in has[row] if not any(images[other] < images[term] for other in has[row])]
        for term in own:
            shares[place, term] += 1 / len(own)
    return shares / np.maximum(counts, 1)[:, None]


def test_shares_are_the_papers_fractions():
    """Section 5.1: the fraction of inputs within a range that belong to each class or superclass, and the rest."""
    husky, dog, snow = [1, 0, 0, 1, 0], [1, 1, 0, 1, 0], [1, 0, 1, 0, 0]
    presence = np.array([husky, dog, snow], dtype=float).T
    activations = np.array([8.0, 8.0, 8.0, 0.5, 0.5])
    area = share_ranges(presence, ("husky", "dog", "snow"), activations, even_ranges(activations))
    assert area.names == ("husky", "dog", "snow")
    np.testing.assert_allclose(area.shares[7], [1 / 3, 2 / 3, 2 / 3])
    np.testing.assert_allclose(area.shares[0], [1 / 2, 1 / 2, 0])
    np.testing.assert_allclose(area.other[[0, 7]], [1 / 2, 0])
    assert not area.shares[1:7].any()
    assert not area.other[1:7].any()
    for shares in ("plain", "divided"):  # of nothing, everything is other
        empty = share_ranges(np.zeros((5, 0)), (), activations, even_ranges(activations), shares)
        assert empty.other[[0, 7]].tolist() == [1, 1]
    with pytest.raises(ValueError, match="shares is 'even'"):
        share_ranges(presence, ("husky", "dog", "snow"), activations, even_ranges(activations), "even")  # pyright: ignore[reportArgumentType]


def test_a_chart_of_overlapping_concepts_shows_all_of_the_stack():
    presence = np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
    activations = np.array([8.0, 8.0, 8.0])
    axes = draw_area(share_ranges(presence, "ab", activations, even_ranges(activations)), even_ranges(activations), "")
    assert axes.get_ylim()[1] == pytest.approx(2 / 3 + 2 / 3 + 1 / 3)


def test_divided_shares_of_labels_equal_the_slow_twin():
    rng = np.random.default_rng(3)
    presence = (rng.random((400, 5)) < 0.3).astype(float)
    presence[:, 1] = np.maximum(presence[:, 1], presence[:, 0])
    presence[:, 2] = np.maximum(presence[:, 2], presence[:, 1])  # 0 inside 1 inside 2
    activations = presence @ np.array([1.0, 0.5, 0.2, 1.5, -0.5]) + rng.normal(0, 0.3, 400)
    area = share_ranges(presence, "abcde", activations, even_ranges(activations), "divided")
    np.testing.assert_allclose(area.shares, slow_shares(presence, activations), atol=1e-12)
    assert area.names == ("a", "other b", "other c", "d", "e")
    np.testing.assert_allclose(area.shares.sum(1) + area.other, area.n_images > 0, atol=1e-12)
    assert area.n_images.sum() + area.n_below == 400
    assert area.n_below == (activations < 0).sum() > 0


def test_shares_of_probabilities_stack_to_at_most_one():
    rng = np.random.default_rng(4)
    presence = rng.random((200, 4)) ** 2
    divided = divide(presence, find_inside(presence))
    assert divided.min() >= 0
    assert divided.sum(1).max() <= 1 + 1e-12
    small = presence * 0.2
    np.testing.assert_allclose(divide(small, find_inside(small)), small)  # where they fit, they are themselves


def test_an_outer_probability_keeps_what_the_inner_one_leaves():
    presence = np.array([[0.9, 0.95], [0.1, 0.9], [0.0, 0.6]])
    inside = find_inside(presence)
    assert inside.tolist() == [[False, True], [False, False]]
    np.testing.assert_allclose(divide(presence, inside), [[0.9, 0.05], [0.1, 0.8], [0.0, 0.6]])


def test_equal_concepts_share_and_neither_is_other():
    presence = np.array([[1.0, 1.0], [0.0, 0.0], [1.0, 1.0]])
    area = share_ranges(presence, ("a", "b"), np.array([8.0, 0.0, 8.0]), even_ranges(np.array([8.0])), "divided")
    assert area.names == ("a", "b")
    assert area.shares[7].tolist() == [0.5, 0.5]


@pytest.fixture(scope="module")
def world():
    planted = le.make_planted(300)
    return planted, le.LinearExplainer().explain(planted.activations, planted.concepts, le.Split.random(300))


def test_the_area_chart_is_drawn_with_its_counts_and_names(world):
    planted, explanations = world
    axes = explanations[2].plot_area(planted.activations, planted.concepts)
    column = planted.activations.select([2]).values[:, 0]
    assert axes.get_title(loc="left") == "neuron 2 of planted"
    counts = [int(text.get_text().replace(",", "")) for text in axes.texts]
    assert sum(counts) == int((column >= 0).sum())
    assert [text.get_text() for text in axes.get_legend().get_texts()][::-1] == [*explanations[2].concepts, "other"]
    some = explanations[2].plot_area(planted.activations, planted.concepts, rows=[0, 1, 2], n_ranges=4)
    assert len(some.texts) == 4
    divided = explanations[2].plot_area(planted.activations, planted.concepts, shares="divided")
    assert divided.get_ylim()[1] == pytest.approx(1)


def test_names_are_not_read_as_mathematics_or_left_out_of_the_legend():
    presence = np.eye(3)
    names = ("$\\frac{1}{$", "_hidden", "a_b^c")
    area = share_ranges(presence, names, np.array([1.0, 2.0, 3.0]), even_ranges(np.array([3.0])))
    axes = draw_area(area, even_ranges(np.array([3.0])), "$\\broken")
    axes.figure.canvas.draw()
    assert len(axes.get_legend().get_texts()) == 4


def test_pictures_of_ranges_are_drawn(world):
    planted, explanations = world
    pictures = make_pictures(300)
    # What was planted knows no images, so any are taken.
    axes = explanations[2].plot_ranges(planted.activations, pictures, n_pictures=2, seed=3)
    column = planted.activations.select([2]).values[:, 0].double().numpy()
    chosen = choose_pictures(column, even_ranges(column), 2, (3, 2, 0))
    rows = [row for part in chosen for row in part]
    assert len(axes.get_images()) == len(rows)
    for drawn, row in zip(axes.get_images(), rows, strict=True):
        assert np.asarray(drawn.get_array())[5, 5].tolist() == pictures[row, 0, 0].tolist()
    own = pyplot.figure().subplots()
    assert explanations[2].plot_ranges(planted.activations, pictures, axes=own) is own


def test_what_cannot_be_drawn_is_said(world):
    planted, explanations = world
    with pytest.raises(le.DifferentImagesError, match="One matrix has 9 images and the other 300"):
        explanations[2].plot_ranges(planted.activations, make_pictures(9))
    with pytest.raises(ValueError, match="There is no image to choose from"):
        explanations[2].plot_area(planted.activations, planted.concepts, rows=[])
    with pytest.raises(ValueError, match=r"There is no image 300\. Choose among 0 to 299"):
        explanations[2].plot_area(planted.activations, planted.concepts, rows=[300])
    with pytest.raises(ValueError, match=r"n_ranges is 0\. It must be at least 1"):
        explanations[2].plot_area(planted.activations, planted.concepts, n_ranges=0)


def test_pictures_are_cropped_to_their_middle():
    pixels = np.zeros((10, 30, 3), dtype=np.uint8)
    pixels[:, 10:20] = 200
    assert np.unique(np.asarray(square(le.ImageArray(pixels[None])[0], 10))).tolist() == [200]


def test_scores_are_drawn_as_a_histogram_or_against_others():
    values = torch.tensor([0.1, 0.3, float("nan"), 0.2], dtype=torch.float64)
    scores = le.Scores(values, (1, 2, 3, 4), "correlation", 10)
    axes = scores.plot()
    assert sum(patch.get_height() for patch in axes.patches) == 3
    assert "mean 0.200" in [text.get_text() for text in axes.texts]
    other = le.Scores(torch.tensor([0.5, 0.6, 0.7]), (4, 1, 3), "ablation", 10)
    drawn = other.plot(scores)
    assert (drawn.get_xlabel(), drawn.get_ylabel()) == ("correlation", "ablation")
    np.testing.assert_allclose(drawn.collections[0].get_offsets(), [[0.2, 0.5], [0.1, 0.6]], atol=1e-6)
    with pytest.raises(ValueError, match="No neuron has both scores"):
        scores.plot(le.Scores(torch.tensor([0.5]), (9,), "ablation", 10))


def test_notebooks_show_bars_and_escape_names():
    evil = Explanation(3, (Term("<img src=x>", 2.0, 0.1, 0.5), Term("b & c", -1.0)), 0.25, 0.5)
    text = evil._repr_html_()
    assert "&lt;img src=x&gt;" in text
    assert "<img" not in text
    assert "2 ± 0.1" in text
    assert "chosen again in 50% of redraws" in text
    assert "width:160.0px" in text
    assert "width:80.0px" in text
    assert "b &amp; c" in text
    assert "val 0.50 ± ?, selected; bias 0.25" in text
    constant = Explanation(4, (), 0.0, None, "constant")
    assert "not explained" in constant._repr_html_()
    both = Explanations((evil, constant), "layer")._repr_html_()
    assert "2.00·&lt;img src=x&gt; − 1.00·b &amp; c + 0.25" in both
    assert "constant on the training images (0.00): not explained" in both
    many = Explanations(tuple(Explanation(n, (Term("a", 1.0),)) for n in range(30)), "layer")
    assert "Explanations(30 neurons of layer &#x27;layer&#x27;), the first 20 of them" in many._repr_html_()
    assert many._repr_html_().count("<tr>") == 21
