"""The text of a formula: how names are quoted in it, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Generic, Literal, NamedTuple, NoReturn, TypeVar

Operator = Literal["name", "NOT", "AND", "OR"]
T = TypeVar("T")
DEEPEST = 50
"""Formulas within formulas: no search makes more than ten, and a stranger's text must not exhaust Python's stack."""

_REMEDY = "Put a name that holds AND, OR, NOT, a parenthesis or a quote between double quotes."
# Characters of a formula, and of what is wrong in it, in a message.
_MOST_SHOWN, _WRONG_SHOWN = 60, 20
_QUOTE, _OPERATORS = '"', ("AND", "OR", "NOT")
_WORD, _OPERATOR = r'[^\s()"]+', r'(?:AND|OR|NOT)(?![^\s()"])'
# What a text is taken apart into; a quote within quotes is doubled, as in CSV, and blanks between words stay.
_TOKEN = re.compile(rf'"[^"]*(?:""[^"]*)*"|[()]|{_OPERATOR}|{_WORD}(?:\s+(?!{_OPERATOR}){_WORD})*')


def quoted(name: str) -> str:
    """Return a name as it stands in a formula: between quotes where it would be read otherwise without."""
    is_plain = name == name.strip() and not re.search(r'[()"]', name) and not set(name.split()) & set(_OPERATORS)
    return name if is_plain else _QUOTE + name.replace(_QUOTE, 2 * _QUOTE) + _QUOTE


def read_formula(text: str, make: Callable[[Operator, tuple[T, ...], str], T]) -> T:
    """Read a formula; ``make`` gets an operator, its operands, and a name, as ``Formula`` does.

    Raises
    ------
    ValueError
        The text is none; the message says at which character, and what was expected there.
    """
    return _Parser(text, make).whole()


class _Token(NamedTuple):
    """What stands at some place of the text: ``kind`` is an operator, a parenthesis, "name", or "" at the end."""

    kind: str
    start: int
    name: str = ""


def _token(piece: str, start: int) -> _Token:
    if piece in _OPERATORS or piece in "()":
        return _Token(piece, start)
    is_quoted = piece.startswith(_QUOTE)
    return _Token("name", start, piece[1:-1].replace(2 * _QUOTE, _QUOTE) if is_quoted else piece)


class _Parser(Generic[T]):
    """One text being read, from left to right: OR of AND of what stands between."""

    def __init__(self, text: str, make: Callable[[Operator, tuple[T, ...], str], T]) -> None:
        self.text, self.make, self.place, self.depth = text, make, 0, 0
        if text.count(_QUOTE) % 2:  # all before the last are pairs
            self.fail(f"has a quote at character {text.rindex(_QUOTE) + 1} that is never closed")
        self.tokens = [_token(match.group(), match.start()) for match in _TOKEN.finditer(text)]
        self.tokens.append(_Token("", len(text)))

    @property
    def now(self) -> _Token:
        return self.tokens[self.place]

    def whole(self) -> T:
        found = self.joined("OR")
        if self.now.kind:
            self.expect("AND, OR or the end")
        return found

    def joined(self, operator: Literal["OR", "AND"]) -> T:
        within = partial(self.joined, "AND") if operator == "OR" else self.one
        operands = [within()]
        while self.now.kind == operator:
            self.place += 1
            operands.append(within())
        return operands[0] if len(operands) == 1 else self.make(operator, tuple(operands), "")

    def one(self) -> T:
        is_negated = False
        while self.now.kind == "NOT":
            is_negated, self.place = not is_negated, self.place + 1
        found = self.inside() if self.now.kind == "(" else self.named()
        return self.make("NOT", (found,), "") if is_negated else found

    def inside(self) -> T:
        self.depth += 1
        if self.depth > DEEPEST:
            self.fail(f"has more than {DEEPEST} parentheses within each other", "Write it flatter.")
        self.place += 1
        found = self.joined("OR")
        if self.now.kind != ")":
            self.expect("AND, OR or ')'")
        self.place, self.depth = self.place + 1, self.depth - 1
        return found

    def named(self) -> T:
        name = self.now.name
        if not name.strip():
            self.expect("a concept, NOT or '('")
        self.place += 1
        return self.make("name", (), name)

    def expect(self, what: str) -> NoReturn:
        start = self.now.start
        there = f"there is {_excerpt(self.text[start:], _WRONG_SHOWN)}" if self.now.kind else "it ends"
        self.fail(f"needs {what} at character {start + 1}, where {there}")

    def fail(self, fact: str, remedy: str = _REMEDY) -> NoReturn:
        raise ValueError(f"The formula {_excerpt(self.text, _MOST_SHOWN)} {fact}. {remedy}")


def _excerpt(text: str, most: int) -> str:
    return repr(text) if len(text) <= most else f"{text[:most]!r}…"
