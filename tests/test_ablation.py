"""Ablation scores against the literal twin, on both paths; scaling; what can be wrong."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import linexp as le
from linexp.ablation.losses import HeadLosses, Network, NetworkLosses, head, judge, network
from linexp.ablation.losses.chebyshev import Curves, chebyshev_coefficients, chebyshev_nodes
from linexp.ablation.score.scaling import Scaling, fit_adam, fit_constant, fit_norm, fit_optim
from linexp.ablation.score.scores import COLUMNS
from linexp.ablation.score.side import Side
from linexp.ablation.temperature import fit_temperature
from linexp.forward.partial import BehindLayer, LinearTail, StoredBatches
from linexp.forward.units import Channels
from linexp.score import Origin
from linexp.store.upkeep import list_store
from tests.ablation_twin import alpha_literally, change_literally, norm_literally
from tests.small_classifiers import SmallResNet, small_inputs, small_labels, small_resnet, small_vit

N_IMAGES = 30
SPLIT = le.Split(range(8), range(8, 20), range(20, 30))


def images():
    return small_inputs(N_IMAGES).double()


def labels():
    return small_labels(N_IMAGES)


def simulation_of(recorded, neurons=None):
    noise = torch.randn(recorded.values.shape, generator=torch.Generator().manual_seed(3))
    values = 0.4 * recorded.values + 0.2 * recorded.values.std(0) * noise + 0.1
    simulated = le.ActivationMatrix(values, recorded.neurons, recorded.layer, recorded.images)
    return simulated if neurons is None else simulated.select(neurons)


def scored(model, layer, neurons=(2, 3), pool="mean", **settings):
    recorded = le.record(model, layer, images(), pool=pool, show_progress=False)
    simulated = simulation_of(recorded, neurons)
    scorer = le.AblationScorer(pool=pool, **settings)
    scores = scorer.score(simulated, recorded, SPLIT, model, images(), labels=labels(), show_progress=False)
    return recorded, simulated, scores


CASES = [
    (small_resnet, "layer2", {}, True),
    (small_resnet, "avgpool", {"temperature": 1.1}, True),
    (small_resnet, "layer2.0.bn1", {"scaling": "norm"}, False),
    (small_resnet, "layer1", {"replace": "set"}, False),
    (small_vit, "blocks.1", {"temperature": 2.0}, False),
    (small_vit, "blocks.1.mlp.0", {"replace": "set"}, False),
    (small_vit, "norm", {"pool": "token"}, True),
    (small_vit, "blocks.1", {"pool": "token", "scaling": "optim-adam"}, False),
]


@pytest.mark.parametrize(("make", "layer", "settings", "linear"), CASES, ids=[f"{c[1]} {c[2]}" for c in CASES])
def test_scores_are_the_literal_ones(make, layer, settings, linear):
    model = make().double()
    recorded, simulated, scores = scored(model, layer, **settings)
    assert scores.linear is linear
    how = {
        "temperature": scores.temperature,
        "replace": scores.replace,
        "token": 0 if settings.get("pool") == "token" else None,
    }
    for column, neuron in enumerate(simulated.neurons):
        mean = float(recorded.values[SPLIT.val, neuron].double().mean())
        norm = norm_literally(simulated.values[SPLIT.val, column], recorded.values[SPLIT.val, neuron])
        found = float(scores.c[column]), float(scores.d[column])
        for rows, pair, value in (
            (SPLIT.test, found, scores.values[column]),
            (SPLIT.test, norm, scores.norm[column]),
            (SPLIT.val, found, scores.val[column]),
        ):
            targets = [labels()[row] for row in rows]
            s = simulated.values[rows, column].double().numpy()
            expected = alpha_literally(model, layer, images()[rows], targets, neuron, s, *pair, mean, **how)
            assert float(value) == pytest.approx(expected, abs=1e-5)
        targets, on_test = [labels()[row] for row in SPLIT.test], images()[SPLIT.test]
        for value, replacement in (
            (scores.signed, found[0] * simulated.values[SPLIT.test, column].double() + found[1]),
            (scores.signed_mean, torch.full((len(targets),), mean, dtype=torch.float64)),
        ):
            changes = [
                change_literally(model, layer, on_test, targets, neuron, values, **how)
                for values in (replacement, np.full(len(targets), mean))
            ]
            expected = changes[0].sum() / np.abs(changes[1]).sum()
            assert float(value[column]) == pytest.approx(expected, abs=1e-5)
        if not scores.values[column].isnan():
            check_constant(model, layer, neuron, mean, scores, column, how)
    assert bool((scores.errors > 0).any())


def check_constant(model, layer, neuron, mean, scores, column, how):
    """The constant's score is that of the constant, which does little more harm on val than the best of a grid."""

    def alpha(rows, level):
        nothing, targets = np.zeros(len(rows)), [labels()[row] for row in rows]
        return alpha_literally(model, layer, images()[rows], targets, neuron, nothing, 0, level, mean, **how)

    level = float(scores.level[column])
    assert float(scores.constant[column]) == pytest.approx(alpha(SPLIT.test, level), abs=1e-5)
    if scores.metric.startswith("ablation(norm"):
        assert level == pytest.approx(mean)
    elif scores.metric.startswith("ablation(optim-adam"):
        assert abs(level) <= 1.01  # 100 steps of 0.01 from 0
    else:
        recorded = le.record(model, layer, images(), pool="token" if how["token"] == 0 else "mean", show_progress=False)
        actual = recorded.values[SPLIT.val, neuron].double()
        grid = np.linspace(float(actual.min()), float(actual.max()), 15)
        found = alpha(SPLIT.val, level)
        assert found >= max(alpha(SPLIT.val, value) for value in grid) - 0.02
        assert found >= -1e-9


def both_losses(model, layer, t):
    """The fast and the general way to the same losses."""
    behind = BehindLayer(model, layer, images()[:3])
    recorded = le.record(model, layer, images(), show_progress=False)
    batches = StoredBatches(behind, lambda row: iter(images()[row:].split(4)), torch.device("cpu"))
    targets, neurons = torch.tensor(labels()), (0, 2, 3)
    logits = batches.logits()
    tail = LinearTail(model.fc.weight.detach(), model.fc.bias.detach())
    fast = HeadLosses.of(tail, logits, targets, recorded.values[:, list(neurons)], neurons, t)
    original = judge(logits, targets, t)[0]
    return fast, NetworkLosses(Network(behind, Channels(), t), batches, targets, original, neurons, "set"), recorded


def test_both_paths_agree(monkeypatch):
    monkeypatch.setattr(network, "_STACK_CPU", 5)  # which no batch of four images, copied, is a multiple of
    fast, general, recorded = both_losses(small_resnet().double(), "layer2", 1.3)
    values = torch.randn(2, N_IMAGES, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2
    torch.testing.assert_close(fast.changes(range(3), values), general.changes(range(3), values), rtol=0, atol=1e-6)
    column = fast.changes([1], values[:, :, 1:2])
    torch.testing.assert_close(column, fast.changes(range(3), values)[:, :, 1:2], rtol=0, atol=1e-8)
    low, high = torch.full((3,), -1.0).double(), torch.full((3,), 3.0).double()
    inside = values[0].clamp(-1, 3)
    first, second = (losses.curves(range(3), low, high).at(inside) for losses in (fast, general))
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4)
    literal = change_literally(small_resnet().double(), "layer2", images()[:4], labels()[:4], 2, values[0, :4, 1], 1.3)
    np.testing.assert_allclose(fast.changes([1], values[:, :, 1:2])[0, :4, 0], literal, atol=1e-6)
    assert recorded.n_neurons == 6


@pytest.mark.parametrize(("size", "elements"), [(0.01, None), (1.0, None), (30.0, None), (3000.0, None), (3000.0, 84)])
def test_wide_ranges_stay_exact(size, elements, monkeypatch):
    """Where no table is good enough, every class is summed, some images at a time: six of the 20 for 84 numbers."""
    if elements is not None:
        monkeypatch.setattr(head, "_DIRECT_ELEMENTS", elements)
    g = torch.Generator().manual_seed(0)
    logits, weight = (torch.randn(shape, generator=g, dtype=torch.float64) for shape in ((20, 7), (7, 3)))
    actual, targets = torch.rand(20, 3, generator=g, dtype=torch.float64), torch.randint(7, (20,), generator=g)
    losses = HeadLosses(logits, targets, actual, weight)
    values = size * torch.randn(2, 20, 3, generator=g, dtype=torch.float64)
    found = losses.changes(range(3), values)
    for neuron in range(3):
        moved = logits + (values[:, :, neuron] - actual[:, neuron])[..., None] * weight[:, neuron]
        after = torch.logsumexp(moved, -1) - moved.gather(-1, targets.expand(2, -1)[..., None])[..., 0]
        before = torch.logsumexp(logits, -1) - logits.gather(-1, targets[:, None])[:, 0]
        torch.testing.assert_close(found[:, :, neuron], after - before, rtol=1e-9, atol=1e-8)


def test_a_range_of_no_width():
    """A neuron that does not vary, replaced by one value: the range between the least and the most δ is a point."""
    fast, general, _ = both_losses(small_resnet().double(), "layer2", 1.3)
    still = replace(fast, activations=torch.full_like(fast.activations, 0.25))
    moved = (fast.logits[:, None] + fast.weight.T).log_softmax(-1)  # 1.25 less 0.25, one neuron at a time
    labels_of = fast.labels[:, None].expand(-1, 3)[..., None]
    expected = fast.logits.log_softmax(-1).gather(1, fast.labels[:, None]) - moved.gather(2, labels_of)[..., 0]
    found = still.changes(range(3), torch.full((1, N_IMAGES, 3), 1.25))[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    point = torch.full((3,), 0.5).double()
    values = point.expand(N_IMAGES, -1)
    for losses in (fast, general):
        at_point = losses.curves(range(3), point, point).at(values)[0]
        torch.testing.assert_close(at_point, losses.changes(range(3), values[None])[0], rtol=0, atol=1e-4)


def test_the_range_of_the_curves_holds_all_own_activations(monkeypatch):
    """Also of a simulation so weak that least squares shrink it to nearly nothing: any constant may be the best."""
    losses, simulated, actual = planted()
    ranges, curves = [], HeadLosses.curves
    monkeypatch.setattr(HeadLosses, "curves", lambda self, *given: (ranges.append(given[1:]), curves(self, *given))[1])
    noise = torch.randn(simulated.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    side = Side(losses, range(6), noise, actual)
    le.AblationScorer()._score_block(side, side)
    (low, high), margin = ranges[0], 0.0999 * (actual.amax(0) - actual.amin(0))
    assert bool((low < actual.amin(0) - margin).all())
    assert bool((high > actual.amax(0) + margin).all())


def test_curves_go_on_as_lines_and_know_their_slope():
    t = chebyshev_nodes(12)[:, None, None].expand(-1, 2, 1)
    curves = Curves(chebyshev_coefficients(t.exp()), torch.zeros(1, 1).double(), torch.full((1,), 2.0).double())
    value, slope = curves.at(torch.tensor([[1.0], [4.0]]).double())
    e = float(np.exp(1))
    torch.testing.assert_close(value[:, 0], torch.tensor([e**0.5, e + e], dtype=torch.float64), rtol=1e-9, atol=0)
    torch.testing.assert_close(slope[:, 0], torch.tensor([e**0.5 / 2, e / 2], dtype=torch.float64), rtol=1e-8, atol=0)


@pytest.mark.parametrize("reach", [0.9, 1.5])
def test_changes_alone_are_the_same_to_the_last_bit(reach):
    g = torch.Generator().manual_seed(0)
    coefficients = torch.randn(17, 30, 4, generator=g, dtype=torch.float64)
    curves = Curves(coefficients, torch.randn(30, 4, generator=g).double(), torch.full((4,), 0.7).double())
    values = curves.centre + 0.7 * reach * (2 * torch.rand(30, 4, generator=g).double() - 1)
    assert bool(((values - curves.centre).abs() > 0.7).any()) == (reach > 1)
    assert torch.equal(curves.changes(values), curves.at(values)[0])


def planted(n_images=200, scale=0.3):
    """A head in which each neuron matters, and simulations of known quality whose scale is off."""
    g = torch.Generator().manual_seed(5)
    weight = torch.randn(8, 6, generator=g, dtype=torch.float64)
    actual = torch.rand(n_images, 6, generator=g, dtype=torch.float64) ** 2 * 3
    logits = actual @ weight.T
    targets = logits.argmax(1)
    simulated = scale * (actual + 0.5 * torch.randn(n_images, 6, generator=g, dtype=torch.float64)) - 2
    return HeadLosses(logits, targets, actual, weight), simulated, actual


def curves_of(losses, actual):
    return losses.curves(range(6), actual.amin(0) - 2, actual.amax(0) + 2)


def test_optim_reaches_the_best_of_a_fine_grid():
    losses, simulated, actual = planted()
    curves = curves_of(losses, actual)
    norm = fit_norm(simulated, actual)
    best = fit_optim(curves, simulated, norm, actual.std(0))
    total = losses.changes(range(6), best.of(simulated)[None])[0].abs().sum(0)
    at_norm = losses.changes(range(6), norm.of(simulated)[None])[0].abs().sum(0)
    assert bool((total <= at_norm).all())
    grid = torch.full_like(total, torch.inf)
    middle = norm.c * simulated.mean(0) + norm.d
    for factor in torch.linspace(0, 2, 31).tolist():
        for shift in torch.linspace(-1, 1, 41).tolist():
            c = norm.c * factor
            d = middle + shift * actual.std(0) - c * simulated.mean(0)
            grid = torch.minimum(grid, curves.total(c * simulated + d))
    assert bool((total <= grid * 1.002).all())
    assert bool((total < 0.99 * at_norm).any())


def test_optim_does_not_depend_on_the_scale_of_the_simulation():
    losses, simulated, actual = planted()
    curves, spread = curves_of(losses, actual), actual.std(0)
    results = []
    for scale, shift in ((1.0, 0.0), (1000.0, 7.0), (-1e-3, 0.2)):
        s = scale * simulated + shift
        fitted = fit_optim(curves, s, fit_norm(s, actual), spread)
        results.append(curves.total(fitted.of(s)))
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=1e-4, atol=0)


def test_adam_is_the_literal_one_and_stays_below_two():
    losses, simulated, actual = planted(40, scale=0.05)
    low, high = actual.amin(0) - 4, actual.amax(0) + 4
    curves = losses.curves(range(6), low, high)
    unit = curves.total(actual.mean(0).expand_as(actual))
    found = fit_adam(curves, simulated, unit)
    neuron = 2
    c, d = torch.tensor(1.0, dtype=torch.float64, requires_grad=True), torch.zeros((), dtype=torch.float64)
    d.requires_grad_()
    adam = torch.optim.Adam([c, d], lr=0.01)
    before = nn.functional.cross_entropy(losses.logits, losses.labels, reduction="none")
    for _ in range(100):
        delta = c * simulated[:, neuron] + d - actual[:, neuron]
        moved = losses.logits + delta[:, None] * losses.weight[:, neuron]
        after = nn.functional.cross_entropy(moved, losses.labels, reduction="none")
        adam.zero_grad()
        ((after - before).abs().sum() / unit[neuron]).backward()
        adam.step()
    assert float(found.c[neuron]) == pytest.approx(c.item(), abs=1e-4)
    assert float(found.d[neuron]) == pytest.approx(d.item(), abs=1e-4)
    assert bool((found.c < 2).all())
    assert bool((fit_norm(simulated, actual).c > 2).all())


def test_norm_of_a_constant_simulation_is_the_mean():
    actual = torch.rand(10, 2, generator=torch.Generator().manual_seed(0))
    c, d = fit_norm(torch.full((10, 2), 3.0), actual)
    assert c.tolist() == [0, 0]
    torch.testing.assert_close(d, actual.double().mean(0))
    assert torch.equal(Scaling(c, d).of(torch.ones(1, 2)), d[None])


def test_temperature_minimises_the_loss():
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(4000, 5, generator=g, dtype=torch.float64)
    targets = torch.multinomial(logits.softmax(1), 1, generator=g)[:, 0]
    for factor in (0.5, 1.0, 3.0):
        t = fit_temperature(factor * logits, targets)
        assert t == pytest.approx(factor, rel=0.08)
        losses = [float(nn.functional.cross_entropy(factor * logits / u, targets)) for u in (t, t * 1.01, t / 1.01)]
        assert losses[0] == min(losses)


def test_temperature_lies_between_its_bounds():
    right = torch.eye(5, dtype=torch.float64).repeat(4, 1)
    targets = torch.arange(5).repeat(4)
    assert fit_temperature(0.1 * right, targets) == pytest.approx(0.01, rel=1e-9)
    assert fit_temperature(right, (targets + 1) % 5) == pytest.approx(100, rel=1e-9)


def test_a_perfect_simulation_scores_one_and_the_mean_zero():
    model = small_resnet()
    recorded = le.record(model, "layer2", images().float(), show_progress=False)
    recorded = recorded.select([0, 2, 3, 4, 5])  # neuron 1 is active on test images only
    constant = le.ActivationMatrix(torch.full((N_IMAGES, 5), 2.0), recorded.neurons, "layer2", recorded.images)
    for simulated, expected in ((recorded, 1.0), (constant, 0.0)):
        for scaling in ("norm", "optim"):
            scores = le.AblationScorer(scaling).score(
                simulated, recorded, SPLIT, model, images().float(), labels=labels(), show_progress=False
            )
            if scaling == "norm" or expected == 1:
                torch.testing.assert_close(scores.defined, torch.full_like(scores.defined, expected), rtol=0, atol=1e-5)
            assert bool((scores.val[~scores.val.isnan()] >= scores.norm.new_tensor(-1e-9)).all())


# Model, layer, pool, what "auto" becomes, and whether the recorded activations themselves change nothing with "set".
PLACES = [
    (small_resnet, "stem", "mean", "shift", False),
    (small_resnet, "layer1", "max", "shift", False),
    (small_resnet, "layer2", "mean", "set", True),  # a linear head follows
    (small_resnet, "layer2", "max", "shift", False),
    (small_resnet, "avgpool", "max", "set", True),  # maps of one position
    (small_resnet, "dropout", "none", "set", True),
    (small_vit, "blocks.1", "mean", "shift", False),
    (small_vit, "blocks.1.mlp.0", "token", "set", True),
]


@pytest.mark.parametrize(("make", "layer", "pool", "auto", "exact"), PLACES, ids=[f"{p[1]} {p[2]}" for p in PLACES])
@pytest.mark.parametrize("scaling", ["norm", "optim"])
def test_the_recorded_activations_score_the_ceiling(make, layer, pool, auto, exact, scaling):
    """By default a perfect simulation scores 1 in any layer; with "set" what it scores is said."""
    model = make().double()
    recorded = le.record(model, layer, images(), pool=pool, show_progress=False)
    other, found = simulation_of(recorded), {}
    for how in ("auto", "set", "shift"):
        scorer = le.AblationScorer(scaling, pool=pool, replace=how)
        perfect, scores = (
            scorer.score(simulated, recorded, SPLIT, model, images(), labels=labels(), show_progress=False)
            for simulated in (recorded, other)
        )
        torch.testing.assert_close(perfect.values, scores.ceiling, rtol=0, atol=1e-5, equal_nan=True)
        torch.testing.assert_close(perfect.norm, scores.ceiling_norm, rtol=0, atol=1e-5, equal_nan=True)
        assert scores.replace == (auto if how == "auto" else how)
        assert scores.exact is (exact or how != "set")
        found[how] = scores
    still = (recorded.values[SPLIT.val] == recorded.values[SPLIT.val[0]]).all(0)
    undefined = found["auto"].values.isnan()
    assert found["auto"].ceiling[~still & ~undefined].tolist() == [1.0] * int((~still & ~undefined).sum())
    assert found["auto"].ceiling[still & ~undefined].tolist() == [0.0] * int((still & ~undefined).sum())
    assert bool((found["set"].ceiling < 0.9).any()) is (not exact or bool((still & ~undefined).any()))
    names = [scores.metric for scores in found.values()]
    resolved = scaling if auto == "set" else f"{scaling},shift"
    assert names == [f"ablation({name})" for name in (resolved, f"{scaling},set", f"{scaling},shift")]
    assert torch.equal(found["auto"].values.nan_to_num(9), found[auto].values.nan_to_num(9))


def test_the_ceiling_of_set_is_the_literal_one():
    model = small_resnet().double()
    recorded, _, scores = scored(model, "stem", scaling="norm", replace="set")
    targets = [labels()[row] for row in SPLIT.test]
    for column, neuron in enumerate((2, 3)):
        actual = recorded.values[:, neuron].double()
        on_test, mean = images()[SPLIT.test], float(actual[SPLIT.val].mean())
        own, how = actual[SPLIT.test].numpy(), {"temperature": scores.temperature, "replace": "set"}
        expected = alpha_literally(model, "stem", on_test, targets, neuron, own, 1, 0, mean, **how)
        assert float(scores.ceiling[column]) == pytest.approx(expected, abs=1e-5)
        assert expected < 0.97


def test_adam_does_not_move_from_a_perfect_simulation():
    """Its first step has no gradient: 1 is what the released code reaches, and the ceiling."""
    losses, _, actual = planted(40)
    c, d = (torch.full((), value, dtype=torch.float64, requires_grad=True) for value in (1.0, 0.0))
    before = nn.functional.cross_entropy(losses.logits, losses.labels, reduction="none")
    delta = c * actual[:, 2] + d - actual[:, 2]
    moved = losses.logits + delta[:, None] * losses.weight[:, 2]
    (nn.functional.cross_entropy(moved, losses.labels, reduction="none") - before).abs().sum().backward()
    assert (c.grad.item(), d.grad.item()) == (0, 0)
    _, _, scores = scored(small_resnet().double(), "layer2", (2, 3, 4), scaling="optim-adam")
    assert scores.ceiling.tolist() == [1, 1, 1]


def test_changes_are_summed_by_sign():
    """A simulation that knows the labels lowers the loss, and each lowering counts against its score."""
    model = small_resnet().double()
    recorded = le.record(model, "layer2", images(), show_progress=False)
    weight = model.fc.weight.detach()[labels()]  # how much each neuron helps the image's own class
    knowing = recorded.values.double() + 0.5 * weight
    knowing = le.ActivationMatrix(knowing, recorded.neurons, "layer2", recorded.images)
    scorer = le.AblationScorer("norm")
    scores = scorer.score(knowing, recorded, SPLIT, model, images(), labels=labels(), show_progress=False)
    better = ~scores.values.isnan() & (scores.signed < 0)
    assert scores.n_lowered == int(better.sum()) >= 4
    rises, falls = ((1 - scores.values + sign * scores.signed) / 2 for sign in (1, -1))
    assert bool((falls > rises)[better].all())
    assert bool((rises[better] > -1e-9).all())
    assert bool((scores.signed_mean[better].abs() <= 1).all())


def test_stored_scores_of_another_form_are_not_taken(tmp_path, monkeypatch):
    """The key says which numbers there are of each neuron, and how activations were put in."""
    keys = []
    model = small_resnet()
    fill = le.Store.fill
    monkeypatch.setattr(
        le.Store, "fill", lambda self, key, *rest, **more: (keys.append(key), fill(self, key, *rest, **more))[1]
    )
    store = le.Store(tmp_path / "store", tell=lambda _: None)
    for how in ("auto", "set", "shift"):
        stored_scores(store, model, replace=how)
    assert all(key.parts["columns"] == list(COLUMNS) for key in keys)
    assert [key.parts["settings"]["replace"] for key in keys] == ["set", "set", "shift"]
    assert keys[0].name == keys[1].name != keys[2].name


def test_a_neuron_that_changes_nothing_has_no_score():
    model = small_resnet()
    with torch.no_grad():
        model.fc.weight[:, 3] = 0
        model.layer2[1].bn2.weight[2] = 0
        model.layer2[1].bn2.bias[2] = -100  # never active
    _, _, scores = scored(model.double(), "layer2", neurons=(2, 3, 4))
    assert torch.isnan(scores.values).tolist() == [True, True, False]
    assert scores.n_undefined == 2


def test_neurons_are_independent_of_each_other(monkeypatch):
    model = small_resnet().double()
    _, _, together = scored(model, "layer2", neurons=(4, 2, 3))
    _, _, alone = scored(model, "layer2", neurons=(2,))
    assert float(together.values[1]) == pytest.approx(float(alone.values[0]), abs=1e-5)
    assert together.neurons == (4, 2, 3)
    monkeypatch.setattr("linexp.ablation.score.scorer._NEURONS_PER_BLOCK", 1)
    _, _, blocks = scored(model, "layer2", neurons=(4, 2, 3))
    torch.testing.assert_close(blocks.values, together.values, rtol=0, atol=1e-5)


def test_some_recorded_neurons_suffice():
    model = small_resnet().double()
    recorded, simulated, scores = scored(model, "layer2", neurons=(2, 4))
    again = le.AblationScorer().score(
        simulated, recorded.select([4, 2]), SPLIT, model, images(), labels=labels(), show_progress=False
    )
    torch.testing.assert_close(again.values, scores.values, rtol=0, atol=1e-5)


def test_table_and_text(tmp_path):
    _, _, scores = scored(small_resnet().double(), "layer2", neurons=(1, 2, 3))
    scores.to_csv(tmp_path / "scores.csv")
    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text().splitlines()))
    name = "ablation(optim)"
    what = ("norm", "constant", "val", "ceiling", "ceiling_norm", "signed", "signed_mean")
    start = ["neuron", name, f"{name}_error", "silent"]
    assert list(rows[0]) == [*start, *(f"{name}_{one}" for one in what), "c", "d", "level", "replace"]
    assert {row["replace"] for row in rows} == {"set"}
    assert [int(row["neuron"]) for row in rows] == [1, 2, 3]
    assert float(rows[1]["c"]) == float(scores.c[1])
    assert float(rows[2][f"{name}_constant"]) == float(scores.constant[2])
    assert str(scores).startswith("ablation(optim) ")
    some = scores.only([3, 1])
    assert (some.neurons, some.c.tolist()) == ((3, 1), scores.c[[2, 0]].tolist())
    with pytest.raises(KeyError, match="Neuron 9 is not among the 3 scored ones"):
        scores.only([9])
    assert scores.n_improved == sum(float(row[name] or 0) > float(row[f"{name}_norm"] or 0) for row in rows)


def pictures(n=N_IMAGES, with_labels=True):
    values = (small_inputs(n).clamp(-2, 2) + 2).div(4).permute(0, 2, 3, 1).numpy()
    return le.ImageArray(values, *((small_labels(n), tuple("abcde")) if with_labels else ()))


def test_labels_come_with_the_pictures():
    model = small_resnet()
    recorded = le.record(model, "layer2", pictures(), preprocess=le.to_unit_tensor, show_progress=False)
    results = [
        le.AblationScorer().score(
            simulation_of(recorded),
            recorded,
            SPLIT,
            model,
            pictures(with_labels=known),
            labels=None if known else labels(),
            preprocess=le.to_unit_tensor,
            show_progress=False,
        )
        for known in (True, False)
    ]
    assert results[0].n_undefined < 6
    assert torch.equal(results[0].defined, results[1].defined)


def bad(message, *, model=None, layer="layer2", error=ValueError, change=None, **given):
    model = model or small_resnet()
    recorded = le.record(model, "layer2", images().float(), show_progress=False)
    arguments = {
        "simulated": simulation_of(le.ActivationMatrix(recorded.values, None, layer, recorded.images)),
        "recorded": le.ActivationMatrix(recorded.values, None, layer, recorded.images),
        "split": SPLIT,
        "model": model,
        "images": images().float(),
        "labels": labels(),
        "show_progress": False,
    }
    arguments |= given
    if change is not None:
        change(arguments)
    with pytest.raises(error, match=message):
        le.AblationScorer().score(**arguments)


def test_bad_input():
    bad("The images have no labels, and without them there is no loss to compare. Pass labels=", labels=None)
    bad("An image has the label 7, but the model has 5 outputs", labels=[7] * N_IMAGES)
    bad(r"The labels are torch.int64 of shape \[3\] for 30 images", labels=[1, 2, 3])
    bad("The model is a str. Give a torch.nn.Module", model=None, error=TypeError, change=lambda a: a.update(model="x"))
    bad("The model has no layer 'layer3'. Did you mean 'layer", layer="layer3")
    bad("The recorded activations differ by .* from what layer 'layer1' does on the same images", layer="layer1")
    bad("it is no classifier", change=lambda a: setattr(a["model"], "fc", nn.Unflatten(1, (2, 3))))
    other = le.ActivationMatrix(torch.rand(N_IMAGES, 2), [4, 9], "layer2")
    bad("Neuron 9 is not among the 6 neurons of layer 'layer2'", simulated=other)
    of_another = le.ActivationMatrix(torch.rand(N_IMAGES, 2), [1, 2], "layer1")
    bad("The simulated neurons are of layer 'layer1', the recorded ones of layer 'layer2'. Sc", simulated=of_another)
    bad("Neuron 8 was recorded, but layer 'layer2' has 6 neurons", recorded=other_neurons(), simulated=other_neurons())
    bad("One matrix has 3 images and the other 30", error=le.DifferentImagesError, simulated=short())
    bad("come from different images", error=le.DifferentImagesError, images=images().float() + 1)
    bad("30", error=ValueError, split=le.Split(range(8), range(8, 20), range(20, 31)))


def test_classes_of_another_number_than_outputs():
    model = small_resnet()
    values = np.zeros((N_IMAGES, 8, 8, 3), dtype=np.uint8)
    values[::2] = 200
    few = le.ImageArray(values, [0, 1] * 15, ("a", "b"))
    recorded = le.record(model, "layer2", few, preprocess=le.to_unit_tensor, show_progress=False)
    with pytest.raises(ValueError, match=r"The images have 2 classes and the model has 5 outputs\. Pass labels="):
        le.AblationScorer().score(recorded, recorded, SPLIT, model, few, preprocess=le.to_unit_tensor)


def other_neurons():
    return le.ActivationMatrix(torch.rand(N_IMAGES, 1), [8], "layer2")


def short():
    return le.ActivationMatrix(torch.rand(3, 6), None, "layer2")


def test_bad_settings():
    for settings, message in (
        ({"scaling": "best"}, "scaling is 'best'"),
        ({"replace": "zero"}, "replace is 'zero'"),
        ({"temperature": 0.0}, "temperature is 0.0. It must be above 0"),
        ({"pool": "median"}, "pool is 'median'"),
    ):
        with pytest.raises(ValueError, match=message):
            le.AblationScorer(**settings)


def test_the_model_comes_back_also_after_an_error():
    model = small_resnet().train()
    bad("An image has the label 7", model=model, labels=[7] * N_IMAGES)
    assert model.training
    assert not any("forward" in module.__dict__ for module in model.modules())
    assert isinstance(model, SmallResNet)


def test_the_best_constant_is_the_best_of_a_fine_grid():
    """The mean is not the constant that does least harm: a simulation that says nothing scores above 0 with optim."""
    losses, simulated, actual = planted()
    curves, spread, mean = curves_of(losses, actual), actual.std(0), actual.mean(0)
    found = fit_constant(curves, mean, spread)
    nothing = torch.zeros_like(simulated)
    c, d = fit_optim(curves, nothing, fit_norm(nothing, actual), spread)
    assert c.tolist() == [0] * 6
    by_mean, by_constant, by_optim = (curves.total(value.expand_as(actual)) for value in (mean, found, d))
    torch.testing.assert_close(by_constant, by_optim, rtol=1e-3, atol=0)
    assert bool((by_constant <= by_mean).all())
    assert bool((by_constant < 0.98 * by_mean).any())
    for shift in torch.linspace(-1.5, 1.5, 301).tolist():
        assert bool((by_constant <= 1.001 * curves.total((mean + shift * spread).expand_as(actual))).all())


def test_the_constant_is_scored_as_a_simulation_that_says_nothing():
    model = small_resnet().double()
    for scaling in ("optim", "optim-adam", "norm"):
        recorded, simulated, scores = scored(model, "layer2", (2, 3, 4), scaling=scaling)
        zeros = le.ActivationMatrix(torch.zeros_like(simulated.values), simulated.neurons, "layer2", recorded.images)
        nothing = le.AblationScorer(scaling).score(
            zeros, recorded, SPLIT, model, images(), labels=labels(), show_progress=False
        )
        torch.testing.assert_close(scores.constant, nothing.values, rtol=0, atol=2e-3, equal_nan=True)
        assert torch.equal(scores.constant == 0, torch.tensor([scaling == "norm"] * 3))


def test_scores_beside_each_other():
    _, _, scores = scored(small_resnet().double(), "layer2", (2, 3, 4), temperature=1.5)
    assert (scores.metric, scores.by_norm.metric) == ("ablation(optim,T=1.5)", "ablation(norm,T=1.5)")
    assert torch.equal(scores.by_norm.values, scores.norm)
    found = le.compare_scores(scores, scores.by_constant)
    assert found.mean == pytest.approx(float((scores.values - scores.constant).mean()))
    named = replace(scores, origin=Origin("m", "s", "i", "test"))
    assert named.by_constant.origin == Origin("a constant", "s", "i", "test", 0)
    assert named.by_recorded.origin == Origin("the recorded activations", "s", "i", "test", 0)
    assert torch.equal(named.by_recorded.values, scores.ceiling)
    assert le.AblationScorer("optim-adam", replace="shift").metric == "ablation(optim-adam,shift)"
    assert replace(scores, metric="ablation(optim-adam,shift)").by_norm.metric == "ablation(norm,shift)"


def stored_scores(store, model, *, noise=0.0, targets=None, **settings):
    recorded = le.record(model, "layer2", images().float(), show_progress=False)
    simulated = simulation_of(recorded)
    simulated = le.ActivationMatrix(simulated.values + noise, simulated.neurons, "layer2", simulated.images)
    return le.AblationScorer(**settings).score(
        simulated,
        recorded,
        SPLIT,
        model,
        images().float(),
        labels=targets or labels(),
        show_progress=False,
        store=store,
    )


@pytest.mark.parametrize("linear", [True, False])
def test_interrupted_work_goes_on(monkeypatch, tmp_path, linear):
    model = small_resnet()
    if not linear:
        model.fc = nn.Sequential(model.fc, nn.Softplus())
    monkeypatch.setattr("linexp.ablation.score.scorer._NEURONS_PER_BLOCK", 2)
    expected = stored_scores(None, model)
    assert expected.linear is linear
    done, scores_of = [], Side.scores

    def scores(self, *arguments):
        done.append(self.columns)
        if len(done) == 6:  # a line first, then twice a block
            raise KeyboardInterrupt
        return scores_of(self, *arguments)

    monkeypatch.setattr(Side, "scores", scores)
    store = le.Store(tmp_path / "store", tell=done.append)
    with pytest.raises(
        KeyboardInterrupt, match=r"4 of 6 neurons are in the store .* \(ablation scores\); run the same"
    ):
        stored_scores(store, model)
    done.clear()
    again = stored_scores(store, model)
    assert done[0] == f"ablation scores: 4 of 6 neurons from the store '{tmp_path / 'store'}'"
    assert done[1:] == [range(4, 6)] * 2
    for name in COLUMNS:
        assert torch.equal(getattr(again, name).nan_to_num(9), getattr(expected, name).nan_to_num(9))
    assert (again.temperature, again.accuracy) == (expected.temperature, expected.accuracy)
    done.clear()
    monkeypatch.setattr(Side, "scores", scores_of)
    stored_scores(store, model, noise=1e-3)
    stored_scores(store, model, scaling="norm")
    stored_scores(store, model, temperature=expected.temperature)
    stored_scores(store, model, replace="set" if expected.replace == "shift" else "shift")
    stored_scores(store, model, targets=[*labels()[:-1], (labels()[-1] + 1) % 5])
    with torch.no_grad():
        next(model.fc.parameters())[0] += 0.01
    stored_scores(store, model)
    assert all(line.startswith("ablation scores: 0 of 6 neurons") for line in done)
    assert len(done) == 6
    assert {one.kind for one in list_store(store)} == {"ablation"}
