"""What the README says is true: its example runs, its commands exist."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from linexp.concepts.vocabulary.openmoji import emoji_words
from linexp.images.openmoji import draw_pictures
from tests.command_line import Run, command_line

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = ("paper-map", "text-concepts", "searches", "scoring", "report", "ablation")
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/paper-map.md",
    "docs/text-concepts.md",
    "docs/searches.md",
    "docs/scoring.md",
    "docs/ablation.md",
    "docs/report.md",
    "docs/recipes.md",
    "docs/formulas.md",
    "docs/methods.md",
    "docs/comparing.md",
    "docs/regions.md",
    "docs/units.md",
)
SCORING = (ROOT / "docs" / "scoring.md").read_text(encoding="utf-8")
WORDS = (ROOT / "docs" / "text-concepts.md").read_text(encoding="utf-8")
RECIPES = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")


@pytest.fixture
def linexp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    yield from command_line(tmp_path, monkeypatch, capfd)


def make_pictures(folder: Path) -> None:
    """Sixty pictures in three classes, each class of one colour and pattern."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(("car", "cat", "dog")):
        (folder / name).mkdir(parents=True)
        for number in range(20):
            values = rng.integers(0, 90, (64, 64, 3), dtype=np.uint8)
            values[:: label + 2, :, label] += 150
            Image.fromarray(values).save(folder / name / f"{number}.png")


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    example = blocks[0]
    assert len([line for line in example.splitlines() if line.strip()]) <= 12
    make_pictures(tmp_path / "pictures")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(example, names)  # noqa: S102 - the README's own code
    printed = capsys.readouterr().out
    assert re.search(r"neuron \d+ ≈ ", printed)
    assert re.search(r"correlation -?0\.\d{4} ± 0\.\d{4} \(\d+ neurons", printed)
    assert (tmp_path / "explanations.csv").read_text(encoding="utf-8").startswith("layer,neuron,outcome")


def test_the_example_with_words_runs(tmp_path, monkeypatch, capsys):
    words = [word for word in emoji_words() if word.group == "food & drink"][::2]
    draw_pictures([word.stem for word in words], tmp_path / "pictures", workers=0)
    monkeypatch.chdir(tmp_path)
    exec(re.findall(r"```python\n(.*?)```", WORDS, flags=re.DOTALL)[0], {})  # noqa: S102 - the page's own code
    assert re.search(r"correlation 0\.\d{4} ± 0\.\d{4} \(\d+ neurons", capsys.readouterr().out)


def test_the_examples_of_scoring_run(capsys):
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", SCORING, flags=re.DOTALL):
        exec(block, names)  # noqa: S102 - the page's own code
    printed = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"sum f1@0\.05 0\.\d{4} ± 0\.\d{4} \(64 neurons, 400 images\)", printed[0])
    assert re.fullmatch(r"first − second: f1@0\.05 \+0\.\d{4} \(.*, 64 neurons\)", printed[2])
    for line in printed[3:]:
        assert f"\n{line}\n" in SCORING


def test_the_recipe_runs_and_its_results_are_explained_again(linexp: Run, tmp_path, monkeypatch):
    """Word by word as on the page, and with the commands that stand there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    make_pictures(tmp_path / "pictures")
    (tmp_path / "recipe.toml").write_text(re.findall(r"```toml\n(.*?)```", RECIPES, flags=re.DOTALL)[0])
    for line in re.findall(r"^linexp (run [^#\n]*)", RECIPES, flags=re.MULTILINE):
        ended = linexp(*line.split())
        assert ended.code == 0, ended.err
    again, swaps = tmp_path / "again", tmp_path / "result" / "swaps"
    for name in ("run.json", "explanations.csv", "matrices.safetensors", "images.csv", "dropped.csv"):
        assert (again / name).read_bytes() == (swaps / name).read_bytes()
    assert {"paper", "swaps", "words", "report", "table.csv"} <= {path.name for path in (tmp_path / "result").iterdir()}


def test_the_example_of_formulas_runs(tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs" / "formulas.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for block in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(block, {})  # noqa: S102 - the page's own code
    length, *same, scores = capsys.readouterr().out.splitlines()
    assert (length, same) == ("2 ('concept 0', 'concept 1')", ["True", "True"])
    assert re.fullmatch(r"correlation -?0\.\d{4} ± 0\.\d{4} \(16 neurons, 200 images\)", scores)


def test_the_example_of_methods_that_compare_runs(capsys):
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    (example,) = (one for one in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL) if "CLIPDissect" in one)
    exec(example, {})  # noqa: S102 - the page's own code
    dissected, best = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"neuron 0 ≈ .*concept \d.*val .*, selected; soft-WPMI \d+\.\d\d\)", dissected)
    assert re.fullmatch(r"neuron 0 ≈ .*concept \d.*val .*, selected; train correlation [01]\.\d\d\)", best)


def test_the_example_of_methods_runs(capsys):
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    compared, found, *_ = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    exec(compared, {})  # noqa: S102 - the page's own code
    *table, difference, explained = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in table if line.startswith("│")] == ["linear", "swaps", "invert", "random"]
    assert re.fullmatch(r"swaps − linear: correlation .*\(.* to .*, \d+ neurons\)", difference)
    assert explained.startswith("neuron 0 ≈ ")
    exec(found, {})  # noqa: S102 - the page's own code
    line, measured = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"neuron 0 ≈ .*concept \d.*val .*, selected; AUROC [01]\.\d\d, p .*\)", line)
    assert re.fullmatch(r"AUROC [01]\.\d\d, p \S+", measured)


def test_every_command_named_exists(linexp: Run):
    commands = set(re.findall(r"^(?:\$ )?linexp (\w+)", README + WORDS + SCORING + RECIPES, flags=re.MULTILINE))
    assert commands
    for command in commands:
        assert linexp(command, "--help").code == 0


def test_every_target_named_exists():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"^make (\w+)", README, flags=re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)\)", text) + re.findall(r'src="([^"]+)"', text):
        if not link.startswith("http"):
            assert ((ROOT / page).parent / link).exists(), link


def test_the_paper_map_names_real_tests():
    page = (ROOT / "docs" / "paper-map.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+\.py)`", page))
    assert named
    for name in named:
        assert (ROOT / "tests" / name).exists(), name
