"""Monotone links: isotonic regression against scikit-learn, links against a literal loop, and where they go."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.isotonic import IsotonicRegression

import linexp as le
from linexp.results.folder import load_explanations
from linexp.solve import pool_adjacent_violators
from tests.colour_world import make_world
from tests.command_line import Run, command_line

N_IMAGES = 600


def planted(bend: bool = True) -> tuple[le.Explanations, le.ActivationMatrix, le.ConceptMatrix, le.Split]:
    """Sums of two presences, bent by exp or not, and the explanations that say the sums."""
    random = np.random.default_rng(0)
    presence = random.random((N_IMAGES, 6)).astype(np.float32)
    concepts = le.ConceptMatrix(presence, [f"c{column}" for column in range(6)])
    weights = random.uniform(0.5, 2, (4, 2))
    sums = np.stack([presence[:, (neuron, neuron + 2)] @ weights[neuron] for neuron in range(4)], 1)
    values = (np.exp(3 * sums) if bend else sums) * (1 + 0.05 * random.standard_normal(sums.shape))
    items = tuple(
        le.Explanation(n, (le.Term(f"c{n}", weights[n][0]), le.Term(f"c{n + 2}", weights[n][1])), val_correlation=0.5)
        for n in range(4)
    )
    return le.Explanations(items, "l"), le.ActivationMatrix(values, layer="l"), concepts, le.Split.random(N_IMAGES)


@pytest.mark.parametrize("seed", range(20))
def test_pooling_is_isotonic_regression(seed: int):
    random = np.random.default_rng(seed)
    values = random.standard_normal(random.integers(1, 40)).round(random.integers(0, 4))
    weights = random.integers(1, 9, len(values)).astype(float)
    wanted = IsotonicRegression().fit_transform(np.arange(len(values)), values, sample_weight=weights)
    np.testing.assert_allclose(pool_adjacent_violators(values.tolist(), weights.tolist()), wanted, atol=1e-12)


def literal(explanations, activations, concepts, split):
    """Yield the best link of each neuron as pairs of knots, and its validation correlation."""
    presence = {name: concepts.values[:, place].double().numpy() for place, name in enumerate(concepts.names)}
    train, val = split.train.numpy(), split.val.numpy()
    for item in explanations:
        sums = item.bias + sum(term.weight * presence[term.concept] for term in item.terms)
        active = activations.select([item.neuron]).values[:, 0].double().numpy()
        best = (np.corrcoef(sums[val], active[val])[0, 1], None)
        for n_knots in (3, 5, 7):
            ordered = sorted(train, key=lambda row: sums[row])
            groups = np.array_split(ordered, n_knots)
            inputs, levels = ([np.mean(side[group]) for group in groups] for side in (sums, active))
            outputs = IsotonicRegression().fit_transform(inputs, levels, sample_weight=list(map(len, groups)))
            bent = [through(value, inputs, outputs) for value in sums[val]]
            best = max(best, (np.corrcoef(bent, active[val])[0, 1], (inputs, outputs)), key=lambda pair: pair[0])
        yield best


def through(value, inputs, outputs):
    last = len(inputs) - 2
    piece = next((k for k in range(last) if value < inputs[k + 1]), last)
    slope = (outputs[piece + 1] - outputs[piece]) / (inputs[piece + 1] - inputs[piece])
    return outputs[piece] + slope * (value - inputs[piece])


@pytest.mark.parametrize("bend", [True, False])
def test_equals_the_literal_loop(bend: bool):
    world = planted(bend)
    for item, (value, knots) in zip(le.fit_links(*world), literal(*world), strict=True):
        if knots is None:
            assert item.link is None
            assert item.val_correlation == 0.5
        else:
            assert item.link is not None
            np.testing.assert_allclose(item.link.inputs, knots[0], rtol=1e-6)
            np.testing.assert_allclose(item.link.outputs, knots[1], rtol=1e-6)
            assert item.val_correlation == pytest.approx(value, abs=1e-6)


def test_what_is_bent_is_predicted_better_on_test_images():
    explanations, activations, concepts, split = planted()
    linked = le.fit_links(explanations, activations, concepts, split)
    assert all(item.link is not None for item in linked)
    plain, bent = (
        le.CorrelationScorer().score(le.simulate(one, concepts), activations, split.test).values
        for one in (explanations, linked)
    )
    assert (bent > plain + 0.05).all()
    assert [item.terms for item in linked] == [item.terms for item in explanations]


def test_test_images_play_no_part_and_neurons_not_each_other():
    explanations, activations, concepts, split = planted()
    spoilt = activations.values.clone()
    spoilt[split.test] = 1e3
    linked = le.fit_links(explanations, activations, concepts, split)
    assert le.fit_links(explanations, le.ActivationMatrix(spoilt, layer="l"), concepts, split) == linked
    assert le.fit_links(explanations.only([2]), activations, concepts, split)[2] == linked[2]
    assert le.fit_links(linked, activations, concepts, split) == linked  # a link is not put on a link


def test_few_sums_and_nothing_to_explain():
    """Labels of zeros and ones give few sums, and a neuron that only falls with them gets no link."""
    presence = torch.tensor([[0.0], [1.0]]).repeat(60, 1)
    concepts = le.ConceptMatrix(presence, ["a"])
    activations = le.ActivationMatrix(torch.cat([presence, -presence, presence * 0 + 3], 1), layer="l")
    items = (
        le.Explanation(0, (le.Term("a", 1.0),)),
        le.Explanation(1, (le.Term("a", 1.0),)),
        le.Explanation(2, (), 3.0, outcome="constant"),
    )
    found = le.fit_links(le.Explanations(items), activations, concepts, le.Split.random(120))
    assert [item.link for item in found] == [None, None, None]


def test_simulation_puts_the_link_on_the_sum():
    explanations, _, concepts, _ = planted()
    link = le.Link((-1.0, 0.5, 1.0), (0.0, 0.25, 4.0))
    linked = replace(explanations, items=(replace(explanations[0], link=link), *explanations.items[1:]))
    sums, bent = (le.simulate(one, concepts).values.double() for one in (explanations, linked))
    expected = [through(value, link.inputs, link.outputs) for value in sums[:, 0].tolist()]
    np.testing.assert_allclose(bent[:, 0].numpy(), expected, atol=1e-5)
    assert torch.equal(bent[:, 1:], sums[:, 1:])


def test_it_is_told_in_words():
    item = le.Explanation(3, (le.Term("snow", 2.0),), -0.5, link=le.Link((0.0, 1.0), (0.25, 2.0)))
    assert str(item) == "neuron 3 ≈ link(2.00·snow − 0.50), link: 0.00 → 0.25, 1.00 → 2.00"
    assert item.formula == "2.00·snow − 0.50"
    assert "link: 0.00 → 0.25, 1.00 → 2.00" in item._repr_html_()


def test_files_keep_it_and_those_without_stay_as_they_were(tmp_path: Path):
    explanations, *world = planted()
    linked = le.fit_links(explanations, *world)
    mixed = replace(linked, items=(explanations[0], *linked.items[1:]))
    for name, one in (("plain", explanations), ("mixed", mixed)):
        one.to_csv(tmp_path / f"{name}.csv")
        assert le.Explanations.from_csv(tmp_path / f"{name}.csv") == one
    assert "link" not in (tmp_path / "plain.csv").read_text()
    text = (tmp_path / "mixed.csv").read_text()
    (tmp_path / "bad.csv").write_text(text.replace(str(mixed[1].link.inputs[0]), "nothing"))
    with pytest.raises(ValueError, match=r"Line 3 of '.*bad\.csv': link: 'nothing:.*' is no link such as 0\.1:0\.0"):
        le.Explanations.from_csv(tmp_path / "bad.csv")


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ((0.0,), (1.0,), r"The link has 1 inputs and 1 outputs\. Give as many of both, at least two\."),
        ((0.0, 1.0), (1.0,), r"The link has 2 inputs and 1 outputs"),
        ((0.0, 0.0), (0.0, 1.0), r"falls\. Give inputs that rise and outputs that never fall\."),
        ((0.0, 1.0), (1.0, 0.0), r"falls"),
        ((0.0, float("nan")), (0.0, 1.0), r"not finite"),
    ],
)
def test_links_that_are_none(inputs: tuple[float, ...], outputs: tuple[float, ...], message: str):
    with pytest.raises(ValueError, match=message):
        le.Link(inputs, outputs)


@pytest.fixture
def linexp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    yield from command_line(make_world(tmp_path), monkeypatch, capfd)


def test_on_the_command_line(linexp: Run, tmp_path: Path):
    explain = ("explain", "--model", "mymodels:build", "--layer", "stem", "--images", "pictures", "--no-store")
    ended = linexp(*explain, "--groups", "groups.json", "--max-terms", "1", "--link", "monotone", "--out", "bent")
    assert ended.code == 0, ended.err
    again = linexp("run", "bent/run.json", "--out", "again", "--no-store")
    assert again.code == 0, again.err
    for name in ("explanations.csv", "run.json"):
        assert (tmp_path / "bent" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    n_linked = sum(item.link is not None for item in load_explanations(tmp_path / "bent"))
    assert ("better with a monotone link" in ended.out) == (n_linked > 0)
    refused = linexp(*explain, "--link", "curved", "--out", "x")
    assert refused.code == 1
    assert "link is 'curved'. Choose one of: none, monotone." in refused.err
