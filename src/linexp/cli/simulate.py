"""``linexp simulate``."""

from __future__ import annotations

from pathlib import Path

from linexp.cli.app import app
from linexp.cli.command import command
from linexp.cli.groups import Keeping, Running
from linexp.cli.judging import Judging
from linexp.cli.options import ResultFolder, option


@command(app)
def simulate(
    result: ResultFolder,
    *,
    out: Path | None = option(None, "FILE", "Where to write, as safetensors.", "into DIR"),
    judging: Judging,
    running: Running,
    keeping: Keeping,
) -> None:
    """Predict what the neurons do on all images from their explanations alone, and write it into a file."""
    from linexp.explanations import simulate
    from linexp.matrix import save_activations
    from linexp.results import file_name, judge_cases, open_cases

    kept = keeping.folder()
    (case,) = open_cases([result], judging.explanations)
    judge = judging.open([case], running, kept)
    (concepts,) = judge_cases([case], judge)
    simulated = simulate(case.explanations, concepts)
    path = out or result / f"{file_name('simulated', case, judge)}.safetensors"
    save_activations(path, simulated, simulator=judging.simulator or "")
    print(f"layer {simulated.layer}: {simulated.n_neurons} neurons simulated on {simulated.n_images} {case.rows_are}")
    print(f"  saved in {path}")
