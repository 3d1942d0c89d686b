"""Is anything lost when recording is killed: kill -9 at random moments, start again, until it is done; then compare.

Prints the figures of docs/reliability.md. Every attempt is a process of its own, killed at a moment drawn uniformly
from the time that a whole recording takes.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.store_worker import SHARD, work

N_IMAGES = 6000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50, help="how often to kill")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    moments = random.Random(options.seed)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds, _ = attempt(folder / "whole", None)  # the first use of everything
        seconds, _ = attempt(folder / "whole2", None)
        expected = files_of(folder / "whole")
        assert files_of(folder / "whole2") == expected
        n_kills, n_equal, n_jobs, lost = 0, 0, 0, list[int]()
        while n_kills < options.times:
            n_jobs += 1
            job = folder / f"job{n_jobs}"
            while True:
                before = n_complete(job)
                # The last recording is let through when there were enough kills.
                limit = None if n_kills == options.times else moments.uniform(0, seconds)
                _, was_killed = attempt(job, limit)
                seen = n_seen(job)
                if not was_killed:
                    break
                n_kills += 1
                lost.append(seen - (n_complete(job) - before) * SHARD)
            n_equal += files_of(job) == expected
    print(
        f"{n_kills} kills in {n_jobs} recordings of {N_IMAGES:,} images ({-(-N_IMAGES // SHARD)} shards of {SHARD}): "
        f"{n_equal} of {n_jobs} equal the uninterrupted one byte for byte; most images that one kill cost: {max(lost)}"
        f", in the mean {sum(lost) / len(lost):.0f} (up to 24 of them to find the fastest way); "
        f"{time.perf_counter() - started:.0f} s"
    )
    sys.exit(n_equal != n_jobs)


def attempt(job: Path, limit: float | None) -> tuple[float, bool]:
    """Record in another process, killed after ``limit`` seconds; return its seconds and whether it was killed."""
    (job / "log").parent.mkdir(exist_ok=True)
    (job / "log").write_text("")
    started = time.perf_counter()
    child = os.fork()
    if child == 0:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for the rest of this process
        work(
            argparse.Namespace(
                store=job / "store",
                log=job / "log",
                out=job / "out",
                images=N_IMAGES,
                die_at_image=None,
                die_while_writing=None,
                largest_file=None,
                meet=1,
            )
        )
        os._exit(0)
    if limit is not None:
        time.sleep(limit)
        os.kill(child, signal.SIGKILL)  # if it is done by now it waits to be asked, and does not mind
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        sys.exit("A recording failed.")
    return time.perf_counter() - started, os.WIFSIGNALED(status)


def n_seen(job: Path) -> int:
    return sum(map(int, (job / "log").read_text().split()))


def n_complete(job: Path) -> int:
    return len(list((job / "store").rglob("*.safetensors")))


def files_of(job: Path) -> dict[str, bytes]:
    found = (path for path in job.rglob("*") if path.is_file() and path.name != "log" and "-met-" not in path.name)
    return {str(path.relative_to(job)): path.read_bytes() for path in found}


if __name__ == "__main__":
    main()
