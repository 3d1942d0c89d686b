"""How large is the report of a big layer, how soon is it there, and does it scroll: 2,048 neurons on 10,000 pictures.

Prints the size of the page and of its thumbnails, the seconds until the page is drawn in a real Chromium (median of
several loads, from the request to the first cards), and the longest frame while scrolling past 200 cards.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from tests.browser import open_browser

import linexp as le

_DRAWN = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"
_SCROLL = """() => new Promise(done => {
  const frames = [];
  let last = performance.now(), n = 0;
  document.querySelector('#neurons').scrollIntoView();
  const step = now => {
    frames.push(now - last); last = now; n += 1;
    scrollBy(0, 150);
    if (n < 400) requestAnimationFrame(step);
    else done({longest: Math.max(...frames.slice(2)), typical: frames.sort((a, b) => a - b)[200], left: scrollY});
  };
  requestAnimationFrame(step);
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a few seconds: 64 neurons on 400 pictures")
    small = parser.parse_args().small
    n_neurons, n_images = (64, 400) if small else (2048, 10_000)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        page = le.write_report(result(n_neurons, n_images), folder, pictures(n_images))
        print(f"{n_neurons} neurons, {n_images} pictures: written in {time.perf_counter() - started:.0f} s")
        thumbnails = [file.stat().st_size for file in (page.parent / "thumbs").iterdir()]
        print(f"page {page.stat().st_size / 1e6:.2f} MB, {len(thumbnails)} thumbnails {sum(thumbnails) / 1e6:.1f} MB")
        for browser in open_browser():
            loads = [load(browser, page) for _ in range(5)]
            print(f"loaded and drawn in {statistics.median(loads):.2f} s (from {min(loads):.2f} to {max(loads):.2f})")
            print("scrolling: longest frame {longest:.0f} ms, typical {typical:.0f} ms".format(**scroll(browser, page)))


def result(n_neurons: int, n_images: int) -> le.Result:
    """Explain planted neurons: lengths and concepts like those of a real layer."""
    planted = le.make_planted(n_images, 120, n_neurons, 4, noise=0.5)
    split = le.Split.random(n_images)
    explanations = le.LinearExplainer().explain(planted.activations, planted.concepts, split)
    names = tuple(f"n0{row % 1000:07}/ILSVRC2012_val_{row:08}.JPEG" for row in range(n_images))
    return le.Result(planted.activations, planted.concepts, split, explanations, method="labels", image_names=names)


def pictures(n_images: int) -> le.ImageArray:
    noise = np.random.default_rng(0).integers(0, 256, (n_images, 8, 8, 3), dtype=np.uint8)
    return le.ImageArray(noise.repeat(16, axis=1).repeat(16, axis=2))


def load(browser: Any, page: Path) -> float:
    """Return the seconds from asking for the page until it has been drawn."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    tab.goto(page.resolve().as_uri())
    drawn = tab.evaluate(_DRAWN) / 1000
    tab.close()
    return drawn


def scroll(browser: Any, page: Path) -> dict[str, float]:
    """Scroll past cards and return the longest and the typical time of a frame, in milliseconds."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    tab.goto(page.resolve().as_uri())
    frames = tab.evaluate(_SCROLL)
    tab.close()
    return frames


if __name__ == "__main__":
    main()
