"""Settings of a dataclass as text: their names, types and help are read from the class, and nowhere said again."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Collection, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from linexp._internal.checks import check_choice, closest

_BOOLS = {"true": True, "yes": True, "false": False, "no": False}
# Type → what it is called, and how it is read. Text comes last: in a union everything else is tried before it.
_READERS: dict[Any, tuple[str, Callable[[str], Any]]] = {
    types.NoneType: ("none", lambda text: {"none": None}[text]),
    bool: ("true or false", _BOOLS.__getitem__),
    int: ("a whole number", int),
    float: ("a number", float),
    str: ("text", str),
}


@dataclass(frozen=True)
class Setting:
    """One field of a class of settings."""

    name: str
    hint: Any
    default: Any
    text: str

    def read(self, text: str) -> Any:
        """Return the value that a text stands for; objects cannot be written as text."""
        kinds = get_args(self.hint) if get_origin(self.hint) in (Union, types.UnionType) else (self.hint,)
        for kind, (_, read) in _READERS.items():
            if kind in kinds:
                try:
                    return read(text)
                except (ValueError, KeyError):
                    continue
        choices = [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
        if choices:
            check_choice(self.name, text, choices)
            return text
        known = [told for kind, (told, _) in _READERS.items() if kind in kinds]
        raise ValueError(f"{self.name} is {text!r}. It must be {' or '.join(known) or 'given in Python'}.")


def settings_of(kind: type, besides: Collection[str] = ()) -> dict[str, Setting]:
    """Return the settings of a dataclass by name, but for some."""
    hints, texts = get_type_hints(kind), _help_texts(kind)
    return {
        field.name: Setting(field.name, hints[field.name], field.default, texts.get(field.name, ""))
        for field in fields(kind)
        if field.init and field.name not in besides
    }


def read_settings(kind: type, pairs: Sequence[str], owner: str, besides: Collection[str] = ()) -> dict[str, Any]:
    """Read ``name=value`` pairs as settings of a dataclass, but for the fields ``besides``.

    ``owner`` is what messages call it, such as "The method 'linear'".

    Raises
    ------
    ValueError
        A pair is none, its name is unknown (the message has the closest one, and all) or given twice, or the value
        cannot be read.
    """
    settings, found = settings_of(kind, besides), dict[str, Any]()
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise ValueError(f"'{pair}' sets nothing. Write name=value; {tell_settings(owner, settings)}")
        if name not in settings:
            near = closest(name, settings)
            raise ValueError(f"{owner} has no setting '{name}'.{near} {tell_settings(owner, settings)}")
        if name in found:
            raise ValueError(f"{name} is set twice, to {found[name]} and to '{text}'. Leave one out.")
        found[name] = settings[name].read(text)
    return found


def tell_settings(owner: str, settings: dict[str, Setting]) -> str:
    """Name the settings and their defaults in a sentence."""
    told = (name if one.default is MISSING else f"{name}={one.default}" for name, one in settings.items())
    return f"{owner} has: {', '.join(told)}." if settings else f"{owner} has no settings."


def _help_texts(kind: type) -> dict[str, str]:
    """Return what the docstring says of each parameter, on one line."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n---|\Z)", inspect.getdoc(kind) or "", re.M | re.S)
    texts: dict[str, str] = {}
    for names, text in re.findall(r"^(\w[^\n]*)\n((?:[ ]+[^\n]*\n?|\n)*)", section[1] if section else "", re.M):
        texts |= dict.fromkeys(names.split(", "), " ".join(text.split()))
    return texts
