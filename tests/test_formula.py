"""Formulas: they print as they parse, compare without order, and become columns as the literal twin says."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from linexp import ConceptMatrix, EmbeddedConceptMatrix, Formula
from linexp.explanations import Columns

ODD = st.sampled_from(
    [
        "AND",
        "a OR b",
        "NOT",
        "(",
        "sign (road)",
        '"',
        'say "so"',
        " a",
        "a ",
        "a  b",
        "and",
        "ANDES",
        "a\nb",
        "\tNOT",
        "5'",
    ]
)
NAMES = st.one_of(st.sampled_from("abcd"), ODD, st.text(min_size=1).filter(str.strip))
FORMULAS = st.recursive(
    NAMES.map(Formula.of),
    lambda inner: st.one_of(
        inner.map(lambda one: ~one),
        st.lists(inner, min_size=1, max_size=3).map(lambda several: Formula("AND", tuple(several))),
        st.lists(inner, min_size=1, max_size=3).map(lambda several: Formula("OR", tuple(several))),
    ),
    max_leaves=12,
)


@given(FORMULAS)
@example(Formula.of('"') & Formula.of('""'))
@example(Formula.of("\x1cNOT\u2028b") | ~Formula.of("\x85"[:0] + "a"))
def test_what_is_printed_is_read_back(formula: Formula):
    back = Formula.parse(str(formula))
    assert back == formula
    assert hash(back) == hash(formula)
    assert str(back) == str(formula)  # the order of operands too
    assert eval_repr(repr(formula)) == formula


def eval_repr(text: str) -> Formula:
    """Read what ``repr`` wrote, which is Python."""
    import ast

    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call)
    assert ast.unparse(call.func) == "Formula.parse"
    return Formula.parse(ast.literal_eval(call.args[0]))


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("water", "water"),
        ("  ski   slope ", "ski   slope"),
        ("a AND b OR c", "(a AND b) OR c"),
        ("a OR b AND NOT c", "a OR (b AND NOT c)"),
        ("NOT a AND b", "NOT a AND b"),
        ("NOT (a AND b)", "NOT (a AND b)"),
        ("a AND (b AND (c AND d))", "a AND b AND c AND d"),
        ('NOT(a)AND(b)OR"c"', "(NOT a AND b) OR c"),
        ("((a))", "a"),
        ("bread and butter OR NOTES", "bread and butter OR NOTES"),
        ('"a OR b" AND " c" AND "d (e)" AND "f ""g"""', '"a OR b" AND " c" AND "d (e)" AND "f ""g"""'),
        ("a AND a", "a"),
        ("a OR (b OR a)", "a OR b"),
        ("NOT NOT a", "a"),
        ("NOT (NOT (a))", "a"),
        ("NOT NOT NOT a", "NOT a"),
        ("(a AND b) OR (b AND a)", "a AND b"),
    ],
)
def test_prints(text: str, printed: str):
    assert str(Formula.parse(text)) == printed


def test_names_hold_quotes_and_blanks_as_they_were():
    assert Formula.parse('" a " OR "say ""so""" OR "("').names == (" a ", 'say "so"', "(")
    assert Formula.parse("a\t b").name == "a\t b"


def test_equal_whatever_the_order_but_not_whatever_the_operator():
    one, other = Formula.parse("a AND NOT (b OR c)"), Formula.parse("NOT (c OR b) AND a")
    assert one == other
    assert len({one, other}) == 1
    assert str(one) != str(other)
    different = ["a AND b", "a OR b", "NOT a AND b", "a", "NOT a", '"a AND b"', "a AND b AND c", "(a OR b) AND c"]
    assert len({Formula.parse(text) for text in different}) == len(different)
    assert Formula.of("a") != "a"


def test_made_in_python():
    a, b, c = map(Formula.of, "abc")
    assert a & ~(b | c) == Formula.parse("a AND NOT (b OR c)")
    assert Formula("AND", (a, b, c)) == a & b & c
    assert (a | b).operands == (a, b)


@pytest.mark.parametrize(("text", "length", "names"), [("a", 1, "a"), ("a AND NOT (b OR c)", 3, "abc")])
def test_length_and_names(text: str, length: int, names: str):
    assert Formula.parse(text).length == length
    assert Formula.parse(text).names == tuple(names)


def test_a_name_that_stands_twice_counts_twice_and_is_named_once():
    formula = Formula.parse("(a AND b) OR (a AND c)")
    assert formula.length == 4
    assert formula.names == ("a", "b", "c")


REMEDY = "Put a name that holds AND, OR, NOT, a parenthesis or a quote between double quotes."


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("", "needs a concept, NOT or '(' at character 1, where it ends"),
        ("   ", "needs a concept, NOT or '(' at character 4, where it ends"),
        ("a AND", "needs a concept, NOT or '(' at character 6, where it ends"),
        ("a AND OR b", "needs a concept, NOT or '(' at character 7, where there is 'OR b'"),
        ("OR b", "needs a concept, NOT or '(' at character 1, where there is 'OR b'"),
        ("a (b)", "needs AND, OR or the end at character 3, where there is '(b)'"),
        ("a NOT b", "needs AND, OR or the end at character 3, where there is 'NOT b'"),
        ('a "b"', "needs AND, OR or the end at character 3, where there is '\"b\"'"),
        ('"a" b', "needs AND, OR or the end at character 5, where there is 'b'"),
        ("a)", "needs AND, OR or the end at character 2, where there is ')'"),
        ("(a OR b", "needs AND, OR or ')' at character 8, where it ends"),
        ("()", "needs a concept, NOT or '(' at character 2, where there is ')'"),
        ('""', "needs a concept, NOT or '(' at character 1, where there is '\"\"'"),
        ('a AND "b', "has a quote at character 7 that is never closed"),
    ],
)
def test_says_where_it_does_not_parse(text: str, fact: str):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared
        Formula.parse(text)
    assert str(caught.value) == f"The formula {text!r} {fact}. {REMEDY}"


def test_texts_of_strangers():
    """Neither Python's stack nor anybody's patience is exhausted."""
    with pytest.raises(ValueError, match=r"has more than 50 parentheses within each other\. Write it flatter"):
        Formula.parse("(" * 100_000)
    with pytest.raises(
        ValueError, match=r"^The formula '(a AND ){10}'… needs a concept, NOT or '\(' at character 600001"
    ):
        Formula.parse("a AND " * 100_000)
    assert Formula.parse("NOT " * 100_000 + "a") == Formula.of("a")
    assert Formula.parse("word " * 100_000).length == 1
    assert Formula.parse(" OR ".join(map(str, range(20_000)))).length == 20_000
    deep, b = Formula.of("a"), Formula.of("b")
    for place in range(50):
        deep = deep & b if place % 2 else deep | b
    assert Formula.parse(str(deep)) == deep
    with pytest.raises(ValueError, match=r"A formula is nested more than 50 deep\. Write it flatter"):
        _ = deep | b


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("XOR", (Formula.of("a"),)), r"operator is 'XOR'\.+ Did you mean 'OR'\? Choose one of: name, NOT, AND, OR"),
        (("AND", ()), r"AND has 0 operands\. Give it one, or more if it is AND or OR"),
        (("NOT", (Formula.of("a"), Formula.of("b"))), r"NOT has 2 operands"),
        (("name", (), " "), r"The name of a concept in a formula is ' '\. Give it a word or phrase"),
        (("name", (Formula.of("a"),), "b"), r"The name of a concept in a formula is 'b'"),
    ],
)
def test_what_is_no_formula(arguments: tuple[Any, ...], said: str):
    with pytest.raises(ValueError, match=said):
        Formula(*arguments)


def twin(formula: Formula, present: dict[str, float]) -> float:
    """Say how much of a formula is in one image, literally."""
    if formula.operator == "name":
        return present[formula.name]
    values = [twin(one, present) for one in formula.operands]
    if formula.operator == "NOT":
        return 1 - values[0]
    return min(values) if formula.operator == "AND" else max(values)


SOME = ["a", "NOT a", "a AND b", "a OR NOT b", "(a OR b) AND NOT c", "NOT (a AND b AND c) OR (c AND NOT b)"]


def tables() -> list[ConceptMatrix]:
    generator = torch.Generator().manual_seed(0)
    shares = torch.rand(40, 3, generator=generator, dtype=torch.float64)
    vectors = torch.nn.functional.normalize(torch.randn(43, 8, generator=generator))
    return [
        ConceptMatrix(shares, ["a", "b", "c"]),
        ConceptMatrix(shares.round(), ["c", "a", "b"]),
        EmbeddedConceptMatrix(vectors[:40], vectors[40:], ["a", "b", "c"], 5.0, -0.1),
    ]


@pytest.mark.parametrize("text", SOME)
def test_column_is_the_literal_twins(text: str):
    formula = Formula.parse(text)
    for concepts in tables():
        expected = [
            twin(formula, dict(zip(concepts.names, row, strict=True))) for row in concepts.block(slice(None)).tolist()
        ]
        column = formula.column(concepts)
        torch.testing.assert_close(column.double(), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=2e-7)
        assert formula.column(concepts, [7, 3]).tolist() == column[[7, 3]].tolist()


@pytest.mark.parametrize("text", SOME)
def test_on_zeros_and_ones_it_is_boolean(text: str):
    concepts = tables()[1]
    for row, value in zip(concepts.values.tolist(), Formula.parse(text).column(concepts).tolist(), strict=True):
        python = text.replace("AND", "and").replace("OR", "or").replace("NOT", "not")
        assert value == float(truth(python, dict(zip(concepts.names, map(bool, row), strict=True))))


def truth(python: str, names: dict[str, bool]) -> bool:
    """Evaluate Python's own and, or and not."""
    import ast

    def of(node: ast.expr) -> bool:
        if isinstance(node, ast.BoolOp):
            return (all if isinstance(node.op, ast.And) else any)(map(of, node.values))
        if isinstance(node, ast.UnaryOp):
            return not of(node.operand)
        assert isinstance(node, ast.Name)
        return names[node.id]

    return of(ast.parse(python, mode="eval").body)


@pytest.mark.parametrize("law", ["a AND a", "a OR a", "NOT NOT a", "a AND (a OR b)", "a OR (a AND b)"])
def test_laws_hold_on_probabilities(law: str):
    for concepts in tables():
        found, a, _ = Columns(concepts, [Formula.parse(law), "a", "b"]).block().T
        assert torch.equal(found, a)


def test_columns_take_words_and_formulas_together():
    formula = Formula.parse("a AND NOT c")
    wanted = ["c", formula, "a", Formula.of("c")]
    for concepts in tables():
        columns = Columns(concepts, wanted)
        expected = [one.column(concepts) for one in (Formula.of("c"), formula, Formula.of("a"), Formula.of("c"))]
        torch.testing.assert_close(columns.block(), torch.stack(expected, 1), rtol=0, atol=1e-6)
        pieces = [columns.block(slice(start, start + 7)) for start in range(0, 40, 7)]
        assert torch.equal(torch.cat(pieces), columns.block())
        assert columns.block(torch.tensor([], dtype=torch.int64)).shape == (0, 4)


def test_unknown_names_get_the_closest():
    concepts = ConceptMatrix(torch.eye(3), ["snow", "ski slope", "dog"])
    said = (
        r"^The formula 'snwo AND NOT ski slop' names 'snwo', 'ski slop', not among the 3 concepts of this matrix\. "
        r"Did you mean 'snow'\? Did you mean 'ski slope'\? Describe the images with every concept you need\.$"
    )
    formula = Formula.parse("snwo AND NOT ski slop")
    with pytest.raises(ValueError, match=said):
        formula.column(concepts)
    with pytest.raises(ValueError, match=said):
        Columns(concepts, ["dog", formula])


def test_no_number_is_lost_in_negation_of_small_ones():
    concepts = ConceptMatrix(torch.tensor([[1e-12], [0.25]]), ["a"])
    assert Formula.parse("NOT NOT a").column(concepts).tolist() == concepts.values[:, 0].tolist()
    assert math.isclose(Formula.parse("NOT a").column(concepts)[1].item(), 0.75)
