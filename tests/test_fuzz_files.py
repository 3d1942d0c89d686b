"""Files nobody would write: read, or refused in a sentence that names them; never anything else."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file

import linexp as le
from linexp._internal.checks import printable
from linexp.concepts.vocabulary.files import read_class_names, read_groups
from linexp.concepts.vocabulary.groups import resolve_groups
from linexp.concepts.vocabulary.read import read_broden
from linexp.images.file_contents import inspect_file
from linexp.images.reading import read_rgb
from linexp.matrix import load_activations, save_activations
from linexp.models import read_weights
from linexp.results.folder import load_run, save_run
from tests.fuzzing import JSON, LETTERS, WORDS, cases, damaged, reads_or_says
from tests.test_store import make_run

_NUMBERS = ["", "0", "1", "2", "-1", "0.5", "nan", "inf", "1e999", "9" * 40, "1_0"]
CELLS = st.sampled_from([*_NUMBERS, "a", "explained", "empty", "formula", "a AND b", "a AND", "NOT (a"])
_COLUMNS = """layer neuron outcome n_terms val_correlation val_error bias weight0 concept0 error0 again0 weight1
concept1 unit description weight99999 concept formula kind0 measure measure_value measure_p"""
COLUMNS = st.sampled_from([*_COLUMNS.split(), "val correlation", ""])
JUNK = st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode(errors="surrogatepass"))


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """Something like an explanations CSV."""
    header = draw(st.lists(COLUMNS, max_size=14))
    width = st.just(len(header)) | st.integers(0, 14)
    cells = CELLS | WORDS | st.sampled_from(['"', 'x"y', "a\nb", "=cmd", "\ufeff"])
    lines = [header] + [[draw(cells) for _ in range(draw(width))] for _ in range(draw(st.integers(0, 4)))]
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    return (draw(st.sampled_from(["", "\ufeff"])) + end.join(",".join(line) for line in lines)).encode()


GOOD_TABLE = (
    b"layer,neuron,outcome,n_terms,val_correlation,val_error,bias,weight0,concept0,error0,again0\n"
    b'l,3,explained,1,0.5,0.03,0.125,2.5,"ski, slope",0.25,0.9\nl,1,empty,0,,,0.75,,,,\n'
)
LOGICAL_TABLE = (
    b"neuron,outcome,n_terms,val_correlation,bias,measure,measure_value,measure_p,weight0,concept0,kind0\n"
    b'3,explained,1,0.5,0.125,IoU,0.25,1e-9,2.5,"a AND NOT (b OR ""c (d)"")",formula\n'
)


@cases(150)
@given(JUNK | tables() | damaged(GOOD_TABLE) | damaged(LOGICAL_TABLE))
def test_explanations(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "e.csv").write_bytes(content)
    found = reads_or_says(le.Explanations.from_csv, tmp_path / "e.csv", ValueError)
    if found is not None:  # what was read can be written and read again
        found.to_csv(tmp_path / "again.csv")
        assert le.Explanations.from_csv(tmp_path / "again.csv").items == found.items


@cases(100)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(-1e9, 1e9), WORDS), min_size=1, max_size=5))
def test_the_papers_layouts(tmp_path: Path, rows: list[tuple[int, float, str]]) -> None:
    rows = list({neuron: (neuron, weight, word) for neuron, weight, word in rows}.values())
    quoted = ['"' + word.replace('"', '""') + '"' for _, _, word in rows]
    header = "unit,val correlation,weight0,concept0,weight1,concept1,bias"
    lines = [f"{n},0.5,{w!r},{q},0,0,1.5" for (n, w, _), q in zip(rows, quoted, strict=True)]
    (tmp_path / "e.csv").write_text("\r\n".join([header, *lines]), encoding="utf-8", newline="")
    found = le.Explanations.from_csv(tmp_path / "e.csv")
    for item, (neuron, weight, word) in zip(found, rows, strict=True):
        expected = (le.Term(word, weight),) if (word, weight) != ("0", 0.0) else ()
        assert (item.neuron, item.terms) == (neuron, expected)


@cases(150)
@given(
    JUNK
    | JSON.map(lambda value: json.dumps(value).encode())
    | damaged(b'{"animal": ["cat", "dog"], "living": {"plant": ["tree"], "pet": ["cat", 3]}}')
)
def test_groups(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "g.json").write_bytes(content)
    found = reads_or_says(read_groups, tmp_path / "g.json", ValueError)
    if found is not None:
        try:
            members = resolve_groups(found, ["cat", "dog", "tree", "car"])
        except ValueError as error:
            assert str(error).endswith((".", "?"))  # noqa: PT017 - any of the sentences will do
        else:
            assert all(numbers and set(numbers) <= {0, 1, 2, 3} for numbers in members.values())


@cases(100)
@given(JUNK | damaged(b"n1\tcat\nn2\tdog, hound\n\nn3\t\xf0\x9f\xa6\x8a\n"))
def test_class_names(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "n.txt").write_bytes(content)
    found = reads_or_says(read_class_names, tmp_path / "n.txt", ValueError)
    assert found is None or all(folder.strip() and name.strip() for folder, name in found.items())


@cases(100)
@given(JUNK | damaged(b'number,name,frequency\n1,red-c,0.5\n2,"bus, station-s",0.1\n'))
def test_broden(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b.csv").write_bytes(content)
    reads_or_says(read_broden, tmp_path / "b.csv", ValueError)


@cases(100)
@pytest.mark.filterwarnings("ignore:The vocabulary")
@given(st.lists(st.text(LETTERS.filter(lambda c: c not in "\r\n"), max_size=12), max_size=8), st.booleans(), st.data())
def test_vocabulary(tmp_path: Path, lines: list[str], mark: bool, data: Any) -> None:
    """Each word once, as it was written, in its order, whatever the line ends."""
    end = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    text = ("\ufeff" if mark else "") + end.join(lines)
    (tmp_path / "v.txt").write_bytes(text.encode())
    found = reads_or_says(le.read_vocabulary, tmp_path / "v.txt", ValueError)
    stripped = [line.strip() for line in text.removeprefix("\ufeff").split(end)]
    wanted = tuple(dict.fromkeys(word for word in stripped if word))
    assert (found.words if found is not None else ()) == wanted


FINITE = st.floats(allow_nan=False, allow_infinity=False)
CALIBRATIONS = st.fixed_dictionaries(
    {"a": st.floats(1e-300, 1e300), "b": FINITE | st.integers(-99, 99)},
    optional={
        "encoder": WORDS,
        "source": st.text(LETTERS, max_size=9),
        "bce": st.none() | st.floats(0, 9),
        "images": st.just("0f" * 32),
    },
)
MEMBERS = st.dictionaries(st.sampled_from(["a", "b", "encoder", "bce", "x"]), JSON)


@cases(150)
@given(
    JUNK
    | st.one_of(CALIBRATIONS, MEMBERS, st.tuples(CALIBRATIONS, MEMBERS).map(lambda both: {**both[0], **both[1]}))
    .map(json.dumps)
    .map(str.encode)
)
def test_calibrations(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.json").write_bytes(content)
    reads_or_says(le.Calibration.from_json, tmp_path / "c.json", ValueError)


@cases(50)
@given(st.floats(0, 1e9, exclude_min=True), st.floats(-9, 9), st.text(), st.none() | st.floats(0, 9))
def test_calibrations_come_back(tmp_path: Path, a: float, b: float, words: str, bce: float | None) -> None:
    made = le.Calibration(a, b, words, words, bce)
    made.to_json(tmp_path / "c.json")
    assert le.Calibration.from_json(tmp_path / "c.json") == made


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("result")
    save_run(folder, make_run())
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container and key in a manifest."""
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]
    return []


@cases(100)
@given(st.data())
def test_results(tmp_path: Path, result: dict[str, bytes], data: Any) -> None:
    """A manifest with anything in place of anything, or files with damage, is a result or is refused by name."""
    for name, content in result.items():
        (tmp_path / name).write_bytes(content)
    manifest = json.loads(result["run.json"])
    if data.draw(st.booleans()):
        container, key = data.draw(st.sampled_from(places(manifest)))
        container[key] = data.draw(JSON)
        (tmp_path / "run.json").write_text(json.dumps(manifest))
    else:
        name = data.draw(st.sampled_from(sorted(result)))
        (tmp_path / name).write_bytes(data.draw(damaged(result[name])))
    found = reads_or_says(load_run, tmp_path, ValueError, FileNotFoundError)
    assert found is None or found.activations.n_images == len(found.image_names) == found.concepts.n_images


def written(kind: str, folder: Path) -> bytes:
    """The bytes of a small sound file of a kind."""
    path = folder / f"sound.{kind}"
    if kind == "activations":
        save_activations(path, le.ActivationMatrix([[1.0, 2.0], [3.0, 4.0]], [5, 6], "l"))
    elif kind == "safetensors":
        save_file({"weight": torch.ones(2, 3), "bias": torch.zeros(2)}, path)
    elif kind == "pt":
        torch.save({"state_dict": {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}}, path)
    elif kind == "old":
        torch.save({"weight": torch.ones(2, 3)}, path, _use_new_zipfile_serialization=False)
    return path.read_bytes()


@cases(60)
@pytest.mark.parametrize("kind", ["safetensors", "pt", "old"])
@given(data=st.data())
def test_weights(tmp_path: Path, kind: str, data: Any) -> None:
    path = tmp_path / f"w.{kind}"
    path.write_bytes(data.draw(JUNK | damaged(written(kind, tmp_path))))
    found = reads_or_says(read_weights, path, ValueError)
    assert found is None or all(isinstance(value, torch.Tensor) for value in found.values())


@cases(60)
@given(data=st.data())
def test_saved_activations(tmp_path: Path, data: Any) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(data.draw(JUNK | damaged(written("activations", tmp_path))))
    found = reads_or_says(load_activations, path, ValueError)
    assert found is None or bool(torch.isfinite(found.values).all())


def drawn(kind: str) -> bytes:
    """A small picture in a format."""
    buffer = io.BytesIO()
    pixels = bytes(range(192)) + bytes(range(192))
    Image.frombytes("RGB", (16, 8), pixels).save(buffer, kind)
    return buffer.getvalue()


@cases(40)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
@given(data=st.data())
def test_pictures(tmp_path: Path, kind: str, data: Any) -> None:
    """Whatever is in the file: an RGB picture, or an error that names it; the quick check says no less."""
    path = tmp_path / "x.png"
    path.write_bytes(data.draw(JUNK | damaged(drawn(kind))))
    found = reads_or_says(read_rgb, path, OSError)
    assert found is None or found.mode == "RGB"
    try:
        inspect_file(path)
    except OSError:
        assert found is None or kind == "JPEG"
    else:
        assert found is not None or kind == "JPEG"


@cases(100)
@given(st.text(max_size=60))
def test_what_is_shown(text: str) -> None:
    shown = printable(text)
    assert all(ord(letter) >= 32 for letter in shown)
    shown.encode()
    assert printable(shown) == shown
