"""The demo's recipe in one pass: each network looks at the pictures once, and no store is needed."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from linexp._internal.checks import check_at_least
from linexp._internal.files import check_writable_folder
from linexp.ablation.impact import BETAS, impact_layers
from linexp.cli.demo_table import print_results
from linexp.cli.explain import open_explainer
from linexp.cli.recipe import Step
from linexp.concepts import LabelConcepts, TextConcepts, fit_on_train, read_sharpness
from linexp.concepts.vocabulary import OpenMojiImages, read_vocabulary
from linexp.explainers import Explainer, LinearExplainer
from linexp.explanations import simulate
from linexp.forward import record_layers, reuse_large_buffers
from linexp.images import Images, ImageSubset, contents_of
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split
from linexp.models import load_model
from linexp.report import draw_picture_sheet, tell_impact, write_report
from linexp.results import Result, Run, choose_run, own_score
from linexp.score import CorrelationScorer, Origin
from linexp.store import Store

CALLED = {"_blocks.10": "block 10", "_avg_pooling": "head"}


class Clock:
    """Seconds spent in each stage, in the order the stages first ran."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Generator[None, None, None]:
        """Add the time spent inside to the stage of this name."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


def run_demo(
    steps: Sequence[tuple[Step, Any]],
    out: Path,
    n_neurons: int | None = None,
    *,
    engine: str = "auto",
    full: bool = False,
) -> list[Result]:
    """Explain two layers of EfficientNet-Lite0 on OpenMoji pictures, score, save, and print a table.

    Parameters
    ----------
    steps
        The opened recipe. Its explanations, their judge and the impact count; its outputs do not.
    out
        Folder for the results; a sub-folder for each layer and way to explain.
    n_neurons
        Explain only the first so many neurons of each layer. Default: all.
    engine
        How networks are run.
    full
        Also measure how much each neuron matters, which takes minutes.
    """
    if n_neurons is not None:
        check_at_least("neurons", n_neurons, 1)
    check_writable_folder(out)
    ways = {step.way: context.params for step, context in steps if step.command == "explain"}
    told = {step.command: context.params for step, context in steps}
    model, layers = told["explain"]["model"], list(told["explain"]["layer"])
    clock = Clock()
    with clock.stage("pictures"):
        images = OpenMojiImages()
    with clock.stage("network"):
        reuse_large_buffers()
        recorded = record_layers(load_model(model), layers, images, engine=engine)
    split = Split.random(len(images))
    concepts: dict[str, ConceptMatrix] = {}
    for way, params in ways.items():
        with clock.stage("words" if params["concepts"] == "text" else "pictures"):
            concepts[way] = _describe(params, images, split, engine)
    results: list[Result] = []
    with clock.stage("explaining"):
        for layer in layers:
            activations = _first(recorded[layer], n_neurons)
            for way, params in ways.items():
                explainer = _explainer(params)
                settings = _settings(params, layer, explainer)
                run = Run(activations, concepts[way], split, settings=settings)
                if params["concepts"] == "text" and read_sharpness(params["sharpness"]) is None:
                    run, choice = choose_run(run, explainer)
                    print(f"{CALLED[layer]}, {way}: {choice.brief}")
                found = explainer.explain(activations, run.concepts, split)
                results.append(Result.of(run, found, method=way))
    with clock.stage("judging"):
        results = _judge(results, images, told["score"]["simulator"], engine)
    with clock.stage("writing"):
        names = tuple(images.name(row) for row in range(len(images)))
        contents = tuple(content.hex() for content in contents_of(images))
        results = [_save(out, replace(result, image_names=names, contents=contents), images) for result in results]
    with clock.stage("report"):
        # What the classifier sees comes first: there is most to look at.
        ordered = sorted(results, key=lambda result: result.activations.layer != layers[-1])
        report = write_report(ordered, out / "report", images)
    print_results(results, CALLED, clock.seconds, report)
    if full:
        show_impact(told["impact"], images, out / "impact", n_neurons, engine)
    return results


def show_impact(
    params: Mapping[str, Any], images: Images, out: Path, n_neurons: int | None, engine: str = "auto"
) -> None:
    """Measure the impact of the demo's neurons, print the table and write it with the curves."""
    n_images = min(params["n_images"], len(images))
    model, labels = load_model(params["model"]), params["outputs"]
    how: dict[str, Any] = {"labels": labels, "neurons": n_neurons, "n_images": n_images, "engine": engine}
    found = impact_layers(model, list(params["layer"]), images, **how)
    print("\nWhat the network loses of its own answers when a neuron is removed:")
    tell_impact(list(found.values()), BETAS, out)


def _describe(params: Mapping[str, Any], images: OpenMojiImages, split: Split, engine: str) -> ConceptMatrix:
    if params["concepts"] == "labels":
        return LabelConcepts().describe(images)
    vocabulary = read_vocabulary(params["vocabulary"], labels=images.label_names)
    with TemporaryDirectory() as folder:  # the network looks at the pictures once, for the fit and for the words
        store = Store(Path(folder))
        encoder = fit_on_train(images, split, params["encoder"], half="first", engine=engine, store=store)
        sharpness = read_sharpness(params["sharpness"]) or 1.0
        source = TextConcepts(vocabulary.words, encoder, encoder.calibration, sharpness=sharpness)
        return source.describe(images, store=store)


def _explainer(params: Mapping[str, Any]) -> Explainer:
    names = {field.name for field in fields(LinearExplainer)} - {"device"}  # the demo's is the CPU
    flat = {name: params[name] for name in names & params.keys()}
    return open_explainer(params["method"], list(params["set"] or ()), **flat)


def _settings(params: Mapping[str, Any], layer: str, explainer: Any) -> dict[str, Any]:
    plain = {name: params[name] for name in ("model", "concepts", "encoder")}
    if params["concepts"] == "text":
        plain |= {"vocabulary": params["vocabulary"], "sharpness": read_sharpness(params["sharpness"])}
    return {**plain, "layer": layer, "images": str(params["images"]), "explainer": asdict(explainer)}


def _first(activations: ActivationMatrix, n_neurons: int | None) -> ActivationMatrix:
    return activations if n_neurons is None else activations.select(activations.neurons[:n_neurons])


def _judge(results: Sequence[Result], images: Images, simulator: str, engine: str) -> list[Result]:
    """Score all by what explained and by the simulator, which looks at test pictures only, and at each word once."""
    split = results[0].split
    test = ImageSubset(images, split.test.tolist())
    words = dict.fromkeys(name for result in results for name in result.explanations.names)
    judge = fit_on_train(images, split, simulator, half="second", engine=engine)
    presence = TextConcepts(list(words), judge, judge.calibration).describe(test)
    judged: list[Result] = []
    for result in results:
        whole = result.activations
        recorded = whole.take(result.split.test, images)
        seen = presence.with_sharpness(result.sharpness)
        scores = CorrelationScorer().score(simulate(result.explanations, seen), recorded, range(len(test)))
        scores = replace(scores, origin=Origin("", simulator, whole.images or "", "test"))
        judged.append(replace(result, scores=(own_score(result), scores)))
    return judged


def _save(out: Path, result: Result, images: Images) -> Result:
    name = CALLED[result.activations.layer].replace(" ", "-")
    folder = result.save(out / f"{name}-{result.method}")
    explained, rows = result.explanations, result.split.test.tolist()
    draw_picture_sheet(explained, result.activations, images, result.scores[1], folder / "sheet.png", rows=rows)
    return replace(result, folder=folder)
