"""A process that records into a store and can be told to die or to run into trouble: ``python -m tests.store_worker``.

Run by test_store_faults.py and benchmarks/kill.py. Every batch that goes through the network is noted in a file.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from torch import Tensor, nn

import linexp as le
from linexp.forward.engines.passes import Passes

N_IMAGES, SHARD = 400, 128


def network() -> nn.Module:
    torch.manual_seed(0)
    parts = [nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2)]
    return nn.Sequential(*parts)


def inputs(n_images: int = N_IMAGES) -> Tensor:
    return torch.randn(n_images, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def run_aside(arguments: list[str], out: Path, err: Path) -> None:
    """Do as the command line does, in a process that was forked: what is said goes into files."""
    for number, path in enumerate((out, err), 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    main(arguments)


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--images", type=int, default=N_IMAGES)
    parser.add_argument("--die-at-image", type=int)
    parser.add_argument("--die-while-writing", type=int, metavar="SHARD")
    parser.add_argument("--largest-file", type=int, metavar="BYTES")
    parser.add_argument("--meet", type=int, default=1, help="begin when so many who share --log have claimed a shard")
    work(parser.parse_args(given))


def work(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    if arguments.largest_file is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (arguments.largest_file, arguments.largest_file))
    if arguments.die_while_writing is not None:
        _die_while_writing(arguments.die_while_writing)
    _watch(arguments.log, arguments.die_at_image, arguments.meet)
    store = le.Store(arguments.store, tell=lambda line: print(line, flush=True))
    try:
        values = le.record(network(), "3", inputs(arguments.images), store=store, show_progress=False).values
    except OSError as error:
        sys.exit(str(error))
    if arguments.out is not None:
        arguments.out.write_bytes(values.numpy().tobytes())


def _watch(log: Path | None, last: int | None, n_meeting: int) -> None:
    """Note every batch before it goes through the network, and perhaps die there."""
    run = Passes.run
    handle = None if log is None else os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    n_seen = 0

    def watched(passes: Passes, batch: Tensor, *within: AbstractContextManager[None]) -> dict[str, Tensor]:
        nonlocal n_seen
        n_seen += len(batch)
        if last is not None and n_seen >= last:
            os.kill(os.getpid(), signal.SIGKILL)
        if handle is not None:
            os.write(handle, b"%d\n" % len(batch))
        if log is not None and n_seen == len(batch):
            _meet(log, n_meeting)
        return run(passes, batch, *within)

    Passes.run = watched


def _meet(log: Path, n_meeting: int) -> None:
    """Wait until others are here too, each with a shard of their own, for that is claimed before the network runs."""
    log.with_name(f"{log.name}-met-{os.getpid()}").touch()
    until = time.monotonic() + 100
    while len(list(log.parent.glob(f"{log.name}-met-*"))) < n_meeting:
        if time.monotonic() > until:
            sys.exit("The others did not come.")
        time.sleep(0.01)


def _die_while_writing(shard: int) -> None:
    """Die with a shard's file half written."""
    from linexp.store import entry

    def half(path: Path, content: bytes) -> None:
        if path.name.startswith(f"{shard:05}-"):
            path.with_name(f".{path.name}.{os.getpid()}.part").write_bytes(content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        whole(path, content)

    whole, entry.write_atomically = entry.write_atomically, half


if __name__ == "__main__":
    main()
