"""``linexp compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from linexp.cli.app import app
from linexp.cli.command import command
from linexp.cli.concepts import Concepts
from linexp.cli.groups import Keeping, Labelled, Network, Running, Units
from linexp.cli.judging import Comparing
from linexp.cli.options import Seed, SkipBroken, SplitFile, flag, option
from linexp.cli.recording import Opened, Recorded, Recording, check_one_split

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from linexp.explainers import Explainer
    from linexp.models import VisionModel
    from linexp.results import Ablation, Comparison, Explained, Run


@command(app)
def compare(
    *,
    network: Network,
    layer: str = option(..., "NAME", "Layer to explain. linexp layers lists them."),
    labelled: Labelled,
    methods: str = option(
        ...,
        "LIST",
        "Methods, with commas: those of linexp explain --method, or a search (swaps, stepwise, …), which is the linear "
        "method with it. The others are compared with the first.",
    ),
    out: Path = option(..., "DIR", "Folder for the tables, the report, and a result for each method."),
    concepts: Concepts,
    comparing: Comparing,
    units: Units,
    set: list[str] | None = option(
        None,
        "NAME=VALUE",
        "Setting of a method, such as invert.max_length=2; may be repeated. --set help lists them.",
        "their own",
    ),
    no_report: bool = flag("--no-report", "Write no page to look at."),
    seed: Seed = 0,
    split: SplitFile = None,
    workers: int | None = option(None, "N", "Processes that decode pictures; 0: none.", "by processors"),
    skip_broken: SkipBroken = False,
    running: Running,
    keeping: Keeping,
) -> Comparison:
    """Explain every neuron of a layer by several methods, judge all alike, and say which is better by how much.

    The network looks at the pictures once. A run that was interrupted goes on at the first method that is missing.
    """
    from linexp._internal.checks import printable
    from linexp.report import write_report
    from linexp.results import (
        Comparison,
        ablate_methods,
        begin_comparison,
        check_comparison,
        end_comparison,
        explain_methods,
        judge_methods,
        tell_failing,
        write_tables,
    )

    check_one_split(split, seed)
    if concepts.chosen_by_data:
        raise ValueError("--sharpness auto is chosen for one method, and several are compared. Give a number.")
    explainers = _open_methods(methods, set or [])
    scorers = comparing.check()
    asked = Recording(
        network=network,
        layers=[layer],
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
    opened = asked.open(list(explainers.values()), out)
    comparing.check_rows(regional=opened.units.is_regional)
    check_comparison(out)
    _tell_needs(explainers, opened)
    encoder = comparing.load(running)
    recorded = opened.record()
    run = recorded.runs[layer]
    ablation = _prepare_ablation(comparing, recorded, run, opened) if comparing.ablate else None
    begin_comparison(out)
    explained: list[Explained] = []
    for one in explain_methods(out, run, dict(zip(explainers, recorded.explainers, strict=True))):
        print(printable(str(one)), flush=True)
        explained.append(one)
    cases, pictures = [one.case for one in explained], {id(run.activations): recorded.images}
    judge = comparing.judging.judge(cases, pictures, running, opened.store, encoder)
    scored = judge_methods(cases, judge, scorers)
    if ablation is not None:
        scored = ablate_methods(scored, judge, ablation, running.batch_size, opened.store)
    found = Comparison(tuple(scored), tuple(one.seconds for one in explained))
    written = write_tables(out / "table", found.tables())
    settings = {**run.settings, **vars(comparing), "methods": methods, "set": set or [], "no_report": no_report}
    end_comparison(out, run, list(explainers), settings)
    print("\n".join([str(found), *tell_failing(scored[0].scores), f"  written to {', '.join(map(str, written))}"]))
    if not no_report:
        page = write_report(found.results, out / "report", recorded.images)
        print(f"Open it in a browser: {page.resolve().as_uri()}")
    return found


def _open_methods(methods: str, pairs: Sequence[str]) -> dict[str, Explainer]:
    from linexp.explainers import describe_explainer, explainers_of, tell_method

    names = [name.strip() for name in methods.split(",")]
    if "help" not in pairs:
        return explainers_of(names, pairs)
    for name, explainer in explainers_of(names).items():
        told = tell_method(describe_explainer(explainer).get("method", "linear"))
        print("\n".join([name, *(f"  {line}" for line in told.splitlines())]))
    raise typer.Exit


def _tell_needs(explainers: Mapping[str, Explainer], opened: Opened) -> None:
    """Say of all methods at once what they lack, and what some take in its place."""
    from linexp.explainers import check_needs, tell_stand_ins

    check_needs(explainers, opened.given)
    for line in tell_stand_ins(explainers, opened.given):
        print(line)


def _prepare_ablation(comparing: Comparing, recorded: Recorded, run: Run, opened: Opened) -> Ablation:
    """Check that the network's loss can be compared, before anything is explained."""
    from linexp.ablation.score import AblationScorer
    from linexp.explanations import Explanations
    from linexp.results import Result, prepare_ablations

    nothing = Result.of(run, Explanations((), run.activations.layer), folder=opened.out)

    def open_again(*_: str | None) -> VisionModel:
        return recorded.model

    scorer, outputs = AblationScorer("norm"), comparing.outputs
    (ablation,) = prepare_ablations([nothing], scorer, open_again, outputs=outputs, store=opened.kept)
    ablation.check()
    return ablation
