"""What the engines have to say, as lines of the command line."""

from __future__ import annotations

import logging

_NAME = "linexp.engines"


class _Lines(logging.Handler):
    """Prints each line once in a command: several networks may be run in one way."""

    def __init__(self) -> None:
        super().__init__()
        self.told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        from linexp._internal.checks import printable

        text = printable(" ".join(record.getMessage().split()))
        if text not in self.told:
            self.told.add(text)
            print(text)


def tell_engines(*, verbose: bool) -> None:
    """Print from now on which engine runs, and with ``verbose`` why another does not."""
    logger = logging.getLogger(_NAME)
    for handler in [one for one in logger.handlers if isinstance(one, _Lines)]:
        logger.removeHandler(handler)
    logger.addHandler(_Lines())
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
