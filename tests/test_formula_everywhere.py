"""Formulas and measures wherever explanations go: files, simulation, scores, ablation, figures, the page."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import linexp as le
from linexp.explanations import Columns
from linexp.score import SIMULABLE, Simulability
from tests.test_explanation_csv import NUMBERS, write
from tests.test_formula import FORMULAS, NAMES

MEASURES = st.builds(le.Measure, NAMES.filter(str.strip), NUMBERS, st.none() | st.floats(0, 1))
CONCEPTS = FORMULAS.filter(lambda formula: "\0" not in str(formula)) | NAMES
CONCEPTS = CONCEPTS.filter(lambda one: not re.search("[\0\ud800-\udfff]", str(one)))
N = 80
"""Images."""
POND = le.Formula.parse("water AND NOT (boat OR ship)")
LOOKS = "water AND NOT boat"
"""A text that only looks like a formula."""


@st.composite
def explanations(draw: st.DrawFn) -> le.Explanations:
    items = []
    for neuron in range(draw(st.integers(1, 3))):
        concepts = draw(st.lists(CONCEPTS, unique=True, max_size=3))
        terms = tuple(le.Term(concept, draw(NUMBERS), None, draw(st.none() | st.floats(0, 1))) for concept in concepts)
        measure = draw(st.none() | MEASURES.filter(lambda one: not re.search("[\0\ud800-\udfff]", one.name)))
        items.append(le.Explanation(neuron, terms, 0.5, None, "explained" if terms else "empty", None, measure))
    return le.Explanations(tuple(items), "layer")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(explanations())
def test_come_back_from_csv(tmp_path: Path, explanations: le.Explanations):
    explanations.to_csv(tmp_path / "e.csv")
    back = le.Explanations.from_csv(tmp_path / "e.csv")
    assert back == explanations
    assert [list(map(type, item.concepts)) for item in back] == [
        list(map(type, item.concepts)) for item in explanations
    ]


def some(*, measured: bool = True) -> le.Explanations:
    measure = le.Measure("IoU", 0.125, 1e-9) if measured else None
    return le.Explanations(
        (
            le.Explanation(0, (le.Term(POND, 2.0, 0.5, 0.9), le.Term("boat", -1.0)), 0.25, measure=measure),
            le.Explanation(3, (le.Term("ship", 1.0),), measure=le.Measure("AUROC", 0.75) if measured else None),
            le.Explanation(4, (), 0.5, None, "empty"),
        ),
        "layer4",
    )


def test_layout(tmp_path: Path):
    some().to_csv(tmp_path / "e.csv")
    assert (tmp_path / "e.csv").read_text() == (
        "layer,neuron,outcome,n_terms,val_correlation,val_error,bias,measure,measure_value,measure_p,"
        "weight0,concept0,error0,again0,kind0,weight1,concept1,error1,again1,kind1\n"
        "layer4,0,explained,2,,,0.25,IoU,0.125,1e-09,2.0,water AND NOT (boat OR ship),0.5,0.9,formula,-1.0,boat,,,\n"
        "layer4,3,explained,1,,,0.0,AUROC,0.75,,1.0,ship,,,,,,,,\n"
        "layer4,4,empty,0,,,0.5,,,,,,,,,,,,,\n"
    )


def test_a_text_that_looks_like_a_formula_stays_a_text(tmp_path: Path):
    both = (le.Term(LOOKS, 1.0), le.Term(le.Formula.parse(LOOKS), 1.0))
    le.Explanations((le.Explanation(0, both),)).to_csv(tmp_path / "e.csv")
    assert le.Explanations.from_csv(tmp_path / "e.csv")[0].terms == both
    for name, text in (("a.csv", f"neuron,text\n0,{LOOKS}\n"), ("b.json", json.dumps({"0": LOOKS}))):
        assert le.Explanations.from_csv(write(tmp_path / name, text))[0].concepts == (LOOKS,)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("e.csv", "neuron,formula,measure,measure_value,measure_p\n0,b AND a,AUROC,0.9,0.01\n"),
        (
            "e.json",
            '[{"neuron": 0, "formula": "b AND a", "measure": "AUROC", "measure_value": 0.9, "measure_p": 0.01}]',
        ),
    ],
)
def test_anybodys_formulas(tmp_path: Path, name: str, text: str):
    found = le.Explanations.from_csv(write(tmp_path / name, text))
    expected = le.Explanation(0, (le.Term(le.Formula.parse("a AND b"), 1.0),), measure=le.Measure("AUROC", 0.9, 0.01))
    assert found.items == (expected,)


OURS = "neuron,outcome,n_terms,val_correlation,bias,weight0,concept0,kind0,measure,measure_value,measure_p\n"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "e.csv",
            OURS + "0,explained,1,,0,1,a AND,formula,,,\n",
            "Line 2 of '{}': concept0: The formula 'a AND' needs a",
        ),
        ("e.csv", OURS + "0,explained,1,,0,1,a,formulas,,,\n", "Line 2 of '{}': kind0 is 'formulas', which is neither"),
        ("e.csv", OURS + "0,empty,0,,0,,,formula,,,\n", "Line 2 of '{}': n_terms is 0, but more terms are filled in"),
        ("e.csv", OURS + "0,explained,1,,0,1,a,,IoU,x,\n", "Line 2 of '{}': measure_value is 'x', not a number"),
        (
            "e.csv",
            OURS + "0,explained,1,,0,1,a,,IoU,1,2\n",
            "Line 2 of '{}': p_value is 2.0. It must lie between 0 and 1",
        ),
        (
            "e.csv",
            "neuron,formula\n0,a (b)\n",
            "Line 2 of '{}': formula: The formula 'a (b)' needs AND, OR or the end at",
        ),
        (
            "e.json",
            '[{"neuron": 0, "formula": "NOT"}]',
            "Entry 1 of '{}' says no formula of neuron 0: The formula 'NOT'",
        ),
        (
            "e.json",
            '[{"neuron": 0, "text": "a", "measure": "IoU", "measure_value": "much"}]',
            "Entry 1 of '{}' has a measure that is none: could not convert",
        ),
        (
            "e.json",
            f'[{{"neuron": 0, "text": "a", "measure": "IoU", "measure_value": 1{"0" * 400}}}]',
            "Entry 1 of '{}' has a measure that is none: int too large",
        ),
    ],
)
def test_nonsense_is_named(tmp_path: Path, name: str, text: str, said: str):
    path = write(tmp_path / name, text)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the beginning is compared
        le.Explanations.from_csv(path)
    assert str(caught.value).startswith(said.format(path))
    assert re.search(r"Correct (the line|or remove it)", str(caught.value))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((" ", 1.0), "The measure ' ' is 1.0. Give it a name and a finite number, or none."),
        (("IoU", float("nan")), "The measure 'IoU' is nan. Give it a name and a finite number, or none."),
        (("IoU", 0.5, 1.5), "p_value is 1.5. It must lie between 0 and 1."),
    ],
)
def test_what_is_no_measure(arguments: tuple[str, float], said: str):
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        le.Measure(*arguments)


def test_printing_finding_and_the_table():
    shown = some()
    assert str(shown[0]) == (
        "neuron 0 ≈ 2.00·(water AND NOT (boat OR ship)) − 1.00·boat + 0.25   (IoU 0.12, p 1.0e−09)"
    )
    assert str(replace(shown[3], val_correlation=0.5)) == (
        "neuron 3 ≈ 1.00·ship   (val 0.50 ± ?, selected; AUROC 0.75)"
    )
    assert "IoU 0.12, p 1.0e−09; bias 0.25" in shown[0]._repr_html_()
    assert "water AND NOT (boat OR ship)" in shown[0]._repr_html_()
    assert shown.names == ("water", "boat", "ship")
    assert shown[0].names == ("water", "boat", "ship")
    assert shown.concepts == (POND, "boat", "ship")
    assert shown.about("SHIP").neurons == (0, 3)
    assert shown.about("and").neurons == ()
    frame = shown.to_frame()
    assert frame.columns.tolist()[-3:] == ["measure", "measure_value", "measure_p"]
    assert frame.loc[0, ["measure", "measure_value", "measure_p"]].tolist() == ["IoU", 0.125, 1e-9]
    assert frame.loc[3, "measure_value"] == 0.75
    assert frame.loc[[3, 4], "measure_p"].isna().all()
    assert "measure" not in some(measured=False).to_frame()


@pytest.fixture(scope="module")
def made() -> tuple[le.ActivationMatrix, le.ConceptMatrix, le.Split]:
    generator = torch.Generator().manual_seed(3)
    present = torch.rand(N, 3, generator=generator).round()
    pond = present[:, 0] * (1 - torch.maximum(present[:, 1], present[:, 2]))
    noise = torch.randn(N, 5, generator=generator) / 4
    values = noise + torch.stack([2 * pond - present[:, 1], pond, pond, present[:, 2], noise[:, 0]], 1)
    concepts = le.ConceptMatrix(present, ["water", "boat", "ship"], "pictures")
    return le.ActivationMatrix(values, (0, 1, 2, 3, 4), "layer4", "pictures"), concepts, le.Split.random(N)


def test_one_after_the_other(tmp_path: Path, made: tuple[le.ActivationMatrix, le.ConceptMatrix, le.Split]):
    """Explained, written, read, simulated, scored, and shown."""
    activations, concepts, split = made
    fitted = le.fit_weights(
        [[POND, "boat"], [POND], [LOOKS.lower()], ["ship"], []], activations, _with(concepts), split
    )
    measured = replace(
        fitted,
        items=tuple(replace(item, measure=le.Measure("IoU", 0.1, 0.5)) if item.terms else item for item in fitted),
    )
    measured.to_csv(tmp_path / "e.csv")
    back = le.Explanations.from_csv(tmp_path / "e.csv")
    assert back == measured
    simulated = le.simulate(back, _with(concepts))
    assert torch.equal(simulated.values, le.simulate(measured, _with(concepts)).values)
    pond = POND.column(concepts).double()
    weight, other = (term.weight for term in back[0].terms)
    assert back[0].concepts == (POND, "boat")
    expected = weight * pond + other * concepts.values[:, 1] + back[0].bias
    torch.testing.assert_close(simulated.values[:, 0].double(), expected, rtol=0, atol=1e-6)
    for scorer in (le.CorrelationScorer(), le.SpearmanScorer(), le.CosineScorer(), le.AUROCScorer(), le.IoUScorer()):
        scores = scorer.score(simulated, activations, split.test)
        assert float(scores.values[0]) > 0.5
    result = le.Result(activations, _with(concepts), split, back, method="logic")
    loaded = le.read_result(result.save(tmp_path / "result"))
    assert loaded.explanations == back
    page = le.write_report([loaded], tmp_path / "page").read_text()
    data = json.loads(re.search(r'<script[^>]*id="data"[^>]*>(.*?)</script>', page, re.DOTALL)[1])
    assert "(water AND NOT (boat OR ship))" in data["concepts"]
    method = data["layers"][0]["methods"][0]
    assert method["measures"] == [*[["IoU", 0.1, 0.5]] * 4, None]


def _with(concepts: le.ConceptMatrix) -> le.ConceptMatrix:
    """Return the matrix with a text that only looks like a formula, which has nothing to do with water or boats."""
    noise = torch.rand(N, 1, generator=torch.Generator().manual_seed(9))
    return le.ConceptMatrix(torch.cat([concepts.values, noise], 1), [*concepts.names, LOOKS.lower()], "pictures")


def test_the_area_chart(made: tuple[le.ActivationMatrix, le.ConceptMatrix, le.Split]):
    import matplotlib.pyplot as plt

    activations, concepts, _ = made
    axes = some()[0].plot_area(activations, concepts)
    assert "water AND NOT (boat OR ship)" in str([text.get_text() for text in axes.get_legend().get_texts()])
    plt.close("all")
    with pytest.raises(ValueError, match=r"The formula '.*' names 'ship', not among the 2 concepts"):
        some()[0].plot_area(activations, concepts.only(["water", "boat"]))


def test_what_a_judge_knows_of_a_formula(tmp_path: Path):
    judge = Simulability(("water", "boat"), torch.tensor([0.9, SIMULABLE / 2], dtype=torch.float64), 10, "judge")
    assert judge.of(POND) == SIMULABLE / 2
    assert judge.of(le.Formula.parse("water AND ship")) == 0.9
    assert judge.of("ship") is None
    assert judge.count_unknown(some()) == 2  # the formula and the boat
    judge.to_csv(tmp_path / "s.csv", some())
    rows = {row["concept"]: row["in_terms"] for row in csv.DictReader((tmp_path / "s.csv").read_text().splitlines())}
    assert rows == {"boat": "2", "water": "1"}


def test_columns_of_explanations_are_those_of_their_formulas(
    made: tuple[le.ActivationMatrix, le.ConceptMatrix, le.Split],
):
    _, concepts, _ = made
    columns = Columns(concepts, some().concepts).block().numpy()
    assert np.array_equal(columns[:, 0], POND.column(concepts).numpy())


def test_ablation_is_that_of_a_word_of_the_same_column(tmp_path: Path):
    from tests.small_classifiers import small_inputs, small_labels, small_resnet

    model, images, split = (
        small_resnet().double(),
        small_inputs(30).double(),
        le.Split(range(8), range(8, 20), range(20, 30)),
    )
    recorded = le.record(model, "layer2", images, show_progress=False).select([2, 3])
    present = torch.rand(30, 3, generator=torch.Generator().manual_seed(1)).round()
    concepts = le.ConceptMatrix(present, ["water", "boat", "ship"], recorded.images)
    word = le.ConceptMatrix(POND.column(concepts)[:, None], ["pond"], recorded.images)
    found = []
    for said, matrix in ((POND, concepts), ("pond", word)):
        le.fit_weights([[said]] * 2, recorded, matrix, split).to_csv(tmp_path / "e.csv")
        simulated = le.simulate(le.Explanations.from_csv(tmp_path / "e.csv"), matrix)
        scorer = le.AblationScorer(scaling="norm")
        scores = scorer.score(simulated, recorded, split, model, images, labels=small_labels(30), show_progress=False)
        found.append(scores.values)
    assert torch.equal(*found)
    assert bool(torch.isfinite(found[0]).all())
