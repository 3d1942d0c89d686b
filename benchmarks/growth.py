"""How time and memory grow with images, concepts and neurons: moments of the training rows, elastic net and search.

Each size runs in a process of its own, whose peak memory is its own too; rows are made as in ``paper_scale.py`` and the
time that takes is left out. An exponent is the slope of log time against log size; those of the last step are the
closest to what larger sizes will show. ``--full`` goes to 1.28 million images, 20,000 concepts and 16,384 neurons.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys

from linexp.solve import accumulate_moments, search_greedy, solve_elastic_net
from paper_scale import Clock, MadeRows, peak_gib

# (images, concepts, neurons) of the middle, and for each axis the sizes tried while the others stay there
SIZES = {
    "small": ((4096, 256, 64), ((4096, 8192, 16_384), (128, 256, 512), (64, 128, 256))),
    "default": ((20_480, 2048, 512), ((20_480, 81_920, 327_680), (2048, 4096, 8192), (512, 2048, 8192))),
    "full": ((40_960, 2500, 1024), ((40_960, 320_000, 1_280_000), (2500, 7500, 20_000), (1024, 4096, 16_384))),
}
AXES = ("images", "concepts", "neurons")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="some seconds")
    parser.add_argument("--full", action="store_true", help="an hour on two cores")
    parser.add_argument("--one", type=int, nargs=3, metavar=AXES, help="time one size, as JSON")
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measure(*chosen.one)))
        return
    middle, tried = SIZES["small" if chosen.small else "full" if chosen.full else "default"]
    flat = True
    for axis, sizes in enumerate(tried):
        print(f"{AXES[axis]:>10}{'moments':>10}{'net':>8}{'search':>8}{'all':>9}   {'exponent':>8}{'GiB':>8}")
        before: tuple[int, dict[str, float]] | None = None
        for size in sizes:
            found = in_its_own_process([*middle[:axis], size, *middle[axis + 1 :]])
            slope = "" if before is None else f"{exponent(before, (size, found)):.2f}"
            stages = f"{found['moments']:10.2f}{found['net']:8.2f}{found['search']:8.2f}{found['all']:9.2f}"
            print(f"{size:10,}{stages}   {slope:>8}{found['gib']:8.2f}", flush=True)
            if axis == 0 and before is not None:
                flat = found["gib"] <= 1.1 * before[1]["gib"]  # in the end: few blocks may not fill what many reuse
            before = (size, found)
    print(f"memory {'is' if flat else 'is NOT'} flat in images (within 10 % at the last step)")
    if not flat:
        raise SystemExit(1)


def measure(n_images: int, n_concepts: int, n_neurons: int) -> dict[str, float]:
    """Return the seconds of each stage and the peak memory of this process."""
    explain(MadeRows(50, 64), 500, Clock())  # compiles
    clock = Clock()
    explain(MadeRows(n_concepts, n_neurons), n_images, clock)
    return {**clock.stages, "all": sum(clock.stages.values()), "gib": peak_gib()}


def explain(rows: MadeRows, n_images: int, clock: Clock) -> None:
    """Go through the stages; the search is given the same images twice, which is all the same to its speed."""
    raw = clock.time("moments", lambda: accumulate_moments(clock.outside(rows.blocks(n_images))))
    unit = raw.standardise(raw.concept_variance.sqrt(), raw.neuron_variance.sqrt())
    del raw
    gram, cross, variance = unit.gram.numpy(), unit.cross.numpy(), unit.neuron_variance.numpy()
    fit = clock.time("net", lambda: solve_elastic_net(gram, cross, variance))
    clock.time("search", lambda: search_greedy(unit, unit, fit.weights))


def in_its_own_process(size: list[int]) -> dict[str, float]:
    """Return what ``--one`` prints for a size."""
    command = [sys.executable, __file__, "--one", *map(str, size)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def exponent(before: tuple[int, dict[str, float]], after: tuple[int, dict[str, float]]) -> float:
    """Return the slope of log time between two sizes."""
    return math.log(after[1]["all"] / before[1]["all"]) / math.log(after[0] / before[0])


if __name__ == "__main__":
    main()
