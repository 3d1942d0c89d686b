"""The words of a report, each to the letter: how a result was made, and what stands where something is not known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import linexp as le
from linexp.report.facts import layer_facts, method_facts, score_rows, subtitle, titles
from linexp.results import Column
from tests.report_world import N_IMAGES, N_NEURONS, make_run

RUN = make_run()
EMPTY = tuple(le.Explanation(neuron, (), 0.0, None, "empty") for neuron in RUN.activations.neurons)


def result(settings: dict[str, Any], layer: str = "", known: tuple[Column, ...] = (), **more: Any) -> le.Result:
    dropped = more.pop("dropped", None)
    run = replace(RUN, settings=settings)
    return le.Result.of(run, le.Explanations(EMPTY, layer, dropped), known=known, version=more.pop("version", "0.1"))


def test_all_that_is_known_of_a_layer():
    settings = {
        "model": "hf:/home/me/net",
        "weights": "/home/me/w.safetensors",
        "pool": "mean",
        "images": "/home/me/pictures/",
        "seed": 0,
        "split": "/home/me/split.json",
    }
    assert layer_facts([result(settings)]) == [
        ("Model", "hf:net"),
        ("Weights", "w.safetensors"),
        ("Layer", "layer4.<b>"),
        ("Pooling", "mean"),
        ("Images", f"{N_IMAGES} from pictures"),
        ("Split", "168 to fit, 24 to choose terms, 48 to score"),
        ("Split's seed", "0"),
        ("Split from", "split.json"),
    ]
    assert subtitle([[result(settings)], [result(settings)], [result({"model": "b"})]]) == [
        "hf:net",
        "b",
        f"{N_IMAGES} images",
    ]


def test_what_is_not_known_of_a_layer_is_left_out():
    assert layer_facts([result({})]) == [
        ("Layer", "layer4.<b>"),
        ("Images", str(N_IMAGES)),
        ("Split", "168 to fit, 24 to choose terms, 48 to score"),
    ]
    assert subtitle([[result({})]]) == [f"{N_IMAGES} images"]


def test_all_that_is_known_of_a_method():
    dropped = (le.DroppedConcept("dog", "weak", 0.257, 0.5), le.DroppedConcept("snow", "constant", 1.0, 0.5))
    settings = {
        "concepts": "labels",
        "encoder": "hf:a/b",
        "vocabulary": "/home/me/words.txt",
        "groups": "/home/me/groups.json",
        "explainer": {"search": "greedy", "strength": 0.05, "device": None},
    }
    assert method_facts(result(settings, dropped=dropped)) == [
        ("Concepts", "5 of 7 from the images' labels"),
        (
            "Dropped",
            "1 too weak, the mean of their five highest presences is below 0.5 (dog 0.25); a lower --min-activity "
            "keeps them; 1 constant on the training images (snow)",
        ),
        ("Vocabulary", "words.txt"),
        ("Groups", "groups.json"),
        ("Explainer", "search = greedy, strength = 0.05, device = "),
        ("Made with", "linexp 0.1"),
    ]


def test_what_is_not_known_of_a_method_is_left_out_or_said():
    assert method_facts(result({}, version="")) == [("Concepts", "7"), ("Dropped", "not known")]
    assert method_facts(result({"concepts": "elsewhere"}, version="", dropped=())) == [("Concepts", "7")]
    words = method_facts(result({"concepts": "text", "explainer": "mine"}, version="", dropped=()))
    assert words == [("Concepts", "7 from words"), ("Explainer", "mine")]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1e-4, "0.0001"),
        (9e-5, "9.0e−05"),
        (9999.5, "9999.5"),
        (10000.0, "1.0e+04"),
        (-20000.0, "−2.0e+04"),
        (0.0, "0.00"),
        (10000, "10000"),
        (None, ""),
    ],
)
def test_numbers_among_the_settings(value: Any, shown: str):
    facts = dict(method_facts(result({"explainer": {"x": value}})))
    assert facts["Explainer"] == f"x = {shown}"


def test_the_layer_of_a_line_is_what_the_explanations_call_it():
    column = Column("correlation", "", {100: 0.5, 101: -0.25, 102: 0.0}, silent=frozenset({102}))
    own, other, foreign = (
        result({}, "", (column,)),
        result({}, "fc.<i>", (column,)),
        result({}, "fc.<i>", (replace(column, judge="j"), replace(column, method="theirs"))),
    )
    assert titles([[own], [other, foreign]]) == ["correlation", "correlation, judged by j"]
    rows = score_rows([[own], [other, foreign]])
    assert [(row.layer, row.method) for row in rows] == [
        ("layer4.<b>", "ours"),
        ("fc.<i>", "ours"),
        ("fc.<i>", "ours"),
        ("fc.<i>", "theirs"),
    ]
    cell = ("0.083", "0.220", "3", "0.125", "2", "")
    assert [row.cells for row in rows] == [(cell, None), (cell, None), (None, cell), (cell, None)]
    assert (rows[0].explained, rows[0].empty, rows[0].constant, rows[0].dead) == ("0", str(N_NEURONS), "0", "1")
    assert (rows[3].explained, rows[3].empty, rows[3].dead, rows[3].terms) == ("", "", "", "")


def test_how_much_higher_a_method_scores_than_the_first_is_paired_by_neuron():
    first = replace(result({}, "", (Column("correlation", "", {100: 0.5, 101: 0.1, 102: 0.9}),)), method="linear")
    known = (Column("correlation", "", {100: 0.3, 102: 0.5, 103: 1.0}), Column("impact", "", {100: 1}, is_score=False))
    rows = score_rows([[first, result({}, "", known)]])
    assert [row.cells[0] and row.cells[0][5] for row in rows] == ["", "−0.300 ± 0.100 against linear"]
    assert [row.cells[1] and row.cells[1][5] for row in rows] == [None, ""]
