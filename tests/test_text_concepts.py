"""Text concepts: words to a concept matrix, and the whole way to scores with another encoder as simulator."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

import linexp as le
from linexp.matrix import EmbeddedConceptMatrix
from tests import contracts
from tests.colour_encoder import COLOURS, ColourEncoder

CALIBRATION = le.Calibration(20.0, -0.8, "colours")
WORDS = ["green", "red", "blue", "red green"]


def images():
    return le.ImageArray(contracts.pictures(), contracts.labels(), contracts.CLASSES)


def test_each_word_is_judged_by_its_own_embedding():
    concepts = le.TextConcepts(WORDS, ColourEncoder(), CALIBRATION).describe(images())
    assert isinstance(concepts, EmbeddedConceptMatrix)
    assert concepts.names == tuple(WORDS)
    assert concepts.images == images().fingerprint
    for row, picture in enumerate(contracts.pictures()):
        mean = picture.astype(np.float64).mean((0, 1))
        for column, word in enumerate(WORDS):
            text = np.sum([COLOURS[part] for part in word.split()], 0)
            similarity = mean @ text / np.linalg.norm(mean) / np.linalg.norm(text)
            expected = 1 / (1 + np.exp(-20 * (similarity - 0.8)))
            assert concepts.block([row])[0, column].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("templates", [("{}",), ("a {} thing",), ("{}", "the {} one", "{} and {}")])
def test_words_stay_with_their_columns_whatever_the_templates(templates):
    concepts = le.TextConcepts(WORDS, ColourEncoder(), CALIBRATION, templates).describe(images())
    likeliest = [concepts.names[column] for column in concepts.values[:, :3].argmax(1).tolist()]
    assert likeliest == [contracts.CLASSES[label] for label in contracts.labels()]


def test_explained_with_one_encoder_and_scored_with_another():
    @dataclass(frozen=True)
    class Other(ColourEncoder):
        name: str = "squared colours"

        def encode_images(self, images, *, show_progress=True):
            return torch.nn.functional.normalize(super().encode_images(images) ** 2)

    activations = le.record(torch.nn.Sequential(torch.nn.Identity()), "0", images(), preprocess=le.to_unit_tensor)
    split = le.Split.random(contracts.N_IMAGES)
    concepts = le.TextConcepts([*WORDS, "grey"], ColourEncoder(), CALIBRATION).describe(images())
    explanations = le.LinearExplainer().explain(activations, concepts, split)
    assert [item.terms[0].concept for item in explanations] == list(contracts.CLASSES)
    simulator = le.TextConcepts(explanations.concepts, Other(), le.Calibration(20.0, -0.8))
    scores = le.CorrelationScorer().score(
        le.simulate(explanations, simulator.describe(images())), activations, split.test
    )
    assert scores.mean > 0.95


def test_calibrated_on_labels():
    encoder = ColourEncoder()
    labels = le.LabelConcepts().describe(images())
    fit = le.fit_calibration(
        encoder.encode_images(images()),
        encoder.encode_texts(labels.names),
        labels,
        encoder=encoder.name,
        max_share=0.5,
    )
    concepts = le.TextConcepts(labels.names, encoder, fit.calibration).describe(images())
    assert ((concepts.values > 0.5) == (labels.values > 0.5)).all()


@pytest.mark.parametrize(
    ("texts", "text"),
    [
        ([], r"The texts are \[\]. Give a list"),
        ("red", "The texts are 'red'. Give a list"),
        (["red", " "], "One of the texts is empty"),
        (["red", "blue", "red"], "The text 'red' occurs twice"),
        (["red", "\ud800"], r"One of the texts is '\\ud800', which is not text in UTF-8"),
    ],
)
def test_texts_that_are_refused(texts, text):
    with pytest.raises(ValueError, match=text):
        le.TextConcepts(texts, ColourEncoder(), CALIBRATION)


def test_calibration_of_another_encoder_is_refused():
    with pytest.raises(ValueError, match="fitted for the encoder 'other', not for 'colours'"):
        le.TextConcepts(WORDS, ColourEncoder(), le.Calibration(1.0, 0.0, "other"))


def test_template_without_a_place_is_refused():
    with pytest.raises(ValueError, match=r"'a photo' has no '\{\}'"):
        le.TextConcepts(WORDS, ColourEncoder(), CALIBRATION, ["a photo"]).describe(images())
