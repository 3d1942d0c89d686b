"""``linexp demo``: the recipe that comes with linexp, done in one pass and told in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linexp.cli.app import app
from linexp.cli.options import option


@app.command()
def demo(
    *,
    out: Annotated[Path, option("DIR", "Folder for the results.")] = Path("linexp-demo"),
    neurons: Annotated[int | None, option("N", "Only the first N neurons of each layer.", "all")] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Also remove the neurons one by one and measure what that costs: minutes.")
    ] = False,
) -> None:
    """Explain two layers of EfficientNet-Lite0 on OpenMoji pictures; nothing is downloaded."""
    from linexp.cli.demo_run import run_demo
    from linexp.cli.recipe import open_steps
    from linexp.cli.recipe_file import find_recipe, read_toml

    run_demo(open_steps("demo.toml", read_toml(find_recipe(Path("demo")))), out, neurons, full=full)
