"""Every example in a docstring of the package is run: who tries it sees what it says."""

import doctest
import importlib

import pytest

from tests.test_layering import FILES, SOURCE

WITH_EXAMPLES = [path for path in FILES if ">>> " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_examples_say_what_comes_out(path):
    module = importlib.import_module(".".join(("linexp", *path.relative_to(SOURCE).with_suffix("").parts)))
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed
