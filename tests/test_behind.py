"""The part behind a layer gives what the whole model gives with the layer's output overwritten."""

import copy

import pytest
import torch
from torch import nn

from linexp.forward.partial import BehindLayer, StoredBatches, find_linear_tail
from linexp.forward.units import Channels, choose_units
from tests.ablation_twin import changed_copies, logits_of, overwriter, put
from tests.small_classifiers import SmallResNet, small_inputs, small_resnet, small_vit

LAYERS = [
    (small_resnet, "stem.0", "shift"),
    (small_resnet, "layer1.0.bn1", "set"),  # its output is changed in place by the ReLU behind it
    (small_resnet, "layer1.1.relu", None),
    (small_resnet, "layer1", "shift"),
    (small_resnet, "layer2.0.conv2", "set"),
    (small_resnet, "layer2.1", "set"),
    (small_resnet, "avgpool", "set"),
    (small_vit, "patches", "set"),
    (small_vit, "blocks.1", "set"),
    (small_vit, "blocks.1.mlp.1", "shift"),
    (small_vit, "blocks.1.attention", "set"),
    (small_vit, "norm", "set"),
]


@pytest.mark.parametrize(("make", "layer", "replace"), LAYERS, ids=[f"{m.__name__} {n}" for m, n, _ in LAYERS])
def test_same_logits_as_overwriting_the_layers_output(make, layer, replace):
    model, images = make().double(), small_inputs(4).double()
    if replace is None:
        with pytest.raises(ValueError, match=r"Layer 'layer1\.1\.relu' runs 2 times in one forward pass"):
            BehindLayer(model, layer, images)
        return
    behind = BehindLayer(model, layer, images[:2])
    stored = behind.store(images)
    neurons, values = [1, 4, 1], torch.tensor([[0.3, -2.0, 1.0, 4.0], [0.5, 0.1, 0.0, 2.0], [9.0, 8.0, 7.0, 6.0]])
    found = behind.logits(stored, changed_copies(Channels(), stored.layer_output, neurons, values, replace))
    twin, spy = overwriter(model, layer)
    row = 0
    for neuron, of_neuron in zip(neurons, values.tolist(), strict=True):
        for image, value in zip(images, of_neuron, strict=True):
            spy.change = lambda output, neuron=neuron, value=value: put(output, neuron, value, replace)
            torch.testing.assert_close(found[row], logits_of(twin, image), rtol=1e-6, atol=1e-6)
            row += 1
    assert not torch.allclose(found[:4], stored.logits, atol=1e-3)


def test_only_what_is_behind_the_layer_runs():
    model = small_resnet()
    behind = BehindLayer(model, "layer2.0", small_inputs(2))
    assert behind.n_skipped == 2  # stem and layer1, each with all that is inside
    stored = behind.store(small_inputs(3))
    assert not isinstance(stored.inputs, torch.Tensor)
    model.stem.forward = model.layer1.forward = None  # would fail if they ran
    behind.logits(stored, stored.layer_output)


def test_a_residual_branch_around_the_layer_is_kept_and_read():
    behind = BehindLayer(small_resnet(), "layer2.1.conv1", small_inputs(2))
    kept = [tree.parts[0] for tree in behind.store(small_inputs(2)).before]
    assert [isinstance(part, torch.Tensor) for part in kept] == [False, False, True]  # stem, layer1, layer2.0


def test_the_stored_output_survives_what_happens_behind_it():
    behind = BehindLayer(small_resnet(), "layer1.0.bn1", small_inputs(2))
    stored = behind.store(small_inputs(3))
    before = stored.layer_output.clone()
    assert (before < 0).any()  # the in-place ReLU behind would have made them 0
    first = behind.logits(stored, stored.layer_output)
    assert torch.equal(stored.layer_output, before)
    assert torch.equal(first, behind.logits(stored, stored.layer_output))
    torch.testing.assert_close(first, stored.logits)


class InPlaceModule(nn.Module):
    """Its first module works on its input only, and what it returns is thrown away."""

    def __init__(self):
        super().__init__()
        self.relu, self.second, self.head = nn.ReLU(inplace=True), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x):
        x = x.flatten(1)[:, :6].clone()
        self.relu(x)
        y = self.second(x)
        return self.head(y) + x[:, :3]


def test_a_model_that_cannot_be_cut_runs_as_a_whole():
    torch.manual_seed(0)
    model, images = InPlaceModule(), small_inputs(4)
    behind = BehindLayer(model, "second", images)
    assert behind.n_skipped == 0
    stored = behind.store(images)
    values = torch.full((1, 4), 3.0)
    found = behind.logits(stored, changed_copies(Channels(), stored.layer_output, [2], values))
    twin, spy = overwriter(model, "second")
    spy.change = lambda output: put(output, 2, 3.0, "set")
    expected = torch.stack([logits_of(twin, image) for image in images])
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


def test_a_layer_that_changes_an_input_read_again_is_refused():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu, self.head = nn.ReLU(inplace=True), nn.Linear(6, 3)

        def forward(self, x):
            x = x.flatten(1)[:, :6].clone()
            return self.head(self.relu(x)) + 2 * self.head(x)

    with pytest.raises(ValueError, match="Layer 'relu' changes its input in place, and the model reads that input aga"):
        BehindLayer(Twice(), "relu", small_inputs(3))


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_comes_back_as_it_was(fails):
    model = small_resnet().train()
    model.fc.eval()
    state = copy.deepcopy(model.state_dict())
    flags = [module.training for module in model.modules()]
    behind = BehindLayer(model, "layer1", small_inputs(3))
    stored = behind.store(small_inputs(3))
    if fails:
        with pytest.raises(RuntimeError):
            behind.logits(stored, torch.zeros(3, 2, 2, 2))
    assert [module.training for module in model.modules()] == flags
    assert not any("forward" in module.__dict__ or module._forward_hooks for module in model.modules())
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name])


def test_batches_are_the_same_kept_or_not():
    images = small_inputs(7)
    behind = BehindLayer(small_resnet(), "layer1.1.conv1", images)
    n_opened = []

    def open_from(row):
        n_opened.append(row)
        return iter(images[row:].split(2))

    one_batch = behind.store(images[:2])
    size = 4 * sum(part.numel() for part in (one_batch.layer_output, one_batch.logits, *one_batch.before[-1].parts))
    for keep, opened in ((10**9, [0]), (size * 2, [0, 4, 4]), (0, [0, 0, 0])):
        n_opened.clear()
        batches = StoredBatches(behind, open_from, torch.device("cpu"), keep)
        for _ in range(3):
            assert [row for row, _ in batches] == [0, 2, 4, 6]
        assert n_opened == opened
        with torch.no_grad():
            torch.testing.assert_close(batches.logits(), behind.model(images).double(), rtol=1e-5, atol=1e-5)


def tail_of(model, layer, **pooling):
    behind = BehindLayer(model, layer, small_inputs(3))
    return find_linear_tail(behind, behind.store(small_inputs(3)), choose_units(**pooling))


def test_linear_tail_is_found():
    model = small_resnet()
    for layer in ("layer2", "layer2.1", "avgpool", "dropout"):
        tail = tail_of(model, layer)
        assert torch.equal(tail.weight, model.fc.weight.detach().double())
        assert torch.equal(tail.bias, model.fc.bias.detach().double())
    assert tail_of(small_vit(), "norm", pool="token") is not None


@pytest.mark.parametrize("between", [nn.ReLU(), nn.ReLU6(), nn.BatchNorm1d(6), nn.Hardtanh(-3, 3), nn.LayerNorm(6)])
def test_what_is_not_quite_linear_is_no_tail(between):
    model = small_resnet()
    model.dropout = between.eval()
    if isinstance(between, nn.BatchNorm1d):
        between.running_mean.fill_(0.5)
    assert tail_of(model, "layer2") is None
    assert tail_of(model, "dropout") is not None


def test_a_head_that_clips_far_out_is_no_tail():
    """Noise of each position alone is averaged away by pooling, and would not reach the limit."""
    model = small_resnet()
    output = BehindLayer(model, "layer2", small_inputs(3)).store(small_inputs(3)).layer_output
    limit = float(output.mean((2, 3)).abs().max() + 5 * output.std())
    model.dropout = nn.Hardtanh(-limit, limit)
    assert tail_of(model, "layer2") is None


def test_no_linear_tail():
    assert tail_of(small_resnet(), "layer2", pool="max") is None
    assert tail_of(small_resnet(), "layer1") is None
    assert tail_of(small_vit(), "blocks.2", pool="token") is None
    assert tail_of(small_vit(), "norm") is None  # the head reads one token, not their mean


def test_a_head_that_clips_what_is_pooled_is_no_tail():
    """Far beyond what noise of each position, which pooling averages away, does to the mean of a neuron."""
    model = small_resnet()
    inside = small_resnet()
    stored = BehindLayer(model, "layer2", small_inputs(3)).store(small_inputs(3))
    bound = 6 * float(stored.layer_output.std())
    assert float(stored.layer_output.mean((2, 3)).abs().max()) < bound / 2
    model.dropout, inside.dropout = nn.Hardtanh(-bound, bound), nn.Hardtanh(-100 * bound, 100 * bound)
    assert tail_of(model, "layer2") is None
    assert tail_of(inside, "layer2") is not None


class Odd(SmallResNet):
    def __init__(self, returned):
        super().__init__()
        self.returned, self.unused, self.aside = returned, nn.ReLU(), nn.Linear(6, 6)

    def forward(self, x):
        x = self.layer2(self.layer1(self.stem(x)))
        self.aside(x.mean((2, 3)))
        return self.returned(x, self.fc(x.mean((2, 3))))


@pytest.mark.parametrize(
    ("returned", "layer", "message"),
    [
        (lambda x, z: x, "layer1", r"The model returns \[3, 6, 8, 8\] for 3 images, so it is no classifier. Use a mod"),
        (lambda x, z: z[:, 0], "layer1", r"The model returns \[3\] for 3 images, so it is no classifier"),
        (lambda x, z: None, "layer1", "The model returns no tensor for 3 images, so it is no classifier"),
        (lambda x, z: z[:, :1], "layer1", r"The model returns \[3, 1\]: a single class"),
        (lambda x, z: z.softmax(1), "layer1", "The model returns probabilities .* not logits. Leave its last softmax"),
        (lambda x, z: z, "aside", "Layer 'aside' does not reach the logits: .* Choose a layer before the logits"),
        (lambda x, z: z, "unused", "Layer 'unused' does not run in the model's forward pass"),
        (lambda x, z: z, "layre1", "The model has no layer 'layre1'. Did you mean 'layer1'"),
    ],
)
def test_what_is_no_classifier_or_no_layer(returned, layer, message):
    torch.manual_seed(0)
    with pytest.raises(ValueError, match=message):
        BehindLayer(Odd(returned), layer, small_inputs(3))


def test_outputs_in_tuples_and_mappings():
    class Wrapped(SmallResNet):
        def forward(self, x):
            return {"logits": super().forward(x)}

    torch.manual_seed(0)
    behind = BehindLayer(Wrapped(), "layer1", small_inputs(3))
    assert behind.n_classes == 5


@pytest.mark.parametrize(("make", "layer", "replace"), LAYERS[:2] + LAYERS[3:], ids=lambda one: str(one)[:20])
def test_images_can_be_picked_from_what_is_stored(make, layer, replace):
    model, images = make(), small_inputs(4)
    behind = BehindLayer(model, layer, images[:3])
    stored, rows = behind.store(images), torch.tensor([3, 1, 3, 0, 3])
    picked = behind.pick(stored, rows)
    torch.testing.assert_close(picked.layer_output, stored.layer_output[rows])
    changed = stored.layer_output + 1
    torch.testing.assert_close(behind.logits(picked, changed[rows]), behind.logits(stored, changed)[rows])


class Windows(nn.Module):
    """What runs before the layer returns four parts of each image one after another, and a table that is no image's."""

    def __init__(self) -> None:
        super().__init__()
        self.cut, self.table = nn.Unfold(4, stride=4), nn.Embedding(3, 16)
        self.parts, self.layer, self.head = nn.Linear(48, 16), nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = self.parts(self.cut(x).transpose(1, 2).flatten(0, 1))
        table = self.table(torch.arange(3))
        changed = self.layer(parts.unflatten(0, (len(x), -1)).mean(1))
        return self.head((parts.unflatten(0, (len(x), -1)) * changed[:, None]).sum(1) + table.sum(0))


def test_picking_takes_all_parts_of_an_image():
    torch.manual_seed(0)
    behind = BehindLayer(Windows(), "layer", small_inputs(3))
    assert behind.n_skipped == 3
    stored, rows = behind.store(small_inputs(4)), torch.tensor([2, 0, 2])
    changed = stored.layer_output * 2
    torch.testing.assert_close(
        behind.logits(behind.pick(stored, rows), changed[rows]), behind.logits(stored, changed)[rows]
    )


@pytest.mark.parametrize(
    ("shape", "channels", "axis"),
    [((3, 5), "first", 1), ((3, 4, 5), "first", 2), ((3, 5, 2, 2), "first", 1), ((3, 2, 2, 5), "last", 3)],
)
def test_removing_sets_one_neuron_of_each_image_to_zero(shape, channels, axis):
    output = torch.rand(shape) + 1
    removed = Channels(channels=channels).changed(output, torch.tensor([4, 0, 2]))
    expected = output.clone()
    for image, neuron in enumerate((4, 0, 2)):
        expected[image].select(axis - 1, neuron).fill_(0)
    assert torch.equal(removed, expected)
    assert bool((output > 0).all())
