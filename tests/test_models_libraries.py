"""torchvision and timm, by name, with weights from a file, without a network."""

import pickle
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file

from linexp.models import load_model

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8))


def write(state: dict[str, torch.Tensor], path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("file", ["w.pth", "w.safetensors"])
def test_torchvision(file: str, tmp_path: Path) -> None:
    direct = torchvision.models.resnet18(weights=None).eval()
    path = write(direct.state_dict(), tmp_path / file)
    model = load_model("torchvision:resnet18", weights=path)
    transform = torchvision.models.ResNet18_Weights.DEFAULT.transforms()
    assert model.name == "torchvision:resnet18"
    assert torch.equal(model.preprocess(PICTURE), transform(PICTURE))
    batch = transform(PICTURE)[None]
    with torch.inference_mode():
        assert torch.equal(model.module(batch), direct(batch))
    copy = pickle.loads(pickle.dumps(model.preprocess))  # noqa: S301
    assert torch.equal(copy(PICTURE), transform(PICTURE))


@pytest.mark.parametrize("aux_logits", [True, False])
def test_torchvision_inception_as_published(aux_logits: bool, tmp_path: Path) -> None:
    """With its published weights torchvision rescales the input inside the network; a file must get the same."""
    build: Any = torchvision.models.googlenet
    direct = build(weights=None, transform_input=True, aux_logits=aux_logits, init_weights=False).eval()
    model = load_model("torchvision:googlenet", weights=write(direct.state_dict(), tmp_path / "w.pth"))
    batch = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(model.module(batch), direct(batch))


def test_torchvision_unknown() -> None:
    with pytest.raises(ValueError, match=r"torchvision has no image classifier 'resnet51'. Did you mean 'resnet5?1?"):
        load_model("torchvision:resnet51")
    with pytest.raises(ValueError, match=r"no image classifier 'fasterrcnn_resnet50_fpn'"):
        load_model("torchvision:fasterrcnn_resnet50_fpn")


def test_torchvision_download_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(
        OSError, match=r"'torchvision:alexnet:IMAGENET1K_V1' could not be downloaded .*no network.*--weights FILE"
    ):
        load_model("torchvision:alexnet")


@pytest.mark.parametrize("file", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_timm(name: str, file: str, tmp_path: Path) -> None:
    direct = timm.create_model(name, pretrained=False).eval()
    model = load_model(f"timm:{name}", weights=write(direct.state_dict(), tmp_path / file))
    settings = timm.data.resolve_data_config({}, model=direct)
    transform: Any = timm.data.create_transform(**settings, is_training=False)
    assert model.name == f"timm:{name}"
    batch = transform(PICTURE)[None]
    assert torch.equal(model.preprocess(PICTURE), batch[0])
    with torch.inference_mode():
        assert torch.equal(model.module(batch), direct(batch))
    assert torch.equal(pickle.loads(pickle.dumps(model.preprocess))(PICTURE), batch[0])  # noqa: S301


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet10x", r"timm has no model 'resnet10x'. Did you mean 'resnet10\w'\? List them with timm.list_models"),
        ("test_resnet.r999_in1k", r"no weights 'test_resnet.r999_in1k'. Did you mean 'test_resnet.r160_in1k'\?"),
    ],
)
def test_timm_unknown(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_model(f"timm:{name}")


# The last is a model timm knows and has no published weights of.
@pytest.mark.parametrize("name", ["test_resnet", "test_resnet.r160_in1k", "hf-hub:timm/nothing", "mobilenetv2_035"])
def test_timm_download_fails(name: str) -> None:
    with pytest.raises(OSError, match=rf"'timm:{name}' could not be loaded \(.*--weights FILE"):
        load_model(f"timm:{name}")


def transform_of(tag: str) -> Any:
    return torchvision.models.ResNet50_Weights[tag].transforms()


@pytest.fixture
def _weights_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision gets the weights it would download: those of an untrained network."""
    state = torchvision.models.resnet50(weights=None).state_dict()
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", lambda *_, **__: state)


@pytest.mark.usefixtures("_weights_without_a_network")
def test_torchvision_says_which_weights_it_took_and_prepares_pictures_for_them() -> None:
    for name, tag in (
        ("torchvision:resnet50", "IMAGENET1K_V2"),
        ("torchvision:resnet50:DEFAULT", "IMAGENET1K_V2"),
        ("torchvision:resnet50:IMAGENET1K_V1", "IMAGENET1K_V1"),
    ):
        model = load_model(name)
        assert model.name == f"torchvision:resnet50:{tag}"
        assert torch.equal(model.preprocess(PICTURE), transform_of(tag)(PICTURE))
    assert not torch.equal(transform_of("IMAGENET1K_V1")(PICTURE), transform_of("IMAGENET1K_V2")(PICTURE))


def test_torchvision_weights_from_a_file_are_prepared_as_the_tag_says(tmp_path: Path) -> None:
    path = write(torchvision.models.resnet50(weights=None).state_dict(), tmp_path / "w.pth")
    model = load_model("torchvision:resnet50:IMAGENET1K_V1", weights=path)
    assert model.name == "torchvision:resnet50:IMAGENET1K_V1"
    assert torch.equal(model.preprocess(PICTURE), transform_of("IMAGENET1K_V1")(PICTURE))
    said = (
        r"different ways for the weights of 'resnet50' \(IMAGENET1K_V1, IMAGENET1K_V2\), and a file does not say how "
        r"it was trained. Name the way that fits: torchvision:resnet50:IMAGENET1K_V1"
    )
    with pytest.raises(ValueError, match=said):
        load_model("torchvision:resnet50", weights=path)


def test_torchvision_unknown_weights() -> None:
    said = (
        r"no weights 'IMAGENET1K_V3' of 'resnet50'. Did you mean 'IMAGENET1K_V\d'\? Its weights: IMAGENET1K_V1, IMAGEN"
    )
    with pytest.raises(ValueError, match=said):
        load_model("torchvision:resnet50:IMAGENET1K_V3")


def test_timm_says_which_weights_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linexp.models.timm._create", lambda timm, name, **_: timm.create_model(name, pretrained=False))
    assert load_model("timm:test_resnet").name == "timm:test_resnet.r160_in1k"
    assert load_model("timm:test_resnet.r160_in1k").name == "timm:test_resnet.r160_in1k"
