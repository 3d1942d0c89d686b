"""Settings of a recipe as options of a command: names and kinds are click's, and nowhere said again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, cast

from linexp._internal.checks import check_text

Settings: TypeAlias = dict[str, Any]
"""Long names of options, with what TOML holds for each."""
# What the help calls numbers; typer's own types are told otherwise in each of its versions.
_NUMBERS = {"N": "a whole number", "X": "a number", "X|auto": "a number, or auto"}


def options_of(command: Any) -> dict[str, Any]:
    """Return a command's options by their long names, without the hidden ones and --help."""
    return {
        name.removeprefix("--"): param
        for param in command.params
        if param.param_type_name == "option" and not param.hidden and param.name != "help"
        for name in param.opts
        if name.startswith("--")
    }


def named(where: str, settings: Mapping[str, Any]) -> Settings:
    """Return settings under the names that options have: min_gain is min-gain.

    Raises
    ------
    ValueError
        One is written in both ways.
    """
    found: Settings = {}
    for key, value in settings.items():
        name = key.replace("_", "-")
        if name in found:
            raise ValueError(f"{where} sets '{name}' twice. Leave one out.")
        found[name] = value
    return found


def written(where: str, option: Any, value: Any) -> list[str]:
    """Return what is written on the command line for a value; click converts and checks it.

    Raises
    ------
    ValueError
        The value is of a kind that the option cannot have.
    """
    flag = next(name for name in option.opts if name.startswith("--"))
    if option.is_flag:
        if not isinstance(value, bool):
            raise ValueError(f"{where} is {value!r}. It must be true or false.")
        return [flag] if value else []
    many = "," in (option.metavar or "") or option.metavar == "LIST"
    if isinstance(value, dict) and option.metavar == "NAME=VALUE":
        pairs = _flat(cast("dict[str, Any]", value))
        value = [f"{name}={_text(f'{where} {name}', one)}" for name, one in pairs.items()]
    if isinstance(value, list):
        items = cast("list[Any]", value)
        if not items:
            return []
        texts = [_text(where, one, option, many=many) for one in items]
        if option.multiple:
            return [part for text in texts for part in _pair(flag, text)]
        if many:
            return _pair(flag, ",".join(texts))
        raise ValueError(f"{where} is a list. It takes one value.")
    return _pair(flag, _text(where, value, option, many=many))


def _flat(pairs: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return tables within a table as names with a dot: TOML reads ``invert.max_length`` as the former."""
    found: dict[str, Any] = {}
    for name, value in pairs.items():
        inner = _flat(cast("dict[str, Any]", value), f"{before}{name}.") if isinstance(value, dict) else None
        found |= inner or {f"{before}{name}": value}
    return found


def _pair(flag: str, text: str) -> list[str]:
    """Return flag and value; in one word where the value would pass for a flag."""
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]


def _text(where: str, value: Any, option: Any = None, *, many: bool = False) -> str:
    if isinstance(value, bool):
        if option is not None:
            raise ValueError(f"{where} is {str(value).lower()}. It takes {_wanted(option)}.")
        return str(value).lower()
    if isinstance(value, str):
        check_text(value, where)
        return value
    if isinstance(value, (int, float)):
        if option is not None and not many and option.metavar not in _NUMBERS:
            raise ValueError(f"{where} is {value}. It takes text: write '{value}'.")
        return repr(value)
    kind = {dict: "table", list: "list"}.get(type(value), type(value).__name__)
    raise ValueError(f"{where} is a {kind}. It takes {_wanted(option)}.")


def _wanted(option: Any) -> str:
    return "text or a number" if option is None else _NUMBERS.get(option.metavar, "text")
