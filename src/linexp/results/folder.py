"""A result folder: what was recorded, with what settings, and what came out, in open formats.

``run.json`` (settings and names), ``images.csv`` (which image is in which row and which part of the split, and the
SHA-256 of its file), ``matrices.safetensors`` (activations, and concepts or the embeddings they are made from),
``explanations.csv``, ``dropped.csv`` (concepts that took no part, and why) and, once scored, ``scores.csv``.
``run.json`` holds the SHA-256 of the two files that go with it, so what was changed or swapped is noticed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from linexp._internal.checks import StoreMismatchError, listing
from linexp._internal.files import check_writable_folder, csv_text, read_csv, replacing, share, write_atomically
from linexp._internal.version import __version__
from linexp.explanations import Explanations, FittedOn, read_dropped, write_dropped
from linexp.matrix import ActivationMatrix, ConceptMatrix, EmbeddedConceptMatrix, Split
from linexp.results.looking import check_one, results_in
from linexp.results.placed import placed_tensors, read_regions, tell_placed, with_masks
from linexp.results.run import Run
from linexp.score import Scores

_FORMAT = 2
_MATRICES, _IMAGES = "matrices.safetensors", "images.csv"
_EXPLANATIONS, _DROPPED = "explanations.csv", "dropped.csv"
_ANEW = "Make the result anew with linexp explain."
# Names of files need not be text; like this they come back as they were.
_KEEP = "surrogateescape"


def save_run(folder: Path, run: Run, *, beside: Path | None = None) -> None:
    """Write a run into ``folder``, which is made if needed.

    Each file is complete or absent: it is written under another name first. ``run.json`` comes last and makes the run
    valid. What an earlier run in the same folder has of explanations, scores and impact of single neurons is removed,
    because it is not of this one. ``beside`` is the folder of another run with the same matrices, images and split,
    whose files are shared.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    check_writable_folder(folder)
    judged = (path for kind in ("scores", "simulability") for path in folder.glob(f"{kind}*.csv"))
    measured = filter(_is_of_neurons, folder.glob("impact*.csv"))
    for stale in (folder / "run.json", folder / _EXPLANATIONS, folder / _DROPPED, *judged, *measured):
        stale.unlink(missing_ok=True)
    if beside is not None:
        for name in (_MATRICES, _IMAGES):
            share(beside / name, folder / name)
    else:
        with replacing(folder / _MATRICES) as draft:
            save_file(_tensors(run), draft)
        write_atomically(folder / _IMAGES, _images_csv(run).encode(errors=_KEEP))
    concepts = run.concepts
    manifest = {
        "format": _FORMAT,
        "linexp": __version__,
        "layer": run.activations.layer,
        "images": run.activations.images or concepts.images,
        "neurons": list(run.activations.neurons),
        "concepts": list(concepts.names),
        "calibration": _calibration(concepts),
        "settings": run.settings,
        **tell_placed(run.activations, concepts),
        "sha256": {name: _digest(folder / name) for name in (_MATRICES, _IMAGES)},
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False, sort_keys=True)
    write_atomically(folder / "run.json", f"{text}\n".encode(errors=_KEEP))


def _is_of_neurons(path: Path) -> bool:
    """Say whether a table has a line for each neuron, which pages read, and not one for each layer."""
    with path.open(encoding="utf-8-sig", errors=_KEEP) as file:
        return "neuron" in (name.strip(' "\n') for name in file.readline().split(","))


def load_run(folder: Path) -> Run:
    """Read a run written by ``save_run``, equal to the last bit; the rows of the split in ascending order.

    Raises
    ------
    FileNotFoundError
        The folder does not exist or holds no complete run.
    StoreMismatchError
        A file is missing, damaged, of another format, or does not go with the others.
    """
    manifest = _read_manifest(folder)
    try:
        _check_files(folder, manifest["sha256"])
        tensors = load_file(folder / _MATRICES)
        names, contents, split = _read_images(folder / _IMAGES)
        regions, known = read_regions(manifest, tensors, len(names)), manifest["images"]
        activations = ActivationMatrix(
            tensors["activations"], manifest["neurons"], manifest["layer"], known, regions=regions
        )
        settings, concepts = manifest["settings"], with_masks(_concepts(tensors, manifest), manifest, tensors)
        split = split.for_rows(activations)
        return Run(activations, concepts, split, image_names=names, settings=settings, contents=contents)
    except StoreMismatchError:
        raise
    except KeyError as error:
        raise StoreMismatchError(f"'{folder / 'run.json'}' does not say {error}. {_ANEW}") from error
    except (OSError, TypeError, ValueError, AttributeError, SafetensorError) as error:
        raise StoreMismatchError(f"The result in '{folder}' cannot be read ({error}). {_ANEW}") from error


def save_explanations(folder: Path, explanations: Explanations) -> Path:
    """Write ``explanations.csv``, and ``dropped.csv`` if that is known, into a result folder; return the first."""
    (folder / _DROPPED).unlink(missing_ok=True)
    if explanations.dropped is not None:
        with replacing(folder / _DROPPED) as draft:
            write_dropped(draft, explanations.dropped)
    with replacing(folder / _EXPLANATIONS) as draft:
        explanations.to_csv(draft)
    return folder / _EXPLANATIONS


def save_scores(folder: Path, scores: Scores, name: str = "scores") -> Path:
    """Write ``scores.csv``, or another name, into a result folder and return its path."""
    with replacing(folder / f"{name}.csv") as draft:
        scores.to_csv(draft)
    return folder / f"{name}.csv"


def slug(*parts: str) -> str:
    """Join what tells files apart into the name of one; what is empty takes no part."""
    slugs = (re.sub(r"[^\w.]+", "-", part).strip("-") for part in parts)
    return "-".join(part for part in slugs if part)


def load_explanations(folder: Path) -> Explanations:
    """Read the explanations of a result folder, with the concepts that took no part.

    A folder of older versions has no ``dropped.csv``: ``dropped`` is then ``None``; nor does it say which images they
    were fitted on: then these are train and val of the result.

    Raises
    ------
    FileNotFoundError
        The folder holds no explanations.
    StoreMismatchError
        The run is of another format, or its split cannot be read.
    ValueError
        One of the files was changed into nonsense; see ``Explanations.from_csv``.
    """
    if not (folder / _EXPLANATIONS).exists():
        raise FileNotFoundError(f"The result in '{folder}' has no explanations.csv (was it interrupted?). {_ANEW}")
    explanations, dropped = Explanations.from_csv(folder / _EXPLANATIONS), folder / _DROPPED
    if dropped.exists():
        explanations = replace(explanations, dropped=read_dropped(dropped))
    return explanations if explanations.fitted_on is not None else replace(explanations, fitted_on=_fitted_on(folder))


def _fitted_on(folder: Path) -> FittedOn | None:
    told = _read_manifest(folder) if (folder / "run.json").is_file() else {}
    images = None if "regions" in told else told.get("images")  # methods that know regions say it themselves
    try:
        return FittedOn.of(_read_images(folder / _IMAGES)[-1], images) if images else None
    except (OSError, KeyError, ValueError) as error:
        raise StoreMismatchError(f"'{folder / _IMAGES}' cannot be read ({error}). {_ANEW}") from error


def _tensors(run: Run) -> dict[str, Tensor]:
    """Return what goes into the matrix file; zeros and ones take a byte each there."""
    concepts = run.concepts
    if isinstance(concepts, EmbeddedConceptMatrix):
        kept = {"image_embeddings": concepts.image_embeddings, "text_embeddings": concepts.text_embeddings}
    else:
        presence = concepts.values
        whole = presence.dtype == torch.float32 and bool(((presence == 0) | (presence == 1)).all())
        kept = {"concepts": presence.to(torch.uint8) if whole else presence}
    kept |= placed_tensors(run.activations, concepts)
    return {name: tensor.contiguous() for name, tensor in {"activations": run.activations.values, **kept}.items()}


def _calibration(concepts: ConceptMatrix) -> dict[str, float] | None:
    """Return what makes presences of cosines; a sharpness of 1 is not said, as in the results of older versions."""
    if not isinstance(concepts, EmbeddedConceptMatrix):
        return None
    flat = {} if concepts.sharpness == 1 else {"sharpness": concepts.sharpness}
    return {"a": concepts.a, "b": concepts.b, **flat}


def _concepts(tensors: Mapping[str, Tensor], manifest: Mapping[str, Any]) -> ConceptMatrix:
    names, images, calibration = manifest["concepts"], manifest["images"], manifest["calibration"]
    if calibration is None:
        return ConceptMatrix(tensors["concepts"], names, images)
    return EmbeddedConceptMatrix(
        tensors["image_embeddings"],
        tensors["text_embeddings"],
        names,
        calibration["a"],
        calibration["b"],
        images,
        sharpness=calibration.get("sharpness", 1.0),
    )


def _images_csv(run: Run) -> str:
    split = run.split_of_images
    parts = {"train": split.train, "val": split.val, "test": split.test}
    part = {row: name for name, rows in parts.items() for row in rows.tolist()}
    known = [(row, part.get(row, ""), name) for row, name in enumerate(run.image_names)]
    if not run.contents:
        return csv_text([("row", "part", "image"), *known])
    lines = ((*line, content) for line, content in zip(known, run.contents, strict=True))
    return csv_text([("row", "part", "image", "sha256"), *lines])


def _read_images(path: Path) -> tuple[tuple[str, ...], tuple[str, ...], Split]:
    rows = [line for _, line in read_csv(path.read_bytes().decode(errors=_KEEP), path, _ANEW, strict=False)[1]]
    parts: dict[str, list[int]] = {"train": [], "val": [], "test": [], "": []}
    for number, row in enumerate(rows):
        parts[row["part"]].append(number)
    contents = tuple(row["sha256"] for row in rows if "sha256" in row)
    return tuple(row["image"] for row in rows), contents, Split(parts["train"], parts["val"], parts["test"])


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _check_files(folder: Path, digests: Mapping[str, str]) -> None:
    for name in (_MATRICES, _IMAGES):
        if not (folder / name).is_file():
            raise StoreMismatchError(f"The result in '{folder}' has no {name}. {_ANEW}")
        if _digest(folder / name) != digests[name]:
            raise StoreMismatchError(f"'{folder / name}' is damaged, changed, or of another result. {_ANEW}")


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / "run.json"
    check_one(folder)
    if not path.is_file():
        inside = [found for found in results_in(folder) if found != folder]
        raise FileNotFoundError(
            f"There is no result in '{folder}' (no run.json)."
            f"{f' Results in it: {listing(inside, 6)}.' if inside else ''} "
            "Give the folder that linexp explain was told with --out."
        )
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8", errors=_KEEP))
        found = manifest["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreMismatchError(f"'{path}' is not the description of a result ({error}). {_ANEW}") from error
    if found != _FORMAT:
        raise StoreMismatchError(
            f"'{path}' has the format {found}, this version of linexp reads {_FORMAT}. "
            f"It was written by linexp {manifest.get('linexp')}: use that version, or make the result anew."
        )
    return manifest
