"""A real browser for the tests of pages: whatever Chromium is on this machine, driven by playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
REMEDY = "tools/install_browser.sh installs one"


def open_browser() -> Generator[Any, None, None]:
    """Yield a headless browser, or skip and say what is missing; a fixture yields from this."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")
    with playwright.sync_playwright() as driver:
        own = driver.chromium.executable_path
        found = next(filter(None, map(shutil.which, NAMES)), None) or (own if Path(own).exists() else None)
        if found is None:
            pytest.skip(f"there is no Chromium on this machine; {REMEDY}")
        # As root, and in containers that allow no user namespaces, Chromium starts only without its sandbox.
        safe = [] if hasattr(os, "geteuid") and os.geteuid() else ["--no-sandbox"]
        browser = driver.chromium.launch(executable_path=found, args=[*safe, "--disable-dev-shm-usage"])
        try:
            yield browser
        finally:
            browser.close()


class Page:
    """An open page of ours that remembers what it complained of and what it asked for."""

    def __init__(self, browser: Any, path: Path, fragment: str = "", **context: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context})
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.resolve().as_uri() + fragment)
        self.settle()

    def settle(self) -> None:
        """Wait until what a change made the page draw is drawn."""
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def ask(self, script: str) -> Any:
        """Return what an expression is in the page."""
        return self.page.evaluate(script)

    def shown(self) -> list[int]:
        """Return the neurons listed, in order."""
        return self.ask("[...document.querySelectorAll('#neurons .card')].map(card => Number(card.id.slice(7)))")

    def choose(self, field: str, value: str) -> None:
        """Fill in a field of the toolbar, or choose in one of its lists."""
        place = self.page.locator(f"#toolbar [name={field}]")
        if place.evaluate("element => element.tagName") == "SELECT":
            place.select_option(value)
        else:
            place.fill(value)
        self.settle()
