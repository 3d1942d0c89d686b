"""``linexp ablate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from linexp.cli.app import app
from linexp.cli.command import command
from linexp.cli.groups import Keeping, Running
from linexp.cli.judging import Judging
from linexp.cli.options import Results, TableName, flag, option

if TYPE_CHECKING:
    from linexp.results import Result


@command(app)
def ablate(
    results: Results,
    *,
    scaling: str = option(
        "optim", "NAME", "How simulations are scaled to the neuron: optim, norm (least squares) or optim-adam."
    ),
    temperature: float | None = option(
        None, "X", "What logits are divided by before the loss.", "fitted on validation images"
    ),
    replace: str = option(
        "auto",
        "NAME",
        "What becomes of a feature map or of tokens: set (one value everywhere), shift (keeps the pattern), or "
        "auto: shift where more than a linear head reads the pattern, else set, which is as exact there.",
    ),
    outputs: str | None = option(
        None,
        "FILE",
        "Which output of the model a class is: lines of sub-folder, tab, number from 0; or imagenet, if "
        "sub-folders are wnids.",
        "imagenet after --class-names imagenet, else in the order of the sub-folders",
    ),
    table: TableName = None,
    force: bool = flag(
        "--force", "Take explanations that were fitted on test images, or whose layer is called otherwise."
    ),
    judging: Judging,
    running: Running,
    keeping: Keeping,
) -> None:
    """Measure how much of what a neuron does for the model its simulation does: 1 all of it, 0 no more than its mean.

    Replaces each neuron by its simulation, scaled on the validation images, and compares the loss on the test images.
    Needs pictures of the model's own classes. Says too how much a constant does, which knows nothing of the image, what
    the recorded activations themselves score, and whether the loss rises or falls. Labels know the class whose loss it
    is; a judge in words (--simulator) does not.
    """
    from linexp.ablation.score import AblationScorer
    from linexp.forward import reuse_large_buffers
    from linexp.models import tell_device, tell_model
    from linexp.results import (
        check_unseen_cases,
        judge_cases,
        open_cases,
        prepare_ablations,
        save_apart,
        tell_ablation,
        tell_tables,
        with_constants,
        with_methods,
    )
    from linexp.store import open_store

    running.check()
    kept = keeping.folder()
    scorer = AblationScorer(cast(Any, scaling), temperature, cast(Any, replace))
    cases = open_cases(with_methods(results), judging.explanations, force=force)
    check_unseen_cases(cases, force=force)
    places = {"images": judging.images, "store": kept}
    ablations = prepare_ablations(cases, scorer, running.network, outputs=outputs, **places)
    for ablation in ablations:
        ablation.check()
    judge = judging.open(cases, running, kept)
    judged = judge_cases(cases, judge)
    for model, asked in {one.model.name: (one.model, one.asked) for one in ablations}.values():
        tell_model(model, asked)
    if judge is None:  # else told with it
        tell_device(running.device)
    reuse_large_buffers()
    found: list[Result] = []
    for ablation, concepts in zip(ablations, judged, strict=True):
        scored = ablation.score(concepts, judge, batch_size=running.batch_size, store=open_store(kept))
        print(tell_ablation(ablation, scored, save_apart(ablation.case, scored.scores[0], judge)))
        found.append(scored)
    if len(cases) > 1 or table is not None:
        print(tell_tables(with_constants(found), table))
