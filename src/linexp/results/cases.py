"""The cases that are to be judged: results, and explanations of their neurons from elsewhere; what they have seen."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from linexp.explanations import Explanations
from linexp.models import same_network
from linexp.results.folder import load_explanations, load_run
from linexp.results.looking import peek
from linexp.results.result import Result
from linexp.results.run import Run


def open_cases(results: Sequence[Path], explanations: Path | None = None, *, force: bool = False) -> list[Result]:
    """Open results, and files of explanations: these are of the neurons of the first result.

    A file ``explanations`` takes the place of the results' own; ``force`` takes those of a layer of another name.
    """
    runs = {folder: load_run(folder) for folder in results if not _is_file(folder)}
    if not runs:
        raise ValueError(
            f"'{results[0]}' is a file of explanations, and no result says what its neurons did. "
            "Give a folder that linexp explain wrote, too."
        )
    first = next(iter(runs))
    return [_open(path, runs.get(path) or runs[first], first, explanations, force) for path in results]


def _is_file(path: Path) -> bool:
    return path.suffix.lower() in (".csv", ".json") and not path.is_dir()


def _open(path: Path, run: Run, first: Path, other: Path | None, force: bool) -> Result:
    file = path if _is_file(path) else other
    if file is None:
        return Result.of(run, load_explanations(path), folder=path)
    layer = run.activations.layer
    chosen = _read_file(file, layer)
    if chosen.layer not in ("", layer) and not force:
        raise ValueError(
            f"The explanations in '{file}' are of layer '{chosen.layer}', the result is of layer '{layer}'. "
            "Give explanations of the same neurons; if only the layers' names differ, use --force."
        )
    _warn_of_other_network(file, chosen, run)
    unknown = sorted(set(chosen.neurons) - set(run.activations.neurons))
    if unknown:
        run.activations.select(unknown)  # refuses, before any image is looked at
    run = replace(run, concepts=run.concepts.with_sharpness(_sharpness_of(file)))
    return Result.of(run, chosen, folder=first if _is_file(path) else path, source=file)


def _sharpness_of(file: Path) -> float:
    """Return the sharpness of the presences that a file's explanations were fitted on: 1, but of some results' own."""
    return load_run(file.parent).sharpness if _is_of_result(file) else 1.0


def _warn_of_other_network(file: Path, chosen: Explanations, run: Run) -> None:
    """Say so where explanations are known to be of another network than the result: neurons are numbered alike."""
    network, model = chosen.network or _network_beside(file), str(run.settings.get("model") or "")
    if not network or not model or run.settings.get("weights"):
        return
    same = same_network(network, model)
    if same is False:
        fact = f"The explanations in '{file}' are of the network '{network}', and the result is of '{model}'"
        warnings.warn(f"{fact}, so they are of other neurons. Use a result of '{network}'.", UserWarning, stacklevel=2)
    elif same is None and network.startswith(f"{model}:"):
        fact = f"The explanations in '{file}' are of the network '{network}', and the result does not say which weights"
        warnings.warn(f"{fact} of '{model}' it has. Make it with --model {network}.", UserWarning, stacklevel=2)


def _network_beside(file: Path) -> str:
    """Return the network of the result in whose folder a file is; "" where that is not known."""
    settings = peek(file.parent).get("settings")
    if not isinstance(settings, dict):
        return ""
    told = cast("dict[str, Any]", settings)
    return "" if told.get("weights") else str(told.get("model") or "")


def _read_file(file: Path, layer: str) -> Explanations:
    """Read a file of explanations; if it is that of a result, what they were fitted on is known from there too."""
    return load_explanations(file.parent) if _is_of_result(file) else Explanations.from_csv(file, layer)


def _is_of_result(file: Path) -> bool:
    return file.name == "explanations.csv" and (file.parent / "run.json").is_file()


def check_unseen_cases(cases: Sequence[Result], part: str = "test", *, force: bool = False) -> None:
    """Refuse explanations that have seen some of the test images; warn of those of which nobody knows.

    Raises
    ------
    ValueError
        Some were seen, and nobody insists.
    """
    if part != "test":
        return  # only by insisting, and on images that a result's own explanations have all seen
    for case in cases:
        n_seen, n_test = case.n_seen("test"), len(case.rows("test"))
        if n_seen is None:
            _warn(
                f"{_why_unknown(case)}: up to all {n_test:,} test images of '{case.folder}', and then the scores are "
                "too high. If their split is known, make the result with it (linexp explain --split)."
            )
        elif n_seen:
            fact = (
                f"The explanations in '{case.shown}' were fitted or chosen on {n_seen:,} of the {n_test:,} test images "
                f"of '{case.folder}', so the scores {'are' if force else 'would be'} too high."
            )
            if not force:
                raise ValueError(
                    f"{fact} Score them with the result they are from, explain anew with one split for both (--seed, "
                    "--split), or insist with --force."
                )
            _warn(fact)


def check_whole_images(cases: Sequence[Result], why: str) -> None:
    """Refuse results whose rows are regions; ``why`` says what of whole images is wanted of them.

    Raises
    ------
    ValueError
        There is one.
    """
    for case in cases:
        if case.activations.regions is not None:
            raise ValueError(f"The rows of '{case.shown}' are regions of images, and {why}.")


def tell_rows(case: Result) -> str:
    """Return what is to be said of the rows that a score counts; "" if they are images."""
    regions = case.activations.regions
    if regions is None:
        return ""
    return f"  what is counted are regions: {regions.height} x {regions.width} of each image"


def tell_seen(case: Result, part: str) -> str:
    """Return what is to be said beside a score; "" if no image was seen."""
    n_seen = case.n_seen(part)
    if n_seen is None:
        return "  it is not known on which of these images they were fitted or chosen"
    return f"  fitted or chosen on {n_seen:,} of these {len(case.rows(part)):,} images" if n_seen else ""


def _why_unknown(case: Result) -> str:
    fitted = case.explanations.fitted_on
    if fitted is None:
        return f"It is not known on which images the explanations in '{case.shown}' were fitted or chosen"
    return (
        f"The explanations in '{case.shown}' were fitted on another collection of images (fingerprint "
        f"{fitted.images[:12]}), which may hold some of this one"
    )


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=3)
