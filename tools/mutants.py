"""Does a test fail when the code is wrong? Change it in one place at a time and see: ``make mutants``.

    .venv/mutants/bin/python tools/mutants.py --each 50 --seed 0 [--room solve]

The changes are those of cosmic-ray; which of them are tried is drawn by the seed, one a line first. Each is made in a
copy of the tree, where the tests of its room run until one fails; compiled loops are kept by what is in their files
(tests/compiled_cache.py), so none is judged with old code. Prints the mutants that live, and the share killed.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import sys
import tempfile
from pathlib import Path

from cosmic_ray.commands.init import _all_work_items as all_work_items
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_item import MutationSpec, TestOutcome

ROOT = Path(__file__).parents[1]
# Room → the tests that are about it. What they do not see, the others may: a mutant that lives here is a question.
ROOMS = {
    "solve": "bounds searches swaps stepwise elastic_net elastic_net_batched jackknife shortlist moments",
    "explanations": "explanation explanation_csv explanation_plain fitted_on simulation csv new_explainer",
    "explainers": "linear_explainer contracts new_explainer fuzz_numbers device",
    "score": "correlation metrics sanity silent compare simulability contracts cli_score",
    "ablation": "ablation impact impact_of_layers cli_impact cli_ablate",
    "matrix": "matrix split split_file embedded_matrix numbers fuzz_numbers",
    "store": "store store_activations store_claims store_hashing store_text store_faults",
    "results": "result tables report report_origin outputs cli_foreign summarize fuzz_files",
}
# Others make code that nobody would write by mistake (a shift in place of a sum), or change annotations.
OPERATORS = re.compile(
    r"core/(ReplaceBinaryOperator_(Add|Sub|Mul|Div)_(Add|Sub|Mul|Div)"
    r"|ReplaceComparisonOperator_(Eq|NotEq|[LG]tE?)_(Eq|NotEq|[LG]tE?)"
    r"|ReplaceUnaryOperator_Delete_(USub|Not)|AddNot|Replace(True|False|And|Or|Break|Continue)With\w+|NumberReplacer"
    r"|ZeroIterationForLoop)$"
)
SECONDS = 600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=50, help="mutants for each room")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--room", choices=ROOMS, action="append", help="default: all")
    parser.add_argument("--python", type=Path, default=ROOT / ".venv" / "bin" / "python", help="what runs the tests")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy(Path(folder))
        os.chdir(folder)
        os.environ.update(PYTHONPATH=str(Path(folder) / "src"), OMP_NUM_THREADS="1")
        n_tried, alive = 0, list[str]()
        for room in asked.room or ROOMS:
            for mutant in draw(room, asked.each, asked.seed):
                n_tried += 1
                if not is_killed(mutant, room, asked.python):
                    alive.append(told(mutant))
                print(f"{n_tried:4} {len(alive):3} alive  {told(mutant)}", flush=True)
    print(
        f"\n{n_tried - len(alive)} of {n_tried} mutants were killed ({1 - len(alive) / n_tried:.1%}). Alive:",
        *alive,
        sep="\n",
    )
    sys.exit(bool(alive))


def copy(folder: Path) -> None:
    """Copy what tests read; the environment stays where it is."""
    for name in ("src", "tests", "docs", "benchmarks", "tools"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.iterdir():
        if path.is_file() and path.name != ".git":
            shutil.copy(path, folder)
    (folder / ".venv").symlink_to(ROOT / ".venv")


def draw(room: str, n_mutants: int, seed: int) -> list[MutationSpec]:
    """Draw mutants of a room, on as many lines as there are."""
    by_line: dict[tuple[str, int], list[MutationSpec]] = {}
    for item in all_work_items(sorted(Path("src/linexp", room).rglob("*.py")), {}):
        for mutant in item.mutations:
            if OPERATORS.match(mutant.operator_name) and is_code(mutant):
                by_line.setdefault((str(mutant.module_path), mutant.start_pos[0]), []).append(mutant)
    chance = random.Random(f"{seed}:{room}")
    lines = sorted(by_line)
    chosen = chance.sample(lines, min(n_mutants, len(lines)))
    return [chance.choice(sorted(by_line[line], key=told)) for line in sorted(chosen)]


def is_code(mutant: MutationSpec) -> bool:
    """Leave out what no result depends on, and the star before arguments that must be named."""
    line, column = mutant.start_pos
    text = mutant.module_path.read_text(encoding="utf-8").splitlines()[line - 1]
    return not re.search(r"stacklevel=|strict=|@dataclass|^\s*(import|from) ", text) and text[column:][:2] != "*,"


def is_killed(mutant: MutationSpec, room: str, python: Path) -> bool:
    files = " ".join(f"tests/test_{name}.py" for name in ROOMS[room].split())
    found = mutate_and_test([mutant], f"{python} -m pytest -q -x -p no:cacheprovider {files}", SECONDS)
    if found.test_outcome is None:
        raise RuntimeError(f"{told(mutant)} could not be made: {found.output}")
    return found.test_outcome != TestOutcome.SURVIVED


def told(mutant: MutationSpec) -> str:
    line, column = mutant.start_pos
    return f"{mutant.module_path}:{line}:{column} {mutant.operator_name.removeprefix('core/')} {mutant.occurrence}"


if __name__ == "__main__":
    main()
