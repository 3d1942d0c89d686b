"""open_clip's models: a tiny CLIP as an architecture with a file and as a folder, a tiny SigLIP-like as a folder."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from linexp.concepts.encoders.base import embed_prompts
from linexp.concepts.encoders.open_clip import OpenClipEncoder, _corrections, load_open_clip

PICTURES = np.random.default_rng(0).integers(0, 256, (5, 40, 50, 3), dtype=np.uint8)
TEXTS = ["dog", "ski slope", "a red car on snow", "tree"]
HALF = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "resize_mode": "squash"}
CLIP = {
    "embed_dim": 8,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
}
SIGLIP = {
    **CLIP,
    "custom_text": True,
    "init_logit_bias": -10,
    "text_cfg": {
        **CLIP["text_cfg"],
        "vocab_size": 40,
        "hf_tokenizer_name": "in the folder",
        "tokenizer_kwargs": {"clean": "canonicalize"},
        "no_causal_mask": True,
        "pool_type": "last",
    },
}


def word_tokenizer() -> Any:
    """Make a tokenizer of whole words that, as SigLIP's, puts an end behind each text."""
    words = ["<pad>", "</s>", "<unk>", *["dog", "ski", "slope", "a", "red", "car", "on", "snow", "tree"]]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Save both models as folders; the first is also the architecture "tiny-clip"."""
    torch.manual_seed(0)
    saved = {}
    for kind, config in {"clip": CLIP, "siglip": SIGLIP}.items():
        saved[kind] = tmp_path_factory.mktemp(kind)
        settings = {"model_cfg": config, "preprocess_cfg": HALF}
        (saved[kind] / "open_clip_config.json").write_text(json.dumps(settings), encoding="utf-8")
        model = open_clip.create_model(f"local-dir:{saved[kind]}", load_weights=False)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(0, 0.1)
        save_file(model.state_dict(), saved[kind] / "open_clip_model.safetensors")
    word_tokenizer().save_pretrained(saved["siglip"])
    architectures = tmp_path_factory.mktemp("architectures")
    (architectures / "tiny-clip.json").write_text(json.dumps(CLIP), encoding="utf-8")
    open_clip.add_model_config(architectures)
    return saved


@pytest.fixture(params=["clip", "siglip"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def encoder(kind: str, folders: dict[str, Path]) -> OpenClipEncoder:
    return load_open_clip(folders[kind])


def close(first: torch.Tensor, second: torch.Tensor) -> None:
    torch.testing.assert_close(first, second, rtol=0, atol=2e-6)


def test_equals_the_library(kind: str, encoder: OpenClipEncoder, folders: dict[str, Path]) -> None:
    model: Any
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folders[kind]}")
    model.eval()
    tokens = open_clip.get_tokenizer(f"local-dir:{folders[kind]}")(TEXTS)
    pixels = torch.stack([preprocess(Image.fromarray(one)) for one in PICTURES])
    with torch.no_grad():
        images, texts = model.encode_image(pixels, normalize=True), model.encode_text(tokens, normalize=True)
    close(encoder.encode_images(PICTURES), images)
    close(encoder.encode_texts(TEXTS), texts)
    assert all((texts[i] - texts[j]).abs().max() > 1e-3 for i in range(4) for j in range(i))
    assert encoder.encode_images(PICTURES).dtype == encoder.encode_texts(TEXTS).dtype == torch.float32
    assert not encoder.model.training


def test_order_and_batches(kind: str, encoder: OpenClipEncoder, folders: dict[str, Path]) -> None:
    order = [3, 0, 2, 1]
    for batch_size in (1, 3, 100):
        other = load_open_clip(f"local-dir:{folders[kind]}", batch_size=batch_size)
        close(other.encode_images(PICTURES[order]), encoder.encode_images(PICTURES)[order])
        close(other.encode_texts([TEXTS[i] for i in order]), encoder.encode_texts(TEXTS)[order])
    close(
        embed_prompts(encoder, TEXTS, ["{}", "a {}"])[order],
        embed_prompts(other, [TEXTS[i] for i in order], ["a {}", "{}"]),
    )


def test_architecture_with_a_file(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = load_open_clip(folders["clip"])
    torch.save(folder.model.state_dict(), tmp_path / "weights.pt")
    encoder = load_open_clip("tiny-clip", tmp_path / "weights.pt", device="cpu")
    assert encoder.name == f"open_clip:tiny-clip,{tmp_path}/weights.pt"
    assert folder.name == f"open_clip:{folders['clip']}"
    assert torch.equal(encoder.encode_texts(TEXTS), folder.encode_texts(TEXTS))


def test_what_open_clip_would_get_wrong() -> None:
    # A file says nothing of the preprocessing: SigLIP's differs from open_clip's default.
    half = {"image_mean": (0.5, 0.5, 0.5), "image_std": (0.5, 0.5, 0.5)}
    squash = {"image_interpolation": "bicubic", "image_resize_mode": "squash"}
    assert _corrections(open_clip, "ViT-L-16-SigLIP-384", "file.safetensors") == {**half, **squash}
    assert _corrections(open_clip, "ViT-L-16-SigLIP-384", "webli") == {}
    assert _corrections(open_clip, "ViT-B-32", "openai") == {"force_quick_gelu": True}
    assert _corrections(open_clip, "local-dir:/folder", None) == {}
    with pytest.raises(ValueError, match=r"The weights of 'ViT-L-14' do not all take the same preprocessing, and the"):
        _corrections(open_clip, "ViT-L-14", "file.safetensors")


def test_too_long_a_text_is_not_cut(encoder: OpenClipEncoder) -> None:
    ends = 2 if type(encoder.tokenizer).__name__ == "SimpleTokenizer" else 1
    fits = " ".join(["dog"] * (12 - ends))
    encoder.encode_texts([fits])
    with pytest.raises(ValueError, match=rf"The text '{fits} dog' has 13 tokens, and 'open_clip:.*' reads at most 12"):
        encoder.encode_texts(["tree", f"{fits} dog"])


def test_image_the_transform_fails_on_is_named(encoder: OpenClipEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(encoder.preprocess, "transforms", [fail])
    with pytest.raises(ValueError, match=r"The transform failed on the image 'image 0' \(RuntimeError: no\)"):
        encoder.encode_images(PICTURES)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (["ViT-L-16-SigLIP-385", "webli"], ValueError, r"no architecture '.*-385'. Did you mean '.*-384'\?"),
        (["ViT-L-16-SigLIP-384"], ValueError, r"Nothing says which weights '.*' gets. Pass .* Its tags are webli."),
        (["ViT-L-16-SigLIP-384", "web"], ValueError, r"'web' is neither a file nor a tag of .* Did you mean 'webli'"),
        (["ViT-L-16-SigLIP-384", "webli"], OSError, r"'ViT-L-16-SigLIP-384,webli' could not be loaded \(.*local file"),
        (["hf-hub:nobody/nothing"], OSError, r"open_clip's 'hf-hub:nobody/nothing' could not be loaded \(.*connection"),
        (["tiny-clip", "x"], ValueError, r"'x' is neither a file nor a tag of 'tiny-clip'. It has no tags"),
        (["/no/folder"], FileNotFoundError, r"There is no file '/no/folder/open_clip_config.json'. Pass a folder"),
        (["hf-hub:a/b", "openai"], ValueError, r"'hf-hub:a/b' brings its own weights, but pretrained is 'openai'. Lea"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("folders")
def test_what_cannot_be_loaded(arguments: list[str], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        load_open_clip(*arguments)


def test_wrong_weights(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"The weights '.*' are a folder. Pass a folder as model, without pretrained"):
        load_open_clip("tiny-clip", tmp_path)
    save_file({"logit_scale": torch.zeros(())}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"'tiny-clip,.*other.safetensors' could not be loaded \(.*Missing key"):
        load_open_clip("tiny-clip", tmp_path / "other.safetensors")
    shutil.copy(folders["clip"] / "open_clip_config.json", tmp_path)
    (tmp_path / "other.safetensors").unlink()
    with pytest.raises(ValueError, match=r"open_clip's '.*' could not be loaded \(.*\)"):
        load_open_clip(tmp_path)
    with pytest.raises(ValueError, match=r"The model cannot be moved to the device 'nowhere'"):
        load_open_clip(folders["clip"], device="nowhere")
    with pytest.raises(ValueError, match=r"batch_size is 0. It must be at least 1"):
        load_open_clip(folders["clip"], batch_size=0)


def test_pickled_objects_are_not_loaded(folders: dict[str, Path], tmp_path: Path) -> None:
    torch.save({"state_dict": Path("x")}, tmp_path / "weights.bin")
    with pytest.raises(ValueError, match=r"holds a pickled pathlib.*, and unpickling can run any code"):
        load_open_clip("tiny-clip", tmp_path / "weights.bin")
    shutil.copy(folders["clip"] / "open_clip_config.json", tmp_path)
    with pytest.raises(ValueError, match=r"holds a pickled pathlib.*, and unpickling can run any code"):
        load_open_clip(tmp_path)


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ModuleNotFoundError, match=r"'open_clip_torch' is needed .* pip install 'linexp\[open-clip\]'"):
        load_open_clip("ViT-L-16-SigLIP-384", "webli")


def test_log_comes_back(folders: dict[str, Path]) -> None:
    import logging

    load_open_clip(folders["clip"])
    assert logging.root.manager.disable == 0
