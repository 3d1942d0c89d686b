"""Work on every image of a collection, in order, in other processes."""

from __future__ import annotations

import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Generator, Iterable
from typing import Any, Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from linexp._internal.checks import check_at_least

T = TypeVar("T")
B = TypeVar("B")
_SMALL = 64
_MOST_WORKERS = 8


def choose_workers(workers: int | None, n_images: int) -> int:
    """Return the number of worker processes: ``workers``, or where it is ``None`` a sensible number.

    That is 0 for fewer than 64 images, off Linux (where starting a worker costs seconds) and inside a daemon
    process (which may not start any); otherwise the number of processors, at most 8.
    """
    if workers is not None:
        check_at_least("workers", workers, 0)
        return workers
    if n_images < _SMALL or sys.platform != "linux" or multiprocessing.current_process().daemon:
        return 0
    return min(_MOST_WORKERS, len(os.sched_getaffinity(0)))


def work_through(
    batches: Iterable[range],
    n_images: int,
    work: Callable[[int], T],
    gather: Callable[[list[T]], B],
    *,
    workers: int | None,
) -> Generator[B, None, None]:
    """Yield ``gather([work(row), …])`` of each batch of rows, in order.

    The batches are drawn as they are needed: at most two for each process ahead of the one that is yielded. The
    processes end when the generator does. Neither function may raise: what goes wrong is returned as a value,
    because an exception would arrive as a traceback of another process.

    Raises
    ------
    RuntimeError
        A process was killed.
    """
    n_workers = min(choose_workers(workers, n_images), n_images)
    with warnings.catch_warnings():
        # Remarks about the number of workers, and Python 3.12's about fork beside idle threads.
        warnings.filterwarnings("ignore", message="This DataLoader will create", category=UserWarning)
        warnings.filterwarnings("ignore", message=".*fork", category=DeprecationWarning)
        loader: DataLoader[Any] = DataLoader(
            _Rows(work),
            batch_sampler=map(list, batches),
            num_workers=n_workers,
            collate_fn=gather,
            multiprocessing_context="fork" if n_workers and sys.platform == "linux" else None,
            generator=torch.Generator(),  # or the loader would draw from, and so change, the user's random state
        )
        outcomes: Any = iter(loader)
    try:
        yield from outcomes
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise RuntimeError(
            f"One of the {n_workers} decoding processes was killed, perhaps for want of memory (or of shared memory, "
            "/dev/shm). Use fewer workers (0: none) or a smaller batch_size."
        ) from error
    finally:
        # Not left to the garbage collector: a traceback that is kept alive would keep the processes too.
        shut_down = getattr(outcomes, "_shutdown_workers", None)
        if shut_down is not None:
            shut_down()


class _Rows(Dataset[T], Generic[T]):
    def __init__(self, work: Callable[[int], T]) -> None:
        self.work = work

    def __getitem__(self, index: int) -> T:
        return self.work(index)
