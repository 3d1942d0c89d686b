"""What the commands of the command line do; a command a file, and what they share."""

from linexp.commands.ablate import AblateOptions, run_ablate
from linexp.commands.calibrate import CalibrateOptions, run_calibrate
from linexp.commands.explain import ExplainOptions, explain_and_save, run_explain, summary
from linexp.commands.impact import ImpactOptions, run_impact
from linexp.commands.report import ReportOptions, run_report
from linexp.commands.score import run_score, run_simulate
from linexp.commands.show import run_layers, run_show
from linexp.commands.summarize import run_summarize

__all__ = [
    "AblateOptions",
    "CalibrateOptions",
    "ExplainOptions",
    "ImpactOptions",
    "ReportOptions",
    "explain_and_save",
    "run_ablate",
    "run_calibrate",
    "run_explain",
    "run_impact",
    "run_layers",
    "run_report",
    "run_score",
    "run_show",
    "run_simulate",
    "run_summarize",
    "summary",
]
