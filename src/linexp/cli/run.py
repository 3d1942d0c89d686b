"""``linexp run``: the commands that a recipe stands for, or the explanation of a result once more."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path
from typing import Annotated

from linexp.cli.app import app
from linexp.cli.command import command
from linexp.cli.groups import Keeping
from linexp.cli.options import argument, flag, option


@command(app)
def run(
    recipe: Annotated[
        Path,
        argument(
            "RECIPE",
            "Recipe in TOML; demo, which comes with linexp; or the run.json of a result, to explain it again.",
        ),
    ],
    *,
    out: Path | None = option(None, "DIR", "Folder for what is written; run.json needs one.", "as the recipe says"),
    print_only: bool = flag("--print", "Print the commands it stands for, and do nothing."),
    keeping: Keeping,
) -> None:
    """Do what a recipe says: calibrate, explain, compare, score, ablate, impact, report, in this order.

    The recipe is checked before anything begins. A step that fails ends the run; run it again to go on: every step is
    done again, but what the store kept of it, such as recorded activations, is read.
    """
    from linexp.cli.recipe import open_steps
    from linexp.cli.recipe_file import find_recipe, read_toml
    from linexp.cli.replay import check_pictures, read_run

    file, started = find_recipe(recipe), Path.cwd()
    again = file.suffix.lower() == ".json"
    told = read_run(file, out) if again else read_toml(file)
    # Paths in a recipe start where it lies; those in a run.json, where linexp explain was run. One of ours has none.
    home = started if again or file != recipe else recipe.absolute().parent
    if out is not None and not again:
        told["out"] = str(out if home == started else out.absolute())
    if keeping.store is not None or keeping.no_store:
        told = {key: value for key, value in told.items() if key not in ("store", "no-store", "no_store")}
        told |= {"no-store": True} if keeping.no_store else {}
        told |= {"store": str(keeping.store.absolute())} if keeping.store is not None else {}
    with contextlib.chdir(home):
        steps = open_steps(file.name, told)
        if print_only and home != started:
            print(f"cd {shlex.quote(str(home))}")
        for step, context in steps:
            print(f"{'' if print_only else '$ '}{step}", flush=True)
            if not print_only:
                with context:
                    context.command.invoke(context)
    if out is not None and again and not print_only:
        check_pictures(file, out)
