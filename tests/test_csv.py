"""The one reader of tables, and numbers as people and files have them."""

import math
from pathlib import Path

import pytest

from linexp._internal.files import csv_text, read_csv
from linexp._internal.numbers import exact, format_decimals

PATH = Path("t.csv")


def test_cells_come_by_name_with_the_number_of_their_line():
    header, lines = read_csv('\n a ,b\n1,"x\ny"\n\n2\n3,z,more\n', PATH, "")
    assert header == ["a", "b"]
    assert lines == [(4, {"a": "1", "b": "x\ny"}), (6, {"a": "2", "b": None}), (7, {"a": "3", "b": "z"})]
    assert read_csv("", PATH, "") == ([], [])


def test_every_cell_comes_back_as_it_was():
    cells = ["\r", "\n", '"', ",", "\u2028", "\udc80", " x ", "null"]
    assert read_csv(csv_text([map(str, range(8)), cells]), PATH, "")[1][0][1] == dict(
        zip("01234567", cells, strict=True)
    )


def test_what_is_no_csv_is_said_with_its_line_and_the_remedy():
    with pytest.raises(
        ValueError, match=r"The file 't\.csv' is not CSV \(unexpected end of data, line 2\)\. Do better\."
    ):
        read_csv('a\n"b', PATH, "Do better.")
    assert read_csv('a\n"b', PATH, "", strict=False)[1][0][1] == {"a": "b"}


def test_numbers():
    assert [format_decimals(value, 2) for value in (-0.001, -1.005, 1e6, math.nan)] == [
        "0.00",
        "−1.00",
        "1000000.00",
        "–",
    ]
    assert [exact(value) for value in (0.1 + 0.2, math.nan)] == ["0.30000000000000004", ""]
