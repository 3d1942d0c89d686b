"""A result as linexp 0.1.0 left it behind: other columns, pictures known by their times, scores without silence."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.life.recorded import Recorded, Values, read_table

Mark = tuple[str, int, int]


def marks(folder: Path) -> list[Mark]:
    """Return what linexp 0.1.0 knew pictures by: names, sizes and times."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(path.relative_to(folder).as_posix(), path.stat().st_size, path.stat().st_mtime_ns) for path in files]


def make_older(folder: Path, pictures: Path, recorded: Recorded) -> Values:
    """Give a result the layout of linexp 0.1.0, and return its own scores, which do not know silent neurons."""
    digest = hashlib.sha256(b"files\n")
    for name, size, time in marks(pictures):
        digest.update(f"{name}\0{size} {time}\n".encode())
    _write(folder / "images.csv", [{k: line[k] for k in ("row", "part", "image")} for line in recorded.lines])
    lines = [_without_later(line) for line in read_table(folder / "explanations.csv")]
    _write(folder / "explanations.csv", lines)
    manifest = recorded.manifest | {"linexp": "0.1.0", "images": digest.hexdigest()}
    settings = manifest["settings"]
    manifest["settings"] = {name: settings[name] for name in settings if name not in ("preprocessing", "output")}
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in manifest["sha256"]}
    text = json.dumps(manifest | {"sha256": digests}, indent=1, ensure_ascii=False, sort_keys=True)
    (folder / "run.json").write_text(f"{text}\n")
    for later in (*folder.glob("scores*"), *folder.glob("simulability*"), folder / "dropped.csv"):
        later.unlink(missing_ok=True)
    own = {n: value for n, value in recorded.scores(recorded.said).items() if recorded.said[n] and value}
    origin = {"method": folder.name, "simulator": settings.get("encoder") or "labels", "images": digest.hexdigest()}
    origin |= {"part": "test", "n_images": len(recorded.parts["test"])}
    scores = [
        {"neuron": n, "correlation": repr(own[n]) if n in own else "", "correlation_error": "", **origin}
        for n in recorded.neurons
    ]
    _write(folder / "scores.csv", scores)
    return own


def _without_later(line: Mapping[str, str]) -> dict[str, str]:
    """Return a line of explanations without what came later, and how often a term was chosen again as it was called."""
    return {name.replace("again", "kept"): text for name, text in line.items() if not name.startswith("fitted_on")}


def _write(path: Path, lines: Sequence[Mapping[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
