"""Options that belong together: written once as a dataclass, met as options, received as one object."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from linexp import cli
from linexp.cli import groups, judging
from linexp.cli.command import command
from linexp.cli.options import flag, option


@dataclass(frozen=True, kw_only=True)
class Weather:
    place: str = option(..., "NAME", "Where.")
    wind: float = option(2.5, "X", "Metres a second.")
    rain: bool = flag("--rain", "Whether it rains.")


home = typer.Typer(add_completion=False)
received: list[object] = []


@command(home)
def forecast(
    days: Annotated[int, typer.Argument()], *, weather: Weather, out: Path = option(Path("here"), "DIR", "Where to.")
) -> NotImported:  # noqa: F821
    """Say what will be."""
    received.append((days, weather, out))
    return weather  # pyright: ignore[reportReturnType]


def test_a_group_is_met_as_options_and_received_as_an_object():
    ended = CliRunner().invoke(home, ["3", "--wind", "7", "--place", "Ulm", "--rain"])
    assert ended.exit_code == 0, ended.output
    assert received.pop() == (3, Weather(place="Ulm", wind=7.0, rain=True), Path("here"))
    told = CliRunner().invoke(home, ["--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).output
    assert all(text in told for text in ("Say what will be.", "Metres a second.", "[default: 2.5]", "--rain"))
    assert "--weather" not in told


def test_an_option_of_a_group_without_default_must_be_given():
    ended = CliRunner().invoke(home, ["3"])
    assert ended.exit_code == 2
    assert "Missing option '--place'" in ended.output


def test_from_python_options_are_keywords_with_the_same_defaults():
    assert forecast(1, place="Bonn") == Weather(place="Bonn")
    assert received.pop() == (1, Weather(place="Bonn"), Path("here"))
    assert list(inspect.signature(forecast).parameters) == ["days", "place", "wind", "rain", "out"]
    with pytest.raises(TypeError, match="unexpected keyword argument 'weather'"):
        forecast(1, place="Bonn", weather=Weather(place="Bonn"))


@pytest.mark.parametrize("group", [groups.Running, groups.Keeping, judging.Judging])
def test_one_option_has_one_meaning_in_every_command(group: type):
    """A group that a command takes, it takes whole: the same names with the same defaults."""
    options = inspect.signature(group).parameters
    for name in ("score", "simulate", "ablate"):
        given = inspect.signature(getattr(cli, name)).parameters
        assert {one: given[one].default for one in options} == {one: options[one].default for one in options}
