"""The command line as a user meets it: exit codes, messages, help, and one run from pictures to scores."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

import linexp as le
from linexp import cli
from linexp.forward import record_layers
from linexp.results.folder import load_run
from tests.colour_world import make_world
from tests.command_line import Run, command_line

COMMANDS = (
    *("explain", "score", "simulate", "calibrate", "show", "report", "summarize", "ablate", "impact", "layers"),
    *("demo", "run"),
)
START = ("explain", "--model", "mymodels:build", "--images", "pictures", "--seed", "1")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def linexp(world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    yield from command_line(world, monkeypatch, capfd)


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["explain", "--help"], ["nonsense"]])
def test_what_needs_no_network_imports_none(arguments: list[str]):
    ended = run_python(
        f"import sys; sys.argv = ['linexp', *{arguments}]\n"
        "from linexp.cli import main\n"
        "try: main()\n"
        "finally: print('heavy:', sorted({'torch', 'numpy', 'numba', 'pandas', 'transformers'} & set(sys.modules)))"
    )
    assert ended.stdout.splitlines()[-1] == "heavy: []"
    assert ended.returncode == (2 if arguments == ["nonsense"] else 0)


def test_version(linexp: Run):
    assert linexp("--version") == (0, f"linexp {le.__version__}\n", "")


def test_from_pictures_to_scores(linexp: Run, tmp_path: Path):
    out = tmp_path / "out"
    explained = linexp(*START, "--layer", "stem", "--layer", "head", "--groups", "groups.json", "--out", out)
    assert explained.code == 0, explained.err
    assert "Warning" not in explained.err
    assert re.findall(r"^layer (\w+): (\d) of (\d) neurons explained", explained.out, re.M) == [
        ("stem", "3", "4"),
        ("head", "2", "2"),
    ]
    assert f"Next: linexp score {out / 'head'} --simulator " in explained.out

    scored = linexp("score", out / "stem")
    assert scored.code == 0
    assert f"Warning: '{out / 'stem'}' is judged by the labels that also explained it, so the scores" in scored.err
    mean, sem = re.fullmatch(
        r"layer stem: test correlation (.*) ± (.*) \(3 neurons, 1 undefined, 12 images\)\n  saved in .*scores.csv\n",
        scored.out,
    ).groups()  # pyright: ignore[reportOptionalMemberAccess]
    assert float(mean) > 0.99
    assert float(sem) < 0.01

    shown = linexp("show", out / "head", 0)
    assert shown.code == 0
    assert re.match(
        r"neuron 0 ≈ 1\.\d\d·warm \+ 1\.0\d   \(test correlation 1\.00 ± 0\.00\)\n +1\.\d\d ± .*\n"
        r"layer head, scored on 12 test images; val 1\.00 ± 0\.00, selected\n",
        shown.out,
    )

    papers = tmp_path / "papers.csv"
    papers.write_text("unit,description,sim correlation\n2,blue,0.9\n")
    scored = linexp("score", out / "stem", "--explanations", papers)
    assert scored.code == 0
    assert "(1 neurons, 12 images)" in scored.out


def test_explain_opens_each_picture_twice(world: Path, tmp_path: Path):
    """Once to be hashed and decoded, once for the network; labels are looked at before, and open none."""
    arguments = [*START, "--layer", "stem", "--out", str(tmp_path / "out"), "--workers", "0", "--no-store"]
    ended = run_python(
        "import collections, os, sys\n"
        f"sys.path += ['.', os.getcwd()]; os.chdir({str(world)!r}); sys.argv = ['linexp', *{arguments!r}]\n"
        "from linexp.cli import main; from linexp.images import file_contents\n"
        "file_contents._TICK = -1  # the pictures are older than the clock's tick\n"
        "opened = collections.Counter()\n"
        "sys.addaudithook(lambda what, of: opened.update([of[0]] if what == 'open' and '.png' in str(of[0]) else []))\n"
        "try: main()\n"
        "finally: print(sorted(collections.Counter(opened.values()).items()))"
    )
    assert ended.returncode == 0, ended.stderr
    # The first goes through the network alone, too, to see what the layers return.
    assert ended.stdout.splitlines()[-1] == "[(2, 59), (3, 1)]"


def test_layers(linexp: Run):
    ended = linexp("layers", "--model", "mymodels:build", "--depth", 1, "--side", 32)
    assert ended.code == 0
    assert ended.out.splitlines()[:3] == ["mymodels:build", "├── stem  Conv2d  4×32×32", "├── rest  Sequential  4"]


def test_broken_pictures(linexp: Run, world: Path, tmp_path: Path):
    broken = world / "pictures" / "blue" / "broken.png"
    broken.write_bytes((world / "pictures" / "blue" / "00.png").read_bytes()[:90])
    try:
        stopped = linexp(*START, "--layer", "stem", "--out", tmp_path / "out")
        skipped = linexp(*START, "--layer", "stem", "--out", tmp_path / "out", "--skip-broken")
    finally:
        broken.unlink()
    assert stopped.code == 1
    assert re.search(
        r"^Error: 1 of 61 pictures cannot be read: .*broken.png.* with --skip-broken\.$", stopped.err, re.M
    )
    assert skipped.code == 0
    assert re.search(r"^Warning: 1 of 61 images cannot be read and are left out: .*broken.png", skipped.err, re.M)


ERRORS = [
    (("--layer", "stam"), "The model has no layer 'stam'. Did you mean 'stem'?"),
    (("--layer", "stem", "--strength", "-1"), "strength is -1.0. It must be at least 0."),
    (("--layer", "stem", "--search", "gredy"), "search is 'gredy'. Did you mean 'greedy'?"),
    (("--layer", "stem", "--concepts", "clip"), "concepts is 'clip'."),
    (("--layer", "stem", "--images", "none"), "There is no folder 'none'."),
    (("--layer", "stem", "--groups", "none.json"), "There is no file 'none.json' to read groups from."),
    (("--layer", "stem", "--out", "mymodels.py"), "Cannot write in the folder 'mymodels.py' ("),
    (("--layer", "stem", "--model", "mymodels:text"), "The function 'mymodels:text' returned a str."),
    (("--layer", "stem", "--model", "resnet5o"), "There is no model 'resnet5o'."),
]


@pytest.mark.parametrize(("arguments", "said"), ERRORS)
def test_an_error_is_one_sentence_and_exit_code_1(linexp: Run, tmp_path: Path, arguments: tuple[str, ...], said: str):
    ended = linexp(*START, "--out", tmp_path / "out", *arguments)
    assert ended.code == 1
    assert ended.out == ""
    assert ended.err.startswith(f"Error: {said}")
    assert ended.err.count("\n") == 1


def test_a_lookup_that_fails_is_said_without_quotes(linexp: Run, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise KeyError("Neuron 3\nis not there.")

    monkeypatch.setattr("linexp.results.tell_neuron", fail)
    assert linexp("show", "x", 3) == (1, "", "Error: Neuron 3 is not there.\n")


def test_an_error_without_text_is_called_by_its_kind(linexp: Run, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("linexp.results.tell_neuron", fail)
    assert linexp("show", "x", 3).err == "Error: MemoryError\n"


def test_the_traceback_is_there_if_asked_for(linexp: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LINEXP_TRACEBACK", "1")
    monkeypatch.setattr(sys, "argv", ["linexp", "show", "none", "3"])
    with pytest.raises(FileNotFoundError, match="There is no result in 'none'"):
        cli.main()


def test_an_interruption_is_one_sentence_and_exit_code_1(linexp: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("linexp.results.explaining.record_layers", interrupt)
    ended = linexp(*START, "--layer", "stem", "--out", tmp_path / "out")
    assert ended.code == 1
    assert ended.err.splitlines()[-1].startswith("Interrupted. Files that were already written are complete; run")
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nonsense",), "No such command 'nonsense'"),
        (("explian",), "explian"),
        (("explain",), "Missing option '--model'"),
        (("explain", "--model"), "requires an argument"),
        (("explain", "--modle", "x"), "--modle"),
        (("explain", "--max-terms", "many"), "'--max-terms'"),
        (("show", "folder"), "Missing argument 'NEURON'"),
        (("show", "folder", "first"), "'NEURON'"),
    ],
)
def test_wrong_usage_is_exit_code_2(linexp: Run, arguments: tuple[str, ...], said: str):
    ended = linexp(*arguments)
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_without_arguments_the_help_is_shown(linexp: Run):
    ended = linexp()
    assert "Usage: linexp" in ended.out + ended.err
    assert all(name in ended.out + ended.err for name in COMMANDS)


def test_every_option_has_a_help_text_that_shows_its_default(linexp: Run):
    text = " ".join(linexp("explain", "--help").out.split())
    for option in set(inspect.signature(cli.explain).parameters) - {"n_shards"}:  # an old name, hidden
        assert f"--{option.replace('_', '-')} " in text
    for said in ("[default: 0.02]", "cpu", "8 on cpu, 64 on cuda", '{"animal": ["cat", "dog"]}'):
        assert said in text
    for command in COMMANDS:
        assert linexp(command, "--help").code == 0


def test_defaults_are_those_of_the_python_interface():
    options = inspect.signature(cli.explain).parameters
    explainer = {field.name: field.default for field in fields(le.LinearExplainer) if field.name in options}
    assert set(explainer) == {field.name for field in fields(le.LinearExplainer)} - {"tolerance"}
    del explainer["device"]  # in Python, where the user's things are; on the command line, the best there is
    recording = inspect.signature(record_layers).parameters
    shared = {name: recording[name].default for name in ("pool", "channels", "token", "batch_size", "workers")}
    split = {"seed": inspect.signature(le.Split.random).parameters["seed"].default}
    for source in (explainer, shared, split):
        for name, default in source.items():
            given = options[name].default
            given = () if name == "template" and given is None else given  # Typer has no empty list
            if not repr(default).startswith("<dataclasses._MISSING"):
                assert given == default, name


def settings_of(linexp: Run, tmp_path: Path, *arguments: object) -> dict[str, Any]:
    ended = linexp(*START, "--layer", "stem", "--out", tmp_path / "out", *arguments)
    assert ended.code == 0, ended.err
    return load_run(tmp_path / "out").settings["explainer"]


def test_set_gives_any_setting_of_the_method(linexp: Run, tmp_path: Path):
    pairs = ("--set", "max_terms=3", "--set", "search=swaps", "--set", "tolerance=1e-5", "--min-gain", 0.01)
    explainer = settings_of(linexp, tmp_path, "--method", "linear", *pairs)
    expected = asdict(le.LinearExplainer(max_terms=3, search="swaps", tolerance=1e-5, min_gain=0.01, device="cpu"))
    assert {**explainer, "device": "cpu"} == expected


def test_set_help_lists_the_settings_with_their_docstrings(linexp: Run):
    ended = linexp(*START, "--layer", "stem", "--out", "never", "--set", "help")
    assert ended.code == 0
    assert "max_terms (default: 10)\n    Most terms of an explanation (v in the paper).\n" in ended.out
    names = [line.split(" ")[0] for line in ended.out.splitlines() if not line.startswith(" ")]
    assert names == [field.name for field in fields(le.LinearExplainer) if field.name != "device"]
    assert ended.out.count("\n    ") == len(names)  # each has its text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--method", "linaer"), "method is 'linaer'. Did you mean 'linear'? Choose one of: linear, "),
        (
            ("--set", "max_term=3"),
            "The method 'linear' has no setting 'max_term'. Did you mean 'max_terms'? The method ",
        ),
        (("--set", "device=cpu"), "The method 'linear' has no setting 'device'."),
        (("--set", "max_terms"), "'max_terms' sets nothing. Write name=value; The method 'linear' has: strength=0.05,"),
        (("--set", "max_terms=many"), "max_terms is 'many'. It must be a whole number."),
        (("--set", "max_terms=0"), "max_terms is 0. It must be a whole number and at least 1."),
        (("--set", "search=gredy"), "search is 'gredy'. Did you mean 'greedy'? Choose one of: greedy, greedy-nonzero,"),
        (("--set", "max_terms=3", "--set", "max_terms=4"), "max_terms is set twice, to 3 and to '4'. Leave one out."),
        (
            ("--set", "max_terms=3", "--max-terms", 4),
            "--max-terms 4 and --set max_terms=3 contradict each other. Leave one out.",
        ),
    ],
)
def test_settings_that_cannot_be(linexp: Run, tmp_path: Path, arguments: tuple[object, ...], said: str):
    ended = linexp(*START, "--layer", "stem", "--out", tmp_path / "out", *arguments)
    assert (ended.code, ended.err[: len(said) + 7]) == (1, f"Error: {said}")


def test_the_old_name_of_n_groups_warns_and_works(linexp: Run, tmp_path: Path):
    ended = linexp(*START, "--layer", "stem", "--out", tmp_path / "out", "--n-shards", 3)
    assert ended.code == 0
    assert ended.err.startswith("Warning: --n-shards is now called --n-groups.")
    assert load_run(tmp_path / "out").settings["explainer"]["n_groups"] == 3


def test_the_demo_has_the_defaults_of_the_command(linexp: Run, monkeypatch: pytest.MonkeyPatch):
    called: list[Any] = []
    monkeypatch.setattr(
        "linexp.cli.demo_run.run_demo", lambda _, *told, engine, full: called.append((*told, engine, full))
    )
    assert linexp("demo").code == 0
    assert linexp("demo", "--out", "elsewhere", "--neurons", 3, "--engine", "torch", "--full").code == 0
    assert called == [(Path("linexp-demo"), None, "auto", False), (Path("elsewhere"), 3, "torch", True)]


def test_impact_has_the_defaults_of_the_function(linexp: Run):
    options = inspect.signature(cli.impact).parameters
    defaults = inspect.signature(le.impact_layers).parameters
    shared = set(options) & set(defaults) - {"model", "images", "store", "device", "units"}
    assert shared >= {
        "n_images",
        "seed",
        "temperature",
        "pool",
        "channels",
        "token",
        "precision",
        "batch_size",
    }
    assert all(options[name].default == defaults[name].default for name in shared)


def test_a_terminal_that_knows_few_letters_ends_nothing(linexp: Run, tmp_path: Path):
    assert linexp(*START, "--layer", "stem", "--out", tmp_path / "out").code == 0
    ended = run_python(
        "import io, sys\n"
        "sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='ascii')\n"
        f"sys.argv = ['linexp', 'show', {str(tmp_path / 'out')!r}, '2']\n"
        "from linexp.cli import main; main()"
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("neuron 2 \\u2248 0.")


def test_the_engine_is_said_once_and_written_down(linexp: Run, tmp_path: Path):
    one, other = tmp_path / "one", tmp_path / "other"
    ended = linexp(*START, "--layer", "stem", "--engine", "onnxruntime", "--no-store", "--out", one)
    assert ended.code == 0, ended.err
    used = le.OnnxRuntime().told
    assert ended.out.count(f"engine: {used}, on the first images ") == 1
    settings = load_run(one).settings
    assert (settings["engine"], settings["engine_used"], settings["precision"]) == ("onnxruntime", used, "float32")
    again = linexp("run", one / "run.json", "--out", other)
    assert again.code == 0, again.err
    assert (other / "run.json").read_bytes() == (one / "run.json").read_bytes()

    text = (one / "run.json").read_text().replace(used, "onnxruntime 0.1")
    (one / "run.json").write_text(text)
    again = linexp("run", one / "run.json", "--out", tmp_path / "third")
    assert f"were run by onnxruntime 0.1 and now by {used}, so activations may differ by rounding" in again.err


def test_a_lower_precision_is_measured_and_what_contradicts_it_refused(linexp: Run, tmp_path: Path):
    ended = linexp(*START, "--layer", "stem", "--precision", "bfloat16", "--no-store", "--out", tmp_path / "out")
    assert ended.code == 0, ended.err
    assert re.search(r"^precision: bfloat16; on the first images off from float32 by [\d.e-]+ of the", ended.out, re.M)
    assert load_run(tmp_path / "out").settings["engine_used"] == "torch, bfloat16"
    refused = linexp(
        *START, "--layer", "stem", "--precision", "float16", "--engine", "compile", "--out", tmp_path / "x"
    )
    assert refused.code == 1
    assert refused.err.startswith("Error: The engine compile computes in float32 and the precision is float16.")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("command", [(*START, "--layer", "stem", "--out", "x"), ("score", "x"), ("ablate", "x")])
def test_an_unknown_engine_is_refused_before_anything_is_read(linexp: Run, command: tuple[str, ...]):
    ended = linexp(*command, "--engine", "onnx")
    assert ended.code == 1
    assert ended.err.startswith("Error: engine is 'onnx'. Did you mean 'onnxruntime'?")
