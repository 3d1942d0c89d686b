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
from linexp.cli.concepts import Concepts
from linexp.cli.groups import Keeping, Labelled, Network, Running, Units
from linexp.cli.options import Seed, SkipBroken, SplitFile, option
from linexp.cli.recording import Recording, check_one_split

if TYPE_CHECKING:
    from linexp.explainers import Explainer, Usable
    from linexp.results import Run


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
    sign: str = option("any", "WHICH", "positive: only weights above 0.")
    same: float | None = option(
        None, "X", "Likeness, 0 to 1, from which on words mean the same: one stays, the others are listed.", "none do"
    )
    prefer: str = option(
        "best",
        "WHICH",
        "common, general: the more common or more general word, where the difference is within one standard error.",
    )
    min_kept: float = option(0.0, "X", "Leave out terms chosen again in a smaller share of redraws.")
    n_groups: int = option(20, "N", "Groups of images left out in turn to get standard errors; 0: no errors.")
    n_repeats: int = option(10, "N", "Redraws of the images to see which terms would be chosen again; 0: none.")


@command(app)
def explain(
    *,
    network: Network,
    layer: list[str] = option(..., "NAME", "Layer to explain; may be repeated. linexp layers lists them."),
    labelled: Labelled,
    out: Path = option(..., "DIR", "Folder for the result; with several layers, a sub-folder for each."),
    concepts: Concepts,
    units: Units,
    method: str = option("linear", "NAME", "How to explain: linear, the paper's; others have their own options."),
    set: list[str] | None = option(
        None, "NAME=VALUE", "Setting of the method; may be repeated. --set help lists them.", "its own"
    ),
    linear: _Linear,
    link: str = option(
        "none", "HOW", "none, the paper's; monotone: activations may rise with the sum in a few straight pieces."
    ),
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
    check_one_split(split, seed)
    if n_shards is not None:
        warnings.warn("--n-shards is now called --n-groups. The old name goes with the next release.", stacklevel=1)
        linear = dataclasses.replace(linear, n_groups=n_shards)
    from linexp._internal.checks import check_choice

    explainer = open_explainer(method, set or [], **vars(linear))
    check_choice("link", link, ("none", "monotone"))
    asked = Recording(
        network=network,
        layers=layer,
        labelled=labelled,
        concepts=concepts,
        units=units,
        seed=seed,
        split=split,
        workers=workers,
        skip_broken=skip_broken,
        running=running,
        keeping=keeping,
    )
    opened = asked.open([explainer], out)
    recorded = opened.record()
    for name, run in recorded.runs.items():
        run = dataclasses.replace(run, settings={**run.settings, "link": link})
        usable = recorded.usable[name]
        _explain(recorded.outs[name], run, recorded.explainers[0], usable, choose=concepts.chosen_by_data)


def _explain(out: Path, run: Run, explainer: Explainer, usable: Usable, *, choose: bool) -> None:
    """Explain a layer, and print what came out and the command that scores it."""
    from linexp._internal.checks import printable
    from linexp.results import choose_run, explain_run, tell_explanations, tell_next

    if choose:
        run, choice = choose_run(run, explainer, usable)
        print(f"layer {printable(run.activations.layer)}: {choice}")
    explanations, seconds = explain_run(out, run, explainer, usable, link=run.settings["link"] == "monotone")
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
