"""The ``run.json`` of a result or a comparison as a recipe: what explained it once explains it again."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from linexp._internal.checks import StoreMismatchError
from linexp.results import METHODS

# What explain finds out and writes down beside its options.
_FOUND = ("preprocessing", "layers", "explainer", "calibration", "encoder_asked", "engine_used", "units_content")


def read_run(path: Path, out: Path | None) -> dict[str, Any]:
    """Return the recipe that ``run.json`` holds: one layer, explained or compared into another folder.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    StoreMismatchError
        It is no description of a result.
    ValueError
        No folder is given, or the result's own.
    """
    manifest = _read(path)
    settings = cast("dict[str, Any]", manifest["settings"])
    if out is None or out.resolve() == path.resolve().parent:
        told = "Its own folder" if out is not None else "No folder"
        raise ValueError(f"{told} is given to explain the result of '{path}' again. Give another one with --out.")
    # 0 is a setting, and equal to False
    plain = {key: value for key, value in settings.items() if key not in _FOUND and not _is_nothing(value)}
    again = {**plain, "layer": manifest["layer"], "out": str(out)}
    several = METHODS in manifest
    if not several:
        again["method"], again["set"] = _method(settings.get("explainer"), path)
    if settings.get("concepts") == "text":
        again |= {"encoder": settings.get("encoder_asked") or settings.get("encoder"), "calibration": str(path)}
    return {"compare" if several else "explain": again}


def _is_nothing(value: Any) -> bool:
    return value is None or value is False or value == []


def check_pictures(path: Path, out: Path) -> None:
    """Warn if a result was explained again on pictures that are not its own, or on activations rounded otherwise."""
    old, new = _read(path), _read(out / "run.json")
    before, now = old["images"], new["images"]
    if before != now:
        warnings.warn(
            f"The pictures of '{out}' are not those of '{path}' (fingerprints {str(now)[:12]} and {str(before)[:12]}), "
            "so this is another explanation.",
            UserWarning,
            stacklevel=2,
        )
    engines = [one["settings"].get("engine_used", "torch") for one in (old, new)]
    if engines[0] != engines[1]:
        warnings.warn(
            f"The networks of '{path}' were run by {engines[0]} and now by {engines[1]}, so activations may differ by "
            "rounding. To have the same, install that version.",
            UserWarning,
            stacklevel=2,
        )


def _method(told: Any, path: Path) -> tuple[str, dict[str, Any]]:
    """Return the name of the method and its settings; the device is that of the network."""
    if not isinstance(told, dict):
        raise StoreMismatchError(
            f"'{path}' does not say how it was explained. Make the result anew with linexp explain."
        )
    settings = {key: "none" if value is None else value for key, value in cast("Mapping[str, Any]", told).items()}
    settings.pop("device", None)
    if "n_shards" in settings:  # its name until 0.2
        settings["n_groups"] = settings.pop("n_shards")
    return str(settings.pop("method", "linear")), settings


def _read(path: Path) -> dict[str, Any]:
    try:
        manifest: Any = json.loads(path.read_bytes().decode(errors="surrogateescape"))
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file '{path}'. Give the run.json of a result.") from None
    except (ValueError, RecursionError) as error:
        raise StoreMismatchError(f"'{path}' is not JSON ({error}). Give the run.json of a result.") from error
    if not isinstance(manifest, dict) or not isinstance(cast("dict[str, Any]", manifest).get("settings"), dict):
        raise StoreMismatchError(f"'{path}' is no description of a result: it has no settings. Give its run.json.")
    if not isinstance(manifest.get("layer"), str) or "images" not in manifest:
        raise StoreMismatchError(f"'{path}' does not say of which layer and images it is. Make the result anew.")
    return cast("dict[str, Any]", manifest)
