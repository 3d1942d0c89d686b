"""How many cases the fuzz tests run: few in ``make test``, as many as ``LINEXP_FUZZ`` says otherwise; their parts."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import strategies as st

ASKED = int(os.environ.get("LINEXP_FUZZ", "0"))
"""Cases of a test whose usual number is 100; 0: the usual numbers, the same cases each time."""

# What benchmarks/fuzz.py counts: a test whose input may be refused must see input that is not.
TAKEN, REFUSED = "taken", "refused"
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
WORDS = st.text(LETTERS, min_size=1, max_size=12).map(str.strip).filter(bool)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def cases(usual: int) -> hypothesis.settings:
    """Return the settings of a test that usually runs ``usual`` cases."""
    return hypothesis.settings(
        max_examples=max(usual, ASKED * usual // 100),
        suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
    )


@st.composite
def damaged(draw: st.DrawFn, sound: bytes) -> bytes:
    """A sound file with bytes changed, cut out, put in twice, or cut off."""
    content = bytearray(sound)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(len(content) - 1, 0)))
        length = draw(st.integers(1, 64))
        match draw(st.sampled_from(["change", "remove", "repeat", "cut"])):
            case "change":
                content[start : start + length] = draw(st.binary(min_size=1, max_size=8))
            case "remove":
                del content[start : start + length]
            case "repeat":
                content[start:start] = content[start : start + length]
            case _:
                del content[max(start, 1) :]
    return bytes(content)


def reads_or_says(read: Callable[[Path], Any], path: Path, *errors: type[Exception]) -> Any:
    """Return what was read, or ``None`` if it was refused with one of the errors, naming the file, in sentences."""
    try:
        found = read(path)
    except errors as error:
        hypothesis.event(REFUSED)
        text = str(error)
        assert path.name in text, f"does not name the file: {text!r}"
        assert re.search(r"[.\])]$", text), f"is no sentence: {text!r}"
        return None
    hypothesis.event(TAKEN)
    return found
