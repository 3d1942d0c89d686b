"""Nothing about a layer's output is guessed in silence: which tensor, and where its channels are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import linexp as le
from linexp.forward.outputs import named_tensors
from linexp.forward.partial import BehindLayer
from linexp.forward.units import Channels, choose_units
from tests.colour_world import make_world
from tests.command_line import Run, command_line

INPUTS = torch.randn(20, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Split(nn.Module):
    """Returns (reconstruction, latents), or a dictionary of them."""

    def __init__(self, *, named: bool) -> None:
        super().__init__()
        self.down, self.up, self.named = nn.Linear(192, 5), nn.Linear(5, 192), named

    def forward(self, inputs: Tensor) -> Any:
        latents = self.down(inputs.flatten(1)).relu()
        found = (self.up(latents), latents)
        return {"reconstruction": found[0], "latents": found[1]} if self.named else found


class Net(nn.Module):
    """A classifier that reads both outputs of its layer."""

    def __init__(self, *, named: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.head, self.side = Split(named=named), nn.Linear(5, 3), nn.Linear(192, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        found = self.layer(inputs)
        whole, latents = found.values() if self.layer.named else found
        return self.head(latents) + self.side(whole)


def latents(model: Net) -> Tensor:
    with torch.no_grad():
        return model.layer.down(INPUTS.flatten(1)).relu()


# --- which tensor ---


@pytest.mark.parametrize("named", [False, True])
def test_the_one_taken_of_several_is_named(named: bool) -> None:
    first, second = ("reconstruction", "latents") if named else ("0", "1")
    told = (
        rf"Layer 'layer' returns 2 tensors \('{first}' \[192\], '{second}' \[5\] for each image\); the first, "
        rf"'{first}', is taken\. Say which is meant with output= \(--output\)\."
    )
    with pytest.warns(UserWarning, match=told):
        assert le.record(Net(named=named), "layer", INPUTS, show_progress=False).n_neurons == 192


@pytest.mark.parametrize(("named", "output"), [(False, 1), (False, "1"), (True, "latents"), (True, 1)])
def test_another_is_chosen_by_name_or_place(named: bool, output: Any) -> None:
    model = Net(named=named)
    found = le.record(model, "layer", INPUTS, output=output, show_progress=False)
    torch.testing.assert_close(found.values, latents(model))


def test_an_output_inside_another_is_called_by_its_path() -> None:
    tensors = [torch.full((2, 1), float(value)) for value in range(4)]
    output = (tensors[0], {"a": [None, tensors[1]], "b": tensors[2]}, tensors[3])
    assert [name for name, _ in named_tensors(output)] == ["0", "1.a.1", "1.b", "2"]
    for which, value in (("1.a.1", 1), ("1.a", 1), ("1.b", 2), ("1", 1), ("2", 3), (3, 3), (0, 0)):
        assert Channels(output=which).read(output, "layer", 2)[0].item() == value


@pytest.mark.parametrize(
    ("layer", "output", "message"),
    [
        (
            "layer",
            "latent",
            r"no output 'latent'\. Did you mean 'latents'\? Choose one of: 'reconstruction' \[192\], 'lat",
        ),
        ("layer", 2, r"Layer 'layer' returns no output '2'\. Choose one of"),
        ("head", 0, r"Layer 'head' returns one tensor, so there is no output '0' to choose\. Leave output out"),
    ],
)
def test_an_output_that_is_not_there(layer: str, output: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        le.record(Net(named=True), layer, INPUTS, output=output, show_progress=False)


def test_a_single_output_is_taken_without_a_word() -> None:
    assert le.record(Net(), "head", INPUTS, show_progress=False).n_neurons == 3  # warnings are errors


@pytest.mark.parametrize("named", [False, True])
def test_what_is_changed_is_the_tensor_that_is_meant(named: bool) -> None:
    model = Net(named=named).eval()
    behind = BehindLayer(model, "layer", INPUTS[:3], output=1)
    stored = behind.store(INPUTS)
    assert torch.equal(stored.layer_output, latents(model))
    assert behind.pick(stored, torch.tensor([2, 0])).layer_output.shape == (2, 5)
    change = torch.zeros(20, 5)
    change[:, 2] = 1
    wanted = stored.logits + change @ model.head.weight.T
    torch.testing.assert_close(behind.logits(stored, latents(model) + change), wanted)


def test_impact_and_ablation_of_the_tensor_that_is_meant() -> None:
    model, labels = Net().eval(), torch.arange(20) % 3
    found = le.impact(model, "layer", INPUTS, labels=labels, output=1, temperature=1.0, show_progress=False)
    assert found.loss_added.shape == (20, 5)
    torch.testing.assert_close(found.activations.values, latents(model))
    with torch.no_grad():
        without = model(INPUTS) - latents(model)[:, 3:4] * model.head.weight[:, 3]
        lost = torch.nn.functional.cross_entropy(without, labels, reduction="none") - found.losses
    torch.testing.assert_close(found.loss_added[:, 3], lost.float(), atol=1e-5, rtol=0)

    recorded = le.record(model, "layer", INPUTS, output=1, show_progress=False)
    split = le.Split.random(20)
    scorer = le.AblationScorer(scaling="norm", replace="shift", output=1)
    scores = scorer.score(recorded, recorded, split, model, INPUTS, labels=labels, show_progress=False)
    assert scores.n_undefined < 5
    torch.testing.assert_close(scores.defined, torch.ones_like(scores.defined), atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="token and output of the recording"):
        le.AblationScorer().score(recorded, recorded, split, model, INPUTS, labels=labels, show_progress=False)


def test_impact_names_the_one_taken() -> None:
    with pytest.warns(UserWarning, match="Layer 'layer' returns 2 tensors"):
        le.impact(Net(), "layer", INPUTS, labels="own", neurons=2, show_progress=False)


# --- where the channels are ---


class Permute(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.permute(0, 2, 3, 1)


def swin_like() -> nn.Module:
    torch.manual_seed(0)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)]
    return nn.Sequential(nn.Conv2d(3, 32, 3), Permute(), *head).eval()


def test_channels_that_are_last_are_refused_until_that_is_said() -> None:
    with pytest.raises(ValueError, match="looks like") as told:
        le.record(swin_like(), "1", INPUTS, show_progress=False)
    assert str(told.value) == (
        "Layer '1' returns [8, 6, 6, 32], which looks like [images, height, width, channels]: 32 neurons and not 6. "
        "Say where the channels are: channels='last' or 'first' (--channels last or first)."
    )
    last = le.record(swin_like(), "1", INPUTS, channels="last", show_progress=False)
    first = le.record(swin_like(), "0", INPUTS, show_progress=False)
    torch.testing.assert_close(last.values, first.values)
    assert le.record(swin_like(), "1", INPUTS, channels="first", show_progress=False).n_neurons == 6
    with pytest.raises(ValueError, match=r"Layer '1' returns \[3, 6, 6, 32\], which looks like"):
        le.impact(swin_like(), "1", INPUTS, labels="own", show_progress=False)


@pytest.mark.parametrize(
    ("shape", "n_neurons"), [((2, 4, 4, 4), 4), ((2, 4, 5, 5), 4), ((2, 3, 4, 5), 3), ((2, 4, 1, 1), 4), ((2, 5, 7), 7)]
)
def test_what_looks_like_channels_first_is_taken_so(shape: tuple[int, ...], n_neurons: int) -> None:
    assert Channels().read(torch.zeros(shape), "layer", 2).shape == (2, n_neurons)


@pytest.mark.parametrize("shape", [(2, 4, 4, 5), (2, 1, 1, 9), (2, 3, 4, 4, 5)])
@pytest.mark.parametrize("pool", ["mean", "max"])
def test_what_looks_like_channels_last_is_refused(shape: tuple[int, ...], pool: Any) -> None:
    with pytest.raises(ValueError, match=f"{shape[-1]} neurons and not {shape[1]}"):
        choose_units(None, pool).read(torch.zeros(shape), "layer", 2)


def test_a_store_filled_with_what_was_said_answers_nobody_who_said_nothing(tmp_path: Path) -> None:
    store = le.Store(tmp_path / "store")
    le.record(swin_like(), "1", INPUTS, channels="first", store=store, show_progress=False)
    with pytest.raises(ValueError, match="looks like"):
        le.record(swin_like(), "1", INPUTS, store=store, show_progress=False)


# --- inputs that are ready ---


def test_preprocessing_of_ready_inputs_is_refused() -> None:
    def never(_: Any) -> Tensor:
        raise AssertionError("it was called")

    told = (
        r"^The images are a tensor of torch\.float32, which goes into the model as it is, and preprocess= is given "
        r"too\. Apply it first and leave preprocess out; or give pictures, as uint8 or as a NumPy array of floats from "
        r"0 to 1\.$"
    )
    with pytest.raises(ValueError, match=told):
        le.record(Net(), "head", INPUTS, preprocess=never, show_progress=False)
    with pytest.raises(ValueError, match=told):
        le.impact(Net(), "head", INPUTS, labels="own", preprocess=never, show_progress=False)
    loaded = le.VisionModel("own", Net(), never)  # what comes with a model was not asked for here
    assert le.record(loaded, "head", INPUTS, show_progress=False).n_neurons == 3


# --- a network whose attribute hides a method ---


class Listed(nn.Module):
    """As ESPNet was published."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.c, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)
        self.modules = [self.c]  # pyright: ignore[reportAttributeAccessIssue]

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.c(inputs).relu().mean((2, 3)))


def test_a_network_with_an_attribute_modules(tmp_path: Path) -> None:
    model = Listed()
    recorded = le.record(model, "c", INPUTS, show_progress=False, store=le.Store(tmp_path))
    torch.testing.assert_close(recorded.values, model.c(INPUTS).mean((2, 3)).detach())
    assert model.c.training
    assert le.impact(model, "c", INPUTS, labels="own", show_progress=False).loss_added.shape == (20, 4)
    labels = torch.arange(20) % 3
    scorer = le.AblationScorer(scaling="norm", replace="shift")
    scorer.score(recorded, recorded, le.Split.random(20), model, INPUTS, labels=labels, show_progress=False)
    assert [one.name for one in le.list_layers(model, side=8)] == ["c", "head"]


# --- the command line ---

OWN = """

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)

    def forward(self, images):
        found = self.stem(images)
        return {"maps": found, "squared": found.square()}

class WithTwo(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.two, self.head = Two(), nn.Linear(4, 5)

    def forward(self, images):
        return self.head(self.two(images)["squared"].mean((2, 3)))

def two():
    return WithTwo(), to_unit_tensor
"""
EXPLAIN = ("explain", "--images", "pictures", "--seed", 1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_world(tmp_path_factory.mktemp("world"))
    with (folder / "mymodels.py").open("a") as file:
        file.write(OWN)
    return folder


@pytest.fixture
def linexp(world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    yield from command_line(world, monkeypatch, capfd)


def settings_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text())["settings"]


def test_the_command_line_names_the_one_taken_once_and_writes_it_down(linexp: Run, tmp_path: Path) -> None:
    ended = linexp(*EXPLAIN, "--model", "mymodels:two", "--layer", "two", "--out", tmp_path / "one")
    assert ended.code == 0, ended.err
    assert ended.err.count("Warning: Layer 'two' returns 2 tensors ('maps' [4, 8, 8], 'squared' [4, 8, 8]") == 1
    assert settings_of(tmp_path / "one")["output"] == "maps"
    start = (*EXPLAIN, "--model", "mymodels:two", "--output", "squared")
    ended = linexp(*start, "--layer", "two", "--out", tmp_path / "other")
    assert (ended.code, "Warning" in ended.err) == (0, False)
    assert settings_of(tmp_path / "other")["output"] == "squared"
    # The result knows which one it is of.
    ablated = linexp("ablate", tmp_path / "other", "--scaling", "norm", "--no-store")
    assert ablated.code == 0, ablated.err
    wrong = linexp(*start, "--layer", "head", "--out", tmp_path / "head")
    assert "Error: Layer 'head' returns one tensor, so there is no output 'squared' to choose." in wrong.err


def test_a_bare_module_needs_its_preprocessing_and_the_result_says_which(linexp: Run, tmp_path: Path) -> None:
    bare = (*EXPLAIN, "--model", "mymodels:bare", "--layer", "stem", "--store", tmp_path / "store")
    refused = linexp(*bare, "--out", tmp_path / "no")
    assert refused.code == 1
    assert refused.err.startswith(
        "Error: The function 'mymodels:bare' returns a Net alone, and nothing says how pictures"
    )
    assert not (tmp_path / "no" / "run.json").exists()
    for name in ("unit", "mymodels:halved"):
        assert linexp(*bare, "--preprocess", name, "--out", tmp_path / name).code == 0
    told = [settings_of(tmp_path / name) for name in ("unit", "mymodels:halved")]
    assert [one["preprocess"] for one in told] == ["unit", "mymodels:halved"]
    what = [one["preprocessing"]["what"] for one in told]
    assert what == ["linexp.models.base.to_unit_tensor", "mymodels.halved"]
    assert len({one["preprocessing"]["sha256"] for one in told}) == 2
    entries = [json.loads(path.read_text()) for path in (tmp_path / "store").glob("activations-*/manifest.json")]
    keys = {entry["identity"]["parts"]["preprocess"] for entry in entries}
    assert keys == {one["preprocessing"]["sha256"] for one in told}
    ended = linexp("layers", "--model", "mymodels:bare", "--preprocess", "unit", "--side", 8)
    assert ended.code == 0
    assert linexp("layers", "--model", "mymodels:bare").code == 1


def test_the_preprocessing_of_a_pair_is_written_down_too(linexp: Run, tmp_path: Path) -> None:
    ended = linexp(*EXPLAIN, "--model", "mymodels:build", "--layer", "stem", "--out", tmp_path / "out")
    assert ended.code == 0, ended.err
    told = settings_of(tmp_path / "out")
    assert told["preprocess"] is None
    assert told["preprocessing"]["what"] == "linexp.models.base.to_unit_tensor"
    assert told["output"] is None
