"""A recipe: models, pictures, methods, judges and outputs in one TOML file, read as the commands it stands for."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import typer

from linexp._internal.checks import closest, listing
from linexp.cli.app import app
from linexp.cli.written import Settings, named, options_of, written

# In the order of the work, whatever the order in the file.
STEPS = ("calibrate", "explain", "compare", "score", "ablate", "impact", "report")
# Those that explain: what they write is what later steps judge.
_EXPLAIN = ("explain", "compare")


@dataclass(frozen=True)
class Step:
    """One command of a recipe.

    Parameters
    ----------
    table
        What messages call the part of the recipe it is from: "[explain.words]".
    command
        The command.
    way
        What tells this use of it from others, and its folder is called: "words".
    arguments
        What it is told, as on the command line.
    folders
        What it writes into.
    """

    table: str
    command: str
    way: str
    arguments: tuple[str, ...]
    folders: tuple[Path, ...]

    def __str__(self) -> str:
        return shlex.join(["linexp", self.command, *self.arguments])


def open_steps(name: str, told: Mapping[str, Any]) -> list[tuple[Step, Any]]:
    """Return the steps of a recipe, each with what click makes of its arguments, before any of them begins.

    Raises
    ------
    ValueError
        Something in the recipe cannot be; the message says where.
    """
    commands: Any = typer.main.get_command(app)
    opened: list[tuple[Step, Any]] = []
    for step in Recipe(name, told, commands.commands).steps():
        try:
            context = commands.commands[step.command].make_context(step.command, [*step.arguments])
        except typer.BadParameter as error:  # also what is missing
            raise ValueError(f"{name}: {step.table}: {error.format_message()}") from error
        opened.append((step, context))
    return opened


@dataclass(frozen=True)
class Recipe:
    """What a recipe says, and what the commands are that it can name.

    Parameters
    ----------
    name
        What messages call it: the name of its file.
    told
        Its tables and keys, as TOML has them.
    commands
        Command by name, as click has them: the only place that knows which options there are.

    Raises
    ------
    ValueError
        A table is no step.
    """

    name: str
    told: Mapping[str, Any]
    commands: Mapping[str, Any]

    def __post_init__(self) -> None:
        tables = {key: value for key, value in self.told.items() if _is_table(value)}
        for key in tables:
            if key not in STEPS:
                raise ValueError(f"{self.name} has no step '{key}'.{closest(key, STEPS)} Steps: {', '.join(STEPS)}.")
        if not tables:
            raise ValueError(f"{self.name} has no step. Add a table such as [explain]. Steps: {', '.join(STEPS)}.")

    @property
    def shared(self) -> Settings:
        """What is said at the top, for every step that has such a setting."""
        return named(self.name, {key: value for key, value in self.told.items() if not _is_table(value)})

    def steps(self) -> tuple[Step, ...]:
        """Return the commands in the order of the work, each with the results that earlier ones wrote.

        Raises
        ------
        ValueError
            A setting is unknown, is given twice, or cannot be written as an option; results are missing; two steps
            would write into one folder.
        """
        self._check_shared()
        made, found, results = list[Step](), list[str](), list[str]()
        for command in STEPS:
            for table, way, settings in self._tables(command):
                step = self._step(table, command, way, settings, results)
                made.append(step)
                for folder in step.folders:
                    if os.path.abspath(folder) in found:
                        raise ValueError(
                            f"{self.name}: {table} writes into '{folder}', as an earlier step does. "
                            "Give each an out of its own."
                        )
                    found.append(os.path.abspath(folder))
            if command in _EXPLAIN:
                results = [str(folder) for step in made if step.command in _EXPLAIN for folder in step.folders]
        return tuple(made)

    def _tables(self, command: str) -> Iterator[tuple[str, str, Settings]]:
        """Yield each use of a command: what messages call it, what its folder is called, and its settings."""
        told = self.told.get(command, [])
        several = cast("list[dict[str, Any]]", told if isinstance(told, list) else [told])
        for settings in several:
            table = f"[[{command}]]" if isinstance(told, list) else f"[{command}]"
            if command == "explain":
                yield from self._ways(table, settings)
            else:
                yield table, command, named(f"{self.name}: {table}", settings)

    def _ways(self, table: str, told: dict[str, Any]) -> Iterator[tuple[str, str, Settings]]:
        """Yield the ways to explain: methods by name, and tables inside, each with what they have in common."""
        known = options_of(self.commands["explain"])
        inside = {key: value for key, value in told.items() if isinstance(value, dict) and key not in known}
        common = named(f"{self.name}: {table}", {key: value for key, value in told.items() if key not in inside})
        methods = _words(f"{self.name}: {table} methods", common.pop("methods", []), "names")
        ways: dict[str, Settings] = {one: {"method": one} for one in methods}
        for way, settings in inside.items():
            label = f"[{table.strip('[]')}.{way}]"
            ways[way] = {**ways.get(way, {}), **named(f"{self.name}: {label}", cast("Settings", settings))}
        if not ways:
            yield table, "explain", common
        for way, settings in ways.items():
            yield f"[{table.strip('[]')}.{way}]", way, {**common, **settings}

    def _step(self, table: str, command: str, way: str, told: Settings, results: Sequence[str]) -> Step:
        options, offered = options_of(self.commands[command]), self._offered(command) - {"out"}
        settings = {**{key: value for key, value in self.shared.items() if key in offered}, **told}
        positional = self._results(table, settings, results) if _takes_results(self.commands[command]) else []
        if "out" in options:
            file = f"{way}.json" if options["out"].metavar == "FILE" else quote(way, safe=" ")
            settings.setdefault("out", str(Path(str(self.shared.get("out", Path(self.name).stem))) / file))
        arguments = list[str]()
        for key, value in settings.items():
            if key not in options:
                raise ValueError(
                    f"{self.name}: {table} has no setting '{key}'.{closest(key, options)} "
                    f"linexp {command} --help lists them."
                )
            arguments += written(f"{self.name}: {table} {key}", options[key], value)
        return Step(table, command, way, (*positional, *arguments), _folders(command, settings))

    def _offered(self, command: str) -> set[str]:
        """Return which settings a command takes from the top; results know where their pictures are."""
        names = set(options_of(self.commands[command]))
        return names - {"images"} if _takes_results(self.commands[command]) else names

    def _check_shared(self) -> None:
        present = [command for command in STEPS if command in self.told]
        known = {"out"}.union(*map(self._offered, present))
        for key, value in self.shared.items():
            if key not in known:
                raise ValueError(
                    f"{self.name}: no step has a setting '{key}'.{closest(key, known)} Steps: {listing(present)}."
                )
            if key == "out" and not isinstance(value, str):
                raise ValueError(f"{self.name}: out is {value!r}. Name a folder.")

    def _results(self, table: str, settings: Settings, results: Sequence[str]) -> list[str]:
        more = _words(f"{self.name}: {table} results", settings.pop("results", []), "folders and files")
        if not results and not more:
            raise ValueError(
                f"{self.name}: {table} has no results to work on. Add a step [explain], or name folders that linexp "
                "explain wrote: results = ['folder']."
            )
        return [*results, *more]


def _words(where: str, value: Any, wanted: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in cast("list[Any]", value)):
        raise ValueError(f"{where} is {value!r}. Write a list of {wanted}.")
    return cast("list[str]", value)


def _takes_results(command: Any) -> bool:
    return any(param.param_type_name == "argument" for param in command.params)


def _folders(command: str, settings: Settings) -> tuple[Path, ...]:
    """Return where a step's output lies; linexp explain gives each of several layers a sub-folder."""
    if "out" not in settings:
        return ()
    out, layers = Path(str(settings["out"])), settings.get("layer")
    if command == "explain" and isinstance(layers, list) and len(cast("list[Any]", layers)) > 1:
        return tuple(out / quote(str(layer), safe="") for layer in cast("list[Any]", layers))
    return (out,)


def _is_table(value: object) -> bool:
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return bool(items) and all(isinstance(one, dict) for one in items)
    return isinstance(value, dict)
