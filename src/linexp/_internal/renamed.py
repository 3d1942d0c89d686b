"""Settings that got a better name: the old one warns for one release and still works."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

T = TypeVar("T")


def renamed(old: str, new: str) -> Callable[[type[T]], type[T]]:
    """Let a dataclass take, and be asked for, a field by its old name."""

    def warn() -> None:
        text = f"{old} is now called {new}. The old name goes with the next release; write {new}."
        warnings.warn(text, FutureWarning, stacklevel=3)

    def decorate(kind: type[T]) -> type[T]:
        init: Callable[..., None] = kind.__init__

        @wraps(init)
        def with_old_name(self: T, *values: Any, **named: Any) -> None:
            if old in named:
                warn()
                named[new] = named.pop(old)
            init(self, *values, **named)

        def read(self: T) -> Any:
            warn()
            return getattr(self, new)

        kind.__init__ = with_old_name
        setattr(kind, old, property(read, doc=f"Old name of ``{new}``."))
        return kind

    return decorate
