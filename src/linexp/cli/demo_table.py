"""What the demo prints: one table of all results, the best neurons, and where to look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from linexp.matrix import DEAD_BELOW
from linexp.results import Result


def print_results(
    results: Sequence[Result], called: Mapping[str, str], seconds: Mapping[str, float], report: Path
) -> None:
    """Print the table, the seconds of each stage, the best neurons of the last result, all folders, and the report.

    ``called`` says what each layer is called here; the scores are by what explained, and by the simulator.
    """
    from rich.console import Console
    from rich.table import Table

    # no wider than 80 columns
    n_images = results[0].activations.n_images
    table = Table(title=f"EfficientNet-Lite0 on {n_images:,} OpenMoji pictures: correlation on test pictures")
    for column in ("layer", "concepts", "used", "neurons", "terms", "by same", "by simulator"):
        table.add_column(column, justify="left" if column in ("layer", "concepts") else "right", no_wrap=True)
    for result in results:
        explanations, (own, judged) = result.explanations, result.scores
        table.add_row(
            called[result.activations.layer],
            result.method,
            f"{result.concepts.n_concepts - len(explanations.dropped_concepts):,}",
            f"{len(explanations):,}",
            f"{explanations.mean_terms:.2f}",
            f"{own.mean:.3f} ± {own.sem:.3f}",
            f"{judged.mean:.3f} ± {judged.sem:.3f}",
        )
    console = Console(soft_wrap=True, highlight=False)
    console.print(table)
    console.print("by same: predicted from the concepts that explained; by simulator: from another network's view")
    console.print(f"dead neurons (activation below {DEAD_BELOW} on all pictures): {_tell_dead(results, called)}")
    for result in results:
        scores = result.scores[0]
        if scores.n_silent:
            others = f"over the others {scores.mean_explained:.3f} ± {scores.sem_explained:.3f} by same"
            silent = f"{scores.n_silent:,} neurons of which nothing is said count as 0"
            console.print(f"{called[result.activations.layer]}, {result.method}: {silent}; {others}")
    console.print(", ".join(f"{stage} {spent:.1f} s" for stage, spent in seconds.items()))
    last = results[-1]
    best = last.explanations.best(5, last.scores[1])
    console.print(
        f"\nThe best of {called[last.activations.layer]} in words, by the simulator's correlation less its error:"
    )
    for line in str(best).splitlines():
        console.print(f"  {line}")
    console.print("\nIn each folder: sheet.png shows the best neurons, the tables are CSV files.")
    for result in results:
        console.print(f"  {result.folder}")
    console.print(f"Look at one neuron: linexp show {last.folder} {best.neurons[0]}")
    console.print(f"Look at all of them: {report.resolve().as_uri()}")


def _tell_dead(results: Sequence[Result], called: Mapping[str, str]) -> str:
    """Say how many neurons of each layer are dead, and which share that is."""
    told = {called[result.activations.layer]: result.activations.is_dead for result in results}
    return ", ".join(
        f"{int(dead.sum())} of {len(dead):,} in {name} ({100 * float(dead.float().mean()):.1f} %)"
        for name, dead in told.items()
    )
