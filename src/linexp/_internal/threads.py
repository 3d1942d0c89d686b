"""Pieces of work on tensors, each done by one thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch


def share(tasks: Sequence[Callable[[], None]], device: torch.device) -> None:
    """Do independent tasks, on the CPU as many at a time as torch has threads, each on one thread.

    A task does the same arithmetic however many threads there are, so it gives the same bytes; and threads that never
    wait for each other lose little where other processes take a core away now and then. Large tasks should come first.
    """
    n_threads = torch.get_num_threads()
    if not _on_threads(device):
        for task in tasks:
            task()
        return
    torch.set_num_threads(1)
    try:
        if len(tasks) == 1:
            _do(tasks[0])
        else:
            with ThreadPoolExecutor(n_threads) as threads:
                list(threads.map(_do, tasks))
    finally:
        torch.set_num_threads(n_threads)


def _on_threads(device: torch.device) -> bool:
    return device.type == "cpu"


@torch.inference_mode()  # a thread's own setting; without it, tensors made in this mode could not be written to
def _do(task: Callable[[], None]) -> None:
    task()
