"""Arguments that got a better name: the old one warns for one release and still works."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

C = TypeVar("C", bound=Callable[..., Any])


def renamed(old: str, new: str, translate: Callable[[Any], Any] | None = None) -> Callable[[C], C]:
    """Let a function or a dataclass take an argument, and a dataclass be asked for it, by its old name.

    ``translate`` turns what the old argument took into what the new one takes, where these differ.
    """

    def warn(remedy: str) -> None:
        warnings.warn(f"{old} is now called {new}. {remedy}", FutureWarning, stacklevel=3)

    simple = f"The old name goes with the next release; write {new}."

    def decorate(kind: Any) -> Any:
        call = kind.__init__ if isinstance(kind, type) else kind

        @wraps(call)
        def with_old_name(*values: Any, **named: Any) -> Any:
            if old in named:
                value = named.pop(old) if translate is None else translate(named.pop(old))
                warn(simple if translate is None else f"Use {new}={value!r}.")
                named[new] = value  # over what ``replace`` took from the object
            return call(*values, **named)

        def read(self: Any) -> Any:
            warn(simple)
            return getattr(self, new)

        if not isinstance(kind, type):
            return with_old_name
        kind.__init__ = with_old_name
        setattr(kind, old, property(read, doc=f"Old name of ``{new}``."))
        return kind

    return decorate
