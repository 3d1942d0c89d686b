"""The one place that touches numba: functions compiled to machine code, and neurons shared among threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeAlias, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
# Neurons a thread takes at a time: few enough that all threads end together, and that Ctrl-C is soon noticed.
_NEURONS_PER_TURN = 32


def compiled(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Compile a function, which then runs beside others of other threads; kept on disk between processes."""
    return numba.njit(cache=True, nogil=True)(function)


def compiled_sum(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Do what ``compiled`` does, and take sums several at a time, as the machine allows.

    The order depends on how many numbers there are, and on nothing else; only on another kind of processor may the
    last digits differ.
    """
    return numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})(function)


def share_neurons(
    n_neurons: int,
    work: Callable[Concatenate[int, int, Arguments], None],
    *arguments: Arguments.args,
    **named: Arguments.kwargs,
) -> None:
    """Call a compiled function on ranges of neurons that together are all of them, on a thread for each core.

    It gets the first neuron of a range, the one behind its last, and the arguments.

    Threads of Python around compiled code rather than numba's own: they take half as long to compile and leave no
    thread pool behind that a forked process would trip over.
    """
    starts = range(0, n_neurons, _NEURONS_PER_TURN)

    def turn(start: int) -> None:
        work(start, min(start + _NEURONS_PER_TURN, n_neurons), *arguments, **named)

    for start in starts[:1]:  # compiles, once, what the threads then share
        turn(start)
    if len(starts) > 1:
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            list(threads.map(turn, starts[1:]))
