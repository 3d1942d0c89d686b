"""Impact and Top Impact against literal twins, on small networks of the kinds people use."""

from __future__ import annotations

import copy
import dataclasses
import math
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

import linexp as le
from linexp.ablation.impact import layer as measuring
from linexp.ablation.impact import mean_figures, measure_figures, top_curve
from linexp.ablation.impact.top import blocks, share_of_top
from linexp.ablation.losses import Network, head, network
from tests import removal_twin
from tests.small_classifiers import small_inputs, small_labels, small_resnet, small_vit


class Branches(nn.Module):
    """One layer's output goes into two branches, one of them in place; a linear layer is used twice behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.relu = nn.Linear(192, 6), nn.ReLU(inplace=True)
        self.shared, self.head = nn.Linear(6, 6), nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.flatten(1))
        other = self.shared(self.shared(x * 2))
        return self.head(torch.cat([self.relu(x), other], 1))


class Last(nn.Module):
    """Maps with their channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.mix, self.act, self.head = nn.Linear(3, 5), nn.GELU(), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.mix(x.permute(0, 2, 3, 1))).amax((1, 2)))


def branches() -> nn.Module:
    torch.manual_seed(3)
    return Branches().eval()


def last() -> nn.Module:
    torch.manual_seed(4)
    return Last().eval()


def wide() -> nn.Module:
    """More neurons than are worked on at a time, and weights that change many answers."""
    torch.manual_seed(5)
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 70), nn.ReLU(), nn.Linear(70, 5)).eval()
    model[3].weight.data *= 5
    return model


# model, layer, axis of its neurons, how many, settings, whether a linear head follows
CASES = [
    (small_resnet, "stem", 1, 6, {}, False),
    (small_resnet, "layer1.0", 1, 6, {"pool": "max"}, False),
    (small_resnet, "layer1.0.bn1", 1, 6, {}, False),
    (small_resnet, "layer2", 1, 6, {}, True),
    (small_resnet, "layer2", 1, 6, {"pool": "max"}, True),
    (small_resnet, "avgpool", 1, 6, {}, True),
    (small_vit, "blocks.0", 2, 8, {}, False),
    (small_vit, "blocks.1.mlp.1", 2, 16, {"pool": "token"}, False),
    (small_vit, "blocks.2", 2, 8, {"pool": "token"}, False),
    (wide, "2", 1, 70, {}, True),
    (wide, "1", 1, 70, {}, False),
    (branches, "first", 1, 6, {}, False),
    (branches, "relu", 1, 6, {}, False),
    (last, "act", 3, 5, {"channels": "last"}, False),
]


@pytest.mark.parametrize(("make", "layer", "axis", "n_neurons", "settings", "linear"), CASES)
def test_every_image_and_neuron(make, layer: str, axis: int, n_neurons: int, settings: dict, linear: bool):
    model, images = make(), small_inputs(24)
    n_classes = model(images[:1]).shape[1]
    labels = small_labels(24, n_classes)
    before = copy.deepcopy(model.state_dict())
    found = le.impact(model, layer, images, labels=labels, temperature=1.3, show_progress=False, **settings)
    expected = removal_twin.impact(model, layer, axis, n_neurons, images, labels, 1.3)
    assert found.linear is linear
    assert found.values.shape == (24, n_neurons)
    # A hundred-thousandth of a nat: networks run in float32.
    assert float((found.values - expected).abs().max()) < 1e-5 / (2 * float(found.losses.sum()))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    recorded = le.record(model, layer, images, show_progress=False, **settings)
    assert float((found.activations.values - recorded.values).abs().max()) < 1e-5
    assert found.activations.images == recorded.images


def test_blocks_of_images_and_neurons_change_nothing(monkeypatch: pytest.MonkeyPatch):
    settings = {"labels": small_labels(40), "temperature": 1.0, "show_progress": False}
    whole = le.impact(wide(), "2", small_inputs(40), **settings)
    assert bool((whole.answers_lost == 1).any())
    assert bool((whole.answers_lost == -1).any())
    monkeypatch.setattr(head, "_IMAGES_PER_BLOCK", 7)
    monkeypatch.setattr(head, "_NEURONS_PER_BLOCK", 9)
    again = le.impact(wide(), "2", small_inputs(40), **settings)
    assert torch.equal(again.answers_lost, whole.answers_lost)
    torch.testing.assert_close(again.loss_added, whole.loss_added, rtol=0, atol=1e-8)
    monkeypatch.setattr(network, "_STACK_BYTES", 5 * 70 * 4)
    small = le.impact(wide(), "1", small_inputs(40), **settings)
    monkeypatch.undo()
    large = le.impact(wide(), "1", small_inputs(40), **settings)
    assert torch.equal(small.answers_lost, large.answers_lost)
    torch.testing.assert_close(small.loss_added, large.loss_added, rtol=0, atol=1e-5)


def test_where_no_neuron_matters_there_is_no_curve(tmp_path):
    nothing = made_up(torch.rand(10, 2), torch.zeros(10, 2))
    with pytest.raises(ValueError, match="No neuron has any impact on any image, so there is no curve to draw"):
        le.draw_top_impact([nothing], tmp_path / "curve.png")


def test_parts_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"There are 10 images and 2 neurons, but the parts have shapes"):
        made_up(torch.rand(10, 2), torch.zeros(10, 3))


def measured(**settings) -> le.Impact:
    settings = {"labels": small_labels(60), "show_progress": False, **settings}
    return le.impact(small_vit(), "blocks.1.mlp.1", small_inputs(60), **settings)


def test_top_impact_is_that_of_the_formula():
    found = measured()
    values = le.top_impact(found, [0.02, 0.1, 0.5, 1]).values
    for neuron in range(16):
        for place, beta in enumerate(("0.02", "0.1", "0.5", "1")):
            expected = removal_twin.top_impact(
                found.values[:, neuron].tolist(), found.activations.values[:, neuron].tolist(), beta
            )
            assert values[neuron, place] == pytest.approx(expected, rel=1e-9)
    curve = top_curve(found)
    assert curve[-1] == pytest.approx(1)
    assert curve[5] == pytest.approx(float(values[:, 1].mean()))


def made_up(activations: Tensor, loss_added: Tensor, **changes) -> le.Impact:
    """Impact on a network that answers every image right with a loss of 1."""
    n_images = len(activations)
    parts = {
        "activations": le.ActivationMatrix(activations),
        "losses": torch.ones(n_images, dtype=torch.float64),
        "correct": torch.ones(n_images, dtype=torch.bool),
        "loss_added": loss_added,
        "answers_lost": torch.zeros(loss_added.shape, dtype=torch.int8),
        "temperature": 1.0,
        "resolution": 1e-9,
        "linear": True,
        "n_layer_neurons": activations.shape[1],
    }
    return le.Impact(**parts | changes)


def test_evenly_spread_impact_has_top_impact_beta():
    activations = torch.rand(1000, 2, generator=torch.Generator().manual_seed(0))
    found = le.top_impact(made_up(activations, torch.full((1000, 2), -0.5)), [0.01, 0.3])
    torch.testing.assert_close(found.mean, torch.tensor([0.01, 0.3], dtype=torch.float64))


def test_equal_activations_share_their_impact():
    """A neuron that is 0 on most images: no order among those is made up."""
    activations = torch.tensor([3.0, 0, 0, 0, 2, 0, 0, 0, 0, 0])[:, None]
    added = torch.tensor([4.0, 8, 0, 0, 4, 0, 0, 0, 0, 0])[:, None]
    values = le.top_impact(made_up(activations, added), [0.1, 0.2, 0.6]).values[0]
    torch.testing.assert_close(values, torch.tensor([4 / 16, 8 / 16, 12 / 16], dtype=torch.float64))


def test_top_images_are_counted_exactly_unless_as_published():
    """0.0003·50,000 is 14.99… in floating point; the notebook took ⌊14.99…⌋ + 1 = 15 images, and 101 of 0.002."""
    activations = torch.arange(50_000.0)[:, None]
    added = torch.zeros(50_000, 1)
    added[-101:] = 1
    found = made_up(activations, added)
    assert (le.top_impact(found, [0.0003, 0.002]).values * 101).round().tolist() == [[15, 100]]
    published = le.top_impact(found, [0.0003, 0.002, 1], as_published=True)
    assert (published.values * 101).round().tolist() == [[15, 101, 101]]


def test_less_than_one_image_and_no_impact_have_no_top_impact():
    activations = torch.rand(100, 2, generator=torch.Generator().manual_seed(0))
    added = torch.stack([torch.ones(100), torch.full((100,), 1e-12)], 1)
    found = le.top_impact(made_up(activations, added), [0.001, 0.02])
    assert found.values.isnan().tolist() == [[True, False], [True, True]]
    assert found.mean[1] == pytest.approx(0.02)


def test_sign_says_what_a_neuron_is_good_for():
    """Without a neuron that the right class reads, answers are lost and the loss rises: both count as positive."""
    model = nn.Sequential(nn.Identity(), nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[4.0, 0], [0, 1]]))
    images = torch.tensor([[1.0, 2.0]] * 4)
    found = le.impact(model, "0", images, labels=[0] * 4, temperature=1.0, show_progress=False)
    assert bool((found.values[:, 0] > 0).all())
    assert found.answers_lost[:, 0].tolist() == [1] * 4
    assert bool((found.values[:, 1] < 0).all())
    assert found.answers_lost[:, 1].tolist() == [0] * 4
    figures = measure_figures(found, [0.5])
    torch.testing.assert_close(figures.values[:, 1], found.values.sum(0))
    torch.testing.assert_close(figures.values[:, 0], found.values.abs().sum(0))


def test_a_neuron_that_is_zero_all_over_an_image_has_no_impact_there():
    model, images = small_resnet(), small_inputs(30)
    found = le.impact(model, "layer1.0", images, labels=small_labels(30), show_progress=False)
    silent = found.activations.values == 0
    assert bool(silent.any())
    assert not bool(found.has_impact(range(6))[silent].any())
    assert not bool(found.values[silent].any())


def test_where_nothing_is_active_nothing_runs():
    model = small_resnet()
    with torch.no_grad():
        model.stem[1].weight[0], model.stem[1].bias[0] = 0, -100
    found = le.impact(model, "stem", small_inputs(24), labels=small_labels(24), neurons=[0], show_progress=False)
    assert not bool(found.values.any())
    assert found.is_dead.tolist() == [True]


def test_dead_neurons_and_means_without_them():
    activations = torch.rand(200, 3, generator=torch.Generator().manual_seed(0))
    activations[:, 1] *= 0.009
    added = torch.rand(200, 3, generator=torch.Generator().manual_seed(1)) - 0.3
    figures = measure_figures(made_up(activations, added), [0.1])
    assert figures.is_dead.tolist() == [False, True, False]
    torch.testing.assert_close(mean_figures([figures]).values, figures.values.mean(0))
    without = mean_figures([figures], with_dead=False)
    assert without.n_neurons == 2
    torch.testing.assert_close(without.values, figures.values[[0, 2]].mean(0))


def test_all_counts_every_neuron_of_the_layers_the_same():
    """Where only some of a layer were measured, they stand for the others too."""
    wide, some = measured(), measured(neurons=[2, 7])
    figures = [measure_figures(one, [0.1, 0.5]) for one in (wide, some)]
    found = mean_figures(figures)
    assert found.n_neurons == 18
    torch.testing.assert_close(found.values, (figures[0].values.mean(0) + figures[1].values.mean(0)) / 2)
    twice = mean_figures([figures[0], figures[0]])
    torch.testing.assert_close(twice.values, figures[0].values.mean(0))
    torch.testing.assert_close(twice.errors, mean_figures(figures[:1]).errors)


def test_standard_errors_are_those_of_drawing_images_anew():
    """Against 400 samples drawn with replacement."""
    generator = torch.Generator().manual_seed(0)
    n_images = 1500
    activations = torch.rand(n_images, 3, generator=generator)
    added = (torch.rand(n_images, 3, generator=generator) - 0.3) * activations**2
    lost = (torch.rand(n_images, 3, generator=generator) < 0.05).to(torch.int8)
    losses = torch.rand(n_images, generator=generator).double()
    whole = made_up(activations, added, answers_lost=lost, losses=losses)
    figures, means = measure_figures(whole, [0.02, 0.3]), mean_figures([measure_figures(whole, [0.02, 0.3])])
    drawn: list[Tensor] = []
    for _ in range(400):
        rows = torch.randint(n_images, (n_images,), generator=generator)
        sample = made_up(activations[rows], added[rows], answers_lost=lost[rows], losses=losses[rows])
        drawn.append(measure_figures(sample, [0.02, 0.3]).values)
    spread = torch.stack(drawn)
    torch.testing.assert_close(figures.errors, spread.std(0), rtol=0.2, atol=0)
    torch.testing.assert_close(means.errors, spread.mean(1).std(0), rtol=0.2, atol=0)


def weighted_share(found: le.Impact, neuron: int, count: int, weights: Tensor) -> float:
    """Top Impact literally, of images that count with weights; the last image of the top may be in it in part."""
    correct, losses = (weights * found.correct).sum(), (weights * found.losses).sum()
    added = found.loss_added[:, neuron].double() / losses
    sizes = ((found.answers_lost[:, neuron].double() / correct + added) / 2).abs()
    share, left = 0.0, count / found.n_images * float(weights.sum())
    for image in found.activations.values[:, neuron].argsort(descending=True).tolist():
        part = min(left, float(weights[image]))
        share, left = share + part * float(sizes[image]), left - part
    return share / float((weights * sizes).sum())


def test_influence_is_the_derivative_in_an_images_weight():
    """Around the end of the top the impact is, on average, what it is on the images next to that end."""
    generator, n_images, count = torch.Generator().manual_seed(0), 60, 20
    activations = torch.arange(n_images, 0.0, -1)[:, None]
    added, lost = torch.rand(n_images, 1, generator=generator) + 0.1, torch.zeros(n_images, 1, dtype=torch.int8)
    lost[:10] = torch.randint(-1, 2, (10, 1), generator=generator, dtype=torch.int8)
    added[count - 8 : count + 8] = 0.7
    added[count - 1], added[count] = 0.5, 0.9  # the last in the top and the first beyond: half of each end counts
    order = torch.randperm(n_images, generator=generator)
    losses, correct = (
        torch.rand(n_images, generator=generator).double(),
        torch.rand(n_images, generator=generator) < 0.8,
    )
    losses[count - 8 : count + 8], correct[count - 8 : count + 8] = 0.4, True
    found = made_up(activations[order], added[order], answers_lost=lost[order], losses=losses[order])
    found = dataclasses.replace(found, correct=correct[order])
    share, influence = share_of_top(next(blocks(found)), count)
    ones = torch.ones(n_images, dtype=torch.float64)
    assert float(share[0]) == pytest.approx(weighted_share(found, 0, count, ones))
    for image in range(n_images):
        step = 1e-4 * torch.eye(n_images, dtype=torch.float64)[image]
        above, below = (weighted_share(found, 0, count, ones + sign * step) for sign in (1, -1))
        assert float(influence[image, 0]) == pytest.approx((above - below) / 2e-4, abs=1e-7)


def test_a_single_image_has_figures():
    figures = measure_figures(made_up(torch.ones(1, 2), torch.ones(1, 2)), [1])
    assert figures.values.tolist() == [[0.5, 0.5, 1, 1]] * 2
    assert not bool(figures.errors.any())
    assert mean_figures([figures]).values.tolist() == [0.5, 0.5, 1, 1]


def test_means_of_two_layers_on_other_images_are_refused():
    figures = [measure_figures(measured(n_images=40, temperature=1.0, seed=seed), [0.1]) for seed in (5, 6)]
    with pytest.raises(le.DifferentImagesError, match="come from different images"):
        mean_figures(figures)


@pytest.mark.parametrize(("layer", "n_steps"), [("layer1.0.bn1", 30 * 6), ("layer1.0", 30 * 6), ("layer2", 6)])
def test_the_bar_ends_at_its_total(layer: str, n_steps: int, monkeypatch: pytest.MonkeyPatch):
    """Also where neurons are 0 all over an image, and nothing runs for them."""
    totals, done, shown = [], [], measuring.progress_bar

    @contextmanager
    def counted(what, total, unit, *, show):
        totals.append(total)
        with shown(what, total, unit, show=show) as advance:
            yield lambda n: (done.append(n), advance(n))

    monkeypatch.setattr(measuring, "progress_bar", counted)
    le.impact(small_resnet(), layer, small_inputs(30), labels=small_labels(30), show_progress=False)
    assert (totals, sum(done)) == ([n_steps], n_steps)


def test_drawn_neurons_add_to_the_standard_error():
    every = measured()
    some = measured(neurons=[0, 1, 3, 4])
    assert (some.n_layer_neurons, some.n_neurons) == (16, 4)
    alone = measure_figures(dataclasses.replace(some, n_layer_neurons=4), [0.1])
    figures = measure_figures(some, [0.1])
    torch.testing.assert_close(figures.values, measure_figures(every, [0.1]).values[[0, 1, 3, 4]])
    by_neurons = figures.values.var(0) / 4 * (1 - 4 / 16)
    by_images = mean_figures([alone]).errors.square()
    torch.testing.assert_close(mean_figures([figures]).errors.square(), by_images + by_neurons)
    drawn = le.impact(
        *(small_vit(), "blocks.1.mlp.1", small_inputs(60)), labels=small_labels(60), neurons=5, show_progress=False
    )
    assert len(set(drawn.neurons)) == 5


def test_batch_size_changes_nothing_but_rounding_and_a_subset_is_drawn_by_its_seed():
    first, other = measured(batch_size=8), measured(batch_size=7)
    assert float((first.loss_added - other.loss_added).abs().max()) < 1e-5
    assert torch.equal(first.answers_lost, other.answers_lost)
    some, same, different = (measured(n_images=40, temperature=1.0, seed=seed) for seed in (5, 5, 6))
    assert some.n_images == 40
    assert torch.equal(some.loss_added, same.loss_added)
    assert some.activations.images == same.activations.images != different.activations.images


def test_temperature_is_fitted_on_a_tenth_of_the_images():
    model, images = small_vit(), small_inputs(300)
    labels = model(images + 0.3 * torch.randn(300, 3, 8, 8)).argmax(1)
    found = le.impact(model, "blocks.2", images, labels=labels, neurons=[0], show_progress=False)
    val = le.Split.random(300).val
    logits, targets = model(images[val]).detach().double(), labels[val]

    def mean_loss(temperature: float) -> float:
        return float(nn.functional.cross_entropy(logits / temperature, targets))

    assert mean_loss(found.temperature) <= min(mean_loss(found.temperature * k) for k in (0.9, 0.99, 1.01, 1.1))


def test_own_answers_serve_where_there_are_no_labels():
    model, images = small_resnet(), small_inputs(24)
    own = model(images).argmax(1).tolist()
    for layer in ("layer1.0", "avgpool"):
        found = le.impact(model, layer, images, labels="own", show_progress=False)
        expected = le.impact(model, layer, images, labels=own, temperature=1.0, show_progress=False)
        assert found.accuracy == 1
        assert found.temperature == 1
        assert torch.equal(found.loss_added, expected.loss_added)


def test_interrupted_work_goes_on_where_it_stopped(tmp_path, monkeypatch: pytest.MonkeyPatch):
    store, n_done, judge = le.Store(tmp_path), 0, Network.judge

    def work(store: le.Store | None) -> le.Impact:
        settings = {"labels": small_labels(200), "show_progress": False, "temperature": 1.0}
        return le.impact(small_resnet(), "layer1.0.bn1", small_inputs(200), store=store, **settings)

    def counted(*given, **more):
        nonlocal n_done
        n_done += 1
        if n_done == stop_at:
            raise KeyboardInterrupt
        return judge(*given, **more)

    monkeypatch.setattr(Network, "judge", counted)
    stop_at = 20
    with pytest.raises(KeyboardInterrupt, match=r"128 of 200 images are in the store"):
        work(store)
    n_done, stop_at = 0, 0
    found = work(store)
    assert n_done == 9  # batches of eight: the 72 images that were missing
    expected = work(None)
    for name in ("loss_added", "answers_lost", "losses", "correct"):
        assert torch.equal(getattr(found, name), getattr(expected, name))
    n_done = 0
    assert torch.equal(work(store).loss_added, expected.loss_added)
    assert n_done == 0


def test_half_precision_is_near():
    exact, half = measured(temperature=1.0), measured(temperature=1.0, precision="bfloat16")
    errors = (exact.loss_added - half.loss_added).abs()
    assert 0 < float(errors.max()) < 0.1 * float(exact.loss_added.abs().max()) + 0.05


def refused(match: str, model: nn.Module | None = None, layer: str = "layer1.0", error=ValueError, **settings) -> None:
    settings = {"labels": small_labels(40), "show_progress": False, **settings}
    with pytest.raises(error, match=match):
        le.impact(model or small_resnet(), layer, settings.pop("images", small_inputs(40)), **settings)


def test_bad_input():
    refused(r"The images have no labels, and without them there is no loss to compare\. Pass labels=", labels=None)
    refused(r"An image has the label 5, but the model has 5 outputs \(0 to 4\)", labels=[5] * 40)
    refused(r"The labels are torch\.int64 of shape \[3\] for 40 images", labels=[0, 1, 2])
    refused(r"labels is 'mine'", labels="mine")
    refused(r"The model has no layer 'layr1'\. Did you mean 'layer1'\?", layer="layr1")
    refused(r"runs 2 times in one forward pass", layer="layer1.0.relu")
    refused(r"Layer 'layer1\.0' has 6 neurons \(0 to 5\), not neuron 6", neurons=[1, 6])
    refused(r"There are 40 images, not 41\. Ask for fewer", n_images=41)
    refused(r"temperature is 0\. It must be above 0", temperature=0)
    refused(r"precision is 'float8'", precision="float8")
    refused(r"19 images are too few to fit a temperature", images=small_inputs(19), labels=small_labels(19))
    maps = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
    refused(r"The model returns \[3, 4, 8, 8\] for 3 images, so it is no classifier", model=maps, layer="0")
    softmax = nn.Sequential(small_resnet(), nn.Softmax(1))
    refused(r"The model returns probabilities", model=softmax, layer="0.stem")
    never_right = [(label + 1) % 5 for label in small_resnet()(small_inputs(40)).argmax(1).tolist()]
    refused(r"The model gives none of the 40 images its label", labels=never_right)


class Aside(nn.Module):
    """A layer after the logits, and one whose input is changed in place and read again."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head, self.after = nn.Linear(192, 4), nn.Linear(4, 5), nn.Linear(5, 2)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.body(x.flatten(1))
        y = self.relu(x)
        logits = self.head(x + y)
        return logits, self.after(logits)


def test_layers_that_cannot_be_measured_are_refused():
    refused(r"Layer 'after' does not reach the logits", model=Aside(), layer="after")
    refused(
        r"Layer 'relu' changes its input in place, and the model reads that input again", model=Aside(), layer="relu"
    )


@pytest.mark.parametrize("beta", [0, -0.1, 1.5, math.nan])
def test_beta_outside_is_refused(beta: float):
    with pytest.raises(ValueError, match=r"β is .*It is a share of the images: above 0, at most 1"):
        le.top_impact(measured(), [0.1, beta])
    with pytest.raises(ValueError, match="β is missing"):
        le.top_impact(measured(), [])


def test_the_model_comes_back_as_it_was_after_an_error():
    model = small_resnet().train()
    before = copy.deepcopy(model.state_dict())
    images = small_inputs(40)
    images[30] = math.nan
    with pytest.raises(ValueError, match=r"of layer 'layer1\.0' is nan on image 30"):
        le.impact(model, "layer1.0", images, labels=small_labels(40), temperature=1.0, show_progress=False)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any("forward" in module.__dict__ for module in model.modules())
