"""Explanations: how they print, how one finds one's way in them, and their table."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from linexp import DroppedConcept, Explanation, Explanations, Scores, Term
from linexp._internal.numbers import format_number

SKI = Explanation(17, (Term("snow", 2.4113), Term("ski slope", 1.07)), -0.3, 0.5234)
DOG = Explanation(4, (Term("Dog", 3.0), Term("cat", -1.5)), 0.25, 0.75)
EMPTY = Explanation(900, (), 1.5, None, "empty")
CONSTANT = Explanation(2, (), -0.5, None, "constant")
HOUND = Explanation(3, (Term("hound dog", 1.0),), 0.0, -0.25)
UNICORN = DroppedConcept("unicorn", "weak", 0.25, 0.5)
ALL = Explanations((SKI, DOG, EMPTY, CONSTANT, HOUND), "layer4", (UNICORN,))


def one(*weights: float, bias: float = 0.0, val: float | None = None) -> str:
    terms = tuple(Term("abcdef"[place], weight) for place, weight in enumerate(weights))
    return str(Explanation(0, terms, bias, val))


def test_prints_as_promised():
    assert str(SKI) == "neuron 17 ≈ 2.41·snow + 1.07·ski slope − 0.30   (val 0.52 ± ?, selected)"
    assert SKI.formula == "2.41·snow + 1.07·ski slope − 0.30"
    assert SKI.concepts == ("snow", "ski slope")


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (one(1.0), "neuron 0 ≈ 1.00·a"),
        (one(-1.0, -2.0), "neuron 0 ≈ −1.00·a − 2.00·b"),
        (one(1.0, -0.5, bias=0.25, val=1.0), "neuron 0 ≈ 1.00·a − 0.50·b + 0.25   (val 1.00 ± ?, selected)"),
        (one(1.0, bias=-1.1e-16), "neuron 0 ≈ 1.00·a"),
        (one(3e-5, -2e-4, bias=1e-5), "neuron 0 ≈ 3.0e−05·a − 2.0e−04·b + 1.0e−05"),
        (one(123456.0, 9999.0), "neuron 0 ≈ 1.2e+05·a + 9999.00·b"),
        (one(1e-300), "neuron 0 ≈ 1.0e−300·a"),
        (one(1.0, val=-0.25), "neuron 0 ≈ 1.00·a   (val −0.25 ± ?, selected)"),
        (one(1.0, val=-0.001), "neuron 0 ≈ 1.00·a   (val 0.00 ± ?, selected)"),
        (str(EMPTY), "neuron 900: no concept predicts it"),
        (str(CONSTANT), "neuron 2 is constant on the training images (−0.50): not explained"),
        (str(Term("snow", -2.0)), "−2.00·snow"),
    ],
)
def test_prints_every_kind_of_number(printed: str, expected: str):
    assert printed == expected


def test_the_formula_of_no_terms_is_the_bias():
    assert (EMPTY.formula, CONSTANT.formula) == ("1.50", "−0.50")
    assert Explanation(0, (), 0.0, None, "empty").formula == "0.00"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.00"), (-0.0, "0.00"), (0.01, "0.01"), (0.0099, "9.9e−03"), (-12.345, "−12.35"), (10_000, "1.0e+04")],
)
def test_numbers_for_people(value: float, text: str):
    assert format_number(value) == text


def test_many_print_line_by_line():
    assert str(ALL).splitlines() == [str(item) for item in ALL]
    many = Explanations(tuple(Explanation(k, (Term("a", 1.0),)) for k in range(23)))
    assert str(many).splitlines()[19:] == ["neuron 19 ≈ 1.00·a", "… and 3 more"]
    assert str(Explanations(())) == "no explanations"
    assert repr(ALL) == "Explanations(5 neurons of layer 'layer4')"


def test_are_found_by_neuron_not_by_place():
    assert (ALL[17], ALL[2], ALL[900]) == (SKI, CONSTANT, EMPTY)
    assert ALL[np.int64(4)] is DOG
    assert 17 in ALL
    assert 0 not in ALL
    assert SKI in ALL
    assert "snow" not in ALL
    with pytest.raises(KeyError, match=r"Neuron 0 is not among the 5 explained ones \(17, 4, 900, 2, 3\)"):
        ALL[0]
    with pytest.raises(KeyError, match="Neuron -1 is not among"):
        ALL[-1]


def test_slices_and_iteration_go_by_place():
    assert ALL[:2].items == (SKI, DOG)
    assert ALL[::-1].neurons == (3, 2, 900, 4, 17)
    assert ALL[:2].layer == "layer4"
    assert ALL[:2].dropped == (UNICORN,)
    assert ALL[:2].dropped_concepts == ("unicorn",)
    assert Explanations((SKI,)).dropped is None
    assert Explanations((SKI,)).dropped_concepts == ()
    assert list(ALL) == [SKI, DOG, EMPTY, CONSTANT, HOUND]
    assert len(ALL) == 5


def test_only_keeps_the_order_asked_for():
    assert ALL.only([3, 17]).items == (HOUND, SKI)
    with pytest.raises(KeyError, match="Neuron 5"):
        ALL.only([3, 5])
    with pytest.raises(ValueError, match=r"Neuron 3 is explained twice\. Keep one"):
        ALL.only([3, 3])


def test_best_by_validation_correlation():
    assert ALL.best(2).items == (DOG, SKI)
    assert ALL.best().items == (DOG, SKI, HOUND)
    assert ALL.best(0).items == ()
    with pytest.raises(ValueError, match="n is -1"):
        ALL.best(-1)


def with_val(neuron: int, val: float | None, error: float | None = None) -> Explanation:
    return Explanation(neuron, (Term("a", 1.0),), 0.0, val, val_error=error)


LUCKY, SURE, UNKNOWN = with_val(0, 0.8, 0.3), with_val(1, 0.6, 0.05), with_val(2, 0.52)


def test_a_validation_correlation_is_shown_with_its_error_as_what_was_selected_on():
    assert str(LUCKY) == "neuron 0 ≈ 1.00·a   (val 0.80 ± 0.30, selected)"
    assert str(with_val(0, None)) == "neuron 0 ≈ 1.00·a"
    assert "val 0.80 ± 0.30, selected; bias 0.00" in LUCKY._repr_html_()
    assert "val 0.80 ± 0.30, selected" in Explanations((LUCKY,))._repr_html_()


def test_best_by_what_is_left_when_the_error_is_taken_off():
    """0.80 ± 0.30 is at least 0.50, 0.60 ± 0.05 at least 0.55; of 0.52 without an error nothing is known."""
    assert Explanations((UNKNOWN, LUCKY, SURE)).best(3).items == (SURE, LUCKY, UNKNOWN)


def scores_of(values: list[float], errors: list[float] | None = None, neurons: tuple[int, ...] = (1, 0, 2)) -> Scores:
    known = None if errors is None else torch.tensor(errors, dtype=torch.float64)
    return Scores(torch.tensor(values, dtype=torch.float64), neurons, "correlation", 20, known)


def test_best_by_scores_that_are_printed_instead():
    three, nan = Explanations((LUCKY, SURE, UNKNOWN)), math.nan
    assert three.best(3, scores_of([0.1, 0.4, 0.3])).neurons == (0, 2, 1)
    best = three.best(3, scores_of([0.25, 0.4, 0.3], [0.01, 0.2, 0.02]))
    assert best.neurons == (2, 1, 0)  # at least 0.28, 0.24, 0.20
    assert str(best).splitlines()[2] == "neuron 0 ≈ 1.00·a   (correlation 0.40 ± 0.20)"
    assert "correlation 0.40 ± 0.20" in best._repr_html_()
    assert "selected" not in str(best) + best._repr_html_()
    assert best[1:].best(1).neurons == (1,)  # scores stay with the explanations
    assert three.best(3, scores_of([nan, nan, 0.1], [nan, nan, nan])).neurons == (2,)


def test_neurons_without_a_score():
    some = Explanations((LUCKY, SURE, EMPTY)).with_scores(scores_of([math.nan], neurons=(1,)))
    assert str(some).splitlines() == [
        str(LUCKY),  # not scored: what is known of it
        "neuron 1 ≈ 1.00·a   (correlation undefined)",
        "neuron 900: no concept predicts it",
    ]
    assert some == Explanations((LUCKY, SURE, EMPTY))
    with pytest.raises(ValueError, match=r"None of the 3 explained neurons is among the 1 scored ones\. Give"):
        some.best(1, scores_of([0.5], neurons=(7,)))


def test_about_a_word():
    assert ALL.about("dog").items == (DOG, HOUND)
    assert ALL.about("DOG").items == (DOG, HOUND)
    assert ALL.about("giraffe").items == ()


def test_counts_and_means():
    assert [ALL.n_with(outcome) for outcome in ("explained", "empty", "constant")] == [3, 1, 1]
    assert ALL.mean_terms == 5 / 3
    assert ALL.mean_val_correlation == pytest.approx((0.5234 + 0.75 - 0.25) / 3)
    assert ALL.concepts == ("snow", "ski slope", "Dog", "cat", "hound dog")
    nobody = Explanations((EMPTY,))
    assert nobody.mean_terms == 0
    assert math.isnan(nobody.mean_val_correlation)
    with pytest.raises(ValueError, match=r"outcome is 'dead'\. .*Choose one of: explained, empty, constant"):
        ALL.n_with("dead")


def test_outcome_and_terms_agree():
    with pytest.raises(ValueError, match="Neuron 3 has the outcome 'explained' with 0 terms"):
        Explanation(3, ())
    with pytest.raises(ValueError, match="Neuron 3 has the outcome 'constant' with 1 terms"):
        Explanation(3, (Term("a", 1.0),), outcome="constant")
    with pytest.raises(ValueError, match=r"outcome is 'explaned'\. Did you mean 'explained'"):
        Explanation(3, (), outcome="explaned")


def test_the_table_has_a_row_for_each_neuron():
    frame = ALL.to_frame()
    assert frame.index.tolist() == [17, 4, 900, 2, 3]
    assert frame.index.name == "neuron"
    columns = ["layer", "outcome", "n_terms", "val_correlation", "val_error", "least_kept", "bias", "explanation"]
    assert frame.columns.tolist() == columns
    assert frame.drop(columns=["val_error", "least_kept"]).loc[17].tolist() == (
        ["layer4", "explained", 2, 0.5234, -0.3, SKI.formula]
    )
    assert frame[["val_error", "least_kept"]].isna().all(axis=None)
    sure = Explanation(1, (Term("snow", 1.0, 0.1, 0.95), Term("ice", 0.5, 0.2, 0.4)), 0, 0.5, val_error=0.02)
    assert Explanations((sure,)).to_frame().loc[1, ["val_error", "least_kept"]].tolist() == [0.02, 0.4]
    assert frame.loc[2, "explanation"] == ""
    assert np.isnan(frame.loc[900, "val_correlation"])
    assert len(Explanations(()).to_frame()) == 0
