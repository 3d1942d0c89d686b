"""Old names of what a result is, which warn."""

from __future__ import annotations

import warnings
from pathlib import Path

from linexp._internal.version import __version__
from linexp.explanations import Explanations
from linexp.images import Images
from linexp.results.columns import Column
from linexp.results.result import Result, read_result
from linexp.results.run import Run
from linexp.score import Simulability


def Finding(  # noqa: N802 - it was a class
    method: str,
    run: Run,
    explanations: Explanations,
    columns: tuple[Column, ...] = (),
    images: Images | None = None,
    version: str = __version__,
    simulability: tuple[Simulability, ...] = (),
) -> Result:
    """Return a ``Result``: the name and the order of parameters until 0.2."""
    _warn_of_old_name("Finding(method, run, explanations)", "Result(activations, concepts, split, explanations)")
    more = {"method": method, "known": columns, "images": images, "version": version, "simulability": simulability}
    return Result.of(run, explanations, **more)


def read_finding(folder: Path | str) -> Result:
    """Return ``read_result(folder)``: its name until 0.2."""
    _warn_of_old_name("read_finding", "read_result")
    return read_result(folder)


def _warn_of_old_name(old: str, new: str) -> None:
    warnings.warn(f"le.{old} is now called le.{new}; the old name goes in the next release.", FutureWarning, 3)
