"""The engines by name, and the older way to choose between them."""

from __future__ import annotations

from linexp._internal.checks import check_choice
from linexp._internal.renamed import renamed
from linexp.forward.engines.base import Engine
from linexp.forward.engines.eager import Eager
from linexp.forward.engines.fused import Fused

ENGINES: dict[str, type[Engine]] = {"auto": Fused, "eager": Eager, "fused": Fused}
"""From the name that ``engine=`` takes to the class; "auto" is what is fastest and passes the test on most models."""


def find_engine(engine: Engine | str) -> Engine:
    """Return the engine of a name, with its default settings; or the engine itself. Others are refused."""
    if isinstance(engine, Engine):
        return engine
    if not isinstance(engine, str):  # pyright: ignore[reportUnnecessaryIsInstance] - users are not type-checked
        raise TypeError(f"The engine is a {type(engine).__name__}. Give one of {', '.join(ENGINES)}, or an Engine.")
    check_choice("engine", engine, list(ENGINES))
    return ENGINES[engine]()


takes_fold = renamed("fold", "engine", lambda fold: "auto" if fold else "eager")
"""Lets a function that takes ``engine`` also take ``fold``, its older name, for one release."""
