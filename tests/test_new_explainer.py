"""A method of explaining that is one file and one row of the table: every command takes it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import linexp as le
from linexp.explainers import by_name
from linexp.results.folder import load_explanations, load_run
from tests.colour_world import make_world
from tests.command_line import Run, command_line

SOURCE = '''
"""The concept that is most alike, by correlation over the training images."""

from dataclasses import dataclass, replace
from typing import Literal

import torch

import linexp as le
from linexp.explainers import find_usable


@dataclass(frozen=True)
class AlikeExplainer:
    """Explain each neuron by one concept.

    Parameters
    ----------
    measure
        What is compared.
    min_activity
        Concepts whose five highest presences
        have a smaller mean are left out.
    bonus, malus
        Two that do nothing.
    """

    measure: Literal["correlation", "covariance"] = "correlation"
    min_activity: float = 0.0
    bonus: float | None = None
    malus: bool = False

    def explain(self, activations, concepts, split, *, usable=None):
        usable = usable or find_usable(concepts, split, self.min_activity)
        names = [name for name, kept in zip(concepts.names, usable.columns.tolist()) if kept]
        present = concepts.only(names).block(split.train).double()
        items = []
        for column, neuron in enumerate(activations.neurons):
            active = activations.block(split.train)[:, column].double()
            if float(active.std()) == 0:
                items.append(le.Explanation(neuron, (), float(active[0]), None, "constant"))
                continue
            alike = torch.corrcoef(torch.cat([present, active[:, None]], 1).T)[-1, :-1]
            best = int(alike.argmax())
            items.append(le.Explanation(neuron, (le.Term(names[best], 1.0),), 0.0, None, "explained"))
        return le.Explanations(tuple(items), activations.layer, usable.dropped)
'''
START = ("explain", "--model", "mymodels:build", "--images", "pictures", "--seed", "1", "--layer", "stem")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def linexp(world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    yield from command_line(world, monkeypatch, capfd)


@pytest.fixture
def _alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The new method, in a file of its own and in the table, and nowhere else."""
    (tmp_path / "alike.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    from alike import AlikeExplainer  # pyright: ignore

    monkeypatch.setattr(by_name, "EXPLAINERS", {**le.EXPLAINERS, "alike": AlikeExplainer})
    yield
    sys.modules.pop("alike", None)


@pytest.mark.usefixtures("_alike")
@pytest.mark.filterwarnings("ignore:.*is judged by the labels that also explained it")
def test_every_command_takes_a_new_explainer(linexp: Run, tmp_path: Path):
    out = tmp_path / "out"
    ended = linexp(*START, "--out", out, "--method", "alike", "--set", "bonus=2", "--set", "malus=true")
    assert ended.code == 0, ended.err
    assert "3 of 4 neurons explained, 1.00 terms each" in ended.out
    told = {"method": "alike", "measure": "correlation", "min_activity": 0.0, "bonus": 2.0, "malus": True}
    assert load_run(out).settings["explainer"] == told
    assert load_explanations(out)[2].concepts == ("blue",)
    assert linexp("score", out).code == 0
    shown = linexp("show", out, 2)
    assert shown.code == 0
    assert "blue" in shown.out
    assert linexp("report", out, "--out", tmp_path / "page").code == 0


@pytest.mark.usefixtures("_alike")
def test_its_settings_are_read_from_its_fields(linexp: Run, tmp_path: Path):
    ended = linexp(*START, "--out", tmp_path / "out", "--method", "alike", "--set", "help")
    assert ended.out.splitlines() == [
        "measure (default: correlation)",
        "    What is compared.",
        "min_activity (default: 0.0)",
        "    Concepts whose five highest presences have a smaller mean are left out.",
        "bonus (default: None)",
        "    Two that do nothing.",
        "malus (default: False)",
        "    Two that do nothing.",
    ]


@pytest.mark.usefixtures("_alike")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--set", "bonsu=1"),
            "The method 'alike' has no setting 'bonsu'. Did you mean 'bonus'? The method 'alike' has:",
        ),
        (("--set", "bonus=x"), "bonus is 'x'. It must be none or a number."),
        (("--set", "malus=1"), "malus is '1'. It must be true or false."),
        (
            ("--set", "measure=cosine"),
            "measure is 'cosine'. Did you mean 'covariance'? Choose one of: correlation, covariance.",
        ),
        (("--max-terms", 3), "--max-terms 3 is of the method linear. With --method alike, write --set max_terms=3."),
    ],
)
def test_what_it_cannot_be_given(linexp: Run, tmp_path: Path, arguments: tuple[object, ...], said: str):
    ended = linexp(*START, "--out", tmp_path / "out", "--method", "alike", *arguments)
    assert (ended.code, ended.err[: len(said) + 7]) == (1, f"Error: {said}")
