"""``linexp demo``: the recipe that comes with linexp, done in one pass and told in one table."""

from __future__ import annotations

from pathlib import Path

from linexp.cli.app import app
from linexp.cli.command import command
from linexp.cli.options import flag, option


@command(app)
def demo(
    *,
    out: Path = option(Path("linexp-demo"), "DIR", "Folder for the results."),
    neurons: int | None = option(None, "N", "Only the first N neurons of each layer.", "all"),
    engine: str = option("auto", "NAME", "How networks are run: auto, torch, onnxruntime, compile or eager."),
    full: bool = flag("--full", "Also remove the neurons one by one and measure what that costs: minutes."),
) -> None:
    """Explain two layers of EfficientNet-Lite0 on OpenMoji pictures; nothing is downloaded."""
    from linexp.cli.demo_run import run_demo
    from linexp.cli.recipe import open_steps
    from linexp.cli.recipe_file import find_recipe, read_toml
    from linexp.cli.told import tell_engines
    from linexp.forward.engines import find_engine

    find_engine(engine)
    tell_engines(verbose=False)

    run_demo(open_steps("demo.toml", read_toml(find_recipe(Path("demo")))), out, neurons, engine=engine, full=full)
