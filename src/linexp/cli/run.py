"""``linexp run``: the commands that a recipe stands for, or the explanation of a result once more."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linexp.cli.app import app
from linexp.cli.options import NoStore, StoreFolder, option

if TYPE_CHECKING:
    from linexp.cli.recipe import Step


@app.command()
def run(
    context: typer.Context,
    recipe: Annotated[
        Path,
        typer.Argument(
            metavar="RECIPE", help="Recipe in TOML, or the run.json of a result to explain again.", show_default=False
        ),
    ],
    *,
    out: Annotated[
        Path | None, option("DIR", "Folder for what is written; run.json needs one.", "as the recipe says")
    ] = None,
    print_only: Annotated[
        bool, typer.Option("--print", help="Print the commands it stands for, and do nothing.")
    ] = False,
    store: StoreFolder = None,
    no_store: NoStore = False,
) -> None:
    """Do what a recipe says: calibrate, explain, score, ablate, impact, report, in this order.

    The recipe is checked before anything begins. A step that fails ends the run; run it again to go on: every step is
    done again, but what the store kept of it, such as recorded activations, is read.
    """
    from linexp.cli.recipe import Recipe, read_toml
    from linexp.cli.replay import check_pictures, read_run

    above: Any = context.parent
    again = recipe.suffix.lower() == ".json"
    told = read_run(recipe, out) if again else read_toml(recipe)
    # The paths in a run.json are as they were given to linexp explain, those in a recipe start where it lies.
    started = Path.cwd()
    home = started if again else recipe.absolute().parent
    if out is not None and not again:
        told["out"] = str(out if home == started else out.absolute())
    if store is not None or no_store:
        told = {key: value for key, value in told.items() if key not in ("store", "no-store", "no_store")}
        told |= {"no-store": True} if no_store else {}
        told |= {"store": str(store.absolute())} if store is not None else {}
    with contextlib.chdir(home):
        steps = Recipe(recipe.name, told, above.command.commands).steps()
        opened = [_open(recipe.name, step, above) for step in steps]
        if print_only and home != started:
            print(f"cd {shlex.quote(str(home))}")
        for step, inner in zip(steps, opened, strict=True):
            print(f"{'' if print_only else '$ '}{step}", flush=True)
            if not print_only:
                with inner:
                    inner.command.invoke(inner)
    if out is not None and again and not print_only:
        check_pictures(recipe, out)


def _open(recipe: str, step: Step, above: Any) -> Any:
    """Let click read what a step is told, before any step begins."""
    try:
        return above.command.commands[step.command].make_context(step.command, [*step.arguments], parent=above)
    except typer.BadParameter as error:  # also what is missing
        raise ValueError(f"{recipe}: {step.table}: {error.format_message()}") from error
