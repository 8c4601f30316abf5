"""Chromium as the tests use it, a page on a phone in it, and what axe and a person see there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from needs import CHROMIUM, MODULES, needs
from playwright.sync_api import Browser, Page, sync_playwright

__all__ = ["AXE", "CHROMIUM_OPTIONS", "browser", "faults", "look", "needs_axe", "small_page"]

CHROMIUM_OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
]  # fmt: skip

AXE = MODULES / "axe-core" / "axe.min.js"
needs_axe = needs(AXE.is_file(), "axe-core (npm ci in server/web)")


@contextmanager
def browser(*options: str) -> Iterator[Browser]:
    """Chromium, offline but for the loopback; `options` of its command line go with ours."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*CHROMIUM_OPTIONS, *options]
        )
        yield started
        started.close()


@contextmanager
def small_page(
    browser: Browser, locale: str = "th-TH", *, forgiven: str = "", **more: Any
) -> Iterator[Page]:
    """A page on a phone of 390 × 844 with touch. At the end an error on it, or content that its
    policy refused, fails the test, but for console messages that contain `forgiven`."""
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, locale=locale, has_touch=True, **more
    )
    page = context.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda told: said.append(told.text) if told.type == "error" else None)
    yield page
    context.close()
    assert [one for one in said if not forgiven or forgiven not in one] == []


def faults(page: Page) -> list[str]:
    """What axe finds: rule and the elements it is about.

    The script comes in by the debugger, which no page's policy stops.
    """
    page.evaluate(AXE.read_text("utf-8"))
    found: Any = page.evaluate(
        "axe.run().then(r => r.violations.map(v => "
        "v.id + ': ' + v.nodes.map(n => n.html).join(' | ')))"
    )
    return found


def look(name: str, seen: Page | Path, *, whole: bool = False) -> None:
    """Keep a picture (of a page, `whole` or the part on the screen; or a picture's file) for a
    person to look at, if `WATPHON_LOOK=folder` asks for it."""
    if wanted := os.environ.get("WATPHON_LOOK"):
        Path(wanted).mkdir(parents=True, exist_ok=True)
        picture = seen.read_bytes() if isinstance(seen, Path) else seen.screenshot(full_page=whole)
        (Path(wanted) / f"{name}.png").write_bytes(picture)
