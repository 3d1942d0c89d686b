"""A result folder: what was recorded, with what settings, and what came out, in open formats.

``run.json`` (settings and names), ``images.csv`` (which image is in which row and which part of the split),
``matrices.safetensors`` (activations and concepts), ``explanations.csv`` and, once scored, ``scores.csv``.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from linexp._checks import StoreMismatchError, check_writable_folder
from linexp._version import __version__
from linexp.explanation import Explanations
from linexp.matrix import ActivationMatrix, ConceptMatrix
from linexp.score import Scores
from linexp.split import Split

_FORMAT = 1


@dataclass(frozen=True, eq=False)
class Run:
    """Everything needed to explain, score and show one layer, without the model and without the images.

    Parameters
    ----------
    activations, concepts, split
        The recorded layer, the concepts of the same images, and what each image is for.
    image_names
        What messages and pages call each image: its path, usually.
    settings
        How it was made: model, layer, pooling, explainer and so on; plain values that JSON can hold.
    """

    activations: ActivationMatrix
    concepts: ConceptMatrix
    split: Split
    image_names: tuple[str, ...]
    settings: dict[str, Any]


def save_run(folder: Path, run: Run) -> None:
    """Write a run into ``folder``, which is made if needed.

    Each file is complete or absent: it is written under another name first. ``run.json`` comes last and makes the run
    valid.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    check_writable_folder(folder)
    presence = run.concepts.values
    whole = bool(((presence == 0) | (presence == 1)).all())
    tensors = {
        "activations": run.activations.values.contiguous(),
        "concepts": (presence.to(torch.uint8) if whole else presence).contiguous(),
    }
    (folder / "run.json").unlink(missing_ok=True)
    write_atomically(folder / "matrices.safetensors", save(tensors))
    write_atomically(folder / "images.csv", _images_csv(run).encode())
    manifest = {
        "format": _FORMAT,
        "linexp": __version__,
        "layer": run.activations.layer,
        "images": run.activations.images,
        "neurons": list(run.activations.neurons),
        "concepts": list(run.concepts.names),
        "settings": run.settings,
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False, sort_keys=True)
    write_atomically(folder / "run.json", text.encode())


def load_run(folder: Path) -> Run:
    """Read a run written by ``save_run``.

    Raises
    ------
    FileNotFoundError
        The folder does not exist or holds no complete run.
    StoreMismatchError
        A file is damaged, of another format, or does not go with the others.
    """
    manifest = _read_manifest(folder)
    try:
        tensors = load_file(folder / "matrices.safetensors")
        names, split = _read_images(folder / "images.csv")
        images = manifest["images"]
        activations = ActivationMatrix(tensors["activations"], manifest["neurons"], manifest["layer"], images)
        concepts = ConceptMatrix(tensors["concepts"], manifest["concepts"], images)
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise StoreMismatchError(
            f"The result in '{folder}' cannot be read ({error}). Make it anew with linexp explain."
        ) from error
    if len(names) != activations.n_images:
        raise StoreMismatchError(
            f"'{folder / 'images.csv'}' lists {len(names)} images, but {activations.n_images} were recorded. "
            "Make the result anew with linexp explain."
        )
    return Run(activations, concepts, split, names, manifest["settings"])


def save_explanations(folder: Path, explanations: Explanations) -> Path:
    """Write ``explanations.csv`` into a result folder and return its path."""
    return _save_csv(folder / "explanations.csv", explanations)


def save_scores(folder: Path, scores: Scores, name: str = "scores") -> Path:
    """Write ``scores.csv``, or another name, into a result folder and return its path."""
    return _save_csv(folder / f"{name}.csv", scores)


def load_explanations(folder: Path) -> Explanations:
    """Read the explanations of a result folder; errors as ``Explanations.from_csv``."""
    return Explanations.from_csv(folder / "explanations.csv")


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, whatever interrupts the writing."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _save_csv(path: Path, table: Explanations | Scores) -> Path:
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        table.to_csv(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def _images_csv(run: Run) -> str:
    part = dict.fromkeys(range(run.activations.n_images), "")
    for name, rows in (("train", run.split.train), ("val", run.split.val), ("test", run.split.test)):
        part.update(dict.fromkeys(rows.tolist(), name))
    lines = _Lines()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(["row", "part", "image"])
    writer.writerows((row, part[row], name) for row, name in enumerate(run.image_names))
    return "".join(lines)


class _Lines(list[str]):
    """A list that csv can write to."""

    def write(self, line: str) -> None:
        self.append(line)


def _read_images(path: Path) -> tuple[tuple[str, ...], Split]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    parts: dict[str, list[int]] = {"train": [], "val": [], "test": [], "": []}
    for number, row in enumerate(rows):
        parts[row["part"]].append(number)
    names: Sequence[str] = [row["image"] for row in rows]
    return tuple(names), Split(parts["train"], parts["val"], parts["test"])


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / "run.json"
    if not path.exists():
        raise FileNotFoundError(
            f"There is no result in '{folder}' (no run.json). Give the folder that linexp explain was told with --out."
        )
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = manifest["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreMismatchError(
            f"'{path}' is not the description of a result ({error}). Make the result anew with linexp explain."
        ) from error
    if found != _FORMAT:
        raise StoreMismatchError(
            f"'{path}' has the format {found}, this version of linexp reads {_FORMAT}. "
            f"It was written by linexp {manifest.get('linexp')}: use that version, or make the result anew."
        )
    return manifest
