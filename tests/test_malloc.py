"""Large buffers are reused while a network works, and the process is as it was afterwards."""

from __future__ import annotations

import pytest
import torch

import linexp as le
from linexp.forward import malloc


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []
    monkeypatch.setattr(malloc, "_n_open", 0)
    monkeypatch.setattr(malloc, "_set", lambda: not made.append("set"))
    monkeypatch.setattr(malloc, "_unset", lambda: made.append("unset"))
    for name in malloc._CHOSEN:
        monkeypatch.delenv(name, raising=False)
    return made


def test_set_for_the_time_of_the_outermost_pass(calls: list[str]):
    def fail() -> None:
        with malloc.reusing_large_buffers():
            with malloc.reusing_large_buffers():
                assert calls == ["set"]
            assert calls == ["set"]
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert calls == ["set", "unset"]


def test_where_the_command_line_has_set_it_it_stays(calls: list[str]):
    assert malloc.reuse_large_buffers()
    with malloc.reusing_large_buffers():
        pass
    assert calls == ["set"]


def test_who_has_chosen_otherwise_is_left_alone(calls: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    with malloc.reusing_large_buffers():
        pass
    assert calls == []


def test_memory_goes_back_to_the_system():
    """Measured in the real process: what a pass allocated and freed is not kept."""

    def resident() -> int:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * 4096

    class Wasteful(torch.nn.Module):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            blocks = [torch.ones(2**22) for _ in range(12)]  # 16 MB each
            return batch + blocks[-1][0] - 1

    le.record(torch.nn.Sequential(Wasteful()), "0", torch.ones(4, 3), show_progress=False)
    before = resident()
    le.record(torch.nn.Sequential(Wasteful()), "0", torch.ones(4, 3), show_progress=False)
    assert resident() - before < 100 * 2**20
    if malloc._set():
        malloc._unset()
