"""A browser for tests of pages: the Chromium of this machine, driven by Playwright, which downloads none of its own."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 90_000.0  # milliseconds for what a page of a service shows, on a machine with much else to do


@contextmanager
def chromium() -> Iterator[Any]:
    """Open a browser; the test, or the part of it, is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium is installed: what pages look like is not tested")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield opened
        finally:
            opened.close()


def playwright_timeout() -> type[Exception]:
    """What is raised where a page does not show a thing in time."""
    return pytest.importorskip("playwright.sync_api").TimeoutError  # type: ignore[no-any-return]


@contextmanager
def page(browser: Any, width: int = 1280) -> Iterator[Any]:
    """Open an empty page, as wide as a desk or a telephone."""
    context = browser.new_context(viewport={"width": width, "height": 844})
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()
