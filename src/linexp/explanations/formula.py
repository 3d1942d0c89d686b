"""Logical formulas of concepts: how one is made, compared and printed, and becomes a column of numbers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import TypeAlias, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from linexp._internal.checks import check_choice, closest, listing
from linexp.explanations.formula_text import DEEPEST, Operator, quoted, read_formula
from linexp.matrix import ConceptMatrix, Rows

_JOIN: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"AND": torch.minimum, "OR": torch.maximum}
# Unknown names for which a message suggests others.
_SUGGESTED = 3


@dataclass(frozen=True, repr=False)
class Formula:
    """Concepts joined by AND, OR and NOT, such as ``water AND NOT (boat OR "sign (road)")``.

    ``Formula.parse`` reads one. In Python they are made of others: ``Formula.of("water") & ~Formula.of("boat")``, with
    ``|`` for OR. AND and OR within their own kind are flattened and what is repeated counts once, so that A AND A is A,
    as NOT NOT A is. Formulas are equal whatever the order of the operands of AND and OR.

    Parameters
    ----------
    operator
        What joins the operands; "name": it is one concept.
    operands
        Formulas, in the order in which they are printed: one for "NOT", any number for "AND" and "OR".
    name
        The concept, where it is one.

    Raises
    ------
    ValueError
        Operands or name do not go with the operator, or it is nested too deeply.

    Examples
    --------
    >>> from linexp import Formula
    >>> formula = Formula.parse("NOT boat AND (water OR lake)")
    >>> formula.length, formula.names
    (3, ('boat', 'water', 'lake'))
    >>> formula == Formula.parse("(lake OR water) AND NOT boat")
    True
    """

    operator: Operator = field(compare=False)
    operands: tuple[Formula, ...] = field(default=(), compare=False)
    name: str = field(default="", compare=False)
    _depth: int = field(init=False, compare=False)
    _key: tuple[str, object] = field(init=False)  # what is compared: the operands without their order

    def __post_init__(self) -> None:
        self._check()
        operator, operands, name = self.operator, self.operands, self.name
        if operator in _JOIN:
            within = [one.operands if one.operator == operator else (one,) for one in operands]
            operands = tuple(dict.fromkeys(one for several in within for one in several))
        same = None
        if operator in _JOIN and len(operands) == 1:
            same = operands[0]
        elif operator == "NOT" and operands[0].operator == "NOT":
            same = operands[0].operands[0]
        if same is not None:
            operator, operands, name = same.operator, same.operands, same.name
        depth = 1 + max((one._depth for one in operands), default=-1)
        if depth > DEEPEST:
            raise ValueError(f"A formula is nested more than {DEEPEST} deep. Write it flatter.")
        key = (operator, frozenset(one._key for one in operands) if operands else name)
        settled = {"operator": operator, "operands": operands, "name": name, "_depth": depth, "_key": key}
        for member, value in settled.items():
            object.__setattr__(self, member, value)

    def _check(self) -> None:
        check_choice("operator", self.operator, get_args(Operator))
        n_operands = len(self.operands)
        if self.operator == "name" and (n_operands or not self.name.strip()):
            raise ValueError(f"The name of a concept in a formula is {self.name!r}. Give it a word or phrase.")
        if self.operator != "name" and (self.name or not n_operands or (self.operator == "NOT" and n_operands > 1)):
            raise ValueError(f"{self.operator} has {n_operands} operands. Give it one, or more if it is AND or OR.")

    @staticmethod
    def of(name: str) -> Formula:
        """Return the formula that is one concept."""
        return Formula("name", (), name)

    @staticmethod
    def parse(text: str) -> Formula:
        """Read a formula: concepts joined by AND, OR and NOT, which are written in capitals, and parentheses.

        NOT binds most, then AND, then OR. A concept may have several words. One that holds an operator as a word, a
        parenthesis or a quote, or has blanks at its ends, stands between double quotes; a quote in it is doubled.

        Raises
        ------
        ValueError
            The text is no formula; the message says at which character, and what was expected there.
        """
        return read_formula(text, Formula)

    def __and__(self, other: Formula) -> Formula:
        return Formula("AND", (self, other))

    def __or__(self, other: Formula) -> Formula:
        return Formula("OR", (self, other))

    def __invert__(self) -> Formula:
        return Formula("NOT", (self,))

    @property
    def length(self) -> int:
        """How many concepts it names; one that is named twice counts twice."""
        return sum(one.length for one in self.operands) if self.operands else 1

    @property
    def names(self) -> tuple[str, ...]:
        """The concepts it names, each once, in order of first use."""
        within = (name for one in self.operands for name in one.names)
        return tuple(dict.fromkeys(within)) if self.operands else (self.name,)

    @property
    def grouped(self) -> str:
        """The text as it stands within another: between parentheses, if it has several operands."""
        return f"({self})" if self.operator in _JOIN else str(self)

    def __str__(self) -> str:
        """Write it so that ``parse`` reads it back."""
        if self.operator == "NOT":
            return f"NOT {self.operands[0].grouped}"
        return f" {self.operator} ".join(one.grouped for one in self.operands) or quoted(self.name)

    def __repr__(self) -> str:
        return f"Formula.parse({str(self)!r})"

    def column(self, concepts: ConceptMatrix, rows: Rows | None = None) -> Float[Tensor, " rows"]:
        """Return how much of it is in each image, from 0 to 1: the minimum for AND, the maximum for OR, 1 − p for NOT.

        On zeros and ones that is Boolean.

        Parameters
        ----------
        concepts
            Presence of (at least) the concepts it names.
        rows
            Which images. Default: all.

        Raises
        ------
        ValueError
            A concept is not in the matrix; the message suggests one.
        """
        self.check_known(set(concepts.names))
        present = concepts.only(self.names).block(slice(None) if rows is None else rows)
        return self.evaluate(dict(zip(self.names, present.T, strict=True)))

    def evaluate(self, present: Mapping[str, Float[Tensor, " rows"]]) -> Float[Tensor, " rows"]:
        """Return the column made of those of the concepts it names."""
        if not self.operands:
            return present[self.name]
        columns = [one.evaluate(present) for one in self.operands]
        return 1 - columns[0] if self.operator == "NOT" else reduce(_JOIN[self.operator], columns)

    def check_known(self, known: Collection[str]) -> None:
        """Raise ``ValueError`` unless all concepts that it names are among those known; the message suggests others."""
        missing = [name for name in self.names if name not in known]
        if missing:
            near = "".join(closest(name, known) for name in missing[:_SUGGESTED])
            raise ValueError(
                f"The formula '{self}' names {listing(map(repr, missing), 6)}, not among the "
                f"{len(known)} concepts of this matrix.{near} Describe the images with every concept you need."
            )


Concept: TypeAlias = str | Formula
"""What a term of an explanation is about: a word or a text of any length, or a formula of these."""


def names_in(concept: Concept) -> tuple[str, ...]:
    """Return the words and texts of a concept: itself, or those that a formula names."""
    return concept.names if isinstance(concept, Formula) else (concept,)
