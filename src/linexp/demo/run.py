"""The embedded default, end to end: a packaged ImageNet network on packaged pictures with packaged words.

Each layer is explained twice, by the pictures' own labels and by any words; the same simulator judges both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from linexp._internal.checks import check_at_least
from linexp._internal.files import check_writable_folder
from linexp.concepts import LabelConcepts, TextConcepts
from linexp.concepts.calibration import Calibration
from linexp.concepts.encoders import load_encoder
from linexp.concepts.vocabulary import emoji_concepts, emoji_words, read_vocabulary
from linexp.demo.clock import Clock
from linexp.demo.impact import show_impact
from linexp.demo.table import print_results
from linexp.explainers import LinearExplainer
from linexp.explanations import simulate
from linexp.forward import record_layers, reuse_large_buffers
from linexp.images import OPENMOJI, Images, ImageSubset, contents_of, draw_openmoji
from linexp.matrix import ActivationMatrix, Split
from linexp.models import load_model
from linexp.report import draw_picture_sheet, write_report
from linexp.results import Result, own_score
from linexp.score import CorrelationScorer, Origin

MODEL = "efficientnet_lite0"
# Name in the output → layer: one block in the middle, and the 1,280 channels the classifier sees.
LAYERS = {"block 10": "_blocks.10", "head": "_avg_pooling"}
# Three different networks: one is explained, one finds words, one judges.
EXPLAINER, SIMULATOR = "conse:efficientnet_lite2", "conse:efficientnet_lite1"
VOCABULARY = "labels+nouns:2000"
# Networks trained on photographs are sure of little in a drawing: with the usual 0.5 only seven words would be left.
MIN_ACTIVITY = 0.1


def run_demo(out: Path, n_neurons: int | None = None, *, full: bool = False) -> list[Result]:
    """Explain two layers of EfficientNet-Lite0 on OpenMoji pictures, score, save, and print a table.

    Parameters
    ----------
    out
        Folder for the results; a sub-folder for each layer and source of concepts.
    n_neurons
        Explain only the first so many neurons of each layer. Default: all.
    full
        Also measure how much each neuron matters, which takes minutes.
    """
    if n_neurons is not None:
        check_at_least("neurons", n_neurons, 1)
    check_writable_folder(out)
    clock = Clock()
    with clock.stage("pictures"):
        words = emoji_words()
        images = draw_openmoji([word.stem for word in words])
        names, table = emoji_concepts(words)
        labels = LabelConcepts(table=table, names=names).describe(images)
    with clock.stage("network"):
        reuse_large_buffers()
        recorded = record_layers(load_model(MODEL), list(LAYERS.values()), images)
    with clock.stage("words"):
        vocabulary = read_vocabulary(VOCABULARY, labels=names)
        text = _encoder_concepts(EXPLAINER, vocabulary.words).describe(images)
    split = Split.random(len(images))
    ways = (("labels", labels, LinearExplainer()), ("text", text, LinearExplainer(min_activity=MIN_ACTIVITY)))
    results: list[Result] = []
    with clock.stage("explaining"):
        for layer in LAYERS.values():
            activations = _first(recorded[layer], n_neurons)
            for source, concepts, explainer in ways:
                found = explainer.explain(activations, concepts, split)
                settings = {"model": MODEL, "layer": layer, "images": OPENMOJI, "concepts": source}
                settings |= {"encoder": EXPLAINER if source == "text" else None, "explainer": asdict(explainer)}
                results.append(Result(activations, concepts, split, found, method=source, settings=settings))
    with clock.stage("judging"):
        results = _judge(results, images)
    with clock.stage("writing"):
        names, contents = tuple(word.name for word in words), tuple(content.hex() for content in contents_of(images))
        results = [_save(out, replace(result, image_names=names, contents=contents), images) for result in results]
    with clock.stage("report"):
        # What the classifier sees comes first: there is most to look at.
        ordered = sorted(results, key=lambda result: result.activations.layer != LAYERS["head"])
        report = write_report(ordered, out / "report", images)
    print_results(results, LAYERS, clock, report)
    if full:
        show_impact(MODEL, list(LAYERS.values()), images, out / "impact", n_neurons)
    return results


def _encoder_concepts(encoder: str, texts: Sequence[str]) -> TextConcepts:
    loaded = load_encoder(encoder)
    return TextConcepts(texts, loaded, Calibration.shipped(loaded.name))


def _first(activations: ActivationMatrix, n_neurons: int | None) -> ActivationMatrix:
    return activations if n_neurons is None else activations.select(activations.neurons[:n_neurons])


def _judge(results: Sequence[Result], images: Images) -> list[Result]:
    """Score all by what explained and by the simulator, which looks at test pictures only, and at each word once."""
    test = ImageSubset(images, results[0].split.test.tolist())
    words = dict.fromkeys(concept for result in results for concept in result.explanations.concepts)
    presence = _encoder_concepts(SIMULATOR, list(words)).describe(test)
    judged: list[Result] = []
    for result in results:
        whole = result.activations
        recorded = whole.take(result.split.test, images)
        scores = CorrelationScorer().score(simulate(result.explanations, presence), recorded, range(len(test)))
        scores = replace(scores, origin=Origin("", SIMULATOR, whole.images or "", "test"))
        judged.append(replace(result, scores=(own_score(result), scores)))
    return judged


def _save(out: Path, result: Result, images: Images) -> Result:
    name = next(name for name, layer in LAYERS.items() if layer == result.activations.layer)
    folder = result.save(out / f"{name.replace(' ', '-')}-{result.method}")
    draw_picture_sheet(
        result.explanations,
        result.activations,
        images,
        result.scores[1],
        folder / "sheet.png",
        rows=result.split.test.tolist(),
    )
    return replace(result, folder=folder)
