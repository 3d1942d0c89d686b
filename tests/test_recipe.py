"""Recipes: what they stand for, what is wrong with them, and results explained again from their ``run.json``."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import event, given
from hypothesis import strategies as st

from linexp import cli
from linexp.cli.recipe import STEPS, Recipe
from linexp.cli.recipe_file import read_toml
from linexp.cli.written import options_of
from tests.colour_world import make_world
from tests.command_line import Run, command_line
from tests.fuzzing import REFUSED, TAKEN, cases, damaged, reads_or_says

COMMANDS: dict[str, Any] = typer.main.get_command(cli.app).commands  # pyright: ignore
EXPLAIN = 'model = "mymodels:build"\nlayer = "stem"\nimages = "pictures"\n[explain]\n'
WHOLE = """\
model = "mymodels:build"
layer = ["stem", "head"]
images = "pictures"
out = "made"
seed = 1

[score]
metrics = ["correlation", "auprc"]

[explain]
groups = "groups.json"
n-groups = 4
n_repeats = 0

[explain.paper]
[explain.swaps]
set = { search = "swaps", tolerance = 1e-5 }

[report]
seed = 2
"""
WORDS = """\
model = "mymodels:build"
layer = "stem"
images = "pictures"
[explain]
concepts = "text"
vocabulary = "words.txt"
encoder = "mymodels:see"
calibration = "calibration.json"
min-activity = 0
template = ["{}", "a {}"]
"""


# The layer that is not used has weights too: seeded, the network is the same one each time it is built.
STEADY = """
def steady():
    torch.manual_seed(0)
    return Net(), to_unit_tensor
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_world(tmp_path_factory.mktemp("world"))
    (folder / "calibration.json").write_text('{"a": 8.0, "b": -0.5}')
    with (folder / "mymodels.py").open("a") as file:
        file.write(STEADY)
    return folder


@pytest.fixture
def linexp(world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    yield from command_line(world, monkeypatch, capfd)


@pytest.fixture
def run(world: Path, linexp: Run):
    """Write a recipe and run it."""

    def run_recipe(text: str, *arguments: object) -> Any:
        (world / "recipe.toml").write_text(text, encoding="utf-8")
        return linexp("run", "recipe.toml", *arguments)

    return run_recipe


def plan(told: dict[str, Any]) -> list[str]:
    return [str(step) for step in Recipe("recipe.toml", told, COMMANDS).steps()]


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and "report" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_recipe_is_the_commands_it_prints(run: Any, linexp: Run, world: Path):
    printed = run(WHOLE, "--print")
    assert (printed.code, printed.err) == (0, "")
    start = "linexp explain --model mymodels:build --layer stem --layer head --images pictures --seed 1"
    results = "made/paper/stem made/paper/head made/swaps/stem made/swaps/head"
    common = "--groups groups.json --n-groups 4 --n-repeats 0"
    assert printed.out.splitlines() == [
        f"{start} {common} --out made/paper",
        f"{start} {common} --set search=swaps --set tolerance=1e-05 --out made/swaps",
        f"linexp score {results} --metrics correlation,auprc",
        f"linexp report {results} --seed 2 --out made/report",
    ]
    assert not (world / "made").exists()

    ended = run(WHOLE)
    assert ended.code == 0, ended.err
    assert [line[2:] for line in ended.out.splitlines() if line.startswith("$ ")] == printed.out.splitlines()
    whole = content(world / "made")
    assert {"paper/stem/explanations.csv", "swaps/head/scores-auprc-0.05.csv"} <= set(whole)
    assert (world / "made" / "report" / "index.html").exists()
    assert json.loads(whole["swaps/head/run.json"])["settings"]["explainer"]["search"] == "swaps"

    shutil.rmtree(world / "made")
    for line in printed.out.splitlines():
        assert linexp(*shlex.split(line)[1:]).code == 0
    assert content(world / "made") == whole


def test_run_again_gives_the_same_and_reads_what_the_store_kept(run: Any, world: Path, tmp_path: Path):
    text = EXPLAIN.replace("build", "steady")
    (first, second) = (run(text, "--out", "again", "--store", tmp_path) for _ in range(2))
    assert first.code == second.code == 0
    for ended, kept in ((first, 0), (second, 60)):
        assert f"recorded activations: {kept} of 60 images from the store '{tmp_path}'" in ended.out


def test_paths_start_where_the_recipe_lies(linexp: Run, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (world / "here.toml").write_text(EXPLAIN)
    monkeypatch.chdir(tmp_path)
    recipe = world / "here.toml"
    printed = linexp("run", recipe, "--print")
    assert printed.out.splitlines()[0] == f"cd {world}"
    assert linexp("run", recipe, "--out", "mine", "--no-store").code == 0
    assert (tmp_path / "mine" / "explain" / "explanations.csv").exists()
    assert linexp("run", recipe, "--no-store").code == 0
    assert content(world / "here" / "explain") == content(tmp_path / "mine" / "explain")
    assert Path.cwd() == tmp_path


def test_a_step_that_fails_ends_the_run_with_its_sentence(run: Any, world: Path):
    ended = run(EXPLAIN + 'groups = "none.json"\n[report]\n[score]\n', "--out", "failed")
    assert ended.code == 1
    assert ended.err.splitlines()[-1].startswith("Error: There is no file 'none.json' to read groups from.")
    assert ended.out.count("$ linexp") == 1
    assert not (world / "failed" / "report").exists()


def test_methods_are_ways_and_may_have_settings():
    told = {"explain": {"methods": ["linear", "clip-dissect"], "max-terms": 3, "linear": {"set": ["a=1"]}}}
    assert plan(told) == [
        "linexp explain --max-terms 3 --method linear --set a=1 --out recipe/linear",
        "linexp explain --max-terms 3 --method clip-dissect --out recipe/clip-dissect",
    ]


def test_a_step_may_come_twice_and_take_other_results():
    told = {"score": [{"results": ["old", "theirs.csv"]}, {"results": ["old"], "simulator": "conse:x", "force": True}]}
    assert plan(told) == ["linexp score old theirs.csv", "linexp score old --simulator conse:x --force"]


def test_what_is_said_at_the_top_goes_to_each_step_that_has_it():
    told = {"model": "m", "layer": "l", "images": "p", "device": "cpu", "explain": {}, "impact": {}, "ablate": {}}
    explain, ablate, impact = plan(told)
    assert explain == "linexp explain --model m --layer l --images p --device cpu --out recipe/explain"
    assert ablate == "linexp ablate recipe/explain --device cpu"  # results know their pictures
    assert impact == "linexp impact --model m --layer l --images p --device cpu --out recipe/impact"


def test_values_that_pass_for_flags_and_files():
    told = {"explain": {"min-gain": -1, "template": ["--out", "a b"]}, "calibrate": {"encoder": "e", "images": "p"}}
    assert plan(told) == [
        "linexp calibrate --encoder e --images p --out recipe/calibrate.json",
        "linexp explain --min-gain=-1 --template=--out --template 'a b' --out recipe/explain",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "recipe.toml has no step. Add a table such as [explain]. Steps: calibrate, explain, compare,"),
        ("[explian]", "recipe.toml has no step 'explian'. Did you mean 'explain'? Steps: "),
        ("[show]", "recipe.toml has no step 'show'. "),
        ('modle = "x"\n[explain]', "recipe.toml: no step has a setting 'modle'. Did you mean 'model'? Steps: explain."),
        (
            "[explain]\nmodle = 1",
            "recipe.toml: [explain] has no setting 'modle'. Did you mean 'model'? linexp explain ",
        ),
        ("[explain.a]\nmodle = 1", "recipe.toml: [explain.a] has no setting 'modle'. Did you mean 'model'? "),
        ("[explain]\nn-shards = 3", "recipe.toml: [explain] has no setting 'n-shards'. "),  # an old name
        ("[explain]\nmax_terms = 1\nmax-terms = 1", "recipe.toml: [explain] sets 'max-terms' twice. Leave one out."),
        ("[explain]\nmodel = 3", "recipe.toml: [explain] model is 3. It takes text: write '3'."),
        ("[explain]\nseed = true", "recipe.toml: [explain] seed is true. It takes a whole number."),
        ("[explain]\nmodel = true", "recipe.toml: [explain] model is true. It takes text."),
        ("[explain]\nskip-broken = 'yes'", "recipe.toml: [explain] skip-broken is 'yes'. It must be true or false."),
        ("[explain]\nencoder = ['a']", "recipe.toml: [explain] encoder is a list. It takes one value."),
        ("[explain]\nseed = 2020-01-01", "recipe.toml: [explain] seed is a date. It takes a whole number."),
        ("[explain.seed]", "recipe.toml: [explain] seed is a table. It takes a whole number."),
        ("[explain]\nlayer = [['a']]", "recipe.toml: [explain] layer is a list. It takes text."),
        ('[explain]\nmodel = "\\u0000"', "recipe.toml: [explain] model is '\\x00', which is not text in UTF-8"),
        ("[explain]\nmethods = 3", "recipe.toml: [explain] methods is 3. Write a list of names."),
        ("[explain]\nmodel = 'm'", "recipe.toml: [explain]: Missing option '--layer'"),
        (f"{EXPLAIN}seed = 1.5", "recipe.toml: [explain]: Invalid value for '--seed': "),
        (f"{EXPLAIN}[report]\npictures = 'x'", "recipe.toml: [report]: Invalid value for '--pictures': "),
        ("out = 3\n[explain]", "recipe.toml: out is 3. Name a folder."),
        ("[score]", "recipe.toml: [score] has no results to work on. Add a step [explain], or name folders"),
        ("[score]\nresults = 'a'", "recipe.toml: [score] results is 'a'. Write a list of folders and files."),
        (f"{EXPLAIN}a.out = 'x'\nb.out = './x'", "recipe.toml: [explain.b] writes into 'x', as an earlier step does. "),
        (f"{EXPLAIN}out = 'x'\n[report]\nout = 'x'", "recipe.toml: [report] writes into 'x', as an earlier step does."),
        (f"{EXPLAIN}[[impact]]\n[[impact]]", "recipe.toml: [[impact]] writes into 'recipe/impact', as an earlier"),
        ("[explain]\nmodel = ]", "'recipe.toml' is not TOML: Invalid value (at line 2, column 9). Correct it there."),
        ("[explain]\n[explain]", "'recipe.toml' is not TOML: Cannot declare ('explain',) twice (at line 2, column 9)."),
        (f"a = {'[' * 5000}", "'recipe.toml' is not TOML: maximum recursion depth exceeded"),
    ],
)
def test_what_is_wrong_is_said_before_anything_begins(run: Any, world: Path, text: str, said: str):
    ended = run(text)
    assert (ended.code, ended.out, ended.err[: len(said) + 7]) == (1, "", f"Error: {said}")
    assert ended.err.count("\n") == 1
    assert not (world / "recipe").exists()  # where it would write


def test_files_that_are_no_recipe(linexp: Run, world: Path):
    (world / "binary.toml").write_bytes(b"a = '\xff'")
    for name, said in (
        ("recipes.toml", r"There is no recipe 'recipes.toml'\.( Did you mean '\w+.toml'\?)? Give a TOML file\."),
        ("pictures", r"'pictures' is a folder\. Give a recipe, or the run\.json of a result\."),
        ("binary.toml", r"'binary.toml' is not TOML: 'utf-8' codec can't decode byte 0xff .*\. Correct it there\."),
    ):
        ended = linexp("run", name)
        assert ended.code == 1
        assert re.fullmatch(f"Error: {said}\n", ended.err)


VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [*STEPS, "model", "layer", "images", "out", "methods", "set", "results", "max-terms", "max_terms", "betas", "force"]
)
TOLD = st.dictionaries(
    KEYS | st.text(max_size=6),
    VALUES | st.dictionaries(KEYS, VALUES, max_size=3) | st.lists(st.dictionaries(KEYS, VALUES, max_size=3)),
    max_size=5,
)


@cases(100)
@given(TOLD)
def test_any_recipe_is_steps_or_a_sentence(told: dict[str, Any]):
    try:
        steps, refused = Recipe("recipe.toml", told, COMMANDS).steps(), None
    except ValueError as error:
        steps, refused = (), str(error)
    event(TAKEN if steps else REFUSED)
    assert bool(steps) != (refused is not None)
    assert refused is None or (refused.startswith("recipe.toml") and refused.endswith("."))
    assert all(isinstance(argument, str) for step in steps for argument in step.arguments)


@cases(100)
@given(damaged(WHOLE.encode()))
def test_damaged_files_are_read_or_refused(tmp_path: Path, changed: bytes):
    (tmp_path / "recipe.toml").write_bytes(changed)
    told = reads_or_says(read_toml, tmp_path / "recipe.toml", ValueError)
    assert told is None or isinstance(told, dict)


def test_every_step_is_a_command_whose_options_say_what_they_take():
    """The kind of a value is read from the letter that the help shows for it."""
    numbers = {int: "N", float: "X"}
    for step in STEPS:
        hints = typer.main.get_params_from_function(getattr(cli, step))
        for name, option in options_of(COMMANDS[step]).items():
            hint = str(hints[option.name].annotation)
            told = next((letter for kind, letter in numbers.items() if kind.__name__ in hint), None)
            assert (option.metavar if option.metavar in numbers.values() else None) == told, (step, name, hint)


def explain(run: Any, world: Path, text: str, out: str, *arguments: object) -> Path:
    ended = run(text, "--out", out, *arguments)
    assert ended.code == 0, ended.err
    return world / out / "explain"


@pytest.mark.parametrize(
    "text",
    [
        f"{EXPLAIN}groups = 'groups.json'\nseed = 3\nset = {{ search = 'stepwise', max_terms = 3 }}",
        f"{EXPLAIN}split = 'split.json'\npool = 'max'\nn-groups = 0",
        WORDS,
    ],
    ids=["labels", "split", "words"],
)
def test_a_result_is_explained_again_from_its_run_json(run: Any, linexp: Run, world: Path, text: str, tmp_path: Path):
    rows = list(range(60))
    (world / "split.json").write_text(json.dumps({"train": rows[::2], "val": rows[1::4], "test": rows[3::4]}))
    first = explain(run, world, text, "first", "--no-store")
    ended = linexp("run", first / "run.json", "--out", tmp_path / "second", "--no-store")
    assert ended.code == 0, ended.err
    assert "are not those of" not in ended.err
    assert content(tmp_path / "second") == content(first)


def test_one_of_several_layers_is_explained_again(run: Any, linexp: Run, tmp_path: Path, world: Path):
    assert run(WHOLE.replace("[report]\nseed = 2", ""), "--out", "several").code == 0
    one = world / "several" / "swaps" / "head"
    assert linexp("run", one / "run.json", "--out", tmp_path / "again").code == 0
    again, before = content(tmp_path / "again"), content(one)
    assert again["explanations.csv"] == before["explanations.csv"]
    assert again["matrices.safetensors"] == before["matrices.safetensors"]


def test_other_pictures_are_said(run: Any, linexp: Run, world: Path, tmp_path: Path):
    first = explain(run, world, EXPLAIN, "with-all")
    left_out = world / "pictures" / "red" / "00.png"
    kept = left_out.read_bytes()
    left_out.unlink()
    try:
        ended = linexp("run", first / "run.json", "--out", tmp_path / "with-less")
    finally:
        left_out.write_bytes(kept)
    assert ended.code == 0
    assert re.search(
        r"^Warning: The pictures of '.*with-less' are not those of '.*run.json' \(fingerprints ", ended.err, re.M
    )


def test_a_result_of_an_older_version_is_explained_again(run: Any, linexp: Run, world: Path, tmp_path: Path):
    """n_groups was n_shards, and many settings were not there."""
    first = explain(run, world, EXPLAIN + "n-groups = 5", "new")
    manifest = json.loads((first / "run.json").read_text())
    explainer = manifest["settings"]["explainer"]
    explainer["n_shards"] = explainer.pop("n_groups")
    kept = ("model", "layers", "images", "concepts", "pool", "token", "seed", "explainer")
    manifest["settings"] = {name: manifest["settings"][name] for name in kept}
    older = tmp_path / "older" / "run.json"
    older.parent.mkdir()
    older.write_text(json.dumps(manifest))
    assert linexp("run", older, "--out", tmp_path / "again").code == 0
    assert content(tmp_path / "again")["explanations.csv"] == content(first)["explanations.csv"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"settings": None}, "is no description of a result: it has no settings. Give its run.json."),
        ({"layer": 3}, "does not say of which layer and images it is. Make the result anew."),
        ({"settings": {"model": "m"}}, "does not say how it was explained. Make the result anew with linexp explain."),
        ({"settings": {"explainer": {}, "modle": "m"}}, "[explain] has no setting 'modle'. Did you mean 'model'?"),
        ({"settings": {"explainer": {"search": "Swaps()"}}}, "[explain]: Missing option '--model'"),
    ],
)
def test_what_is_wrong_with_a_run_json(linexp: Run, tmp_path: Path, change: dict[str, Any], said: str):
    (tmp_path / "run.json").write_text(json.dumps({"settings": {}, "layer": "stem", "images": "x", **change}))
    ended = linexp("run", tmp_path / "run.json", "--out", tmp_path / "out")
    assert ended.code == 1
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_a_run_json_needs_another_folder(run: Any, linexp: Run, world: Path):
    first = explain(run, world, EXPLAIN, "own")
    for arguments, said in (((), "No folder is given"), (("--out", first), "Its own folder is given")):
        ended = linexp("run", first / "run.json", *arguments)
        assert ended.code == 1
        assert ended.err.startswith(
            f"Error: {said} to explain the result of '{first / 'run.json'}' again. Give another"
        )
    assert (first / "explanations.csv").exists()
    assert linexp("run", "none/run.json", "--out", "x").err.startswith("Error: There is no file 'none/run.json'. Give")
    (world / "other.json").write_text("[" * 100_000)
    assert linexp("run", "other.json", "--out", "x").err.startswith("Error: 'other.json' is not JSON (maximum")
