"""``linexp explain``."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linexp.cli.app import app
from linexp.cli.command import command
from linexp.cli.groups import CalibrationName, Keeping, Labelled, Network, Running, Template, Units
from linexp.cli.masks import Placed
from linexp.cli.options import ENCODERS, Seed, SkipBroken, SplitFile, option

if TYPE_CHECKING:
    from collections.abc import Callable

    from linexp.concepts import ConceptSource
    from linexp.concepts.encoders import Encoder
    from linexp.explainers import Explainer, Usable
    from linexp.images import ImageFolder
    from linexp.results import Run

_VOCABULARY = "imagenet+nouns"


@dataclass(frozen=True, kw_only=True)
class _Concepts:
    """Where concepts come from."""

    concepts: str = option(
        "labels",
        "SOURCE",
        "labels: the classes and their groups. text: words, which an encoder finds. pixels: what --masks say. colours: "
        "the eleven basic colour terms. segmenter:NAME: what a segmentation model says, hf:NAME or "
        "package.module:function.",
    )
    vocabulary: str | None = option(
        None,
        "WORDS",
        "Words for --concepts text: files of one word a line, labels, superclasses, imagenet, nouns, nouns:2000, "
        "wordnet:animal, broden:label.csv, or several joined by +.",
        _VOCABULARY,
    )
    encoder: str | None = option(
        None, "NAME", f"What finds the words: {ENCODERS}.", "hf:google/siglip-large-patch16-384"
    )
    calibration: CalibrationName = None
    template: Template = None

    def check(self) -> None:
        """Check what needs neither files nor the encoder."""
        from linexp._internal.checks import check_choice

        if not self.concepts.startswith("segmenter:"):
            check_choice("concepts", self.concepts, ("labels", "text", "pixels", "colours", "segmenter:NAME"))
        given = [f"--{name}" for name, value in vars(self).items() if value and name != "concepts"]
        if self.concepts != "text" and given:
            raise ValueError(
                f"{given[0]} is of no use with concepts from {self.concepts}. Add --concepts text, or leave it out."
            )

    @property
    def of_pixels(self) -> bool:
        """Whether they have a place in the picture."""
        return self.concepts not in ("labels", "text")

    @property
    def fits(self) -> bool:
        """Whether the encoder is fitted on the pictures that are explained, and so cannot be opened before them."""
        return self.concepts == "text" and (self.encoder or "").startswith("fit:")

    def open(
        self, labelled: Labelled, images: ImageFolder, running: Running, fit: Callable[[str], Encoder] | None = None
    ) -> ConceptSource:
        """Read groups or words and load the encoder, if one is needed; ``fit`` makes one that is fitted here."""
        from linexp.concepts import LabelConcepts, TextConcepts, find_calibration
        from linexp.concepts.vocabulary import (
            IMAGENET,
            IMAGENET_PAPER,
            WORDNET,
            group_names,
            open_groups,
            read_vocabulary,
        )
        from linexp.results import ENCODER

        groups = labelled.open_groups(images)
        if self.concepts == "labels":
            return LabelConcepts(groups)
        if groups is None and labelled.class_names in (IMAGENET, IMAGENET_PAPER):
            groups = open_groups(WORDNET, images)  # from the words alone, WordNet would not know the paper's
        vocabulary = read_vocabulary(
            self.vocabulary or _VOCABULARY,
            labels=images.label_names or None,
            superclasses=group_names(groups) if groups else None,
        )
        print(f"vocabulary: {vocabulary}")
        name = self.encoder or ENCODER
        encoder = running.encoder(name) if fit is None else fit(name)
        calibration = find_calibration(self.calibration, encoder)
        return TextConcepts(vocabulary.words, encoder, calibration, tuple(self.template or ()) or ("{}",))

    def settings(self, source: ConceptSource) -> dict[str, Any]:
        """Return what a result says of them: of words, what was not said too."""
        from linexp.concepts import TextConcepts
        from linexp.concepts.encoders import same_model
        from linexp.results import ENCODER

        plain = {**vars(self), "template": tuple(self.template or ())}
        if isinstance(source, TextConcepts):
            calibration = dataclasses.asdict(source.calibration)
            plain |= {"encoder": source.encoder.name, "calibration": calibration}
            plain |= {"vocabulary": self.vocabulary or _VOCABULARY, "template": source.templates}
            asked = self.encoder or ENCODER
            # A function of the user's calls itself as it likes; what is fitted here is called by what came out.
            if self.fits or not same_model(asked, source.encoder.name):
                plain["encoder_asked"] = asked
        return plain


@dataclass(frozen=True, kw_only=True)
class _Linear:
    """Settings of the linear method that have options of their own."""

    search: str = option(
        "greedy",
        "HOW",
        "greedy: the paper's. greedy-nonzero: the same among weights that are not 0. stepwise: by fit over all "
        "concepts. swaps: the best subset, truest on new images. top: largest elastic-net weights.",
    )
    max_terms: int = option(10, "N", "Most terms of an explanation.")
    n_candidates: int = option(10, "N", "Concepts the greedy search tries for each term.")
    min_gain: float = option(0.02, "X", "Correlation each term must add: in the greedy searches, on validation images.")
    strength: float = option(
        0.05, "X", "Weight of the elastic net's L1 penalty, the paper's λ·η/(2n); more: fewer candidates."
    )
    l1_ratio: float = option(0.99, "X", "Share of the L1 norm in that penalty, above 0, at most 1.")
    min_activity: float = option(
        0.5, "X", "Leave out concepts whose five highest presences have a lower mean; 0: none, the paper's for labels."
    )
    n_groups: int = option(20, "N", "Groups of images left out in turn to get standard errors; 0: no errors.")
    n_repeats: int = option(10, "N", "Redraws of the images to see which terms would be chosen again; 0: none.")


@command(app)
def explain(
    *,
    network: Network,
    layer: list[str] = option(..., "NAME", "Layer to explain; may be repeated. linexp layers lists them."),
    labelled: Labelled,
    out: Path = option(..., "DIR", "Folder for the result; with several layers, a sub-folder for each."),
    concepts: _Concepts,
    placed: Placed,
    units: Units,
    method: str = option("linear", "NAME", "How to explain: linear, the paper's; others have their own options."),
    set: list[str] | None = option(
        None, "NAME=VALUE", "Setting of the method; may be repeated. --set help lists them.", "its own"
    ),
    linear: _Linear,
    n_shards: Annotated[int | None, typer.Option("--n-shards", hidden=True)] = None,
    seed: Seed = 0,
    split: SplitFile = None,
    workers: int | None = option(None, "N", "Processes that decode pictures; 0: none.", "by processors"),
    skip_broken: SkipBroken = False,
    running: Running,
    keeping: Keeping,
) -> None:
    """Explain every neuron of one or more layers in terms of concepts.

    Fits and chooses the terms on 80 % of the pictures, or those that --split says, and keeps the rest for linexp score.
    """
    if split is not None and seed:
        raise ValueError(f"--seed {seed} and --split '{split}' contradict each other. Leave one out.")
    if n_shards is not None:
        warnings.warn("--n-shards is now called --n-groups. The old name goes with the next release.", stacklevel=1)
        linear = dataclasses.replace(linear, n_groups=n_shards)
    from linexp._internal.checks import check_at_least, choose_device
    from linexp._internal.files import check_writable_folder
    from linexp.concepts import LabelConcepts, PixelConcepts
    from linexp.explainers import on_device
    from linexp.forward import find_layers, find_regions, look_at_layers, reuse_large_buffers
    from linexp.matrix import Split
    from linexp.models import tell_device, tell_model
    from linexp.results import (
        choose_folders,
        leave_out,
        only_readable,
        prepare,
        prepare_regions,
        prepare_unread,
        record_runs,
    )
    from linexp.store import open_store

    explainer = open_explainer(method, set or [], **vars(linear))
    kept = keeping.folder()
    concepts.check()
    placed.check(concepts.concepts)
    units = placed.units(units, concepts.concepts)
    check_at_least("seed", seed, 0)
    running.check()
    check_at_least("workers", workers or 0, 0)
    running = dataclasses.replace(running, device=str(choose_device(running.device)))
    explainer = on_device(explainer, running.device)
    folder, store = labelled.open(), open_store(kept)
    parts = None if split is None else Split.from_file(split, folder)
    if concepts.of_pixels:
        source = placed.open(concepts.concepts, folder, running.device)
    else:
        source = None if concepts.fits else concepts.open(labelled, folder, running)
    prepared = None
    if source is None:
        LabelConcepts().describe(folder)  # says what is wrong with the labels it will be fitted on
    elif concepts.concepts == "labels":  # it takes no time, and says what is wrong with labels and groups
        prepared = prepare_unread(folder, source, explainer, parts, seed)
    check_writable_folder(out)
    model = network.open(running)
    find_layers(model.module, layer)
    outs = choose_folders(out, layer)
    images = only_readable(folder, workers=workers, leave_out=skip_broken, store=kept)
    taken = look_at_layers(model, layer, images, units.open())
    reuse_large_buffers()
    tell_model(model, network.model)
    tell_device(running.device)
    if prepared is None or images is not folder:
        parts = None if parts is None else leave_out(parts, folder, images)
    if source is None:
        drawn_parts = Split.random(len(images), seed) if parts is None else parts
        source = concepts.open(labelled, folder, running, lambda name: running.fit(name, images, drawn_parts, store))
    if isinstance(source, PixelConcepts) and units.open().is_regional:
        regions = find_regions(model, layer, images, units.open())
        prepared = prepare_regions(images, source, explainer, parts, seed, regions)
    elif prepared is None or images is not folder:
        prepared = prepare(images, source, explainer, parts, seed, store)
    drawn = {"layers": tuple(layer), "split": split, "seed": seed if split is None else None}  # else nothing was drawn
    settings = {**drawn, "workers": workers, "skip_broken": skip_broken, **vars(labelled), **vars(units)}
    settings |= {**vars(running), **vars(network), **concepts.settings(source), **placed.settings()}
    runs = record_runs(model, taken, images, prepared, settings, explainer, store)
    for name, run in runs.items():
        usable = prepared[name].usable if isinstance(prepared, dict) else prepared.usable
        _explain(outs[name], run, explainer, usable)


def _explain(out: Path, run: Run, explainer: Explainer, usable: Usable) -> None:
    """Explain a layer, and print what came out and the command that scores it."""
    from linexp._internal.checks import printable
    from linexp.results import explain_run, tell_explanations, tell_next

    explanations, seconds = explain_run(out, run, explainer, usable)
    print("\n".join(map(printable, tell_explanations(explanations, run).split("\n"))))
    print(f"  {seconds:.1f} s ({seconds / max(len(explanations), 1) * 1000:.1f} ms per neuron), saved in {out}")
    print(tell_next(out, run))


def open_explainer(method: str, pairs: list[str], **flat: Any) -> Explainer:
    """Return the method with its settings, the linear method's also from options of their own."""
    from linexp.explainers import LinearExplainer, explainer_of, tell_method

    if "help" in pairs:
        print(tell_method(method))
        raise typer.Exit
    defaults = LinearExplainer()
    given = {name: value for name, value in flat.items() if value != getattr(defaults, name)}
    chosen = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    for name, value in given.items():
        flag = f"--{name.replace('_', '-')} {value}"
        if name in chosen:
            raise ValueError(f"{flag} and --set {name}={chosen[name]} contradict each other. Leave one out.")
        if method != "linear":
            raise ValueError(f"{flag} is of the method linear. With --method {method}, write --set {name}={value}.")
    return explainer_of(method, pairs, **given)
