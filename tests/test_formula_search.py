"""Bits, beam search, mid-ranks, exact k-means and overlaps: each against its literal twin and a referee."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu
from sklearn.cluster import KMeans
from sklearn.metrics import roc_auc_score

from linexp.solve import (
    AND,
    AND_NOT,
    OR,
    OR_NOT,
    BeamSearch,
    cluster_lines,
    coverage,
    highest_cuts,
    joint_counts,
    mann_whitney,
    overlap_within,
    pack_columns,
    ranges_above,
    rows_within,
    search_auroc,
    search_iou,
    unpack_columns,
)
from tests.reference import formulas as literal

NAMES = {AND: "and", AND_NOT: "and not", OR: "or", OR_NOT: "or not"}
N_IMAGES, N_CONCEPTS, N_NEURONS = 40, 6, 4


def rows_above(values: torch.Tensor, cuts: np.ndarray) -> np.ndarray:
    return rows_within(values, ranges_above(cuts), strict=True)[:, 0]


def problem(seed: int, n_images: int = N_IMAGES, n_concepts: int = N_CONCEPTS) -> tuple[torch.Tensor, torch.Tensor]:
    """Return columns of zeros and ones, and activations that depend on them, many of them equal."""
    rng = np.random.default_rng(seed)
    columns = rng.random((n_images, n_concepts)) < rng.uniform(0.1, 0.6, n_concepts)
    mixed = (columns @ rng.normal(size=(n_concepts, N_NEURONS)) + rng.normal(size=(n_images, N_NEURONS))).round(1)
    return torch.from_numpy(columns), torch.from_numpy(np.maximum(mixed, 0))


def sets(columns: torch.Tensor) -> list[frozenset[int]]:
    return [frozenset(column.nonzero()[:, 0].tolist()) for column in columns.T]


def steps(formula: tuple[tuple[int, int], ...]) -> literal.Steps:
    return tuple((NAMES[operator], column) for operator, column in formula)


@pytest.mark.parametrize("sizes", [[200], [64, 136], [1, 63, 100, 36], [130, 70]])
def test_bits_are_the_rows_whatever_the_blocks(sizes: list[int]):
    columns = torch.rand(200, 7, generator=torch.Generator().manual_seed(0)) < 0.4
    words = pack_columns(columns.split(sizes))
    assert torch.equal(unpack_columns(words, 200), columns)
    assert torch.equal(joint_counts(words, words[:3]), columns.T.long() @ columns[:, :3].long())


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"penalty": 0.9},
        {"penalty": 0.9, "not_counts": True},
        {"least": 5, "most": 20},
        {"first_width": 6},
        {"operators": (AND, OR)},
    ],
    ids=str,
)
def test_beams_are_their_literal_twins(seed: int, settings: dict):
    columns, values = problem(seed)
    words, settings = pack_columns([columns]), {"first_width": 3, "operators": (AND, AND_NOT, OR, OR_NOT)} | settings
    first, operators = settings.pop("first_width"), settings.pop("operators")
    search = BeamSearch(3, 3, first, operators, **settings)
    joins = [NAMES[one] for one in operators]
    by_area = search_auroc(words, values.numpy(), search)
    active = rows_above(values, highest_cuts(values, 0.8))
    by_overlap = search_iou(words, active, N_IMAGES, search)
    highest = sets(unpack_columns(active, N_IMAGES))
    for neuron in range(N_NEURONS):
        line = values[:, neuron].tolist()
        for found, score in (
            (by_area, lambda rows, line=line: literal.auroc(line, rows)),
            (by_overlap, lambda rows, neuron=neuron: literal.iou(highest[neuron], rows)),
        ):
            wanted = literal.beam(sets(columns), N_IMAGES, score, joins, 3, 3, first_width=first, **settings)[:3]
            got = [(steps(found.formula(neuron, place)), found.scores[neuron, place]) for place in range(len(wanted))]
            if "penalty" not in settings:  # a penalty makes equal what is not, but for the last bit
                assert [formula for formula, _ in got] == [formula for formula, _ in wanted]
            np.testing.assert_allclose(*(penalised(one, settings) for one in (got, wanted)), rtol=1e-12)


def penalised(found: list[tuple[literal.Steps, float]], settings: dict) -> list[float]:
    """Return scores as the search compares them."""
    lengths = [
        len(formula) + ("not_counts" in settings) * sum("not" in join for join, _ in formula) for formula, _ in found
    ]
    return [score * settings.get("penalty", 1) ** (n - 1) for (_, score), n in zip(found, lengths, strict=True)]


@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_finds_the_optimum(seed: int):
    columns, values = problem(seed)
    words, active = pack_columns([columns]), rows_above(values, highest_cuts(values, 0.8))
    found = search_iou(words, active, N_IMAGES, BeamSearch(3, 2000, 2000, (AND, AND_NOT, OR)))
    for neuron, highest in enumerate(sets(unpack_columns(active, N_IMAGES))):
        best = literal.best_formula(
            sets(columns),
            N_IMAGES,
            lambda rows, highest=highest: literal.iou(highest, rows),
            ["and", "and not", "or"],
            3,
        )
        assert max(found.scores[neuron, 0], 0) == pytest.approx(best, rel=1e-12)


def test_no_two_formulas_of_a_beam_hold_in_the_same_rows():
    columns, values = problem(1)
    columns = torch.cat([columns, columns[:, :3], columns[:, :1] | columns[:, 1:2]], 1)
    found = search_auroc(pack_columns([columns]), values.numpy(), BeamSearch(3, 10, 10, (AND, AND_NOT, OR, OR_NOT)))
    every, of = frozenset(range(N_IMAGES)), sets(columns)
    for neuron in range(N_NEURONS):
        held = []
        for place in range(10):
            rows = every
            for join, column in steps(found.formula(neuron, place)):
                rows = literal.JOIN[join](rows, of[column], every)
            held.append(rows)
            assert len(rows) == found.counts[neuron, place]
        assert len(set(held)) == 10


def test_neurons_do_not_depend_on_each_other_nor_on_the_order_of_images():
    columns, values = problem(2)
    search = BeamSearch(3, 5, 5, (AND, AND_NOT, OR, OR_NOT))
    together = search_auroc(pack_columns([columns]), values.numpy(), search)
    order = torch.randperm(N_IMAGES, generator=torch.Generator().manual_seed(1))
    turned = search_auroc(pack_columns([columns[order]]), values[order].numpy(), search)
    assert np.array_equal(turned.columns, together.columns)
    assert np.array_equal(turned.scores, together.scores)
    for neuron in range(N_NEURONS):
        alone = search_auroc(pack_columns([columns]), values[:, [neuron]].numpy(), search)
        assert np.array_equal(alone.operators[0], together.operators[neuron])
        assert np.array_equal(alone.scores[0], together.scores[neuron])


def test_areas_and_p_values_are_those_of_the_referees():
    columns, values = problem(3)
    holds = columns[:, :N_NEURONS]
    areas, p_values = mann_whitney(values, holds)
    for neuron in range(N_NEURONS):
        line, inside = values[:, neuron].numpy(), holds[:, neuron].numpy()
        assert areas[neuron] == pytest.approx(roc_auc_score(inside, line), abs=1e-12)
        assert areas[neuron] == pytest.approx(literal.auroc(line.tolist(), sets(holds)[neuron]), abs=1e-12)
        assert p_values[neuron] == pytest.approx(
            mannwhitneyu(line[inside], line[~inside], method="asymptotic").pvalue, rel=1e-9
        )


def test_an_area_of_high_activations_is_not_flattened():
    """A sigmoid in float32 makes 20 and 30 equal."""
    values = torch.tensor([[20.0], [30.0], [25.0], [40.0]])
    holds = torch.tensor([[False], [True], [False], [True]])
    assert mann_whitney(values, holds)[0].tolist() == [1.0]
    found = search_auroc(pack_columns([holds]), values.numpy(), BeamSearch(1, 1, 1, (AND,)))
    assert found.scores[0, 0] == 1.0


def test_an_area_without_pairs_is_undefined_and_without_variation_is_chance():
    values, holds = torch.tensor([[1.0, 3.0], [2.0, 3.0]]), torch.tensor([[True, True], [True, False]])
    areas, p_values = mann_whitney(values, holds)
    assert np.isnan([areas[0], p_values[0]]).all()
    assert (areas[1], p_values[1]) == (0.5, 1.0)


@pytest.mark.parametrize("seed", range(6))
def test_clusters_are_the_best_of_all_divisions(seed: int):
    line = np.random.default_rng(seed).exponential(size=12).round(1)
    for n_clusters in (1, 2, 3, 4):
        ranges = cluster_lines(torch.from_numpy(line)[:, None], n_clusters)[0]
        clusters = [line[(line >= low) & (line <= high)] for low, high in ranges]
        assert sum(map(len, clusters)) == len(line)
        assert literal.scatter(clusters) == pytest.approx(literal.least_scatter(line.tolist(), n_clusters), abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_k_means_of_scikit_learn_is_never_better(seed: int):
    rng = np.random.default_rng(seed)
    line = np.concatenate([rng.normal(3 * seed, 1, 200), rng.exponential(size=100), rng.normal(1e4, 1, 3)])
    ranges = cluster_lines(torch.from_numpy(line)[:, None], 5)[0]
    ours = literal.scatter([line[(line >= low) & (line <= high)] for low, high in ranges])
    assert ours <= KMeans(5, n_init=10, random_state=seed).fit(line[:, None]).inertia_ * (1 + 1e-9)


def test_zeros_take_no_part_where_nothing_is_negative():
    values = torch.tensor([[0.0, 0.0], [0.0, -5.0], [1.0, 1.0], [2.0, 2.0], [9.0, 9.0]])
    ranges = cluster_lines(values, 2, drop_zeros=True)
    assert ranges.tolist() == [[[1.0, 2.0], [9.0, 9.0]], [[-5.0, 2.0], [9.0, 9.0]]]
    fewer = cluster_lines(values[:3], 3, drop_zeros=True)
    assert fewer[0, 0].tolist() == [1.0, 1.0]
    assert np.isnan(fewer[0, 1:]).all()
    inside = rows_within(values, ranges)
    assert unpack_columns(inside[0], 5).T.tolist() == [[False, False, True, True, False], [False] * 4 + [True]]
    assert unpack_columns(rows_within(values, ranges, strict=True)[1], 5).T.tolist() == [
        [True, False, True, False, False],
        [False] * 5,
    ]


@pytest.mark.parametrize("quantile", [0.0, 0.5, 0.9, 0.995])
def test_the_highest_rows_are_those_above_the_quantile(quantile: float):
    values = torch.rand(150, 3, generator=torch.Generator().manual_seed(2))
    values[:, 2] = (values[:, 2] * 4).round()
    active = unpack_columns(rows_above(values, highest_cuts(values, quantile)), 150)
    for neuron in range(3):
        line = values[:, neuron].double().numpy()
        assert active[:, neuron].tolist() == (line > np.quantile(line, quantile)).tolist()


def test_overlap_is_counted_within_the_rows_where_a_column_competes():
    generator = torch.Generator().manual_seed(3)
    active, fields = torch.rand(70, 3, generator=generator) < 0.3, torch.rand(70, 2, generator=generator) < 0.7
    field_of = torch.tensor([0, 1, 1, 0])
    columns = (torch.rand(70, 4, generator=generator) < 0.3) & fields[:, field_of]
    found = overlap_within(*(pack_columns([one]) for one in (active, columns, fields)), field_of)
    for neuron, rows in enumerate(sets(active)):
        for column, held in enumerate(sets(columns)):
            counted = rows & sets(fields)[field_of[column]]
            assert found[neuron, column] == pytest.approx(len(rows & held) / len(counted | held), abs=1e-12)


def test_coverage_by_rows_and_by_images():
    """Two rows an image; what is counted by hand."""
    active = torch.tensor([[1], [0], [1], [1], [0], [0], [0], [1]]).bool()
    holds = torch.tensor([[1], [1], [0], [0], [0], [1], [0], [0]]).bool()
    image = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    assert coverage(active, holds, image)[0].tolist() == pytest.approx([1 / 6, 1 / 4, 1 / 3, 1 / 2, 1 / 3])
    assert coverage(active, holds)[0].tolist() == pytest.approx([1 / 6, 1 / 4, 1 / 3, 1 / 3, 1 / 4])
    assert coverage(active, torch.zeros_like(holds))[0, 2].isnan()


@pytest.mark.filterwarnings("ignore:Please import .csr_matrix.:DeprecationWarning")
def test_never_below_the_beam_of_the_methods_own_package():
    """Its optimum is asked, too: what a beam without limit finds is never below it."""
    from compositional_explanations import beam, metrics, optimal

    for seed in range(12):
        rng = np.random.default_rng(seed)
        columns = torch.from_numpy(rng.random((60, 8)) < rng.uniform(0.1, 0.6, 8))
        active = torch.from_numpy(rng.random(60) < 0.25)
        if seed % 2:
            active = (columns[:, 0] & ~columns[:, 1]) | columns[:, 2] ^ torch.from_numpy(rng.random(60) < 0.1)
        masks = [column.reshape(6, 10).clone() for column in columns.T]
        given = {
            "masks": masks,
            "bitmaps": active.reshape(6, 10),
            "disjoint_info": torch.tensor([[not bool((a & b).any()) for b in masks] for a in masks]),
            "length": 3,
            "device": torch.device("cpu"),
        }
        with contextlib.redirect_stdout(io.StringIO()):
            theirs = [
                beam.compute_beam_explanations(beam_size=5, **given),
                optimal.compute_optimal_explanations(**given),
            ]
        by_beam, best = (
            metrics.compute_iou_from_masks(formula=one, masks=masks, bitmaps=given["bitmaps"]) for one in theirs
        )
        words, rows = pack_columns([columns]), pack_columns([active[:, None]])
        ours, all_of_them = (
            search_iou(words, rows, 60, BeamSearch(3, width, width, (AND, AND_NOT, OR))).scores[0, 0]
            for width in (5, 5000)
        )
        assert ours >= by_beam - 1e-12
        assert all_of_them >= max(ours, best) - 1e-12
