"""Explanations as CSV: ours comes back to the last bit, the paper's files are read, nonsense is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from linexp import Explanation, Explanations, Term

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
# Python before 3.11 cannot read a NUL in CSV.
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(str.strip)
ODD = st.sampled_from(
    [",", '"', "\n", "\r", "\r\n", "a\rb", "0", "null", "nan", "None", "\ufeffa", "a\u2028\x0bb\x85c"]
)
NAMES = st.one_of(WORDS, ODD.filter(str.strip))
TERMS = st.lists(NAMES, unique=True, min_size=1, max_size=4)


@st.composite
def an_explanation(draw: st.DrawFn, neuron: int) -> Explanation:
    outcome = draw(st.sampled_from(["explained", "empty", "constant"]))
    names = draw(TERMS) if outcome == "explained" else []
    error, share = st.none() | st.floats(0, 1e9), st.none() | st.floats(0, 1)
    terms = tuple(Term(name, draw(NUMBERS), draw(error), draw(share)) for name in names)
    val = draw(st.none() | st.floats(-1, 1))
    return Explanation(neuron, terms, draw(NUMBERS), val, outcome, draw(error))


@st.composite
def some_explanations(draw: st.DrawFn) -> Explanations:
    neurons = draw(st.lists(st.integers(0, 2**63), unique=True, min_size=1, max_size=4))
    return Explanations(tuple(draw(an_explanation(neuron)) for neuron in neurons), draw(st.one_of(WORDS, st.just(""))))


def one_term(name: str) -> Explanations:
    return Explanations((Explanation(0, (Term(name, 0.1 + 0.2),), 1 / 3, 0.5),), "layer")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some_explanations())
@example(one_term("a\rb"))
@example(one_term("a\x0bb\x1cc\u2028d"))
@example(one_term('snow, "wet"\r\n'))
def test_comes_back_to_the_last_bit(tmp_path: Path, explanations: Explanations):
    explanations.to_csv(tmp_path / "e.csv")
    back = Explanations.from_csv(tmp_path / "e.csv")
    assert back == explanations
    assert [item.bias.hex() for item in back] == [float(item.bias).hex() for item in explanations]


def test_the_layout_is_as_documented(tmp_path: Path):
    items = (
        Explanation(3, (Term("snow", 2.5, 0.25, 0.9), Term("ski, slope", -1.0)), 0.125, 0.5, val_error=0.03),
        Explanation(1, (), 0.75, None, "empty"),
    )
    Explanations(items, "layer4").to_csv(tmp_path / "e.csv")
    assert (tmp_path / "e.csv").read_bytes().decode() == (
        "layer,neuron,outcome,n_terms,val_correlation,val_error,bias,"
        "weight0,concept0,error0,again0,weight1,concept1,error1,again1\n"
        'layer4,3,explained,2,0.5,0.03,0.125,2.5,snow,0.25,0.9,-1.0,"ski, slope",,\n'
        "layer4,1,empty,0,,,0.75,,,,,,,,\n"
    )


def test_what_older_files_call_kept_is_unknown_now(tmp_path: Path):
    """It was the share of repetitions without a twentieth of the images, the ranking being kept: something else."""
    header = "neuron,outcome,n_terms,val_correlation,val_error,bias,weight0,concept0,error0,kept0"
    (tmp_path / "e.csv").write_text(f"{header}\n3,explained,1,0.5,0.03,0.125,2.5,snow,0.25,0.9\n")
    assert Explanations.from_csv(tmp_path / "e.csv")[3].terms == (Term("snow", 2.5, 0.25, None),)


def test_numbers_of_numpy_are_written_as_numbers(tmp_path: Path):
    item = Explanation(int(np.int64(3)), (Term("snow", np.float32(0.1)),), np.float64(0.5), np.float64(0.25))
    Explanations((item,)).to_csv(tmp_path / "e.csv")
    assert Explanations.from_csv(tmp_path / "e.csv")[3] == item


def test_layer_and_order_of_columns_are_free_and_other_columns_ignored(tmp_path: Path):
    header = "\ufeffbias, neuron,outcome,n_terms,val_correlation,score,concept0,weight0"
    text = f"{header}\r\n0.5,3.0,explained,1,,9,a,2\r\n\r\n"
    (tmp_path / "e.csv").write_text(text, encoding="utf-8", newline="")
    assert list(Explanations.from_csv(tmp_path / "e.csv")) == [Explanation(3, (Term("a", 2.0),), 0.5)]


AUTHORS = (
    "{0}unit,val correlation,"
    + ",".join(f"weight{place},concept{place}" for place in range(10))
    + ",bias,sim correlation\n"
)


def authors_line(start: str, terms: list[tuple[str, str]], rest: str) -> str:
    cells = [f"{weight},{concept}" for weight, concept in terms] + ["0.0,0"] * (10 - len(terms))
    return ",".join([start, *cells, rest]) + "\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize("layer", ["", "layer4"])
def test_the_papers_explanations(tmp_path: Path, layer: str):
    lead = f"{layer}," if layer else ""
    full = [(f"{2 - place / 10}", f"c{place}") for place in range(10)]
    text = (
        AUTHORS.format("layer," if layer else "")
        + authors_line(f"{lead}0,0.35", [("1.75", "reception"), ("1.5", '"diner, outdoor"')], "0.41,0.417")
        + authors_line(f"{lead}7,0.25", full, "-0.5,0.1")
        + authors_line(f"{lead}9,0.0", [], "0.5,0.0")
        + authors_line(f"{lead}11,0.5", [("2.0", "0")], "0.0,0.0")
    )
    explanations = Explanations.from_csv(write(tmp_path / "le.csv", text))
    assert explanations.layer == layer
    assert explanations.neurons == (0, 7, 9, 11)
    assert explanations[0] == Explanation(0, (Term("reception", 1.75), Term("diner, outdoor", 1.5)), 0.41, 0.35)
    assert explanations[7].concepts == tuple(f"c{place}" for place in range(10))
    assert explanations[9].outcome == "empty"
    assert explanations[11].terms == (Term("0", 2.0),)


def test_the_papers_baselines(tmp_path: Path):
    text = 'unit,description,sim correlation\n0,kitchen,0.29\n1,"gazebo, exterior",0.18\n'
    explanations = Explanations.from_csv(write(tmp_path / "netdissect.csv", text))
    assert str(explanations) == "neuron 0 ≈ 1.00·kitchen\nneuron 1 ≈ 1.00·gazebo, exterior"


HEADER = "layer,neuron,outcome,n_terms,val_correlation,bias,weight0,concept0,weight1,concept1\n"
GOOD = "l,3,explained,2,0.5,0.1,2.0,a,1.0,b\n"
REMEDY = "Correct the line, or write the file anew with to_csv."
NONSENSE = [
    ("l,4,explained,1,0.5,0.1,x,a,,", "weight0 is 'x', not a number"),
    ("l,4,explained,1,0.5,0.1,,a,,", "weight0 is '', not a number"),
    ("l,4,explained,1,0.5,0.1,nan,a,,", "weight0 is 'nan', not a finite number"),
    ("l,4,explained,1,0.5,inf,2,a,,", "bias is 'inf', not a finite number"),
    ("l,4,explained,1,1.5,0.1,2,a,,", "val_correlation is 1.5, not a correlation from -1 to 1"),
    ("l,4,explained,1,0.5,0.1,2,,,", "concept0 is empty"),
    ("l,4,explained,1,0.5,0.1,2,  ,,", "concept0 is empty"),
    ("l,-4,explained,1,0.5,0.1,2,a,,", "neuron is '-4', not a whole number from 0 on"),
    ("l,4.5,explained,1,0.5,0.1,2,a,,", "neuron is '4.5', not a whole number from 0 on"),
    ("l,four,explained,1,0.5,0.1,2,a,,", "neuron is 'four', not a number"),
    ("l,4,explained,3,0.5,0.1,2,a,1,b", "n_terms is 3, but there is no column concept2"),
    ("l,4,explained,1,0.5,0.1,2,a,1,b", "n_terms is 1, but more terms are filled in"),
    ("l,4,explained,0,0.5,0.1,,,,", "outcome is 'explained' with 0 terms"),
    ("l,4,constant,1,0.5,0.1,2,a,,", "outcome is 'constant' with 1 terms"),
    ("l,4,explaind,1,0.5,0.1,2,a,,", "outcome is 'explaind'. Did you mean 'explained'?"),
    ("l,4,explained,2,0.5,0.1,2,a,1,a", "the concept 'a' stands in two terms"),
    ("l,4,explained,1,0.5,0.1,2,a", "there are 8 cells under 10 column names"),
    ("l,4,explained,1,0.5,0.1,2_0,a,,", "weight0 is '2_0', not a number"),
    ("l,4,explained,1,0.5,0.1,２,a,,", "weight0 is '２', not a number"),
    ("l,1e308,explained,1,0.5,0.1,2,a,,", "neuron is '1e308', not a whole number from 0 on"),
    ("l," + "9" * 5000 + ",explained,1,0.5,0.1,2,a,,", f"neuron is '{'9' * 60}'…, not a finite number"),
]


@pytest.mark.parametrize(("line", "fact"), NONSENSE)
def test_nonsense_is_named_with_line_column_value_and_remedy(tmp_path: Path, line: str, fact: str):
    path = write(tmp_path / "e.csv", HEADER + GOOD + line + "\n")
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared
        Explanations.from_csv(path)
    message = str(caught.value)
    assert message.startswith(f"Line 3 of '{path}': {fact}") or message.startswith(f"Line 4 of '{path}': {fact}")
    assert message.endswith(REMEDY)
    assert "\n" not in message


def test_lines_are_counted_as_an_editor_does(tmp_path: Path):
    text = HEADER + 'l,3,explained,1,0.5,0.1,2.0,"a\nb",,\n' + "l,4,explained,1,0.5,0.1,x,a\u2028,,\n"
    with pytest.raises(ValueError, match=r"Line 4 of .*: weight0 is 'x'"):
        Explanations.from_csv(write(tmp_path / "e.csv", text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"The columns of '.*' \(\) are of no known layout. Expected: neuron, outcome"),
        ("layer;neuron;outcome\n", "are of no known layout"),
        (HEADER, r"holds no explanation\. Give a file with at least one"),
        (HEADER + GOOD + GOOD, r"Line 3 of '.*': neuron 3 was already explained on line 2\. Keep one of the two"),
        (
            HEADER + GOOD + GOOD.replace("l,3", "m,4"),
            r"are of 2 layers \(l, m\), and none is asked for\. Keep the lines of one layer",
        ),
        ("neuron,neuron,outcome,n_terms,val_correlation,bias\n", "has two columns 'neuron'. Remove or rename one"),
        (HEADER.replace("weight1,", ""), "has a column 'concept1', but no 'weight1'"),
        (HEADER + "l,4,explained,1,0.5,0.1,2," + "a" * 200_000 + ",,\n", "Line 2 of '.*' is not CSV .field larger"),
        (HEADER + GOOD + 'l,4,explained,1,0.5,0.1,2,"a,,\n', "Line 3 of '.*' is not CSV .unexpected end of data"),
        (HEADER + GOOD.replace(",a", ",a\0"), "holds NUL characters, so it is UTF-16 or no text. Save it as UTF-8"),
    ],
)
def test_files_that_make_no_sense_as_a_whole(tmp_path: Path, text: str, said: str):
    with pytest.raises(ValueError, match=said):
        Explanations.from_csv(write(tmp_path / "e.csv", text))


def test_nonsense_in_the_papers_layout(tmp_path: Path):
    text = AUTHORS.format("") + authors_line("0,0.35", [("1.0", "a"), ("0.0", "0"), ("1.5", "b")], "0.41,0.4")
    with pytest.raises(ValueError, match=r"Line 2 of .*: concept2 is 'b', though the terms end before concept1"):
        Explanations.from_csv(write(tmp_path / "e.csv", text))
    with pytest.raises(ValueError, match=r"Line 2 of .*: description is empty\. Correct"):
        Explanations.from_csv(write(tmp_path / "b.csv", "unit,description\n0,\n"))


def test_files_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(
        FileNotFoundError, match=r"There is no file '.*none.csv'\. Give the path of an explanations CSV"
    ):
        Explanations.from_csv(tmp_path / "none.csv")
    with pytest.raises(IsADirectoryError, match=r"is a folder\. Give the path of an explanations CSV"):
        Explanations.from_csv(tmp_path)
    (tmp_path / "latin.csv").write_bytes("café".encode("latin-1"))
    with pytest.raises(ValueError, match=r"is not UTF-8 text \(.*\)\. Save it as UTF-8"):
        Explanations.from_csv(tmp_path / "latin.csv")
