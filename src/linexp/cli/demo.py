"""``linexp demo``."""

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
    full: bool = flag("--full", "Also remove the neurons one by one and measure what that costs: minutes."),
) -> None:
    """Explain two layers of EfficientNet-Lite0 on OpenMoji pictures; nothing is downloaded."""
    from linexp.demo import run_demo

    run_demo(out, neurons, full=full)
