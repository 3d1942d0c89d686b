"""The folder of a comparison: a result for each method, and what it needs to be done again or to go on.

``run.json`` says of which methods it is and how it was made, and comes last. Beside the files of a result each method's
folder has ``explained.json``: the seconds it took, and the SHA-256 of what came out, so that a run that was interrupted
takes what is finished and unchanged from before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from linexp._internal.checks import StoreMismatchError
from linexp._internal.files import write_atomically
from linexp._internal.version import __version__
from linexp.explanations import Explanations
from linexp.matrix import ConceptMatrix, EmbeddedConceptMatrix, PixelConceptMatrix
from linexp.results.folder import load_explanations, load_run
from linexp.results.looking import METHODS, peek
from linexp.results.run import Run

_EXPLAINED, _FILES = "explained.json", ("explanations.csv", "dropped.csv")


def check_comparison(folder: Path) -> None:
    """Raise ``StoreMismatchError`` if the folder holds something else than a comparison."""
    if (folder / "run.json").exists() and METHODS not in peek(folder):
        raise StoreMismatchError(
            f"'{folder}' holds a result that linexp explain wrote. Give another folder for the comparison."
        )


def begin_comparison(folder: Path) -> None:
    """Take away the ``run.json`` of an earlier comparison, which does not hold any more."""
    check_comparison(folder)
    (folder / "run.json").unlink(missing_ok=True)


def end_comparison(folder: Path, run: Run, methods: Sequence[str], settings: Mapping[str, Any]) -> None:
    """Write ``run.json``, which makes the comparison whole."""
    manifest = {
        "linexp": __version__,
        "layer": run.activations.layer,
        "images": run.activations.images or run.concepts.images,
        METHODS: list(methods),
        "settings": dict(settings),
    }
    _write(folder / "run.json", manifest)


def keep_explained(folder: Path, seconds: float) -> None:
    """Write beside a method's explanations how long they took, and what they are known by."""
    _write(folder / _EXPLAINED, {"seconds": seconds, "sha256": _digests(folder)})


def forget_explained(folder: Path) -> None:
    """Take away what tells how long earlier explanations took, before others take their place."""
    (folder / _EXPLAINED).unlink(missing_ok=True)


def take_explained(folder: Path, run: Run) -> tuple[Explanations, float] | None:
    """Return the explanations that an earlier run left in a method's folder, and the seconds they took.

    ``None`` unless they are unchanged and all is the same: version, settings, and what was recorded to the last bit.
    """
    try:
        told = json.loads((folder / _EXPLAINED).read_text(encoding="utf-8"))
        known = peek(folder).get("linexp") == __version__ and told["sha256"] == _digests(folder)
        if not known or not _same(load_run(folder), run):
            return None
        return load_explanations(folder), float(told["seconds"])
    except (OSError, ValueError, KeyError, TypeError):  # whatever is wrong with it, it is made anew
        return None


def _write(path: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True)
    write_atomically(path, f"{text}\n".encode(errors="surrogateescape"))


def _digests(folder: Path) -> dict[str, str]:
    files = [folder / name for name in _FILES]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.exists()}


def _same(before: Run, run: Run) -> bool:
    """Say whether two runs are of the same matrices, images and settings."""
    one, other = before.activations, run.activations
    return (
        (one.layer, one.images, one.neurons) == (other.layer, other.images or run.concepts.images, other.neurons)
        and before.settings == json.loads(json.dumps(run.settings))
        and (before.image_names, before.contents) == (run.image_names, run.contents)
        and torch.equal(one.values, other.values)
        and _same_concepts(before.concepts, run.concepts)
        and all(torch.equal(*map(_sorted, pair)) for pair in _parts(before, run))
    )


def _same_concepts(one: ConceptMatrix, other: ConceptMatrix) -> bool:
    if one.names != other.names or type(one) is not type(other):
        return False
    if isinstance(one, EmbeddedConceptMatrix) and isinstance(other, EmbeddedConceptMatrix):
        sides = ((one.image_embeddings, other.image_embeddings), (one.text_embeddings, other.text_embeddings))
        same = (one.a, one.b, one.sharpness) == (other.a, other.b, other.sharpness)
        return same and all(torch.equal(*pair) for pair in sides)
    if isinstance(one, PixelConceptMatrix) and isinstance(other, PixelConceptMatrix):
        told = one.categories == other.categories and np.array_equal(one.maps, other.maps)
        return told and torch.equal(one.values, other.values)
    return torch.equal(one.values, other.values)


def _parts(one: Run, other: Run) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(getattr(one.split, part), getattr(other.split, part)) for part in ("train", "val", "test")]


def _sorted(rows: torch.Tensor) -> torch.Tensor:
    return rows.sort().values
