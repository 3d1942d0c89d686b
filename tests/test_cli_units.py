"""``--units``: other neurons than channels, from explaining to ablation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import linexp as le
from linexp.models import load_model
from linexp.results.folder import load_explanations, load_run
from tests.colour_world import make_world
from tests.command_line import Run, command_line
from tests.test_cli_ablate import CLASSIFIER, EXPLAIN


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_world(tmp_path_factory.mktemp("world"))
    (folder / "mymodels.py").write_text(CLASSIFIER)
    return folder


@pytest.fixture
def linexp(world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    yield from command_line(world, monkeypatch, capfd)


def explained(linexp: Run, out: Path, units: str) -> Path:
    ended = linexp(*EXPLAIN, "--model", "mymodels:build", "--out", out, "--units", units)
    assert ended.code == 0, ended.err
    return out


def recorded(units: le.Unit) -> torch.Tensor:
    return le.record(load_model("mymodels:build"), "0", "pictures", units=units, show_progress=False).values


def test_a_random_rotation_is_explained_replayed_and_ablated(linexp: Run, tmp_path: Path):
    result = explained(linexp, tmp_path / "out", "random:3")
    assert torch.equal(load_run(result).activations.values, recorded(le.Rotation(3)))
    assert json.loads((result / "run.json").read_text())["settings"]["units"] == "random:3"
    assert linexp("run", result / "run.json", "--out", tmp_path / "again").code == 0
    assert (tmp_path / "again/explanations.csv").read_bytes() == (result / "explanations.csv").read_bytes()
    ended = linexp("ablate", result)
    assert ended.code == 0, ended.err
    assert "layer 0: test ablation(optim" in ended.out


def test_latents_of_a_file_are_explained_and_ablated(linexp: Run, tmp_path: Path):
    directions = le.Directions.random(4, seed=1).matrix
    sae = le.SparseAutoencoder(torch.cat([directions, -directions]), torch.cat([directions, -directions]))
    sae.save(tmp_path / "sae.safetensors")
    result = explained(linexp, tmp_path / "out", f"sae:{tmp_path / 'sae.safetensors'}")
    assert torch.equal(load_run(result).activations.values, recorded(sae))
    ended = linexp("ablate", result, "--replace", "set")
    assert ended.code == 0, ended.err
    assert "ablating: 7 neurons" in ended.err
    le.SparseAutoencoder(2 * sae.encoder, sae.decoder).save(tmp_path / "sae.safetensors")
    ended = linexp("ablate", result, "--replace", "set")
    assert ended.code == 1
    assert "is not the one whose units" in ended.err


def test_rare_latents_are_named_and_not_explained(linexp: Run, tmp_path: Path):
    model, common = load_model("mymodels:build"), ("explain", "--images", "pictures", "--layer", "2")
    reds = le.record(model, "2", "pictures", show_progress=False).values[:, 0].sort(descending=True).values
    directions = torch.eye(4)[[0, 0, 1]]
    bias = torch.tensor([0.0, -float(reds[4] + reds[5]) / 2, 0.0])  # the second is active on five images
    le.SparseAutoencoder(directions, directions, bias).save(tmp_path / "sae.safetensors")
    units = ("--units", f"sae:{tmp_path / 'sae.safetensors'}")
    ended = linexp(*common, "--model", "mymodels:build", "--out", tmp_path / "out", *units)
    assert ended.code == 0, ended.err
    assert load_explanations(tmp_path / "out").neurons == (0, 2)
    assert load_run(tmp_path / "out").activations.neurons == (0, 1, 2)
    assert "1 of 3 latents are active on fewer than 20 images, and not explained: 1\n" in ended.out


def test_from_a_layer_to_explained_latents(linexp: Run, tmp_path: Path):
    common = ("--images", "pictures", "--layer", "0", "--model", "mymodels:build")
    file, settings = tmp_path / "sae.safetensors", ("--latents", 6, "--k", 2, "--steps", 40, "--n-images", 30)
    ended = linexp("units", "fit", *common, "--out", file, *settings)
    assert ended.code == 0, ended.err
    assert "autoencoder: 6 latents, " in ended.out
    sae = le.SparseAutoencoder.load(file)
    assert (sae.n_units, sae.width, sae.sparsity) == (6, 4, le.TopK(2))
    assert [path.name for path in tmp_path.iterdir()] == ["sae.safetensors"]
    assert linexp("explain", *common, "--units", f"sae:{file}", "--out", tmp_path / "out").code == 0
    assert torch.equal(load_run(tmp_path / "out").activations.values, recorded(sae))


def test_principal_components_are_explained_and_ablated(linexp: Run, tmp_path: Path):
    common = ("--images", "pictures", "--layer", "0", "--model", "mymodels:build")
    file = tmp_path / "pca.safetensors"
    ended = linexp("units", "pca", *common, "--out", file, "--n", 3)
    assert ended.code == 0, ended.err
    positions = le.record(load_model("mymodels:build"), "0", "pictures", pool="grid", show_progress=False)
    wanted = le.Directions.principal(positions, 3)
    assert torch.equal(le.Directions.load(file).matrix, wanted.matrix)
    result = explained(linexp, tmp_path / "out", f"directions:{file}")
    assert torch.equal(load_run(result).activations.values, recorded(wanted))
    ended = linexp("ablate", result)
    assert ended.code == 0, ended.err


def test_impact_of_a_random_rotation(linexp: Run, tmp_path: Path):
    common = ("impact", "--images", "pictures", "--layer", "0", "--model", "mymodels:build")
    ended = linexp(*common, "--out", tmp_path, "--units", "random", "--outputs", "own")
    assert ended.code == 0, ended.err


@pytest.mark.parametrize(
    ("units", "said"),
    [
        ("chanels", "There are no units 'chanels'. Did you mean 'channels'"),
        ("directions:mymodels.py", "'mymodels.py' holds no directions"),
        ("random:x", "There are no units 'random:x'"),
        ("sae:nowhere", "There is no autoencoder 'nowhere'"),
    ],
)
def test_units_that_are_none(linexp: Run, tmp_path: Path, units: str, said: str):
    ended = linexp(*EXPLAIN, "--model", "mymodels:build", "--out", tmp_path / "out", "--units", units)
    assert ended.code == 1
    assert said in ended.err
    assert not (tmp_path / "out").exists()
