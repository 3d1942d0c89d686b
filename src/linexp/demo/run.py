"""The embedded default, end to end: a packaged ImageNet network on packaged pictures with packaged words.

Each layer is explained twice, by the pictures' own labels and by any words; the same simulator judges both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from linexp._internal.checks import check_at_least
from linexp._internal.files import check_writable_folder
from linexp._internal.progress import progress_bar
from linexp.concepts import LabelConcepts, TextConcepts
from linexp.concepts.calibration import Calibration
from linexp.concepts.encoders import load_encoder
from linexp.concepts.vocabulary import EmojiWords, emoji_concepts, emoji_words, read_vocabulary
from linexp.demo.clock import Clock
from linexp.demo.impact import show_impact
from linexp.demo.table import DemoResult, print_results
from linexp.explainers import LinearExplainer
from linexp.explanations import Explanations, simulate
from linexp.forward import record_layers, reuse_large_buffers
from linexp.images import ImageFiles, Images, ImageSubset, contents_of, draw_pictures, picture_folder
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split
from linexp.models import load_model
from linexp.report import draw_picture_sheet, write_report
from linexp.results import Finding, Run, column_of, save_explanations, save_run, save_scores
from linexp.score import CorrelationScorer, Origin, Scores

MODEL = "efficientnet_lite0"


IMAGES = "OpenMoji"  # what the settings of a result call the pictures


# Name in the output → layer: one block in the middle, and the 1,280 channels the classifier sees.
LAYERS = {"block 10": "_blocks.10", "head": "_avg_pooling"}


# Three different networks: one is explained, one finds words, one judges.
EXPLAINER, SIMULATOR = "conse:efficientnet_lite2", "conse:efficientnet_lite1"


VOCABULARY = "labels+nouns:2000"


# Networks trained on photographs are sure of little in a drawing: with the usual 0.5 only seven words would be left.
MIN_ACTIVITY = 0.1


@dataclass(frozen=True, eq=False)
class _Case:
    """One layer and one source of concepts."""

    name: str
    source: str
    activations: ActivationMatrix
    concepts: ConceptMatrix
    explainer: LinearExplainer


def run_demo(out: Path, n_neurons: int | None = None, *, full: bool = False) -> list[DemoResult]:
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
        images = draw_images(words)
        names, table = emoji_concepts(words)
        labels = LabelConcepts(table=table, names=names).describe(images)
    with clock.stage("network"):
        reuse_large_buffers()
        recorded = record_layers(load_model(MODEL), list(LAYERS.values()), images)
    with clock.stage("words"):
        vocabulary = read_vocabulary(VOCABULARY, labels=names)
        text = _encoder_concepts(EXPLAINER, vocabulary.words).describe(images)
    split = Split.random(len(images))
    cases = [
        _Case(name, source, _first(recorded[layer], n_neurons), concepts, explainer)
        for name, layer in LAYERS.items()
        for source, concepts, explainer in (
            ("labels", labels, LinearExplainer()),
            ("text", text, replace(LinearExplainer(), min_activity=MIN_ACTIVITY)),
        )
    ]
    with clock.stage("explaining"):
        explained = [case.explainer.explain(case.activations, case.concepts, split) for case in cases]
    with clock.stage("judging"):
        judged = _judge(explained, cases, images, split)
    with clock.stage("writing"):
        picture_names = tuple(word.name for word in words)
        results = [
            _save(out, case, explanations, scores, images, picture_names, split)
            for case, explanations, scores in zip(cases, explained, judged, strict=True)
        ]
    with clock.stage("report"):
        # What the classifier sees comes first: there is most to look at.
        findings = [result.finding for result in sorted(results, key=lambda result: result.name != "head")]
        report = write_report(findings, out / "report", images)
    print_results(results, len(images), clock, report)
    if full:
        show_impact(MODEL, list(LAYERS.values()), images, out / "impact", n_neurons)
    return results


def _encoder_concepts(encoder: str, texts: Sequence[str]) -> TextConcepts:
    loaded = load_encoder(encoder)
    return TextConcepts(texts, loaded, Calibration.shipped(loaded.name))


def _first(activations: ActivationMatrix, n_neurons: int | None) -> ActivationMatrix:
    return activations if n_neurons is None else activations.select(activations.neurons[:n_neurons])


def _judge(explained: Sequence[Explanations], cases: Sequence[_Case], images: Images, split: Split) -> list[Scores]:
    """Score all explanations by the simulator, which looks at the test pictures only, and at each word once."""
    test = ImageSubset(images, split.test.tolist())
    words = dict.fromkeys(concept for explanations in explained for concept in explanations.concepts)
    presence = _encoder_concepts(SIMULATOR, list(words)).describe(test)
    found: list[Scores] = []
    for explanations, case in zip(explained, cases, strict=True):
        recorded = case.activations.take(split.test, images)
        found.append(CorrelationScorer().score(simulate(explanations, presence), recorded, range(len(test))))
    return found


def _save(
    out: Path,
    case: _Case,
    explanations: Explanations,
    judged: Scores,
    images: Images,
    picture_names: tuple[str, ...],
    split: Split,
) -> DemoResult:
    folder = out / f"{case.name.replace(' ', '-')}-{case.source}"
    settings = {"model": MODEL, "layer": case.activations.layer, "images": IMAGES, "concepts": case.source}
    settings |= {"encoder": EXPLAINER if case.source == "text" else None, "explainer": asdict(case.explainer)}
    contents = tuple(content.hex() for content in contents_of(images))
    run = Run(case.activations, case.concepts, split, picture_names, settings, contents)
    save_run(folder, run)
    save_explanations(folder, explanations)
    scores = CorrelationScorer().score(simulate(explanations, case.concepts), case.activations, split.test)
    own, images_of = EXPLAINER if case.source == "text" else "labels", case.activations.images or ""
    scores = replace(scores, origin=Origin(folder.name, own, images_of, "test"))
    judged = replace(judged, origin=Origin(folder.name, SIMULATOR, images_of, "test"))
    save_scores(folder, scores)
    judge = SIMULATOR.replace(":", "-")
    save_scores(folder, judged, f"scores-by-{judge}")
    finding = Finding(case.source, run, explanations, (column_of(scores), column_of(judged, SIMULATOR)))
    sheet = draw_picture_sheet(
        explanations, case.activations, images, judged, folder / "sheet.png", rows=split.test.tolist()
    )
    return DemoResult(
        case.name, case.source, folder, explanations, scores, judged, sheet, case.concepts.n_concepts, finding
    )


def draw_images(words: Sequence[EmojiWords]) -> ImageFiles:
    """Return the pictures of some words, drawn if they are not yet."""
    stems = [word.stem for word in words]
    with progress_bar("drawing", len(stems), "pictures") as advance:
        done = 0

        def tell(n_drawn: int, _: int) -> None:
            nonlocal done
            advance(n_drawn - done)
            done = n_drawn

        return ImageFiles(draw_pictures(stems, picture_folder(), progress=tell))
