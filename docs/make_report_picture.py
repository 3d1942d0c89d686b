"""Photograph the demo's report for the README: docs/report.png, its overview and the upper part of its first card.

Run it after ``make demo``: ``.venv/bin/python docs/make_report_picture.py``. The drawings on the cards are OpenMoji's,
which are never part of this repository, so they are left out.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from PIL import Image  # noqa: E402
from tests.browser import open_browser  # noqa: E402

PICTURE = Path(__file__).with_name("report.png")
_WIDTH, _SCALE, _COLOURS = 1200, 1.5, 128
_WITHOUT_PICTURES = "() => { document.styleSheets[0].insertRule('.pictures { display: none }'); }"
_END = "() => document.querySelector('.card.drawn').getBoundingClientRect().bottom + scrollY"


def main(page: Path) -> None:
    for browser in open_browser():
        tab = browser.new_page(viewport={"width": _WIDTH, "height": 2400}, device_scale_factor=_SCALE)
        tab.goto(page.resolve().as_uri())
        tab.evaluate(_WITHOUT_PICTURES)
        # Of the neurons that are predicted well, the one with the most to say.
        tab.locator("#toolbar [name=low]").fill("0.6")
        tab.locator("#toolbar [name=sort]").select_option("length")
        tab.evaluate("() => document.activeElement.blur()")
        tab.wait_for_selector(".card.drawn .predicted svg")
        height = tab.evaluate(_END) + 24
        shot = tab.screenshot(clip={"x": 0, "y": 0, "width": _WIDTH, "height": height}, full_page=True)
    picture = Image.open(io.BytesIO(shot)).convert("RGB")
    picture.quantize(_COLOURS, dither=Image.Dither.NONE).save(PICTURE, optimize=True)
    print(PICTURE, PICTURE.stat().st_size)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "linexp-demo" / "report" / "index.html")
