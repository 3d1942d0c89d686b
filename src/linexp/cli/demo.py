"""``linexp demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from linexp.cli.app import app
from linexp.cli.options import flag, option


@app.command()
def demo(
    *,
    out: Annotated[Path, option("DIR", "Folder for the results.")] = Path("linexp-demo"),
    neurons: Annotated[int | None, option("N", "Only the first N neurons of each layer.", "all")] = None,
    full: Annotated[
        bool, flag("--full", "Also remove the neurons one by one and measure what that costs: minutes.")
    ] = False,
) -> None:
    """Explain two layers of EfficientNet-Lite0 on OpenMoji pictures; nothing is downloaded."""
    from linexp.demo import run_demo

    run_demo(out, neurons, full=full)
