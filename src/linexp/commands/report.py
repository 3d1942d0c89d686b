"""``linexp report``: a page to look at results with, from their folders."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from linexp._internal.checks import DifferentImagesError
from linexp.images import Images
from linexp.report import write_report
from linexp.results import Result, Run, read_result, reopen_pictures


@dataclass(frozen=True)
class ReportOptions:
    """The options of ``linexp report``."""

    out: Path
    images: Path | None = None
    single_file: bool = False
    pictures: int = 3
    seed: int = 0
    shares: str = "plain"
    store: Path | None = None


def run_report(results: Sequence[Path], options: ReportOptions) -> Path:
    """Write the report of some results, or of all results inside some folders, and print its address."""
    folders = [found for folder in results for found in _results_in(folder)]
    findings = [_with_pictures(read_result(folder), options) for folder in folders]
    page = write_report(
        findings,
        options.out,
        single_file=options.single_file,
        n_pictures=options.pictures,
        seed=options.seed,
        shares=cast(Any, options.shares),
    )
    size = page.stat().st_size / 1e6
    print(f"{len(findings)} result{'s' if len(findings) > 1 else ''} in {page} ({size:.1f} MB)")
    print(f"Open it in a browser: {page.resolve().as_uri()}")
    return page


def _results_in(folder: Path) -> list[Path]:
    """Return the folder itself, or the results one level deeper where it is none: several layers have one each."""
    inside = sorted(path.parent for path in folder.glob("*/run.json"))
    return [folder] if (folder / "run.json").exists() or not inside else inside


def _with_pictures(finding: Result, options: ReportOptions) -> Result:
    """Open the pictures that were recorded; where they are gone and none were named, say so and go on without."""
    try:
        images = _open_pictures(finding, options)
        return replace(finding, images=images)
    except (FileNotFoundError, DifferentImagesError) as error:
        if options.images is not None:
            raise
        warnings.warn(f"{error} The report of '{finding.method}' has no pictures.", UserWarning, stacklevel=2)
        return finding


def _open_pictures(run: Run, options: ReportOptions) -> Images:
    if "images" not in run.settings:
        raise FileNotFoundError("The result does not say where its pictures are. Say it with --images.")
    return reopen_pictures(run, options.images, options.store)
