"""``linexp explain``."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linexp.cli.app import app
from linexp.cli.options import (
    ENCODERS,
    BatchSize,
    CalibrationName,
    ChannelsPlace,
    ClassNames,
    Device,
    Groups,
    MergeHomonyms,
    ModelName,
    NoStore,
    OutputName,
    PreprocessName,
    Seed,
    SplitFile,
    StoreFolder,
    Template,
    TrustRemoteCode,
    WeightsFile,
    choose_store,
    option,
)

if TYPE_CHECKING:
    from linexp.explainers import Explainer


@app.command()
def explain(
    *,
    model: ModelName,
    layer: Annotated[list[str], option("NAME", "Layer to explain; may be repeated. linexp layers lists them.")],
    images: Annotated[Path, option("DIR", "Folder of pictures, one sub-folder per class.")],
    out: Annotated[Path, option("DIR", "Folder for the result; with several layers, a sub-folder for each.")],
    concepts: Annotated[
        str, option("SOURCE", "labels: the classes and their groups. text: words, which an encoder finds.")
    ] = "labels",
    groups: Groups = None,
    merge_homonyms: MergeHomonyms = False,
    class_names: ClassNames = None,
    vocabulary: Annotated[
        str | None,
        option(
            "WORDS",
            "Words for --concepts text: files of one word a line, labels, superclasses, imagenet, nouns, nouns:2000, "
            "wordnet:animal, broden:label.csv, or several joined by +.",
            "imagenet+nouns",
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        option("NAME", f"What finds the words: {ENCODERS}.", "hf:google/siglip-large-patch16-384"),
    ] = None,
    calibration: CalibrationName = None,
    template: Template = None,
    weights: WeightsFile = None,
    preprocess: PreprocessName = None,
    pool: Annotated[
        str, option("HOW", "From a feature map to one number per neuron: mean, max, token or none.")
    ] = "mean",
    channels: ChannelsPlace = "auto",
    token: Annotated[int, option("N", "Which token --pool token takes; 0 is the class token.")] = 0,
    output: OutputName = None,
    method: Annotated[
        str, option("NAME", "How to explain: linear, the paper's; others have their own options.")
    ] = "linear",
    set: Annotated[
        list[str] | None,
        option("NAME=VALUE", "Setting of the method; may be repeated. --set help lists them.", "its own"),
    ] = None,
    search: Annotated[
        str,
        option(
            "HOW",
            "greedy: the paper's. greedy-nonzero: the same among weights that are not 0. stepwise: by fit over all "
            "concepts. swaps: the best subset, truest on new images. top: largest elastic-net weights.",
        ),
    ] = "greedy",
    max_terms: Annotated[int, option("N", "Most terms of an explanation.")] = 10,
    n_candidates: Annotated[int, option("N", "Concepts the greedy search tries for each term.")] = 10,
    min_gain: Annotated[
        float, option("X", "Correlation each term must add: in the greedy searches, on validation images.")
    ] = 0.02,
    strength: Annotated[
        float,
        option("X", "Weight of the elastic net's L1 penalty, the paper's λ·η/(2n); more: fewer candidates."),
    ] = 0.05,
    l1_ratio: Annotated[float, option("X", "Share of the L1 norm in that penalty, above 0, at most 1.")] = 0.99,
    min_activity: Annotated[
        float,
        option(
            "X", "Leave out concepts whose five highest presences have a lower mean; 0: none, the paper's for labels."
        ),
    ] = 0.5,
    n_groups: Annotated[
        int, option("N", "Groups of images left out in turn to get standard errors; 0: no errors.")
    ] = 20,
    n_shards: Annotated[int | None, typer.Option("--n-shards", hidden=True)] = None,
    n_repeats: Annotated[
        int, option("N", "Redraws of the images to see which terms would be chosen again; 0: none.")
    ] = 10,
    seed: Seed = 0,
    split: SplitFile = None,
    device: Device = "auto",
    batch_size: BatchSize = None,
    workers: Annotated[int | None, option("N", "Processes that decode pictures; 0: none.", "by processors")] = None,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Leave out pictures that cannot be read.")] = False,
    trust_remote_code: TrustRemoteCode = False,
    store: StoreFolder = None,
    no_store: NoStore = False,
) -> None:
    """Explain every neuron of one or more layers in terms of concepts.

    Fits and chooses the terms on 80 % of the pictures, or those that --split says, and keeps the rest for linexp score.
    """
    if split is not None and seed:
        raise ValueError(f"--seed {seed} and --split '{split}' contradict each other. Leave one out.")
    if n_shards is not None:
        warnings.warn("--n-shards is now called --n-groups. The old name goes with the next release.", stacklevel=1)
        n_groups = n_shards
    from linexp.commands import ExplainOptions, run_explain

    explainer = open_explainer(
        method,
        set or [],
        strength=strength,
        l1_ratio=l1_ratio,
        max_terms=max_terms,
        n_candidates=n_candidates,
        min_gain=min_gain,
        search=search,
        min_activity=min_activity,
        n_groups=n_groups,
        n_repeats=n_repeats,
    )
    options = ExplainOptions(
        model=model,
        weights=weights,
        preprocess=preprocess,
        layers=tuple(layer),
        images=images,
        class_names=class_names,
        concepts=concepts,
        groups=groups,
        merge_homonyms=merge_homonyms,
        vocabulary=vocabulary,
        encoder=encoder,
        calibration=calibration,
        template=tuple(template or ()),
        out=out,
        pool=pool,
        channels=channels,
        token=token,
        output=output,
        seed=seed,
        split=split,
        device=device,
        batch_size=batch_size,
        workers=workers,
        skip_broken=skip_broken,
        trust_remote_code=trust_remote_code,
        store=choose_store(store, no_store=no_store),
    )
    run_explain(options, explainer)


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
