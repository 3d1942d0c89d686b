"""Write the report: a page that opens from disk, with everything it needs inside it or beside it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from linexp._internal.checks import check_choice, check_within
from linexp._internal.files import check_writable_folder, write_atomically
from linexp._internal.privacy import picture_names
from linexp._internal.version import __version__
from linexp.figures import Shares
from linexp.images import Images
from linexp.matrix import Regions
from linexp.report.facts import layer_facts, method_facts, score_rows, subtitle, titles
from linexp.report.layers import LayerView, n_points, pack_layer, view_layer
from linexp.report.methods import ConceptTable, pack_method
from linexp.report.thumbnails import make_thumbnails
from linexp.results import Result, by_layer, free_name, give_images, read_result
from linexp.score import check_unseen

_PAGE = Path(__file__).parent / "page"
_SCRIPTS = ("dom.js", "layer.js", "charts.js", "explanation.js", "places.js", "card.js", "overview.js", "app.js")
_FOLDER = "thumbs"


def write_report(
    results: Sequence[Result | Path | str] | Result | Path | str,
    out: Path | str,
    images: Any = None,
    *,
    single_file: bool = False,
    n_pictures: int = 3,
    thumbnail_side: int = 128,
    seed: int = 0,
    shares: Shares = "plain",
) -> Path:
    """Write a page about one or more results and return it; it needs no server and no network.

    Results about the same layer of the same model on the same images stand side by side on every neuron's card. The
    same results give the same bytes.

    Parameters
    ----------
    results
        Result folders, or results made in Python.
    out
        The folder for ``index.html`` and ``thumbs/``.
    images
        The pictures behind the results that bring none of their own: whatever ``record`` takes. Without them the page
        names the pictures instead of showing them.
    single_file
        Put the thumbnails into ``index.html``. ``out`` may then be the name of a file ending in .html.
    n_pictures
        Pictures of each of the eight ranges of a neuron's activation, from 1 to 10.
    thumbnail_side
        Width and height of a thumbnail in pixels, from 16 to 512.
    seed
        Decides which pictures and which points of scatter plots are shown.
    shares
        What area charts show, "plain" or "divided"; see ``Explanation.plot_area``.

    Raises
    ------
    ValueError
        There is no result; explanations were fitted or chosen on test images of theirs.
    FileNotFoundError
        A folder holds no result.
    DifferentImagesError
        ``images`` are not those of any result.
    OSError
        The folder cannot be written.

    Examples
    --------
    >>> import tempfile, linexp as le
    >>> planted, split = le.make_planted(200), le.Split.random(200)
    >>> explanations = le.LinearExplainer().explain(planted.activations, planted.concepts, split)
    >>> result = le.Result(planted.activations, planted.concepts, split, explanations, method="planted")
    >>> write_report(result, tempfile.mkdtemp()).name
    'index.html'
    """
    check_within("n_pictures", n_pictures, 1, 10)
    check_within("thumbnail_side", thumbnail_side, 16, 512)
    check_choice("shares", shares, get_args(Shares))
    layers = by_layer(_open(results, images))
    out = Path(out)
    page = out if single_file and out.suffix == ".html" else out / "index.html"
    check_writable_folder(page.parent)
    album = _Album()
    data = _pack(layers, album, n_pictures, seed, shares)
    thumbnails = list(album.thumbnails(thumbnail_side)) if single_file else []
    if not single_file:
        _write_thumbnails(page.parent / _FOLDER, album, thumbnail_side)
    write_atomically(page, _render(layers, data, thumbnails).encode())
    return page


def _open(results: Any, images: Any) -> list[Result]:
    several = [results] if isinstance(results, (Result, Path, str)) else list(results)
    if not several:
        raise ValueError("There is no result to report on. Give at least one result folder.")
    found = [item if isinstance(item, Result) else read_result(item) for item in several]
    for result in found:
        check_unseen(result.explanations, result.activations, result.split.test)
    return found if images is None else give_images(found, images)


class _Album:
    """The pictures of a page, numbered through; layers on the same images share them."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.bare: list[int] = []
        # Pictures of one collection, ``None`` where only their names are known; and what the network sees of each.
        self.sets: list[tuple[Images | None, list[int], Regions | None]] = []
        self.place: dict[tuple[str, int], int] = {}

    def add(self, finding: Result, rows: Sequence[int], key: str) -> list[int]:
        """Return the numbers of some pictures of a finding, new ones where they are not here yet."""
        new = [row for row in rows if (key, row) not in self.place]
        names = picture_names([finding.image_names[row] for row in new], finding.settings.get("images"))
        for row, name in zip(new, names, strict=True):
            number = self.place[key, row] = len(self.names)
            self.names.append(name)
            if finding.images is None:
                self.bare.append(number)
        self.sets.append((finding.images, new, finding.activations.regions))
        return [self.place[key, row] for row in rows]

    def thumbnails(self, side: int) -> Iterator[bytes]:
        """Yield the thumbnails of all pictures in the order of their numbers; empty where there is no picture."""
        for images, rows, regions in self.sets:
            windows = None if regions is None else regions.windows
            yield from [b""] * len(rows) if images is None else make_thumbnails(images, rows, side, windows)


def _pack(layers: list[list[Result]], album: _Album, n_pictures: int, seed: int, shares: Shares) -> dict[str, Any]:
    table, points = ConceptTable(), n_points(layers)
    packed: list[dict[str, Any]] = []
    for number, findings in enumerate(layers):
        view: LayerView = view_layer(findings, n_pictures, points, seed)
        source = next((finding for finding in findings if finding.images is not None), findings[0])
        key = f"{source.pictures or number} {source.images is None}{_seen(source)}"
        layer = pack_layer(findings, view, album.add(source, view.images, key))
        layer["name"] = free_name(layer["name"], [other["name"] for other in packed])
        packed.append({**layer, "methods": [pack_method(finding, view, table, shares) for finding in findings]})
    return {"layers": packed, "concepts": list(table.place), "names": album.names, "bare": album.bare}


def _seen(finding: Result) -> str:
    """Return what tells pictures that show what the network sees from others; "" for whole ones."""
    windows = None if finding.activations.regions is None else finding.activations.regions.windows
    return "" if windows is None else f" {hashlib.sha256(windows.numpy().tobytes()).hexdigest()}"


def _write_thumbnails(folder: Path, album: _Album, side: int) -> None:
    for stale in folder.glob("*.webp"):
        stale.unlink()
    if len(album.bare) < len(album.names):
        check_writable_folder(folder)
    for number, content in enumerate(album.thumbnails(side)):
        if content:
            (folder / f"{number:05}.webp").write_bytes(content)


def _render(layers: list[list[Result]], data: dict[str, Any], thumbnails: Sequence[bytes]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    script = "\n".join((_PAGE / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    script = f'(() => {{\n"use strict";\n{script}}})();\n'
    places = Environment(loader=FileSystemLoader(_PAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    style = (_PAGE / "style.css").read_text(encoding="utf-8")
    return places.get_template("index.html").render(
        title=_title(layers),
        subtitle=subtitle(layers),
        layers=[(layer_facts(layer), [(one.method, method_facts(one)) for one in layer]) for layer in layers],
        score_titles=titles(layers),
        score_rows=score_rows(layers),
        version=__version__,
        style=Markup(style),
        style_hash=_hash(style),
        script=Markup(script),
        script_hash=_hash(script),
        data=Markup(_json(data)),
        thumbnails=Markup(_json([base64.b64encode(content).decode() for content in thumbnails])),
    )


def _hash(text: str) -> str:
    """Return what the page's policy knows its own script and style by: nothing else in it is run."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _title(layers: list[list[Result]]) -> str:
    names = list(dict.fromkeys(layer[0].activations.layer or "a layer" for layer in layers))
    return f"Neurons of {' and '.join(names) if len(names) < 4 else f'{len(names)} layers'}"


def _json(value: Any) -> str:
    """Return JSON that no HTML parser sees an end, a beginning or a comment in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
