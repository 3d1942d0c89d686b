"""How many random inputs ran, and which failed: the tests of random input, with many more cases than ``make test``.

Every case is another one at each call. A failing one is printed with what makes it again; it becomes a test of its own.

    python benchmarks/fuzz.py --cases 2000
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
COUNTS = re.compile(r"- (\d+) passing(?: examples?)?, (\d+) failing")  # worded as versions of hypothesis do


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000, help="of a test that usually runs 100")
    parser.add_argument("--seed", type=int, help="the same cases again")
    parser.add_argument("tests", nargs="*", help="test files; default: all that take random input")
    chosen = parser.parse_args()
    files = chosen.tests or sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("tests/test_*.py") if uses(path))
    seed = chosen.seed if chosen.seed is not None else int(time.time())
    passed = failed = 0
    codes: list[int] = []
    for file in files:
        started = time.perf_counter()
        ended = run(file, chosen.cases, seed)
        counts = [tuple(map(int, found)) for found in COUNTS.findall(ended.stdout)]
        passed, failed = passed + sum(one[0] for one in counts), failed + sum(one[1] for one in counts)
        codes.append(ended.returncode)
        took = f"{time.perf_counter() - started:.0f} s"
        state = "ok" if ended.returncode == 0 else "FAILED"
        print(f"{file:34}{sum(one[0] for one in counts):9,} cases {took:>7}  {state}", flush=True)
        if ended.returncode:
            print(ended.stdout[-6000:], ended.stderr[-2000:], sep="\n")
    print(f"{passed:,} cases passed, {failed:,} failed (seed {seed})")
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
