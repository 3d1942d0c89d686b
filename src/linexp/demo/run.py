"""The embedded default, end to end: a packaged ImageNet network on packaged pictures with packaged words."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from linexp._checks import check_at_least, check_writable_folder
from linexp.concepts import LabelConcepts
from linexp.demo.pictures import draw_pictures, picture_folder
from linexp.demo.words import emoji_concepts, emoji_words
from linexp.explain import LinearExplainer
from linexp.explanation import Explanations
from linexp.images import ImageFiles
from linexp.models import load_model
from linexp.progress import progress_bar
from linexp.recording import record_layers
from linexp.recording.memory import reuse_large_buffers
from linexp.report import best_neurons, draw_picture_sheet
from linexp.score import CorrelationScorer, Scores
from linexp.simulation import simulate
from linexp.split import Split
from linexp.store import Run, save_explanations, save_run, save_scores

MODEL = "efficientnet_lite0"
# Name in the output → layer: one block in the middle, and the 1,280 channels the classifier sees.
LAYERS = {"block 10": "_blocks.10", "head": "_avg_pooling"}


@dataclass(frozen=True)
class DemoResult:
    """What the demo found about one layer, and where it is."""

    name: str
    folder: Path
    explanations: Explanations
    scores: Scores
    sheet: Path


def run_demo(out: Path, n_neurons: int | None = None) -> list[DemoResult]:
    """Explain two layers of EfficientNet-Lite0 on OpenMoji pictures, score, save, and print a table.

    Parameters
    ----------
    out
        Folder for the results; a sub-folder per layer.
    n_neurons
        Explain only the first so many neurons of each layer. Default: all.
    """
    if n_neurons is not None:
        check_at_least("neurons", n_neurons, 1)
    check_writable_folder(out)
    clock = _Clock()
    with clock.stage("pictures"):
        words = emoji_words()
        images = _draw([word.stem for word in words])
        names, table = emoji_concepts(words)
        concepts = LabelConcepts(table=table, names=names).describe(images)
    with clock.stage("network"):
        reuse_large_buffers()
        recorded = record_layers(load_model(MODEL), list(LAYERS.values()), images)
    split = Split.random(len(images))
    explainer = LinearExplainer()
    results: list[DemoResult] = []
    for name, layer in LAYERS.items():
        activations = recorded[layer]
        if n_neurons is not None:
            activations = activations.select(activations.neurons[:n_neurons])
        with clock.stage("explaining"):
            explanations = explainer.explain(activations, concepts, split)
        with clock.stage("scoring"):
            scores = CorrelationScorer().score(simulate(explanations, concepts), activations, split.test)
        with clock.stage("writing"):
            folder = out / name.replace(" ", "-")
            settings = {"model": MODEL, "layer": layer, "images": "OpenMoji", "explainer": asdict(explainer)}
            save_run(folder, Run(activations, concepts, split, tuple(word.name for word in words), settings))
            save_explanations(folder, explanations)
            save_scores(folder, scores)
            sheet = draw_picture_sheet(
                explanations, activations, images, scores, folder / "sheet.png", rows=split.test.tolist()
            )
        results.append(DemoResult(name, folder, explanations, scores, sheet))
    _print(results, len(images), concepts.n_concepts, clock)
    return results


def _draw(stems: list[str]) -> ImageFiles:
    with progress_bar("drawing", len(stems), "pictures") as advance:
        done = 0

        def tell(n_drawn: int, _: int) -> None:
            nonlocal done
            advance(n_drawn - done)
            done = n_drawn

        return ImageFiles(draw_pictures(stems, picture_folder(), progress=tell))


class _Clock:
    """Seconds spent in each stage, in the order the stages first ran."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Generator[None, None, None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


def _print(results: list[DemoResult], n_images: int, n_concepts: int, clock: _Clock) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"EfficientNet-Lite0 on {n_images} OpenMoji pictures, {n_concepts} concepts")
    for column in ("layer", "neurons", "terms", "val corr.", "test corr.", "dead", "no score"):
        table.add_column(column, justify="left" if column == "layer" else "right", no_wrap=True)
    for result in results:
        explanations, scores = result.explanations, result.scores
        table.add_row(
            result.name,
            f"{len(explanations):,}",
            f"{explanations.mean_terms:.2f}",
            f"{explanations.mean_val_correlation:.3f}",
            f"{scores.mean:.3f} ± {scores.sem:.3f}",
            str(explanations.n_with("constant")),
            str(scores.n_undefined),
        )
    console = Console(soft_wrap=True, highlight=False)
    console.print(table)
    console.print(", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in clock.seconds.items()))
    console.print(f"\nThe best of {results[-1].name}, and their correlation on the test pictures:")
    best = best_neurons(results[-1].scores, 5)
    for neuron in best:
        console.print(f"  {results[-1].scores.of(neuron):.2f}  {results[-1].explanations[neuron]}")
    console.print()
    for result in results:
        console.print(f"{result.name}: {result.sheet} shows the best neurons, the tables are beside it")
    console.print(f"Look at one neuron: linexp show {results[-1].folder} {best[0]}")
