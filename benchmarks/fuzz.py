"""How many random inputs ran, and which failed: the tests of random input, with many more cases than ``make test``.

Every case is another one at each call. A failing one is printed with what makes it again; it becomes a test of its own.
Where input may be refused, some of it must not be, or nothing is tried but the refusal: such cases are counted, and a
test that saw none fails.

    python benchmarks/fuzz.py --cases 2000
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
# As hypothesis words its statistics.
COUNTS = re.compile(r"- (\d+) passing\D*, (\d+) failing\D*, (?:and )?(\d+) invalid")
SHARE = re.compile(r"\* (\d+\.\d+)%, (taken|refused)$")


@dataclass
class Seen:
    """Cases of the tests of a file."""

    passed: int = 0
    failed: int = 0
    taken: int = 0
    refused: int = 0
    only_refused: list[str] = field(default_factory=list[str])

    @classmethod
    def read(cls, said: str) -> Seen:
        """Read hypothesis' statistics, a block for each test."""
        seen = cls()
        for test in re.split(r"\n(?=tests/\S+::)", said):
            here, n_cases = {"taken": 0.0, "refused": 0.0}, 0
            for line in test.splitlines():
                if counts := COUNTS.search(line):
                    passed, failed, invalid = map(int, counts.groups())
                    seen.passed, seen.failed, n_cases = (
                        seen.passed + passed,
                        seen.failed + failed,
                        passed + failed + invalid,
                    )
                if share := SHARE.search(line):
                    here[share[2]] += float(share[1]) / 100 * n_cases
            seen.taken, seen.refused = seen.taken + round(here["taken"]), seen.refused + round(here["refused"])
            if here["refused"] and not here["taken"]:
                seen.only_refused.append(test.partition("\n")[0].rstrip(":"))
        return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000, help="of a test that usually runs 100")
    parser.add_argument("--seed", type=int, help="the same cases again")
    parser.add_argument("tests", nargs="*", help="test files; default: all that take random input")
    chosen = parser.parse_args()
    files = chosen.tests or sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("tests/test_*.py") if uses(path))
    seed = chosen.seed if chosen.seed is not None else int(time.time())
    every, codes = Seen(), list[int]()
    for file in files:
        started = time.perf_counter()
        ended = run(file, chosen.cases, seed)
        seen = Seen.read(ended.stdout)
        every.passed, every.failed = every.passed + seen.passed, every.failed + seen.failed
        every.taken, every.refused = every.taken + seen.taken, every.refused + seen.refused
        codes.append(ended.returncode or len(seen.only_refused))
        state = "ok" if not codes[-1] else "FAILED"
        took = f"{time.perf_counter() - started:.0f} s"
        print(
            f"{file:34}{seen.passed:9,} cases {seen.taken:9,} taken {seen.refused:9,} refused {took:>7}  {state}",
            flush=True,
        )
        for test in seen.only_refused:
            print(f"{test} has seen nothing but refused input")
        if ended.returncode:
            print(ended.stdout[-6000:], ended.stderr[-2000:], sep="\n")
    print(f"{every.passed:,} cases passed, {every.failed:,} failed (seed {seed});", end=" ")
    print(f"where input may be refused, {every.taken:,} were taken and {every.refused:,} refused")
    raise SystemExit(any(codes))


def uses(path: Path) -> bool:
    """Tell whether a test file takes random input."""
    return "from hypothesis import" in path.read_text(encoding="utf-8")


def run(file: str, cases: int, seed: int) -> subprocess.CompletedProcess[str]:
    """Run one file's tests of random input."""
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "--hypothesis-show-statistics"]
    command += [f"--hypothesis-seed={seed}", "-p", "no:cacheprovider", "-m", "hypothesis", file]
    environment = {**os.environ, "LINEXP_FUZZ": str(cases)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    main()
