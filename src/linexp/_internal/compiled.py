"""The one place that touches numba: functions compiled to machine code, and neurons shared among threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import numba

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
# Neurons a thread takes at a time: few enough that all threads end together, and that Ctrl-C is soon noticed.
_NEURONS_PER_TURN = 32


def compiled(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Compile a function, which then runs beside others of other threads; kept on disk between processes."""
    return numba.njit(cache=True, nogil=True)(function)


def share_neurons(n_neurons: int, work: Callable[[slice], None]) -> None:
    """Call ``work`` on ranges of neurons that together are all of them, on as many threads as there are cores.

    Threads of Python around compiled code rather than numba's own: they take half as long to compile and leave no
    thread pool behind that a forked process would trip over.
    """
    turns = [slice(start, start + _NEURONS_PER_TURN) for start in range(0, n_neurons, _NEURONS_PER_TURN)]
    if len(turns) < 2:
        for turn in turns:
            work(turn)
        return
    work(turns[0])  # compiles, once, what the threads then share
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for _ in threads.map(work, turns[1:]):
            pass
