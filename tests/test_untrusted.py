"""What comes from strangers: files, pictures, weights and names are read, refused or shown, and never obeyed."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import linexp as le
from linexp._internal.checks import StoreMismatchError, printable
from linexp.concepts.vocabulary.files import read_class_names, read_groups
from linexp.concepts.vocabulary.groups import group_names, resolve_groups
from linexp.concepts.vocabulary.read import read_broden
from linexp.images import find_broken, skip_broken
from linexp.models import load_weights, read_weights
from linexp.models.weights import tensors_only

SOURCE = Path(le.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
RUN_CODE = {"eval", "exec", "compile", "__import__"}
UNPICKLE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
ODD_WORDS = (
    "=cmd|' /C calc'!A0",
    "+1",
    "-2",
    "@sum(a1)",
    'a "quoted" word',
    "it's",
    "a, b",
    "a\tb",
    "🎿 👩‍🚀",
    "été",
    "雪",
    "null",
)


# --- the source itself ---


def calls_of(path: Path) -> list[tuple[str, ast.Call]]:
    """Every call in a file, by the last part of what is called."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            found.append((node.func.id if isinstance(node.func, ast.Name) else node.func.attr, node))
    return found


def keyword(call: ast.Call, name: str) -> Any:
    return next((word.value for word in call.keywords if word.arg == name), None)


def is_true(value: Any) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


def is_false(value: Any) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


def is_own(call: ast.Call) -> bool:
    """Tell whether a text that is not escaped is our own style or script, or JSON without any < in it."""
    argument = ast.unparse(call.args[0])
    return argument in {"style", "script"} or argument.startswith("_json(")


def offences(path: Path) -> list[str]:
    """What in a file could run a stranger's code or a stranger's page."""
    found = []
    for name, call in calls_of(path):
        home = ast.unparse(call.func).rpartition(".")[0].rpartition(".")[2]
        if isinstance(call.func, ast.Name) and name in RUN_CODE:
            found.append(name)
        if home == "torch" and name == "load" and not is_true(keyword(call, "weights_only")):
            found.append("torch.load without weights_only")
        if (home, name) in {("jit", "load"), ("os", "system"), ("os", "popen"), ("yaml", "load")}:
            found.append(f"{home}.{name}")
        if (home, name) == ("np", "load") and not is_false(keyword(call, "allow_pickle")):
            found.append("np.load without allow_pickle=False")
        if name in {"read_pickle", "to_pickle", "extractall", "unpack_archive"}:
            found.append(name)
        if is_true(keyword(call, "shell")) or is_true(keyword(call, "allow_pickle")):
            found.append("shell or allow_pickle")
        if (
            (name == "Markup" and not is_own(call))
            or name == "Template"
            or (name == "Environment" and not is_true(keyword(call, "autoescape")))
        ):
            found.append(f"{name}, which escapes nothing")
        if is_true(keyword(call, "trust_remote_code")):
            found.append("trust_remote_code=True")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name.split(".")[0] for alias in node.names} | {
                (getattr(node, "module", "") or "").split(".")[0]
            }
            found += sorted(names & UNPICKLE)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_line_of_ours_runs_what_it_reads(path: Path) -> None:
    assert offences(path) == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("eval('1')", ["eval"]),
        ("import pickle", ["pickle"]),
        ("from cloudpickle import load", ["cloudpickle"]),
        ("torch.load(f)", ["torch.load without weights_only"]),
        ("torch.load(f, weights_only=False)", ["torch.load without weights_only"]),
        ("torch.jit.load(f)", ["jit.load"]),
        ("np.load(f, allow_pickle=True)", ["np.load without allow_pickle=False", "shell or allow_pickle"]),
        ("subprocess.run(c, shell=True)", ["shell or allow_pickle"]),
        ("jinja2.Environment()", ["Environment, which escapes nothing"]),
        ("from_pretrained(x, trust_remote_code=True)", ["trust_remote_code=True"]),
        ("torch.load(f, weights_only=True); model.eval()", []),
        ("jinja2.Environment(autoescape=True)", []),
    ],
)
def test_the_walk_finds_what_it_looks_for(tmp_path: Path, code: str, found: list[str]) -> None:
    (tmp_path / "x.py").write_text(code)
    assert offences(tmp_path / "x.py") == found


def test_trust_is_off_unless_asked_for() -> None:
    """No function and no command has it on by default."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                arguments = [*node.args.args, *node.args.kwonlyargs]
                defaults = [*node.args.defaults, *node.args.kw_defaults]
                pairs = zip(reversed(arguments), reversed(defaults), strict=False)
                assert not any(argument.arg == "trust_remote_code" and is_true(value) for argument, value in pairs)


# --- text files ---


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_odd_words_are_words(tmp_path: Path, encoding: str, end: str) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes((end.join(ODD_WORDS) + end).encode(encoding))
    assert le.read_vocabulary(path).words == ODD_WORDS
    path.write_bytes(
        end.join(f"folder{n}\t{word.strip()}" for n, word in enumerate(("a b", "=1+1", "🎿"))).encode(encoding)
    )
    assert read_class_names(path) == {"folder0": "a b", "folder1": "=1+1", "folder2": "🎿"}


def test_odd_words_come_through_the_whole_line(tmp_path: Path) -> None:
    """From labels to explanations, to the CSV file and back: each word as it was, none taken for anything else."""
    rng = np.random.default_rng(0)
    table = (rng.random((200, len(ODD_WORDS))) < 0.4).astype(int)
    images = le.ImageArray(rng.integers(0, 255, (200, 4, 4, 3), dtype=np.uint8))
    concepts = le.LabelConcepts(table=table, names=ODD_WORDS).describe(images)
    values = table @ np.eye(len(ODD_WORDS)) * 2 + 0.01 * rng.standard_normal(table.shape)
    found = le.LinearExplainer(max_terms=1).explain(le.ActivationMatrix(values), concepts, le.Split.random(200))
    found.to_csv(tmp_path / "e.csv")
    back = le.Explanations.from_csv(tmp_path / "e.csv")
    assert tuple(item.concepts[0] for item in back) == ODD_WORDS
    assert back.items == found.items


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_other_encodings_are_named_not_guessed(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "file"
    readers = {
        "snöw\nice": le.read_vocabulary,
        "a\tsnöw": read_class_names,
        '{"snöw": ["a"]}': read_groups,
        "name\nsnöw": read_broden,
        "unit,description\n1,snöw": le.Explanations.from_csv,
        '{"a": 1, "b": 1, "source": "snöw"}': le.Calibration.from_json,
    }
    for text, read in readers.items():
        path.write_bytes(text.encode(encoding))
        with pytest.raises(ValueError, match=r"(is not UTF-8 text|holds NUL characters).*Save it as UTF-8\."):
            read(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "is nested too deeply to be groups of classes. Write it as"),
        ('{"a": ' + "[" * 100_000, "is nested too deeply to be groups of classes"),
        ('{"a": [' + "9" * 5000 + "]}", "is not JSON (Exceeds the limit (4300 digits)"),
        ('{"a": ["x"], "a": ["y"]}', "names the group 'a' twice. Keep one of the two."),
    ],
)
def test_json_made_to_break_the_reader(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "g.json").write_text(content)
    with pytest.raises(ValueError, match=re.escape(said)):
        read_groups(tmp_path / "g.json")


def test_groups_in_a_chain_without_end() -> None:
    chain = {**{f"g{n}": [f"g{n + 1}"] for n in range(5000)}, "g5000": ["cat"]}
    with pytest.raises(ValueError, match=r"Groups are inside groups too many times over to be followed\. Name"):
        resolve_groups(chain, ["cat"])
    nested: Any = ["cat"]
    for n in range(5000):
        nested = {f"g{n}": nested}
    with pytest.raises(ValueError, match="Groups are inside groups too many times over"):
        group_names(nested)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[" * 100_000, "maximum recursion depth"),
        ("[1, 2]", "it holds a list"),
        ('{"a": "2", "b": 1}', "a is '2'"),
        ('{"a": true, "b": 1}', "a is True"),
        ('{"a": null, "b": 1}', "a is None"),
        ('{"a": 1, "b": 1, "encoder": 5}', "encoder is 5"),
        ('{"a": 1, "b": NaN}', "b = nan"),
        ('{"a": 1e999, "b": 1}', "a = inf"),
        ('{"a": 1, "b": 1, "c": "x"}', "unexpected keyword argument 'c'"),
        ('{"settings": {}}', "'calibration'"),  # a run.json
        ('{"settings": 3}', "not subscriptable"),
        ('{"settings": {"calibration": null}}', "it holds a NoneType"),
    ],
)
def test_files_that_are_no_calibration(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(StoreMismatchError, match=rf"is not a calibration \(.*{re.escape(said)}.*Write it anew"):
        le.Calibration.from_json(tmp_path / "c.json")


def test_a_folder_is_no_calibration(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=r"is a folder\. Give the path of a calibration"):
        le.Calibration.from_json(tmp_path)


def test_a_file_of_one_endless_cell_is_no_list_of_words(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("name\n" + "a" * 200_000)
    with pytest.raises(ValueError, match=r"is not CSV \(field larger than field limit .*label\.csv"):
        read_broden(tmp_path / "b.csv")
    with pytest.raises(ValueError, match=r"'nouns:9{20}' has no number of nouns"):
        le.read_vocabulary("nouns:" + "9" * 5000)


@pytest.mark.parametrize("name", ["\ud800", "snow\udcff", "a\0b"])
def test_names_that_could_not_be_saved_are_refused_before_the_work(name: str) -> None:
    images = le.ImageArray(np.zeros((2, 4, 4, 3), np.uint8), [0, 1], ["a", "b"])
    with pytest.raises(
        ValueError, match=r"The name of concept 2 is .*not text in UTF-8 and cannot be saved. Rename it"
    ):
        le.LabelConcepts({name: ["a"]}).describe(images)


def test_names_cannot_steer_the_terminal() -> None:
    assert printable("snow \x1b[2J\x07\r\nice") == r"snow \x1b[2J\x07\r\nice"
    assert printable("a\u202egnp.exe") == r"a\u202egnp.exe"
    assert printable("\x9b31m\udcff") == r"\x9b31m\udcff"
    assert printable("🎿 👩‍🚀 été 雪 − ≈") == "🎿 👩‍🚀 été 雪 − ≈"


# --- pictures ---


def picture(kind: str, size: tuple[int, int] = (4, 4), **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (255, 0, 0)).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_with(*chunks: bytes, width: int = 1, height: int = 1) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0\0\0\0"))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + pixels + chunk(b"IEND", b"")


HOSTILE = {
    "a square of 30,000 pixels": (lambda: png_with(width=30_000, height=30_000), "exceeds limit of 178956970 pixels"),
    "a side of two billion": (lambda: png_with(width=2**31 - 1, height=2**31 - 1), "decompression bomb"),
    "a line of 30,000 pixels": (lambda: picture("PNG", (30_000, 1)), "30000 by 1 pixels, more than 100 times"),
    "a column of 30,000 pixels": (lambda: picture("PNG", (1, 30_000)), "1 by 30000 pixels, more than 100 times"),
    "a text of 50 megabytes": (
        lambda: png_with(chunk(b"zTXt", b"a\0\0" + zlib.compress(b"a" * 50_000_000))),
        "Decompressed data too large",
    ),
    "PostScript": (
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) run showpage\n",
        "it is not a picture in a format that linexp reads",
    ),
    "a script": (lambda: b"#!/bin/sh\ntouch pwned\n", "it is not a picture in a format that linexp reads"),
    "nothing": (lambda: b"", "the file is empty"),
    "half a picture": (lambda: picture("JPEG", (64, 64))[:400], ""),
}


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("name", ["x.png", "x.jpg"])
def test_hostile_pictures_are_named_and_skipped(tmp_path: Path, what: str, name: str) -> None:
    make, said = HOSTILE[what]
    (tmp_path / name).write_bytes(make())
    (tmp_path / "sound.png").write_bytes(picture("PNG"))
    images = le.ImageFolder(tmp_path)
    broken = find_broken(images)
    row = images.files.index(name)
    assert list(broken) == [row]
    assert said in broken[row]
    with pytest.raises(OSError, match=rf"^Cannot read the image '.*{name}' \(.*\)\. Remove it, or skip broken images"):
        images[row]
    with pytest.warns(UserWarning, match="1 of 2 images cannot be read and are left out"):
        assert len(skip_broken(images, broken)) == 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
def test_the_content_decides_not_the_name(tmp_path: Path, kind: str) -> None:
    (tmp_path / "x.png").write_bytes(picture(kind))
    assert le.ImageFolder(tmp_path)[0].size == (4, 4)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_an_animation_is_its_first_frame(tmp_path: Path, kind: str) -> None:
    others = [Image.new("RGB", (4, 4), colour) for colour in ((0, 255, 0), (0, 0, 255))]
    (tmp_path / "x.png").write_bytes(picture(kind, save_all=True, append_images=others))
    assert find_broken(le.ImageFolder(tmp_path)) == {}
    red, green, blue = le.ImageFolder(tmp_path)[0].getpixel((0, 0))
    assert red > 250
    assert max(green, blue) < 5


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    assert find_broken(le.ImageFolder(tmp_path)) == {0: "it is a pipe or a device, not a file"}
    (tmp_path / "x.png").unlink()
    (tmp_path / "y.png").mkdir()
    assert find_broken(le.ImageFiles([tmp_path / "y.png"])) == {0: "it is a folder"}


def test_folders_that_link_to_each_other_are_listed_in_the_end(tmp_path: Path) -> None:
    """Followed without a limit, 14 of them would be 14! paths."""
    folders = [tmp_path / f"f{n:02d}" for n in range(14)]
    for folder in folders:
        folder.mkdir()
        (folder / "x.png").write_bytes(picture("PNG"))
    for folder in folders:
        for other in folders:
            (folder / other.name).symlink_to(other)
    found = le.ImageFolder(tmp_path)
    assert len(found) == 14 + 14 * 13 + 14 * 13 * 12  # itself, through one link, through two
    assert found.label_names == tuple(folder.name for folder in folders)


# --- weights ---


class Harmful:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.path}'",)


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors", "w.bin"])
@pytest.mark.parametrize("is_zip", [True, False])
def test_a_pickle_is_never_run(tmp_path: Path, name: str, is_zip: bool) -> None:
    done = tmp_path / "done"
    torch.save({"weight": Harmful(done)}, tmp_path / name, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(ValueError, match=r"(unpickling can run any code|cannot be read as weights).*Re-save it"):
        read_weights(tmp_path / name)
    assert not done.exists()


def test_other_libraries_are_kept_from_unpickling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As torchvision's downloads would: torch is asked to unpickle whatever is there."""
    monkeypatch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", raising=False)
    done = tmp_path / "done"
    torch.save({"weight": Harmful(done)}, tmp_path / "w.pt")
    with tensors_only(), pytest.raises(Exception, match=r"[Ww]eights.only"):
        torch.load(tmp_path / "w.pt", weights_only=False)
    assert not done.exists()
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ
    monkeypatch.setenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "0")
    with tensors_only():
        assert os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] == "1"
    assert os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] == "0"


def test_an_archive_that_unpacks_to_something_huge_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1_000_000)}, tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt") as plain, zipfile.ZipFile(tmp_path / "w.pt", "w", 8) as packed:
        for entry in plain.infolist():
            packed.writestr(entry.filename, plain.read(entry))
    with pytest.raises(ValueError, match=r"has [\d,]{5} bytes and would unpack to 4,\d{3},\d{3}\. Re-save it"):
        read_weights(tmp_path / "w.pt")
    assert read_weights(tmp_path / "plain.pt")["weight"].shape == (1_000_000,)


def test_an_archive_whose_end_is_damaged(tmp_path: Path) -> None:
    """Found by fuzzing: zipfile says of such a file that it is an archive, and then fails to open it."""
    torch.save({"weight": torch.ones(2)}, tmp_path / "w.pt")
    content = bytearray((tmp_path / "w.pt").read_bytes())
    content[content.rindex(b"PK\x01\x02")] = 0
    for damage in (content, content[:-6] + b"\0\0" + content[-4:]):
        (tmp_path / "w.pt").write_bytes(damage)
        with pytest.raises(ValueError, match=r"w\.pt' cannot be read as weights \(.*Re-save it"):
            read_weights(tmp_path / "w.pt")


def test_torchs_oldest_format_is_not_begun(tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(tmp_path / "w.tar", "w") as archive:
        archive.add(__file__, "pickle")
    with pytest.raises(ValueError, match=r"is a tar archive, torch's format of before 2017\. Re-save it"):
        read_weights(tmp_path / "w.tar")


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        (torch.zeros(2, 2, device="meta"), "holds an empty tensor named 'weight', no plain numbers"),
        (torch.ones(2, 2, dtype=torch.complex64), "holds a complex tensor named 'weight'"),
        (torch.eye(2).to_sparse(), "holds a sparse or nested tensor named 'weight'"),
        (torch.zeros(1).expand(10**9, 10**3), r"weight: \[1000000000, 1000\] in the file and \[2, 2\] in the model"),
    ],
)
def test_tensors_that_are_no_weights(tmp_path: Path, weight: torch.Tensor, said: str) -> None:
    module = nn.Linear(2, 2)
    before = module.weight.detach().clone()
    torch.save({"weight": weight, "bias": torch.zeros(2)}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=said):
        load_weights(module, tmp_path / "w.pt")
    assert torch.equal(module.weight, before)


def test_two_tensors_of_one_name(tmp_path: Path) -> None:
    torch.save({1: torch.zeros(2), "1": torch.ones(2)}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"holds two tensors of one name\. Re-save it"):
        read_weights(tmp_path / "w.pt")


# --- names of files ---


def test_layers_with_slashes_stay_in_their_folder(tmp_path: Path) -> None:
    from linexp.results import choose_folders

    layers = ("../up", "/etc/x", "a.b")
    folders = choose_folders(tmp_path / "out", layers)
    assert [folder.parent for folder in folders.values()] == [tmp_path / "out"] * 3
    assert len(set(folders.values())) == 3
    assert folders["a.b"].name == "a.b"


def test_a_result_that_names_pictures_elsewhere_reads_none_of_them(tmp_path: Path) -> None:
    from linexp.results.folder import Run
    from linexp.results.pictures import reopen_pictures

    (tmp_path / "in").mkdir()
    (tmp_path / "secret.png").write_bytes(picture("PNG"))
    for name in ("a.png", "b.png"):
        (tmp_path / "in" / name).write_bytes(picture("PNG"))
    names = tuple(str(tmp_path / "in" / name) for name in (*(["a.png", "b.png"] * 3), "../secret.png"))
    activations = le.ActivationMatrix(np.arange(14.0).reshape(7, 2))
    concepts = le.ConceptMatrix(np.eye(7, 2), ["a", "b"])
    split = le.Split([0, 1], [2, 3], [4, 5])
    with pytest.raises(
        le.DifferentImagesError, match=r"are not those of the result \('\.\./secret\.png' is not there\)"
    ):
        reopen_pictures(
            Run(activations, concepts, split, image_names=names, settings={"images": str(tmp_path / "in")}), None
        )
    with pytest.raises(StoreMismatchError, match=r"The result does not say where its pictures were\. Make it anew"):
        reopen_pictures(
            Run(activations, concepts, split, image_names=names, settings=json.loads('{"images": 3}')), None
        )
