"""The command line: thin commands over the same functions the Python interface has; a group of commands a file."""

from linexp.cli.ablate import ablate
from linexp.cli.app import app, main
from linexp.cli.demo import demo
from linexp.cli.explain import explain
from linexp.cli.impact import impact
from linexp.cli.report import report
from linexp.cli.run import run
from linexp.cli.score import calibrate, score, simulate
from linexp.cli.show import layers, show
from linexp.cli.store import store_app
from linexp.cli.summarize import summarize

__all__ = [
    "ablate",
    "app",
    "calibrate",
    "demo",
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
]
