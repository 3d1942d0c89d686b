"""Command lines nobody would type: an answer, or exit code 1 or 2 and a sentence; never a traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from tests.colour_world import make_world
from tests.command_line import Run, command_line
from tests.fuzzing import REFUSED, TAKEN, cases

# "-" would be options; what a shell cannot pass (NUL, halves of characters) cannot arrive here either.
ODD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
NUMBERS = st.sampled_from(
    ["0", "1", "-1", "3", "2.5", "nan", "inf", "-inf", "1e400", "", "x", "１", "9" * 30, "9" * 5000]
)
NAMES = st.sampled_from(
    ["labels", "text", "greedy", "swaps", "top", "mean", "max", "token", "first", "last", "stem", "rest"]
)
PATHS = st.sampled_from(
    [
        "pictures",
        "mymodels.py",
        "nowhere",
        "pictures/blue/00.png",
        "",
        ".",
        "a" * 300,
        "\N{SNOWMAN}",
        "out",
        "out/x.json",
    ]
)
MODELS = st.sampled_from(
    ["mymodels:build", "mymodels:nothing", "mymodels", ":", "hf:/nowhere", "conse:x", "nothing:at_all"]
)
VALUES = {
    "--model": MODELS | ODD,
    "--layer": NAMES | ODD,
    "--images": PATHS | ODD,
    "--out": st.sampled_from(["out", "out/deep", "mymodels.py", "out/x.json"]),
    "--search": NAMES | ODD,
    "--method": st.sampled_from(["linear", "linaer", ""]) | ODD,
    "--set": st.sampled_from(["help", "max_terms=3", "max_terms", "search=top", "n_groups=1", "=", "device=cpu"]) | ODD,
    "--pool": NAMES | ODD,
    "--channels": NAMES | ODD,
    "--concepts": NAMES | ODD,
    "--groups": PATHS | ODD,
    "--class-names": PATHS | ODD | st.just("imagenet"),
    "--weights": PATHS | ODD,
    "--encoder": MODELS | ODD,
    "--simulator": MODELS | ODD,
    "--calibration": PATHS | ODD,
    "--template": ODD,
    "--vocabulary": PATHS | ODD,
    "--explanations": PATHS | ODD,
    "--device": ODD | st.sampled_from(["cpu", "cuda:99999999999", "meta"]),
    "--workers": st.sampled_from(["0", "-1", "x", "nan"]),
    "--side": st.sampled_from(["16", "0", "-1", "1", "x", "2000000000"]),
    **dict.fromkeys(["--max-terms", "--n-candidates", "--min-gain", "--strength", "--l1-ratio"], NUMBERS),
    **dict.fromkeys(["--min-activity", "--n-groups", "--n-shards", "--token"], NUMBERS),
    **dict.fromkeys(["--seed", "--batch-size", "--depth", "--max-share"], NUMBERS),
}
NEEDED = {
    "explain": {"--model": "mymodels:build", "--layer": "stem", "--images": "pictures", "--out": "out"},
    "calibrate": {"--encoder": "mymodels:nothing", "--images": "pictures", "--out": "out/c.json"},
    "layers": {"--model": "mymodels:build", "--side": "16"},
    "score": {},
    "simulate": {},
    "show": {},
}
KNOWN = {
    "explain": set(VALUES) - {"--simulator", "--explanations", "--depth", "--side", "--max-share"},
    "calibrate": {"--encoder", "--images", "--out", "--groups", "--class-names", "--max-share", "--seed", "--device"},
    "layers": {"--model", "--weights", "--depth", "--side"},
    "score": {"--explanations", "--simulator", "--calibration", "--template", "--images", "--device", "--batch-size"},
    "simulate": {"--explanations", "--simulator", "--calibration", "--images", "--out"},
    "show": set(),
}


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A command that would run, with some options added, changed or left out, and sometimes a stray word."""
    command = draw(st.sampled_from(sorted(NEEDED)))
    options: dict[str, Any] = dict(NEEDED[command])
    for name in draw(st.lists(st.sampled_from(sorted(KNOWN[command]) or ["--help"]), max_size=3, unique=True)):
        options[name] = draw(VALUES[name]) if name in VALUES else ""
    if options and draw(st.integers(0, 9)) == 0:
        del options[draw(st.sampled_from(sorted(options)))]
    words = [word for name, value in options.items() for word in ((name, value) if name in VALUES else (name,))]
    if command in ("score", "simulate", "show"):
        words.insert(0, draw(st.sampled_from(["out", "made", "pictures", "nowhere", ""]) | ODD))
    if command == "show":
        words.insert(1, draw(NUMBERS))
    stray = draw(st.lists(ODD, max_size=1)) if draw(st.integers(0, 9)) == 0 else []
    return [command, *words, *stray]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def linexp(world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    yield from command_line(world, monkeypatch, capfd)


@pytest.fixture
def made(linexp: Run) -> str:
    """A result that ``show`` and ``score`` can look at."""
    ended = linexp("explain", "--model", "mymodels:build", "--images", "pictures", "--layer", "stem", "--out", "made")
    assert ended.code == 0
    return "made"


def test_names_with_escape_sequences_steer_no_terminal(linexp: Run) -> None:
    ended = linexp("show", "\x1b[2Jresult\u202e", 1)
    assert ended.code == 1
    assert ended.err.startswith(r"Error: There is no result in '\x1b[2Jresult\u202e' (no run.json).")


def test_a_side_beyond_all_memory_is_a_sentence(linexp: Run) -> None:
    ended = linexp("layers", "--model", "mymodels:build", "--side", 2_000_000_000)
    assert ended.code == 1
    assert "The model fails on a grey picture of 2000000000 by 2000000000 pixels (" in ended.err
    assert ended.err.endswith("Give the side that it expects with --side.\n")


@cases(80)
@given(command_lines())
@example(["explain", *(word for pair in NEEDED["explain"].items() for word in pair), "--batch-size", "9" * 30])
@example(["show", "made", "9" * 30])
def test_command_lines(linexp: Run, made: str, words: list[str]) -> None:
    ended = linexp(*words)
    event(TAKEN if ended.code == 0 else REFUSED)
    assert ended.code in (0, 1, 2), ended
    assert "Traceback" not in ended.err
    if ended.code == 1:
        last = ended.err.splitlines()[-1]
        assert last.startswith("Error: ")
        assert len(last) > len("Error: x")
