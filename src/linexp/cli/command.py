"""A command's options that belong together are the fields of one dataclass, and it receives that."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Annotated, Any, TypeVar, cast, get_type_hints

import typer

T = TypeVar("T")


def command(home: typer.Typer, name: str | None = None) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Make a function a command of ``home``.

    A parameter whose type is a dataclass becomes the options that are its fields, and the function receives the object.
    Called from Python, the command takes the options as keywords, with the same defaults.
    """

    def register(function: Callable[..., T]) -> Callable[..., T]:
        function.__annotations__.pop("return", None)  # what nobody reads need not be imported
        own = inspect.signature(function, eval_str=True).parameters.values()
        groups: dict[str, Any] = {one.name: one.annotation for one in own if is_dataclass(one.annotation)}
        options = [
            part for one in own for part in (_parameters(groups[one.name]) if one.name in groups else [_plain(one)])
        ]
        signature = inspect.Signature(options)

        def run(*values: Any, **named: Any) -> T:
            bound = signature.bind(*values, **named)
            bound.apply_defaults()
            given = bound.arguments
            made = {
                name: kind(**{item.name: given.pop(item.name) for item in fields(kind)})
                for name, kind in groups.items()
            }
            return function(**given, **made)

        run.__name__, run.__doc__, run.__module__ = function.__name__, function.__doc__, function.__module__
        run.__annotations__ = {one.name: one.annotation for one in options}
        cast(Any, run).__signature__ = signature
        home.command(name)(run)
        return run

    return register


def _parameters(group: type) -> list[inspect.Parameter]:
    """Return the fields of a group as parameters."""
    hints = get_type_hints(group, include_extras=True)
    kind = inspect.Parameter.KEYWORD_ONLY
    return [_plain(inspect.Parameter(one.name, kind, default=one, annotation=hints[one.name])) for one in fields(group)]


def _plain(one: inspect.Parameter) -> inspect.Parameter:
    """Return a parameter with its own default, and with how the option is met in its annotation."""
    if not isinstance(one.default, Field):
        return one
    default = inspect.Parameter.empty if one.default.default is MISSING else one.default.default
    told = one.default.metadata.get("told")
    return one.replace(default=default, annotation=Annotated[one.annotation, told] if told else one.annotation)
