"""transformers' models from folders the tests write: a classifier, an encoder, a backbone, towers."""

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from linexp.models import load_model

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8))
SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
EYES = {**SMALL, "image_size": 32, "patch_size": 16}
# The token numbers are given because the defaults lie outside so small a vocabulary.
WORDS = {**SMALL, "vocab_size": 20, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}


def small_models() -> dict[str, tuple[Any, str]]:
    """Return a builder of each kind of model with the class its module must get."""
    tf: Any = transformers
    resnet = tf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_labels=5)
    dino = {**SMALL, "image_size": 32, "patch_size": 16}
    del dino["intermediate_size"]
    siglip = tf.SiglipConfig(text_config=WORDS, vision_config=EYES)
    clip = tf.CLIPConfig(text_config=WORDS, vision_config=EYES)
    return {
        "resnet": (tf.ResNetForImageClassification(resnet), "ResNetForImageClassification"),
        "resnet-encoder": (tf.ResNetModel(resnet), "ResNetModel"),
        "vit": (tf.ViTForImageClassification(tf.ViTConfig(**EYES, num_labels=4)), "ViTForImageClassification"),
        "siglip": (tf.SiglipModel(siglip), "SiglipVisionModel"),
        "siglip-tower": (tf.SiglipVisionModel(siglip.vision_config), "SiglipVisionModel"),
        "siglip-classifier": (tf.SiglipForImageClassification(siglip), "SiglipForImageClassification"),
        "clip": (tf.CLIPModel(clip), "CLIPVisionModel"),
        "dinov2": (tf.Dinov2Model(tf.Dinov2Config(**dino)), "Dinov2Model"),
        "dinov2-backbone": (tf.Dinov2Backbone(tf.Dinov2Config(**dino, out_features=["stage1"])), "Dinov2Backbone"),
    }


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Save each model with a processor, as its author would."""
    torch.manual_seed(0)
    processor = transformers.ViTImageProcessor(size={"height": 32, "width": 32}, resample=3)
    saved = {}
    for name, (model, _) in small_models().items():
        saved[name] = tmp_path_factory.mktemp(name)
        model.save_pretrained(saved[name])
        processor.save_pretrained(saved[name])
    return saved


def first_tensor(output: Any) -> torch.Tensor:
    return output.feature_maps[0] if "feature_maps" in output else output[0]


@pytest.mark.parametrize("name", list(small_models()))
def test_folder(name: str, folders: dict[str, Path]) -> None:
    model = load_model(f"hf:{folders[name]}")
    kind = small_models()[name][1]
    assert model.name == f"hf:{folders[name]}"
    assert type(model.module).__name__ == kind
    assert not model.module.training
    direct = getattr(transformers, kind).from_pretrained(folders[name]).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folders[name], backend="pil")
    batch = processor(images=PICTURE, return_tensors="pt")["pixel_values"]
    assert torch.equal(model.preprocess(PICTURE), batch[0])
    with torch.inference_mode():
        assert torch.equal(first_tensor(model.module(batch)), first_tensor(direct(pixel_values=batch)))


@pytest.mark.parametrize("name", list(small_models()))
def test_weights_of_a_file(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    state = load_model(f"hf:{folders[name]}").module.state_dict()
    state = {key: torch.full_like(value, 0.5) for key, value in state.items()}
    torch.save(state, tmp_path / "w.pth")
    model = load_model(f"hf:{folders[name]}", weights=tmp_path / "w.pth")
    assert all(torch.equal(value, state[key]) for key, value in model.module.state_dict().items())


def test_preprocess_is_picklable_and_literal(folders: dict[str, Path]) -> None:
    transform = load_model(f"hf:{folders['vit']}").preprocess
    resized = np.asarray(PICTURE.resize((32, 32), Image.Resampling.BICUBIC), dtype=np.float64)
    expected = (resized / 255 - 0.5) / 0.5
    np.testing.assert_allclose(transform(PICTURE).permute(1, 2, 0).numpy(), expected, rtol=0, atol=1e-6)
    assert torch.equal(pickle.loads(pickle.dumps(transform))(PICTURE), transform(PICTURE))  # noqa: S301


def test_half_precision_becomes_float32(folders: dict[str, Path], tmp_path: Path) -> None:
    transformers.ViTForImageClassification.from_pretrained(folders["vit"]).half().save_pretrained(tmp_path)
    shutil.copy(folders["vit"] / "preprocessor_config.json", tmp_path)
    model = load_model(f"hf:{tmp_path}")
    assert {parameter.dtype for parameter in model.module.parameters()} == {torch.float32}
    assert model.module(model.preprocess(PICTURE)[None]).logits.shape == (1, 4)


def test_log_level_comes_back(folders: dict[str, Path], capfd: pytest.CaptureFixture[str]) -> None:
    before = transformers.logging.get_verbosity()
    load_model(f"hf:{folders['siglip']}")
    assert transformers.logging.get_verbosity() == before
    assert "UNEXPECTED" not in capfd.readouterr().err


def without(folder: Path, target: Path, prefixes: tuple[str, ...]) -> Path:
    """Copy a model without some of its weights."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, target)
    state = load_file(target / "model.safetensors")
    state = {key: value for key, value in state.items() if not key.startswith(prefixes)}
    save_file(state, target / "model.safetensors", metadata={"format": "pt"})
    return target


def test_untrained_part_is_told(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = without(folders["vit"], tmp_path / "headless", ("classifier",))
    with pytest.warns(UserWarning, match=r"2 of the \d+ weights of 'hf:.*classifier.bias, classifier.weight.*random"):
        load_model(f"hf:{folder}")


def test_untrained_model_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = without(folders["vit"], tmp_path / "empty", ("vit",))
    with pytest.raises(ValueError, match=r"are not in its checkpoint .* Pass a checkpoint of a ViTForImageClassific"):
        load_model(f"hf:{folder}")


def test_incomplete_folders(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no folder '.*nowhere'. Pass one written by"):
        load_model(f"hf:{tmp_path}/nowhere")
    with pytest.raises(FileNotFoundError, match=r"has no config.json. Write it with model.save_pretrained"):
        load_model(f"hf:{tmp_path}")
    shutil.copy(folders["vit"] / "config.json", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"has no preprocessor_config.json, .*AutoImageProcessor"):
        load_model(f"hf:{tmp_path}")
    shutil.copy(folders["vit"] / "preprocessor_config.json", tmp_path)
    with pytest.raises(OSError, match=r"'hf:.*' could not be loaded \(.*'hf:/path/to/folder'"):
        load_model(f"hf:{tmp_path}")


@pytest.mark.parametrize("name", ["nobody/nothing", "not a name"])
def test_hub_name_that_cannot_be_had(name: str) -> None:
    with pytest.raises(
        OSError, match=rf"'hf:{name}' could not be loaded \(.*\). Check the name and the connection, or"
    ):
        load_model(f"hf:{name}")


def test_text_model_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    transformers.BertModel(transformers.BertConfig(**SMALL, vocab_size=20)).save_pretrained(tmp_path)
    shutil.copy(folders["vit"] / "preprocessor_config.json", tmp_path)
    with pytest.raises(ValueError, match=r"is a BertModel, which reads input_ids and not pictures alone. Choose"):
        load_model(f"hf:{tmp_path}")


def test_model_that_needs_more_than_pictures_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    config = transformers.Siglip2VisionConfig(**SMALL, num_patches=4, patch_size=16)
    transformers.Siglip2VisionModel(config).save_pretrained(tmp_path)
    shutil.copy(folders["vit"] / "preprocessor_config.json", tmp_path)
    with pytest.raises(ValueError, match=r"reads pixel_values, pixel_attention_mask, spatial_shapes and not pictures"):
        load_model(f"hf:{tmp_path}")


def test_remote_code_is_not_run_unasked(folders: dict[str, Path], tmp_path: Path) -> None:
    config = {"model_type": "my-own", "auto_map": {"AutoConfig": "mine.MyConfig"}}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "mine.py").write_text("raise SystemExit('it ran')", encoding="utf-8")
    shutil.copy(folders["vit"] / "preprocessor_config.json", tmp_path)
    with pytest.raises(ValueError, match=r"brings Python code of its own, which has not been run. Read that code"):
        load_model(f"hf:{tmp_path}")
