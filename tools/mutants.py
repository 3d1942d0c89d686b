"""Does a test fail when the code is wrong? Change it in one place at a time and see: ``make mutants``.

    .venv/mutants/bin/python tools/mutants.py --each 50 --seed 0 [--room solve]

The changes are those of cosmic-ray; which of them are tried is drawn by the seed, one a line first. The tests of the
rooms run once under coverage, so that a mutant is judged by those that run its line, the quickest first, until one
fails. Each is judged in a process of its own (``mutant_tests.py``), with compiled loops of its own where it changes
one, and all of it happens in a copy of the tree. Prints the mutants that live, and the share killed.
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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import mutate_code, use_mutation
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).parents[1]
# Room → the tests that are about it, of which the quick ones run. What they do not see, the others may: a mutant that
# lives here is a question.
ROOMS = {
    "solve": "searches swaps stepwise elastic_net elastic_net_batched jackknife shortlist moments formula_search ridge",
    "explanations": "explanation explanation_csv explanation_plain fitted_on simulation csv new_explainer formula",
    "explainers": "linear_explainer contracts new_explainer device formula_explainers formula_everywhere fit_weights",
    "score": "correlation metrics sanity silent compare simulability reliability",
    "ablation": "ablation impact impact_of_layers",
    "matrix": "matrix split split_file embedded_matrix numbers",
    "store": "store store_activations store_claims store_hashing store_text",
    "results": "result tables report report_origin outputs summarize compared recipe",
}
# Others make code that nobody would write by mistake (a shift in place of a sum), or change annotations.
OPERATORS = re.compile(
    r"core/(ReplaceBinaryOperator_(Add|Sub|Mul|Div)_(Add|Sub|Mul|Div)"
    r"|ReplaceComparisonOperator_(Eq|NotEq|[LG]tE?)_(Eq|NotEq|[LG]tE?)"
    r"|ReplaceUnaryOperator_Delete_(USub|Not)|AddNot|Replace(True|False|And|Or|Break|Continue)With\w+|NumberReplacer"
    r"|ZeroIterationForLoop)$"
)
NOT_INSIDE, CRASHED = 3, 70  # as in mutant_tests.py
FOR_LINES = 36_000  # seconds of the processor: as good as no limit
SLOWER, AT_LEAST = 5, 20  # how much longer than without it tests may take, before a mutant has made them endless


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
        judge = Judge.started(asked.python, asked.room or list(ROOMS))
        mutants = [mutant for room in asked.room or ROOMS for mutant in draw(room, asked.each, asked.seed)]
        random.Random(asked.seed).shuffle(mutants)  # a run that is cut short has looked into every room
        alive: list[str] = []
        for n_tried, mutant in enumerate(mutants, 1):
            if not judge.kills(mutant):
                alive.append(str(mutant))
            print(f"{n_tried:4} {len(alive):3} alive  {mutant}", flush=True)
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


@dataclass(frozen=True, order=True)
class Mutant:
    """A change of one place: the operator of cosmic-ray, and its which place of the file it is."""

    file: Path
    line: int
    column: int
    operator: str
    occurrence: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column} {self.operator.removeprefix('core/')} {self.occurrence}"


def draw(room: str, n_mutants: int, seed: int) -> list[Mutant]:
    """Draw mutants of a room, on as many lines as there are."""
    by_line: dict[tuple[Path, int], list[Mutant]] = {}
    for file in sorted(Path("src/linexp", room).rglob("*.py")):
        for mutant in mutants_of(file):
            by_line.setdefault((file, mutant.line), []).append(mutant)
    chance = random.Random(f"{seed}:{room}")
    lines = sorted(by_line)
    chosen = chance.sample(lines, min(n_mutants, len(lines)))
    return [chance.choice(sorted(by_line[line])) for line in sorted(chosen)]


def mutants_of(file: Path) -> Iterator[Mutant]:
    """Yield the mutants of a file; not what no result depends on, nor the star before arguments that must be named."""
    text, tree = file.read_text(encoding="utf-8").splitlines(), get_ast_from_path(file)
    for name in filter(OPERATORS.match, operator_names()):
        positions = get_operator(name)().mutation_positions
        places = (start for node in ast_nodes(tree) for start, _ in positions(node))
        for occurrence, (line, column) in enumerate(places):
            told = text[line - 1]
            if not re.search(r"stacklevel=|strict=|@dataclass|^\s*(import|from) ", told) and told[column:][:2] != "*,":
                yield Mutant(file, line, column, name, occurrence)


def tests_of(room: str) -> set[str]:
    return {f"tests/test_{name}.py" for name in ROOMS[room].split()}


@dataclass(frozen=True)
class Judge:
    """Runs the tests that a mutant could fail."""

    python: Path
    server: subprocess.Popen[str]
    lines: dict[str, dict[str, list[str]]]  # file → line → tests, or files of tests, that run it
    seconds: dict[str, float]

    @classmethod
    def started(cls, python: Path, rooms: list[str]) -> Judge:
        """Collect the tests of rooms, and find out which of them run which line."""
        tests = sorted(set[str]().union(*map(tests_of, rooms)))
        command = [python, "tools/mutant_tests.py", sysconfig.get_path("purelib"), "-m", "not slow", *tests]
        server = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        judge = cls(python, server, {}, {})
        if judge._ask(lines="lines.json", rooms=rooms, limit=FOR_LINES):
            raise RuntimeError(f"The tests did not run: {Path('mutant-tests.txt').read_text()[-2000:]}")
        found: dict[str, Any] = json.loads(Path("lines.json").read_text(encoding="utf-8"))
        judge.lines.update(found["lines"])
        judge.seconds.update(found["seconds"])
        return judge

    def kills(self, mutant: Mutant) -> bool:
        """Return whether a test fails, or does not end, with a mutant in the place of the code."""
        text = mutant.file.read_text(encoding="utf-8")
        changed = mutate_code(text, get_operator(mutant.operator)(), mutant.occurrence)
        if changed is None:
            raise RuntimeError(f"{mutant} could not be made.")
        by_line = self.lines.get(str(mutant.file), {})
        reached = set(by_line.get(str(mutant.line), []))
        if not reached:  # coverage does not see into compiled loops, and what is run at the import is no test's
            reached = set[str]().union(*by_line.values()) | tests_of(mutant.file.parts[2])
        tests = self._quickest(reached)
        limit = AT_LEAST + SLOWER * int(sum(self.seconds[test] for test in tests))
        code = self._ask(file=str(mutant.file), code=changed, tests=tests, limit=limit)
        return code != 0 if code != NOT_INSIDE else self._kills_by_import(mutant, tests)

    def _kills_by_import(self, mutant: Mutant, tests: list[str]) -> bool:
        """Judge what is changed outside of functions in a process that imports it anew."""
        command = [self.python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
        changed = use_mutation(mutant.file, get_operator(mutant.operator)(), mutant.occurrence)
        with changed, tempfile.TemporaryDirectory() as cache:
            environment = {**os.environ, "NUMBA_CACHE_DIR": cache, "PYTHONDONTWRITEBYTECODE": "1"}
            return subprocess.run(command, env=environment, check=False, stdout=subprocess.DEVNULL).returncode != 0

    def _quickest(self, reached: set[str]) -> list[str]:
        """Return tests, the quickest first; a file stands for its tests."""
        whole = {test for test in reached if "::" not in test}
        tests = {test for test in self.seconds if test.partition("::")[0] in whole} | reached - whole
        return sorted(tests, key=lambda test: (self.seconds[test], test))

    def _ask(self, **task: object) -> int:
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        print(json.dumps(task), file=self.server.stdin, flush=True)
        code = int(self.server.stdout.readline())
        if code == CRASHED:
            raise RuntimeError(Path("crash.txt").read_text(encoding="utf-8"))
        return code


if __name__ == "__main__":
    main()
