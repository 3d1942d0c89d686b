"""Does a test fail when the code is wrong? Change it in one place at a time and see: ``make mutants``.

    .venv/mutants/bin/python tools/mutants.py --each 50 --seed 0 [--room solve]

The changes are those of cosmic-ray; which of them are tried is drawn by the seed, one a line first. The tests of the
rooms run once under coverage, so that a mutant is judged by those that run its line, the quickest first; where all of
these pass, by all that run its file. Each is made in a copy of the tree and judged in a process of its own
(``mutant_tests.py``), with compiled loops of its own where it changes one. Prints the mutants that live, and the share
killed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic_ray.commands.init import _all_work_items as all_work_items
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_item import MutationSpec

ROOT = Path(__file__).parents[1]
# Room → the tests that are about it. What they do not see, the others may: a mutant that lives here is a question.
ROOMS = {
    "solve": "bounds searches swaps stepwise elastic_net elastic_net_batched jackknife shortlist moments "
    "formula_search",
    "explanations": "explanation explanation_csv explanation_plain fitted_on simulation csv new_explainer formula",
    "explainers": "linear_explainer contracts new_explainer fuzz_numbers device formula_explainers fit_weights",
    "score": "correlation metrics sanity silent compare simulability contracts cli_score",
    "ablation": "ablation impact impact_of_layers cli_impact cli_ablate progress",
    "matrix": "matrix split split_file embedded_matrix numbers fuzz_numbers",
    "store": "store store_activations store_claims store_hashing store_text store_faults",
    "results": "result tables report report_origin outputs cli_foreign summarize fuzz_files compared",
}
# Others make code that nobody would write by mistake (a shift in place of a sum), or change annotations.
OPERATORS = re.compile(
    r"core/(ReplaceBinaryOperator_(Add|Sub|Mul|Div)_(Add|Sub|Mul|Div)"
    r"|ReplaceComparisonOperator_(Eq|NotEq|[LG]tE?)_(Eq|NotEq|[LG]tE?)"
    r"|ReplaceUnaryOperator_Delete_(USub|Not)|AddNot|Replace(True|False|And|Or|Break|Continue)With\w+|NumberReplacer"
    r"|ZeroIterationForLoop)$"
)
AT_FIRST = 30  # seconds of tests that a mutant is given; all others follow where it lives
SLOWER = 10  # how much longer than under coverage tests may take, before a mutant has made them endless
AT_LEAST = 60  # seconds before tests are taken to be endless


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=50, help="mutants for each room")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--room", choices=ROOMS, action="append", help="default: all")
    parser.add_argument("--python", type=Path, default=ROOT / ".venv" / "bin" / "python", help="what runs the tests")
    parser.add_argument("--lines", type=Path, help="which tests run which line, noted by a run before")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy(Path(folder))
        os.chdir(folder)
        os.environ.update(PYTHONPATH=str(Path(folder) / "src"), OMP_NUM_THREADS="1")
        judge = Judge.started(asked.python, asked.room or list(ROOMS), asked.lines)
        mutants = [mutant for room in asked.room or ROOMS for mutant in draw(room, asked.each, asked.seed)]
        random.Random(asked.seed).shuffle(mutants)  # a run that is cut short has looked into every room
        alive: list[str] = []
        for n_tried, mutant in enumerate(mutants, 1):
            if not judge.kills(mutant):
                alive.append(told(mutant))
            print(f"{n_tried:4} {len(alive):3} alive  {told(mutant)}", flush=True)
    n_killed = len(mutants) - len(alive)
    print(
        f"\n{n_killed} of {len(mutants)} mutants were killed ({n_killed / len(mutants):.1%}). Alive:", *alive, sep="\n"
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


def tests_of(room: str) -> set[str]:
    return {f"tests/test_{name}.py" for name in ROOMS[room].split()}


@dataclass(frozen=True)
class Judge:
    """Runs the tests that a mutant could fail."""

    lines: dict[str, dict[str, list[str]]]  # file → line → tests, or files of tests, that run it
    seconds: dict[str, float]
    server: subprocess.Popen[str]

    @classmethod
    def started(cls, python: Path, rooms: list[str], noted: Path | None) -> Judge:
        """Find out which tests run which line, and load the libraries."""
        command = [python, "tools/mutant_tests.py", sysconfig.get_path("purelib")]
        noted = noted or Path("lines.json").absolute()
        if not noted.exists():
            tests = sorted(set[str]().union(*map(tests_of, rooms)))
            task = json.dumps({"tests": tests, "rooms": rooms, "result": str(noted)})
            subprocess.run([*command, task], check=True)
        found: dict[str, Any] = json.loads(noted.read_text(encoding="utf-8"))
        server = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return cls(found["lines"], found["seconds"], server)

    def kills(self, mutant: MutationSpec) -> bool:
        """Return whether a test fails, or does not end, when a mutant stands in the file."""
        operator = get_operator(mutant.operator_name)(**mutant.operator_args)
        by_line = self.lines.get(str(mutant.module_path), {})
        near = self._quickest(by_line.get(str(mutant.start_pos[0]), []))
        first = [test for test, until in near if until < AT_FIRST]
        reached = set[str]().union(*by_line.values())
        with use_mutation(mutant.module_path, operator, mutant.occurrence) as (_, changed):
            if changed is None:
                raise RuntimeError(f"{told(mutant)} could not be made.")
            is_compiled = "@compiled" in changed
            cache = Path("cache", "changed" if is_compiled else "same").absolute()
            shutil.rmtree(cache.with_name("changed"), ignore_errors=True)
            if is_compiled or not reached:  # coverage does not see into compiled loops
                reached |= tests_of(mutant.module_path.parts[2])
            others = [test for test, _ in self._quickest(reached) if test not in first]
            return self._fails(first, cache) or self._fails(others, cache)

    def _quickest(self, reached: Any) -> list[tuple[str, float]]:
        """Return tests, the quickest first, each with the seconds until it has run; a file stands for its tests."""
        whole = {test for test in reached if "::" not in test}
        tests = {test for test in self.seconds if test.partition("::")[0] in whole} | set(reached) - whole
        until, found = 0.0, list[tuple[str, float]]()
        for test in sorted(tests, key=lambda test: (self.seconds[test], test)):
            until += self.seconds[test]
            found.append((test, until))
        return found

    def _fails(self, tests: list[str], cache: Path) -> bool:
        if not tests:
            return False
        limit = AT_LEAST + SLOWER * sum(self.seconds[test] for test in tests)
        task = {"tests": tests, "cache": str(cache), "output": str(Path("output.txt").absolute()), "limit": limit}
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        print(json.dumps(task), file=self.server.stdin, flush=True)
        code = json.loads(self.server.stdout.readline())
        if code not in (0, 1, 2, None) and code > 0:  # 2: a file of tests could not be imported; below 0: a crash
            raise RuntimeError(f"The tests did not run ({code}): {Path('output.txt').read_text()[-2000:]}")
        return code != 0


def told(mutant: MutationSpec) -> str:
    line, column = mutant.start_pos
    return f"{mutant.module_path}:{line}:{column} {mutant.operator_name.removeprefix('core/')} {mutant.occurrence}"


if __name__ == "__main__":
    main()
