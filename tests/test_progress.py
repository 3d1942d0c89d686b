"""Progress goes to standard error, and nowhere if it is not wanted."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

import linexp as le
from linexp._internal.progress import progress_bar
from linexp.images import content_fingerprint
from tests.recording_twin import small_cnn, some_inputs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_one_line_at_the_end_outside_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("recording", 5) as advance:
        advance(3)
        advance(2)
        assert capsys.readouterr() == ("", "")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("recording: 5 images in ")
    assert err.endswith("/s)\n")
    assert err.count("\n") == 1


def test_other_units(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("explaining", 2, "neurons") as advance:
        advance(2)
    assert "explaining: 2 neurons in " in capsys.readouterr().err


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar("recording", 5) as advance:
        advance(5)
    assert "recording" in terminal.getvalue()
    assert "5/5" in terminal.getvalue()
    assert "images/s" in terminal.getvalue()
    assert capsys.readouterr().out == ""


def test_nothing_when_not_wanted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with progress_bar("recording", 5, show=False) as advance:
        advance(5)
    assert capsys.readouterr() == ("", "")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar("recording", 5, show=False) as advance:
        advance(5)
    assert terminal.getvalue() == ""


def test_nothing_where_there_is_no_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with progress_bar("recording", 5) as advance:
        advance(5)


def _interrupted() -> None:
    with progress_bar("recording", 5) as advance:
        advance(2)
        raise KeyboardInterrupt


@pytest.mark.parametrize("terminal", [True, False])
def test_errors_pass_through(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with pytest.raises(KeyboardInterrupt):
        _interrupted()
    assert terminal or stream.getvalue() == ""


@pytest.mark.parametrize(("n_images", "shown"), [(4_999, ""), (5_000, "hashing: 5000 images in ")])
def test_hashing_is_shown_from_where_it_takes_time(
    n_images: int, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content_fingerprint(le.ImageArray(np.zeros((n_images, 1, 1), np.uint8)))
    assert capsys.readouterr().err.startswith(shown) if shown else capsys.readouterr().err == ""


def test_recording_counts_its_images(capsys: pytest.CaptureFixture[str]) -> None:
    le.record(small_cnn(), "head", some_inputs(7), batch_size=2)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("recording: 7 images in ")
    le.record(small_cnn(), "head", some_inputs(7), show_progress=False)
    assert capsys.readouterr() == ("", "")
