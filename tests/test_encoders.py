"""What every encoder shares: averaging prompts, unit length, and the messages; and SigLIP, SigLIP 2 and CLIP.

The models are tiny, with tokenizers trained here, saved as their authors would.
"""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import torch
import transformers
from PIL import Image
from tokenizers.processors import TemplateProcessing

from linexp.concepts.encoders.base import embed_prompts, unit_length
from linexp.concepts.encoders.huggingface import PAPER_ENCODERS, HuggingFaceEncoder, load_huggingface

tf: Any = transformers
RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (7, 40, 50, 3), dtype=np.uint8)
WORDS = "snow dog ski slope photo of a red car on street cat grass sky water blue green tree house".split()  # noqa: SIM905
TEXTS = ["dog", "Ski Slope", "a photo of the red car on snow", "blue water", "tree"]
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
EYES = {**SMALL, "image_size": 32, "patch_size": 16}
KINDS = ["siglip", "siglip2", "clip"]
CONTEXT = {"siglip": 16, "siglip2": 40, "clip": 30}


def siglip_tokenizer(folder: Path) -> Any:
    sentences = (" ".join(RNG.choice(WORDS, 6)) for _ in range(200))
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=sentences,
        model_prefix=str(folder / "sp"),
        vocab_size=60,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    return tf.SiglipTokenizer(str(folder / "sp.model"))


def gemma_tokenizer() -> Any:
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    letters = "▁abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    tokenizer = tf.GemmaTokenizer(vocab={token: i for i, token in enumerate([*special, *letters])}, merges=[])
    tokenizer._tokenizer.post_processor = TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    return tokenizer


def clip_tokenizer() -> Any:
    letters = "abcdefghijklmnopqrstuvwxyz"
    merges = [("d", "o"), ("do", "g</w>"), ("r", "e"), ("t", "h")]
    tokens = [*letters, *(letter + "</w>" for letter in letters), *map("".join, merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return tf.CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=merges)


def save(kind: str, folder: Path) -> None:
    if kind == "clip":
        tokenizer = clip_tokenizer()
        start, end = tokenizer.bos_token_id, tokenizer.eos_token_id
        ends = {"bos_token_id": start, "eos_token_id": end, "pad_token_id": end}
        family, settings = tf.CLIPModel, tf.CLIPConfig
        processor = tf.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    else:
        tokenizer = siglip_tokenizer(folder) if kind == "siglip" else gemma_tokenizer()
        ends = {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": tokenizer.pad_token_id}
        family, settings = tf.SiglipModel, tf.SiglipConfig
        processor = tf.SiglipImageProcessor(size={"height": 32, "width": 32})
    text = {**SMALL, **ends, "vocab_size": len(tokenizer), "max_position_embeddings": CONTEXT[kind]}
    if kind != "clip":
        text["projection_size"] = SMALL["hidden_size"]
    model = family(settings(text_config=text, vision_config=EYES))
    with torch.no_grad():  # larger than usual weights, so that different inputs have clearly different embeddings
        for parameter in model.parameters():
            parameter.normal_(0, 0.3)
    for part in (model, tokenizer, processor):
        part.save_pretrained(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.manual_seed(0)
    saved = {kind: tmp_path_factory.mktemp(kind) for kind in KINDS}
    for kind, folder in saved.items():
        save(kind, folder)
    return saved


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def encoder(kind: str, folders: dict[str, Path]) -> HuggingFaceEncoder:
    return load_huggingface(folders[kind])


class NoImages:
    labels = None
    label_names = ()
    fingerprint = "0"

    def __len__(self) -> int:
        return 0

    def __getitem__(self, index: int) -> Image.Image:
        raise IndexError(index)

    def name(self, index: int) -> str:
        raise IndexError(index)


def close(first: torch.Tensor, second: torch.Tensor) -> None:
    torch.testing.assert_close(first, second, rtol=0, atol=2e-6)


def different(first: torch.Tensor, second: torch.Tensor) -> bool:
    return bool((first - second).abs().max() > 1e-3)


def lengths_are_one(rows: torch.Tensor) -> None:
    assert rows.dtype == torch.float32
    assert rows.device.type == "cpu"
    assert not rows.requires_grad
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(len(rows)))


# Embedding by the library itself


def test_equals_the_library(kind: str, encoder: HuggingFaceEncoder, folders: dict[str, Path]) -> None:
    model = tf.AutoModel.from_pretrained(folders[kind]).eval()
    tokenizer = tf.AutoTokenizer.from_pretrained(folders[kind], padding_side="right")
    processor = tf.AutoImageProcessor.from_pretrained(folders[kind], backend="pil")
    pixels = processor(images=[Image.fromarray(one) for one in PICTURES], return_tensors="pt")["pixel_values"]
    texts = [text.lower() for text in TEXTS]
    if kind == "clip":
        tokens = dict(tokenizer(texts, padding=True, return_tensors="pt"))
    else:
        tokens = tokenizer(texts, padding="max_length", max_length=CONTEXT[kind], return_tensors="pt")
        tokens = {"input_ids": tokens["input_ids"]}
    with torch.no_grad():
        expected = model(pixel_values=pixels, **tokens)  # its embeddings are of unit length
    images, words = encoder.encode_images(PICTURES), encoder.encode_texts(TEXTS)
    close(images, expected.image_embeds)
    close(words, expected.text_embeds)
    lengths_are_one(images)
    lengths_are_one(words)
    assert all(different(a, b) for rows in (images, words) for a, b in itertools.combinations(rows, 2))


@pytest.mark.parametrize("kind", ["siglip", "siglip2"])
def test_siglip_reads_its_padding(kind: str, encoder: HuggingFaceEncoder) -> None:
    tokens = encoder.tokenizer(TEXTS[0].lower(), padding_side="right", padding="max_length", max_length=CONTEXT[kind])
    ids, mask = torch.tensor([tokens["input_ids"]]), torch.tensor([tokens["attention_mask"]])
    assert int(mask.sum()) < CONTEXT[kind]

    def embedding(**inputs: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            rows = encoder.model.get_text_features(**inputs).pooler_output
        return rows / rows.norm()

    ours = encoder.encode_texts(TEXTS[:1])
    close(ours, embedding(input_ids=ids))
    assert different(ours, embedding(input_ids=ids[:, : int(mask.sum())]))
    assert different(ours, embedding(input_ids=ids, attention_mask=mask))
    assert different(ours, embedding(input_ids=ids.roll(CONTEXT[kind] - int(mask.sum()))))  # padded in front


def test_case_makes_no_difference(encoder: HuggingFaceEncoder) -> None:
    close(encoder.encode_texts(["Ski Slope"]), encoder.encode_texts(["ski slope"]))


def test_output_of_transformers_4(encoder: HuggingFaceEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    images, texts = encoder.encode_images(PICTURES), encoder.encode_texts(TEXTS)
    for name in ("get_image_features", "get_text_features"):
        method = getattr(encoder.model, name)
        monkeypatch.setattr(encoder.model, name, lambda method=method, **inputs: method(**inputs).pooler_output)
    assert torch.equal(encoder.encode_images(PICTURES), images)
    assert torch.equal(encoder.encode_texts(TEXTS), texts)


# Order, batches, device, state


def test_order(encoder: HuggingFaceEncoder) -> None:
    order = [3, 0, 6, 1, 5, 4, 2]
    close(encoder.encode_images(PICTURES[order]), encoder.encode_images(PICTURES)[order])
    order = [4, 2, 0, 3, 1]
    close(encoder.encode_texts([TEXTS[i] for i in order]), encoder.encode_texts(TEXTS)[order])


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 100])
def test_batch_size_changes_nothing(
    batch_size: int, kind: str, encoder: HuggingFaceEncoder, folders: dict[str, Path]
) -> None:
    other = load_huggingface(folders[kind], batch_size=batch_size)
    assert other.batch_size == batch_size
    close(other.encode_images(PICTURES), encoder.encode_images(PICTURES))
    close(other.encode_texts(TEXTS), encoder.encode_texts(TEXTS))


def test_name_and_device(kind: str, folders: dict[str, Path]) -> None:
    encoder = load_huggingface(f"hf:{folders[kind]}", device="cpu")
    assert encoder.name == load_huggingface(str(folders[kind])).name == f"hf:{folders[kind]}"
    assert {parameter.device.type for parameter in encoder.model.parameters()} == {"cpu"}
    with pytest.raises(ValueError, match=r"cannot be moved to the device 'nowhere' \(.*\). Use 'cpu'"):
        load_huggingface(folders[kind], device="nowhere")


def test_model_comes_back_as_it_was(encoder: HuggingFaceEncoder) -> None:
    assert not encoder.model.training
    expected = encoder.encode_images(PICTURES)
    encoder.model.train()
    assert torch.equal(encoder.encode_images(PICTURES), expected)
    with pytest.raises(ValueError, match="tokens"):
        encoder.encode_texts(["dog " * 50])
    assert all(module.training for module in encoder.model.modules())
    assert torch.is_grad_enabled()


def test_half_precision_becomes_float32(
    kind: str, encoder: HuggingFaceEncoder, folders: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(folders[kind], tmp_path / "half")
    tf.AutoModel.from_pretrained(folders[kind]).half().save_pretrained(tmp_path / "half")
    half = load_huggingface(tmp_path / "half")
    assert {parameter.dtype for parameter in half.model.parameters()} == {torch.float32}
    torch.testing.assert_close(half.encode_images(PICTURES), encoder.encode_images(PICTURES), rtol=0, atol=0.02)


def test_progress(encoder: HuggingFaceEncoder, capfd: pytest.CaptureFixture[str]) -> None:
    encoder.encode_images(PICTURES)
    encoder.encode_texts(TEXTS)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "encoding images: 7 images in" in captured.err
    assert "encoding texts: 5 texts in" in captured.err
    encoder.encode_images(PICTURES, show_progress=False)
    encoder.encode_texts(TEXTS, show_progress=False)
    assert capfd.readouterr().err == ""


def test_log_level_comes_back(kind: str, folders: dict[str, Path]) -> None:
    before = transformers.logging.get_verbosity()
    load_huggingface(folders[kind])
    assert transformers.logging.get_verbosity() == before


# What is refused


def test_too_long_a_text_is_not_cut(kind: str, encoder: HuggingFaceEncoder) -> None:
    most = CONTEXT[kind]
    one = len(encoder.tokenizer("dog")["input_ids"])
    per_dog = len(encoder.tokenizer("dog dog")["input_ids"]) - one
    n_dogs = 1 + (most - one) // per_dog
    fits = " ".join(["dog"] * n_dogs)
    encoder.encode_texts([fits])
    length = one + n_dogs * per_dog
    with pytest.raises(
        ValueError, match=rf"^The text '{fits} dog' has {length} tokens, and 'hf:.*' reads at most {most}. Shorten it.$"
    ):
        encoder.encode_texts(["dog", f"{fits} dog", "snow"])


def test_too_long_a_text_is_known_at_once(
    kind: str, folders: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    encoder = load_huggingface(folders[kind], batch_size=1)
    capfd.readouterr()
    with pytest.raises(ValueError, match=r"tokens, and"):
        encoder.encode_texts(["snow", "dog " * 50])
    assert capfd.readouterr().err == ""


def test_no_texts_and_no_images(encoder: HuggingFaceEncoder) -> None:
    with pytest.raises(ValueError, match=r"The texts are \[\]. Give a list of at least one word"):
        encoder.encode_texts([])
    with pytest.raises(ValueError, match=r"The texts are 'dog'. Give a list"):
        encoder.encode_texts("dog")
    with pytest.raises(ValueError, match=r"There are 0 images. Give at least one."):
        encoder.encode_images(NoImages())


def test_unreadable_and_rejected_images_are_named(
    encoder: HuggingFaceEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(PICTURES[0]).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(OSError, match=r"Cannot read the image '.*bad.png'"):
        encoder.encode_images([tmp_path / "good.png", tmp_path / "bad.png"])
    processor = type(encoder.preprocess.processor)
    original = processor.__call__

    def picky(self: Any, images: Image.Image, **options: Any) -> Any:
        if images.size == (3, 3):
            raise ValueError("far too small")
        return original(self, images=images, **options)

    monkeypatch.setattr(processor, "__call__", picky)
    Image.fromarray(PICTURES[1, :3, :3]).save(tmp_path / "small.png")
    with pytest.raises(ValueError, match=r"failed on the image '.*small.png' \(ValueError: far too small\)"):
        encoder.encode_images([tmp_path / "good.png", tmp_path / "small.png"])


def test_batch_size_below_one(kind: str, folders: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match=r"batch_size is 0. It must be at least 1"):
        load_huggingface(folders[kind], batch_size=0)


def test_embeddings_without_direction_are_named(encoder: HuggingFaceEncoder) -> None:
    for parameter in encoder.model.parameters():
        parameter.data.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"'hf:.*' gives the image 'image 0' an embedding of length nan, which has no"):
        encoder.encode_images(PICTURES)
    with pytest.raises(ValueError, match=r"gives the text 'dog' an embedding of length nan, .* Check the encoder's"):
        encoder.encode_texts(TEXTS)
    with pytest.raises(ValueError, match=r"'it' gives row 1 an embedding of length 0, which has no direction"):
        unit_length(torch.tensor([[1.0, 0], [0, 0]]), "row {}".format, "it")


@pytest.mark.parametrize("other", ["bert", "vit", "siglip_vision_model", "siglip2"])
def test_other_architectures_are_refused(other: str, tmp_path: Path) -> None:
    models = {
        "bert": lambda: tf.BertModel(tf.BertConfig(**SMALL, vocab_size=20)),
        "vit": lambda: tf.ViTForImageClassification(tf.ViTConfig(**EYES)),
        "siglip_vision_model": lambda: tf.SiglipVisionModel(tf.SiglipVisionConfig(**EYES)),
        "siglip2": lambda: tf.Siglip2Model(
            tf.Siglip2Config(
                text_config={**SMALL, "vocab_size": 20, "bos_token_id": 0, "eos_token_id": 1},
                vision_config={**SMALL, "num_patches": 4, "patch_size": 16},
            )
        ),
    }
    models[other]().save_pretrained(tmp_path)
    expected = rf"^'hf:.*' is a model of the type '{other}', which does not embed .* Choose a SigLIP, SigLIP 2 or CLIP"
    with pytest.raises(ValueError, match=expected):
        load_huggingface(tmp_path)


def test_a_model_without_one_tower_is_refused(tmp_path: Path, folders: dict[str, Path]) -> None:
    shutil.copytree(folders["siglip"], tmp_path / "headless")
    tf.SiglipForImageClassification.from_pretrained(folders["siglip"]).save_pretrained(tmp_path / "headless")
    with pytest.raises(ValueError, match=r"weights of 'hf:.*' are not in its checkpoint .* SiglipModel with both"):
        load_huggingface(tmp_path / "headless")


def test_incomplete_folders(kind: str, folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no folder '.*nowhere'. Pass one written by"):
        load_huggingface(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"has no config.json"):
        load_huggingface(tmp_path)
    shutil.copy(folders[kind] / "config.json", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"has no preprocessor_config.json"):
        load_huggingface(tmp_path)
    shutil.copy(folders[kind] / "preprocessor_config.json", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"has no tokenizer \(.*\), which says .*AutoTokenizer.*save_"):
        load_huggingface(tmp_path)


@pytest.mark.parametrize("name", [*PAPER_ENCODERS.values(), "not a name"])
def test_hub_out_of_reach(name: str) -> None:
    with pytest.raises(OSError, match=rf"'hf:{name}' could not be loaded \(.*\). .*a folder .*'hf:/path/to/folder'"):
        load_huggingface(name)


def test_remote_code_is_not_run_unasked(tmp_path: Path) -> None:
    config = {"model_type": "my-own", "auto_map": {"AutoConfig": "mine.MyConfig"}}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "mine.py").write_text("raise SystemExit('it ran')", encoding="utf-8")
    with pytest.raises(ValueError, match=r"brings Python code of its own, which has not been run. Read that code"):
        load_huggingface(tmp_path)


def test_missing_tokenizer_packages(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ImportError("SiglipTokenizer requires the SentencePiece library")

    monkeypatch.setattr(tf.AutoTokenizer, "from_pretrained", fail)
    with pytest.raises(ImportError, match=r"tokenizer of 'hf:.*' needs packages .* pip install sentencepiece protobuf"):
        load_huggingface(folders["siglip"])


# Templates


class Letters:
    """Counts letters: every text has a known embedding."""

    name = "letters"

    def encode_images(self, images: Any, *, show_progress: bool = True) -> torch.Tensor:
        raise NotImplementedError

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        rows = torch.tensor([[text.count(chr(code)) for code in range(32, 127)] for text in texts], dtype=torch.float32)
        return rows / rows.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("templates", [["{}"], ["a {}", "{}!"], ["{}", "x{}", "the {} of {}"], ["{0} {}", "{a}{}"]])
def test_each_text_keeps_its_own_embedding(templates: list[str]) -> None:
    texts = ["dog", "ski slope", "{brace}", "{}", "%s"]
    encoder = Letters()
    rows = embed_prompts(encoder, texts, templates)
    for text, row in zip(texts, rows, strict=True):
        mean = encoder.encode_texts([template.replace("{}", text) for template in templates]).mean(0)
        close(row, mean / mean.norm())
    order = [3, 1, 4, 0, 2]
    close(embed_prompts(encoder, [texts[i] for i in order], templates), rows[order])


def test_templates_of_a_real_encoder(encoder: HuggingFaceEncoder) -> None:
    close(embed_prompts(encoder, TEXTS), encoder.encode_texts(TEXTS))
    rows = embed_prompts(encoder, ["dog", "cat"], ["a {}", "the {} on snow", "red {}"])
    cats = encoder.encode_texts(["a cat", "the cat on snow", "red cat"]).mean(0)
    close(rows[1], cats / cats.norm())
    lengths_are_one(rows)


def test_templates_that_are_refused() -> None:
    with pytest.raises(ValueError, match=r"The template 'a photo of' has no '\{\}'. Put '\{\}' where the text"):
        embed_prompts(Letters(), ["dog"], ["{}", "a photo of"])
    with pytest.raises(
        ValueError, match=r"The templates are \[\]. Give a list of them, such as \['a photo of a \{\}.'"
    ):
        embed_prompts(Letters(), ["dog"], [])
    with pytest.raises(ValueError, match=r"The templates are 'a \{\}'. Give a list"):
        embed_prompts(Letters(), ["dog"], "a {}")
    with pytest.raises(ValueError, match=r"The texts are \[\]"):
        embed_prompts(Letters(), [])


def test_rows_in_half_precision() -> None:
    lengths_are_one(unit_length(torch.tensor([[3, 4], [300, 0.1]], dtype=torch.bfloat16), str, "it"))


def test_names_of_the_paper() -> None:
    assert PAPER_ENCODERS == {
        "explainer": "google/siglip-large-patch16-384",
        "simulator": "google/siglip-so400m-patch14-384",
        "alternative": "openai/clip-vit-large-patch14-336",
    }
