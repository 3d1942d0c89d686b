"""An encoder of one's own finds the words of new pictures, knows nothing where the texts were shuffled, and is kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from linexp import (
    ActivationMatrix,
    CorrelationScorer,
    EmbeddedConceptMatrix,
    Explanations,
    FittedEncoder,
    ImageArray,
    LinearExplainer,
    Split,
    StoreMismatchError,
    TextConcepts,
    fit_text_encoder,
    load_encoder,
    load_model,
    record,
    simulate,
)
from linexp.concepts import find_calibration
from linexp.concepts.encoders import same_model
from linexp.models import to_unit_tensor
from linexp.solve import fit_ridge

WORDS = {
    "red apple": (220, 30, 30),
    "green meadow": (40, 200, 60),
    "blue sea": (30, 60, 210),
    "yellow sun": (230, 220, 40),
}
NETWORK, OTHER = "own_features:network", "own_features:other"


class Features(nn.Module):
    """Twelve non-linear features of colour, and a head that nobody needs."""

    def __init__(self, seed: int = 3) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.conv = nn.Conv2d(3, 12, 1)
        self.conv.weight.data = torch.randn(12, 3, 1, 1, generator=generator)
        self.conv.bias.data = torch.randn(12, generator=generator) / 4
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(12, 5)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(self.pool(self.conv(inputs).relu()).flatten(1))


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("own_features")
    module.network = lambda: (Features().eval(), to_unit_tensor)  # type: ignore[attr-defined]
    module.other = lambda: (Features(7).eval(), to_unit_tensor)  # type: ignore[attr-defined]
    module.wider = lambda: (nn.Sequential(nn.Conv2d(3, 7, 1), nn.Flatten()).eval(), to_unit_tensor)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_features", module)


def draw(n_images: int, seed: int) -> tuple[ImageArray, list[str]]:
    generator = np.random.default_rng(seed)
    texts = [list(WORDS)[row % len(WORDS)] for row in range(n_images)]
    noise = generator.normal(0, 25, (n_images, 6, 6, 3))
    pictures = np.clip(np.array([WORDS[text] for text in texts])[:, None, None] + noise, 0, 255)
    return ImageArray(pictures.astype(np.uint8)), texts


@pytest.fixture
def encoder() -> FittedEncoder:
    return fit_text_encoder(*draw(80, 0), NETWORK, show_progress=False)


def test_it_finds_the_words_of_new_pictures(encoder: FittedEncoder) -> None:
    images, texts = draw(40, 1)
    cosines = encoder.encode_images(images, show_progress=False) @ encoder.encode_texts(list(WORDS)).T
    assert [list(WORDS)[place] for place in cosines.argmax(1).tolist()] == texts
    assert encoder.layer == "pool"  # before the head
    assert encoder.r2 > 0.8


def test_words_nobody_fitted_on_are_where_their_like_are(encoder: FittedEncoder) -> None:
    images, texts = draw(40, 1)
    others = ["a green lawn", "the ocean"]
    cosines = encoder.encode_images(images, show_progress=False) @ encoder.encode_texts(others).T
    for column, like in enumerate(("green meadow", "blue sea")):
        present = torch.tensor([text == like for text in texts])
        assert cosines[present, column].min() > cosines[~present, column].max()


@pytest.mark.parametrize("seed", range(4))
def test_shuffled_texts_teach_nothing(seed: int) -> None:
    images, texts = draw(200, seed)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(seed)).tolist()
    with pytest.raises(ValueError, match=r"say nothing of these texts: left out, -?\d\.\d+ of their variance"):
        fit_text_encoder(images, [texts[row] for row in order], NETWORK, show_progress=False)


def test_only_the_rows_named_count() -> None:
    images, texts = draw(80, 0)
    first = fit_text_encoder(images, texts, NETWORK, rows=range(40), show_progress=False)
    spoilt = texts[:40] + ["nonsense", "gibberish"] * 20
    second = fit_text_encoder(images, spoilt, NETWORK, rows=range(40), show_progress=False)
    assert first.name == second.name
    assert first.name != fit_text_encoder(images, texts, NETWORK, show_progress=False).name


def test_several_keywords_are_one_direction_and_each_is_calibrated_on() -> None:
    images, texts = draw(80, 0)
    several = [tuple(text.split()) for text in texts]
    encoder = fit_text_encoder(images, several, NETWORK, show_progress=False)
    cosines = encoder.encode_images(images, show_progress=False) @ encoder.encode_texts(["apple", "sea"]).T
    present = torch.tensor([["apple" in words, "sea" in words] for words in several])
    assert cosines[present].min() > cosines[~present].max()


def test_probabilities_come_with_it_and_are_true(encoder: FittedEncoder) -> None:
    images, texts = draw(200, 2)
    calibration = find_calibration(None, encoder)
    assert calibration is encoder.calibration
    presence = TextConcepts(list(WORDS), encoder, calibration).describe(images).values
    truth = torch.tensor([[text == word for word in WORDS] for text in texts]).float()
    assert (presence - truth).abs().mean() < 0.15
    assert abs(float(presence.mean()) - 0.25) < 0.05


def test_what_is_saved_comes_back(encoder: FittedEncoder, tmp_path: Path) -> None:
    folder = encoder.save(tmp_path / "my.encoder")
    again = load_encoder(str(folder))
    assert isinstance(again, FittedEncoder)
    assert again.name == encoder.name
    assert again.calibration == encoder.calibration
    images, _ = draw(9, 5)
    rows = encoder.encode_images(images, show_progress=False)
    assert torch.equal(again.encode_images(images, show_progress=False), rows)
    assert torch.equal(again.encode_images(images, show_progress=False)[[4]], rows[[4]])
    assert same_model(again.name, encoder.name)


def test_files_that_are_refused(encoder: FittedEncoder, tmp_path: Path) -> None:
    folder = encoder.save(tmp_path / "my.encoder")
    facts = json.loads((folder / "encoder.json").read_text())
    other = FittedEncoder(**{**vars_of(encoder), "weights": encoder.weights * 2}).save(tmp_path / "other.encoder")
    (folder / "weights.safetensors").write_bytes((other / "weights.safetensors").read_bytes())
    with pytest.raises(StoreMismatchError, match="is not the map"):
        FittedEncoder.load(folder)
    (folder / "encoder.json").write_text(json.dumps({**facts, "linexp_encoder": 99}))
    with pytest.raises(ValueError, match="is an encoder of version 99 and this linexp reads 1"):
        FittedEncoder.load(folder)
    (folder / "encoder.json").write_text("[]")
    with pytest.raises(ValueError, match="is no encoder of linexp"):
        FittedEncoder.load(folder)
    with pytest.raises(FileNotFoundError, match="There is no file"):
        FittedEncoder.load(tmp_path)


def vars_of(encoder: FittedEncoder) -> dict[str, object]:
    return {name: getattr(encoder, name) for name in encoder.__dataclass_fields__}


def test_another_network_is_refused(encoder: FittedEncoder) -> None:
    other = FittedEncoder(**{**vars_of(encoder), "network": "own_features:wider", "layer": "0"})
    with pytest.raises(ValueError, match="has 7 neurons and the encoder was fitted on 12"):
        other.encode_images(draw(3, 0)[0], show_progress=False)


def test_a_calibration_of_another_encoder_is_refused(encoder: FittedEncoder) -> None:
    other = fit_text_encoder(*draw(40, 9), NETWORK, show_progress=False)
    with pytest.raises(ValueError, match="The calibration was fitted for the encoder"):
        TextConcepts(["sea"], encoder, other.calibration)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["red"] * 7, "There are 7 texts for 8 images"),
        (["red"] * 8, "All 8 images are called red"),
        (["red"] * 7 + [" "], r"has the texts \[' '\]"),
        (["red"] * 7 + [[]], r"has the texts \[\]"),
    ],
)
def test_texts_that_are_refused(texts: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_text_encoder(draw(8, 0)[0], texts, NETWORK, show_progress=False)


def test_a_network_without_a_head_wants_a_layer() -> None:
    with pytest.raises(ValueError, match="has no linear layer with a layer before it"):
        fit_text_encoder(*draw(8, 0), "own_features:wider", show_progress=False)


def test_words_minilm_cannot_read_are_said() -> None:
    images, texts = draw(80, 0)
    foreign = [{"blue sea": "ᐃᓄᒃᑎᑐᑦ"}.get(text, text) for text in texts]
    with pytest.warns(UserWarning, match="does not know what is in 1 of 4 texts: ᐃᓄᒃᑎᑐᑦ"):
        fit_text_encoder(images, foreign, NETWORK, show_progress=False)


def test_fewer_images_than_features_is_said() -> None:
    few, many = (fit_text_encoder(*draw(count, 0), NETWORK, show_progress=False).told() for count in (8, 80))
    assert "8 images, 12 features; more images would make it better" in few
    assert "80 images, 12 features; 9" in many


def pictures_of(colours: np.ndarray, seed: int) -> ImageArray:
    """Draw a picture of each colour, with noise."""
    noise = np.random.default_rng(seed).normal(0, 12, (len(colours), 6, 6, 3))
    return ImageArray(np.clip(colours[:, None, None] + noise, 0, 255).astype(np.uint8))


def judged(encoder: FittedEncoder, explanations: Explanations, images: ImageArray, activations: ActivationMatrix):
    """Score explanations by what an encoder sees in the last pictures."""
    presence = TextConcepts(explanations.names, encoder, encoder.calibration).describe(images)
    return CorrelationScorer().score(simulate(explanations, presence), activations, range(300, 400)).values


def test_planted_words_are_recovered_and_a_shuffled_judge_scores_about_nothing() -> None:
    images, texts = draw(400, 4)
    first, second = (
        fit_text_encoder(images, texts, network, rows=range(start, start + 100), show_progress=False)
        for start, network in ((0, NETWORK), (100, OTHER))
    )
    truth = np.array([[text == word for word in WORDS] for text in texts], float)
    values = np.stack([truth[:, 2], truth[:, 3] + 2 * truth[:, 0]], 1)
    values += np.random.default_rng(0).normal(0, 0.2, values.shape)
    presence = TextConcepts(list(WORDS), first, first.calibration).describe(images)
    activations = ActivationMatrix(values, images=presence.images)
    split = Split(range(200), range(200, 300), range(300, 400))
    found = LinearExplainer(n_repeats=0).explain(activations, presence, split)
    assert found[0].concepts == ("blue sea",)
    assert found[1].concepts == ("red apple", "yellow sun")
    assert judged(second, found, images, activations).min() > 0.8
    # What was fitted on shuffled texts is refused, so such maps are made by hand: on the mean they see nothing.
    features = record(load_model(OTHER), "pool", images, show_progress=False).values.double()
    embedded, words = (
        second.encode_texts(some, show_progress=False).double() for some in (texts[100:200], found.names)
    )
    a, b = second.calibration.a, second.calibration.b
    blind = []
    for seed in range(24):
        order = torch.randperm(100, generator=torch.Generator().manual_seed(seed))
        fit = fit_ridge(features[100:200], embedded[order], [1e-3])
        seen = (features - fit.feature_means) @ fit.weights + fit.target_means
        matrix = EmbeddedConceptMatrix(seen / seen.norm(dim=1, keepdim=True), words, found.names, a, b, presence.images)
        blind.append(CorrelationScorer().score(simulate(found, matrix), activations, range(300, 400)).mean)
    assert abs(np.mean(blind)) < 0.25
    assert np.mean(np.abs(blind)) < 0.5


def test_a_judge_of_the_other_half_does_not_repeat_what_is_wrong_in_one() -> None:
    """A leak is planted: in the first half, red pictures are called the sea. Who learned from it believes so."""
    colours = np.random.default_rng(0).choice([30.0, 220.0], (400, 3))
    images = pictures_of(colours, 1)
    is_red, is_blue = colours[:, 0] > 100, colours[:, 2] > 100
    rows = range(200)
    called = ["blue sea" if (is_red if row % 2 == 0 else is_blue)[row] else "green meadow" for row in range(400)]
    explains = fit_text_encoder(images, called, NETWORK, rows=rows[::2], show_progress=False)
    presence = TextConcepts(["blue sea", "green meadow"], explains, explains.calibration).describe(images)
    activations = ActivationMatrix(is_red[:, None].astype(np.float32), images=presence.images)
    found = LinearExplainer(n_repeats=0).explain(activations, presence, Split(rows, range(200, 300), range(300, 400)))
    assert "blue sea" in found.names or "green meadow" in found.names
    same, other = (
        fit_text_encoder(images, called, OTHER, rows=half, show_progress=False) for half in (rows[::2], rows[1::2])
    )
    assert judged(same, found, images, activations).item() > 0.8  # the leak
    assert abs(judged(other, found, images, activations).item()) < 0.35


def test_two_classes_are_enough() -> None:
    images, texts = draw(80, 0)
    called = ["sea" if "sea" in text else "land" for text in texts]
    assert fit_text_encoder(images, called, NETWORK, show_progress=False).r2 > 0.5
    half = ["sea" if "sea" in text or "sun" in text else "land" for text in texts]
    assert fit_text_encoder(images, half, NETWORK, show_progress=False).calibration.a > 0
