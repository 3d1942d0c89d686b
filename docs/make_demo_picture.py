"""Draw what the demo's commands print, as they print it: docs/demo.svg, the picture in the README.

Run it after ``make demo``: ``.venv/bin/python docs/make_demo_picture.py``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 112
PICTURE = Path(__file__).with_name("demo.svg")


def main() -> None:
    console = Console(record=True, width=WIDTH, file=open(os.devnull, "w", encoding="utf-8"))
    first = run(["linexp", "demo"])
    shown = re.search(r"linexp show (\S+) (\d+)", first)
    assert shown is not None, first
    for command, printed in (
        ("make demo", first),
        (shown[0], run(shown[0].split())),
    ):
        console.print(Text(f"$ {command}", style="bold green"))
        console.print(Text.from_ansi(re.sub(r"file://\S*(?=/linexp-demo/)", "file:///…", printed)))
    console.save_svg(str(PICTURE), title="linexp")
    print(PICTURE)


def run(command: list[str]) -> str:
    environment = {**os.environ, "COLUMNS": str(WIDTH), "FORCE_COLOR": "1"}
    arguments = [sys.executable, "-m", *command]
    return subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
