"""INVERT, Network Dissection, Compositional and Clustered Explanations against their literal twins; bad input."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu

import linexp as le
from linexp.concepts.vocabulary.wordnet import imagenet_classes
from linexp.explainers import EXPLAINERS, describe_explainer, explainer_of
from tests.colour_world import make_world
from tests.command_line import Run, command_line
from tests.reference import formulas as literal
from tests.test_formula_search import sets

N_IMAGES, NAMES = 40, tuple("abcdef")
SPLIT = le.Split.random(N_IMAGES, seed=0, fractions=(0.6, 0.2, 0.2))
JOINS = ("and", "and not", "or", "or not")
ALL = [
    le.InvertExplainer(),
    le.DissectionExplainer(quantile=0.9),
    le.CompositionalExplainer(quantile=0.9),
    le.ClusteredExplainer(),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def linexp(world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    yield from command_line(world, monkeypatch, capfd)


def matrices(seed: int = 0) -> tuple[le.ActivationMatrix, le.ConceptMatrix]:
    """Return four neurons that depend on six concepts, many activations being equal."""
    rng = np.random.default_rng(seed)
    present = rng.random((N_IMAGES, 6)) < rng.uniform(0.2, 0.6, 6)
    active = (present @ rng.normal(size=(6, 4)) + rng.normal(size=(N_IMAGES, 4))).round(1)
    return (
        le.ActivationMatrix(np.maximum(active, 0), (3, 1, 4, 15), "layer", "i"),
        le.ConceptMatrix(present.astype(float), NAMES, "i"),
    )


def formula_of(found: literal.Steps) -> le.Formula:
    joined: le.Formula | None = None
    for join, column in found:
        leaf = ~le.Formula.of(NAMES[column]) if "not" in join else le.Formula.of(NAMES[column])
        joined = leaf if joined is None else joined | leaf if join.startswith("or") else joined & leaf
    assert joined is not None
    return joined


def said_by(item: le.Explanation) -> set[le.Formula]:
    return {one if isinstance(one, le.Formula) else le.Formula.of(one) for one in item.concepts}


def is_measure(measure: le.Measure | None, name: str, value: float) -> bool:
    return measure is not None and measure.name == name and measure.value == pytest.approx(value, abs=1e-12)


def on(rows: torch.Tensor, activations: le.ActivationMatrix, concepts: le.ConceptMatrix, neuron: int):
    """Return a neuron's activations on some images, and the set of these in which each concept is."""
    return activations.values[rows][:, neuron].double().numpy(), sets(concepts.values[rows] == 1)


@pytest.mark.parametrize("seed", range(5))
def test_invert_is_its_literal_twin(seed: int):
    activations, concepts = matrices(seed)
    explanations = le.InvertExplainer(min_fraction=0.1).explain(activations, concepts, SPLIT)
    n_train = len(SPLIT.train)
    for neuron, item in enumerate(explanations):
        line, columns = on(SPLIT.train, activations, concepts, neuron)
        (steps, area), *_ = literal.beam(
            columns,
            n_train,
            lambda rows, line=line: literal.auroc(line.tolist(), rows),
            JOINS,
            3,
            3,
            least=3,
            most=n_train // 2,
        )
        assert said_by(item) == {formula_of(steps)}
        assert item.measure is not None
        assert (item.measure.name, item.measure.value) == ("AUROC", pytest.approx(area, abs=1e-12))
        inside = formula_of(steps).column(concepts, SPLIT.train).bool().numpy()
        told = mannwhitneyu(line[inside], line[~inside], method="asymptotic").pvalue
        assert item.measure.p_value == pytest.approx(told, rel=1e-9)


def test_the_p_value_of_the_test_images_is_that_of_the_test_images():
    activations, concepts = matrices(3)
    explanations = le.InvertExplainer().explain(activations, concepts, SPLIT)
    measures = le.InvertExplainer().measure_test(explanations, activations, concepts, SPLIT)
    for neuron, (item, measure) in enumerate(zip(explanations, measures, strict=True)):
        line, _ = on(SPLIT.test, activations, concepts, neuron)
        inside = next(iter(said_by(item))).column(concepts, SPLIT.test).bool().numpy()
        if inside.all() or not inside.any():
            assert measure is None
            continue
        told = mannwhitneyu(line[inside], line[~inside], method="asymptotic")
        assert measure is not None
        assert measure.p_value == pytest.approx(told.pvalue, rel=1e-9)
        assert measure.value == pytest.approx(told.statistic / (inside.sum() * (~inside).sum()), abs=1e-12)
    assert any(measures)


def test_a_p_value_on_noise_is_small_on_train_and_honest_on_test():
    rng = np.random.default_rng(0)
    activations = le.ActivationMatrix(rng.normal(size=(400, 60)))
    concepts = le.ConceptMatrix((rng.random((400, 30)) < 0.3).astype(float), [f"c{one}" for one in range(30)])
    split = le.Split.random(400)
    explanations = le.InvertExplainer(n_groups=0).explain(activations, concepts, split)
    test = le.InvertExplainer().measure_test(explanations, activations, concepts, split)
    on_train = np.array([item.measure.p_value for item in explanations if item.measure])
    on_test = np.array([one.p_value for one in test if one])
    assert (on_train < 0.05).mean() > 0.6
    assert (on_test < 0.05).mean() < 0.2


@pytest.mark.parametrize("seed", range(4))
def test_dissection_is_its_literal_twin(seed: int):
    activations, concepts = matrices(seed)
    for categories in (None, {"one": ("b", "a"), "two": ("c", "f")}):
        explainer = le.DissectionExplainer(0.7, categories=categories)
        explanations = explainer.explain(activations, concepts, SPLIT)
        test = explainer.measure_test(explanations, activations, concepts, SPLIT)
        fields = categories or {"all": NAMES}

        def overlap(name: str, active: frozenset[int], columns: list[frozenset[int]], fields=fields) -> float:
            members = next((names for names in fields.values() if name in names), ())
            within = [row for row in active if len(fields) == 1 or any(row in columns[NAMES.index(m)] for m in members)]
            both = len(active & columns[NAMES.index(name)])
            return both / (len(within) + len(columns[NAMES.index(name)]) - both)

        for neuron, item in enumerate(explanations):
            line, columns = on(SPLIT.train, activations, concepts, neuron)
            cut = np.quantile(line, 0.7)
            active = frozenset(np.flatnonzero(line > cut).tolist())
            values = {name: overlap(name, active, columns) for name in NAMES if any(name in f for f in fields.values())}
            best = max(values, key=lambda name: values[name])
            assert item.concepts == ((best,) if values[best] else ())
            if not item.terms:
                assert item.measure is test[neuron] is None
                continue
            assert is_measure(item.measure, "IoU", values[best])
            line, columns = on(SPLIT.test, activations, concepts, neuron)
            measured = overlap(best, frozenset(np.flatnonzero(line > cut).tolist()), columns)
            assert is_measure(test[neuron], "IoU", measured)


def test_detectors_are_those_from_the_threshold_on():
    activations, concepts = matrices(1)
    explainer = le.DissectionExplainer(0.7)
    explanations = explainer.explain(activations, concepts, SPLIT)
    values = sorted(item.measure.value for item in explanations if item.measure)
    found = le.DissectionExplainer(0.7, threshold=values[1]).detectors(explanations)
    assert len(found) == 3
    assert len(le.DissectionExplainer(0.7, threshold=1).detectors(explanations)) == sum(one == 1 for one in values)


@pytest.mark.parametrize("seed", range(5))
def test_compositional_is_its_literal_twin(seed: int):
    activations, concepts = matrices(seed)
    explainer = le.CompositionalExplainer(quantile=0.7)
    explanations = explainer.explain(activations, concepts, SPLIT)
    test = explainer.measure_test(explanations, activations, concepts, SPLIT)
    for neuron, item in enumerate(explanations):
        line, columns = on(SPLIT.train, activations, concepts, neuron)
        cut = np.quantile(line, 0.7)
        active = frozenset(np.flatnonzero(line > cut).tolist())
        found = literal.beam(columns, len(line), lambda rows, active=active: literal.iou(active, rows), JOINS[:3], 5, 3)
        assert said_by(item) == ({formula_of(found[0][0])} if found else set())
        if found:
            assert is_measure(item.measure, "IoU", found[0][1])
            inside = frozenset(formula_of(found[0][0]).column(concepts, SPLIT.test).nonzero()[:, 0].tolist())
            line, _ = on(SPLIT.test, activations, concepts, neuron)
            measured = literal.iou(frozenset(np.flatnonzero(line > cut).tolist()), inside) or 0.0
            assert is_measure(test[neuron], "IoU", measured)


@pytest.mark.parametrize("seed", [2, 5, 6])
@pytest.mark.parametrize("strict", [False, True])
def test_clustered_is_its_literal_twin(strict: bool, seed: int):
    activations, concepts = matrices(seed)
    explainer = le.ClusteredExplainer(n_ranges=3, max_length=3, beam=1, strict=strict)
    ranges = explainer.ranges(activations, concepts, SPLIT)
    explanations = explainer.explain(activations, concepts, SPLIT)
    for neuron, item in enumerate(explanations):
        line, columns = on(SPLIT.train, activations, concepts, neuron)
        own = [one for one in ranges if one.neuron == item.neuron]
        moving = line[line > 0]
        clusters = [moving[(moving >= one.low) & (moving <= one.high)] for one in own]
        assert literal.scatter(clusters) == pytest.approx(literal.least_scatter(moving.tolist(), 3), abs=1e-9)
        for one in own:
            inner = (line > one.low) & (line < one.high) if strict else (line >= one.low) & (line <= one.high)
            active = frozenset(np.flatnonzero(inner).tolist())
            found = literal.beam(
                columns,
                len(line),
                lambda rows, active=active: literal.iou(active, rows),
                JOINS[:3],
                1,
                3,
                first_width=2,
            )
            if not found:
                assert one.concept is None
                continue
            formula = formula_of(found[0][0])
            assert {one.concept} == {formula.name or formula}
            held = frozenset(formula.column(concepts, SPLIT.train).nonzero()[:, 0].tolist())
            both = len(active & held)
            assert one.iou == pytest.approx(found[0][1], abs=1e-12)
            assert one.activation_coverage == one.explanation_coverage == pytest.approx(both / len(active))
            assert one.detection_accuracy == one.sample_coverage == pytest.approx(both / len(held))
        assert set(item.concepts) == {one.concept for one in own if one.concept is not None}
        mean = np.mean([0 if np.isnan(one.iou) else one.iou for one in own])
        assert is_measure(item.measure, "mean IoU", float(mean)) if item.terms else item.measure is None
    measured = explainer.measure_ranges(ranges, activations, concepts, SPLIT.test)
    assert [(one.neuron, one.low, one.concept) for one in measured] == [
        (one.neuron, one.low, one.concept) for one in ranges
    ]
    assert [one.iou for one in measured] != [one.iou for one in ranges]


def test_one_range_is_the_highest_activations():
    activations, concepts = matrices(4)
    whole = le.CompositionalExplainer(quantile=0.8).explain(activations, concepts, SPLIT)
    one = le.ClusteredExplainer(n_ranges=1, quantile=0.8).explain(activations, concepts, SPLIT)
    for first, second in zip(whole, one, strict=True):
        assert second.measure is None or second.measure.value >= first.measure.value  # twice as wide at first


@pytest.mark.parametrize("explainer", ALL, ids=lambda one: type(one).__name__)
def test_images_in_another_order_and_neurons_alone_are_explained_alike(explainer):
    planted = le.make_planted(n_images=150, n_concepts=7, n_neurons=5, seed=2)
    split = le.Split.random(150)
    whole = explainer.explain(planted.activations, planted.concepts, split)
    order = torch.randperm(150, generator=torch.Generator().manual_seed(0))
    back = order.argsort()
    turned = explainer.explain(
        le.ActivationMatrix(planted.activations.values[order], layer=planted.activations.layer),
        le.ConceptMatrix(planted.concepts.values[order], planted.concepts.names),
        le.Split(back[split.train], back[split.val], back[split.test]),
    )
    for first, second in zip(whole, turned, strict=True):
        assert first.concepts == second.concepts
        assert first.measure == second.measure
    for neuron in (0, 3):
        alone = explainer.explain(planted.activations.select([neuron]), planted.concepts, split)
        assert alone[neuron].concepts == whole[neuron].concepts
        assert alone[neuron].measure == whole[neuron].measure


@pytest.mark.parametrize("explainer", ALL, ids=lambda one: type(one).__name__)
def test_presences_are_cut_and_it_is_said(explainer):
    """A matrix made block by block gives what the whole one gives, and what zeros and ones in its place give."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(96, 8, generator=generator))
    embedded = le.EmbeddedConceptMatrix(vectors[:90], vectors[90:], NAMES, 8.0, 0.1, "i")
    active = embedded.values @ torch.randn(6, 4, generator=generator) + 0.1 * torch.randn(90, 4, generator=generator)
    activations, split = le.ActivationMatrix(active, images="i"), le.Split.random(90)
    with pytest.warns(
        UserWarning, match=r"not all 0 or 1 \(concept 'a' is 0\.\d+ on image \d+\).* present_from = 0\.5"
    ):
        blockwise = explainer.explain(activations, embedded, split)
    with pytest.warns(UserWarning, match="not all 0 or 1"):
        whole = explainer.explain(activations, le.ConceptMatrix(embedded.values, NAMES, "i"), split)
    cut = explainer.explain(activations, le.ConceptMatrix((embedded.values >= 0.5).float(), NAMES, "i"), split)
    assert [item.concepts for item in blockwise] == [item.concepts for item in whole] != [()] * 4
    assert [set(item.concepts) for item in whole] == [set(item.concepts) for item in cut]
    assert [item.measure for item in blockwise] == [item.measure for item in cut]


@pytest.mark.parametrize("explainer", ALL, ids=lambda one: type(one).__name__)
def test_odd_neurons_and_concepts(explainer):
    """Constant, half equal, and its highest value on a third of the images; concepts of one class take no part."""
    rng = np.random.default_rng(0)
    present = (rng.random((90, 5)) < 0.3).astype(float)
    present[:, 3], present[:, 4] = 0, 1
    half = np.where(np.arange(90) % 2, 0, rng.random(90))
    top = np.where(rng.random(90) < 0.4, 1.0, rng.random(90) / 2)
    activations = le.ActivationMatrix(np.stack([np.full(90, 2.5), half, top], 1))
    concepts, split = le.ConceptMatrix(present, NAMES[:5]), le.Split.random(90)
    found = explainer.explain(activations, concepts, split)
    assert (found[0].outcome, found[0].bias, found[0].measure) == ("constant", 2.5, None)
    assert found[1].outcome == "explained"
    highest = isinstance(explainer, le.DissectionExplainer | le.CompositionalExplainer)
    assert found[2].outcome == ("empty" if highest else "explained")
    assert {one.concept for one in found.dropped} == {"d", "e"}
    assert set(found.names) <= {"a", "b", "c"}


def test_concepts_of_one_class_beside_present_from():
    activations = le.ActivationMatrix(np.random.default_rng(0).random((30, 2)))
    concepts = le.ConceptMatrix(np.random.default_rng(1).random((30, 2)) * 0.4, ["a", "b"])
    with (
        pytest.warns(UserWarning, match="not all 0 or 1"),
        pytest.raises(
            ValueError, match=r"Each of the 2 concepts is present in all 21 training images or in none, .*0\.5"
        ),
    ):
        le.InvertExplainer().explain(activations, concepts, le.Split.random(30))
    with pytest.warns(UserWarning, match=r"present_from = 0\.2"):
        found = le.InvertExplainer(present_from=0.2).explain(activations, concepts, le.Split.random(30))
    assert found.n_with("explained") == 2


def test_what_is_exactly_present_from_is_present():
    activations, concepts = matrices(1)
    halves = le.ConceptMatrix(concepts.values * 0.3 + 0.2, NAMES, "i")
    for explainer in ALL:
        with pytest.warns(UserWarning, match="not all 0 or 1"):
            found = explainer.explain(activations, halves, SPLIT)
        whole = explainer.explain(activations, concepts, SPLIT)
        assert [item.measure for item in found] == [item.measure for item in whole]
        if not isinstance(explainer, le.ClusteredExplainer):
            first, second = (explainer.measure_test(whole, activations, one, SPLIT) for one in (halves, concepts))
            assert first == second


def test_no_formula_of_an_allowed_size_is_no_explanation():
    activations, concepts = matrices()
    found = le.InvertExplainer(min_fraction=0.01, max_fraction=0.02).explain(activations, concepts, SPLIT)
    assert found.n_with("empty") == 4
    assert le.InvertExplainer().measure_test(found, activations, concepts, SPLIT) == (None,) * 4


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: le.InvertExplainer(max_length=0), "max_length is 0. It must be a whole number and at least 1."),
        (lambda: le.InvertExplainer(beam=0), "beam is 0."),
        (lambda: le.InvertExplainer(max_fraction=1.5), "max_fraction is 1.5. It must lie between 0 and 1."),
        (lambda: le.InvertExplainer(min_fraction=0.7), "min_fraction is 0.7. It must lie between 0 and 0.5."),
        (lambda: le.InvertExplainer(present_from=0), "present_from is 0."),
        (lambda: le.InvertExplainer(n_groups=1), "n_groups is 1."),
        (lambda: le.DissectionExplainer(quantile=1), "quantile is 1. Nothing lies above it; 0.995 takes"),
        (lambda: le.DissectionExplainer(threshold=2), "threshold is 2."),
        (
            lambda: le.DissectionExplainer(categories={"x": ["a"], "y": ["b", "a"]}),
            "The concept 'a' is in two categories. Give each concept one category",
        ),
        (lambda: le.DissectionExplainer(categories={"x": []}), "A category has no concepts."),
        (lambda: le.CompositionalExplainer(length_penalty=1.1), "length_penalty is 1.1."),
        (lambda: le.ClusteredExplainer(n_ranges=0), "n_ranges is 0."),
        (lambda: le.ClusteredExplainer(min_activity=-1), "min_activity is -1."),
    ],
)
def test_settings_outside_their_range(make, said: str):
    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        make()


def test_what_categories_and_layers_cannot_be():
    activations, concepts = matrices()
    with pytest.raises(ValueError, match="The concept 'g' is not among the 6"):
        le.DissectionExplainer(categories={"x": ["a", "g"]}).explain(activations, concepts, SPLIT)
    still = le.ConceptMatrix(torch.cat([concepts.values, torch.ones(N_IMAGES, 1)], 1), (*NAMES, "g"), "i")
    with pytest.raises(ValueError, match="None of the 6 concepts that vary over the training images is of a category"):
        le.DissectionExplainer(categories={"x": ["g"]}).explain(activations, still, SPLIT)
    found = le.CompositionalExplainer().explain(activations, concepts, SPLIT)
    other = le.ActivationMatrix(activations.values, activations.neurons, "another", "i")
    for explainer in ALL[:3]:
        with pytest.raises(
            ValueError, match="The explanations are of layer 'layer', the activations of layer 'another'"
        ):
            explainer.measure_test(found, other, concepts, SPLIT)
        with pytest.raises(le.DifferentImagesError):
            explainer.explain(le.ActivationMatrix(activations.values, images="j"), concepts, SPLIT)


def test_the_command_line_knows_them():
    assert {"invert", "dissection", "compositional", "clustered"} <= set(EXPLAINERS)
    made = explainer_of("invert", ["max_length=2", "min_fraction=0.002"])
    assert made == le.InvertExplainer(max_length=2, min_fraction=0.002)
    assert describe_explainer(made)["method"] == "invert"
    grouped = describe_explainer(le.DissectionExplainer(categories={"x": ["a"]}))
    assert grouped["categories"] == (("x", ("a",)),)


@pytest.mark.parametrize("method", ["invert", "dissection", "compositional", "clustered"])
@pytest.mark.filterwarnings("ignore:.*is judged by the labels that also explained it")
def test_commands_take_them(linexp: Run, tmp_path: Path, method: str):
    start = ("--model", "mymodels:build", "--images", "pictures", "--seed", "1", "--layer", "stem")
    out, cut = tmp_path / "out", () if method == "invert" else ("--set", "quantile=0.9")
    ended = linexp("explain", *start, "--out", out, "--method", method, *cut)
    assert ended.code == 0, ended.err
    shown = linexp("show", out, 2)
    assert shown.code == 0
    assert ("AUROC" if method == "invert" else "IoU") in shown.out
    assert linexp("score", out).code == 0


def test_a_formula_of_inverts_own_label_set_has_its_support():
    """Of 50,000 images, 50 of each class, its example holds in 200: box covers six classes, two of them taken out."""
    classes = imagenet_classes()
    groups = le.superclasses([one.wnid for one in classes])
    place = {one.wnid: number for number, one in enumerate(classes)}
    present = torch.zeros(len(classes), 3)
    present[[place[wnid] for wnid in groups["box"]], 0] = 1
    for column, name in enumerate(("mailbox", "pencil box"), start=1):
        present[next(number for number, one in enumerate(classes) if one.name == name), column] = 1
    concepts = le.ConceptMatrix(present, ["box", "mailbox", "pencil box"])
    assert len(groups["box"]) == 6
    assert 50 * le.Formula.parse("box AND NOT mailbox AND NOT pencil box").column(concepts).sum() == 200
