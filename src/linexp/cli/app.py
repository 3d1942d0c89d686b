"""The application itself: its help, its errors in one sentence, its exit codes."""

from __future__ import annotations

import io
import os
import sys
import warnings
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from linexp._internal.checks import printable
from linexp._internal.version import __version__

_TOLD = (ValueError, TypeError, KeyError, OSError, ImportError, RuntimeError, MemoryError, OverflowError)
"""Errors whose message says what to do; anything else is a mistake of the program and keeps its traceback."""


class _Commands(TyperGroup):
    """The commands, with errors in one sentence and exit code 1; Typer itself would end silently on Ctrl-C."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            # Whatever knows how to go on has said it.
            how = "Files that were already written are complete; run the same command to start again."
            _fail(f"Interrupted. {str(error) or how}")
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise  # no errors: --help, or the reader of a pipe who has seen enough
        except _TOLD as error:
            if os.environ.get("LINEXP_TRACEBACK"):
                raise
            text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
            _fail(f"Error: {text or type(error).__name__}")


app = typer.Typer(
    cls=_Commands,
    name="linexp",
    help="Explain the single neurons of a vision network in words, and measure how true each explanation is.",
    epilog="Set LINEXP_TRACEBACK=1 to see where in the program an error arose.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:  # called by typer, by position
    if wanted:
        print(f"linexp {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line: exit code 0 on success, 1 on an error in one sentence, 2 on wrong usage."""
    # Before torch is imported: threads that wait for each other let go of their core after 10,000 rounds instead of
    # 300,000. Alone on a machine that costs a few percent; beside other work recording is several times faster.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows no "≈" shall not end hours of work
            stream.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        app(prog_name="linexp")


def _fail(message: str) -> NoReturn:
    print(printable(" ".join(message.split())), file=sys.stderr)
    sys.exit(1)


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, UserWarning):
        print(f"Warning: {printable(' '.join(str(message).split()))}", file=sys.stderr)
