"""The one place that touches numba: a typed decorator for functions compiled to machine code."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

parallel_range = numba.prange


def compiled(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Compile a function that runs inside others on one core; the result is kept on disk between processes."""
    return numba.njit(cache=True)(function)


def compiled_parallel(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Compile a function whose ``parallel_range`` loops share the cores."""
    return numba.njit(cache=True, parallel=True)(function)
