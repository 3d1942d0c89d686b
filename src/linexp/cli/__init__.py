"""The command line: thin commands over the same functions the Python interface has; a command a file."""

from linexp.cli.ablate import ablate
from linexp.cli.app import app, main
from linexp.cli.calibrate import calibrate
from linexp.cli.compare import compare
from linexp.cli.demo import demo
from linexp.cli.encoder import encoder_app
from linexp.cli.explain import explain
from linexp.cli.impact import impact
from linexp.cli.layers import layers
from linexp.cli.report import report
from linexp.cli.run import run
from linexp.cli.score import score
from linexp.cli.show import show
from linexp.cli.simulate import simulate
from linexp.cli.store import store_app
from linexp.cli.summarize import summarize
from linexp.cli.units import units_app

__all__ = [
    "ablate",
    "app",
    "calibrate",
    "compare",
    "demo",
    "encoder_app",
    "explain",
    "impact",
    "layers",
    "main",
    "report",
    "run",
    "score",
    "show",
    "simulate",
    "store_app",
    "summarize",
    "units_app",
]
