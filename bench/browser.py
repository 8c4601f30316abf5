"""How much the browser form fetches and how fast it is on a slow phone.

    python bench/browser.py [--runs 3]

Starts the real server with the shipped programme and opens its forms in headless Chromium as a
Thai phone of 390 × 844: what a first visit fetches; how long until the first question can be
answered; how long from the tap on a question with a long list until the list is on the screen. Each
figure is the median of so many runs, the processor slowed down to a quarter (which Chromium does to
pages, not to service workers), and stands beside its limit. The limit of the machine is measured in
the same run: the form's engine alone, fetched and started on an empty page. Loopback only; ends by
itself, with 1 where a limit is broken.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from phones import Form, Place, publish, workbook
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from forms.programme import shipped

SLOWER = 4
MOST_FETCHED = 450
COLD, WARM, OPENS, OPENS_LONG = 3.0, 1.5, 0.5, 5.0
"""What a phone may take: kB for a first visit, and seconds."""

LONG = 7436
"""Rows of the longest list: all subdistricts of the country."""

OPTIONS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
SETTINGS = ("form_title", "form_id", "version", "default_language")
LABELS = ("label::ไทย (th)", "label::English (en)")

USABLE = """
window.usable = new Promise((resolve) => {
  const look = () => (document.querySelector('.bar:not([hidden]) .next') && document.querySelector('.q')
    ? setTimeout(() => resolve(performance.now() / 1000)) : requestAnimationFrame(look));
  requestAnimationFrame(look);
});
"""
"""Runs in each page before its own scripts: seconds from the visit's beginning to the frame after
which the first question and the button below it are on the screen."""

OPENED = """() => {
  window.opened = new Promise((resolve) => {
    addEventListener('pointerdown', ({ timeStamp }) => {
      const look = () => (document.querySelector('.search-row')
        ? setTimeout(() => resolve((performance.now() - timeStamp) / 1000)) : requestAnimationFrame(look));
      requestAnimationFrame(look);
    }, { capture: true, once: true });
  });
}"""
"""Seconds from the next touch of the screen to the frame after which rows of a list are on it."""

READY = """async (config) => {
  const { baseOf, readyOffline } = await import(
    `/static/web-${document.getElementById('app').dataset.stamp}/offline.js`);
  while (!navigator.serviceWorker.controller || !(await readyOffline(baseOf(), config)))
    await new Promise((resolve) => setTimeout(resolve, 50));
}"""
"""Waits until the form works without a network: the next visit is a warm one."""

ALONE = """async (address) => {
  const begun = performance.now();
  await import(address);
  return (performance.now() - begun) / 1000;
}"""


def sized(count: int) -> bytes:
    """A form of `count` questions of four types, a tenth of which depend on the one before."""
    types = ("text", "integer", "select_one yn", "select_one scale")
    survey = [
        (
            types[n % 4],
            f"q{n}",
            f"คำถามที่ {n}",
            f"Question {n}",
            "yes",
            ". > 0" if n % 4 == 1 else None,
            f"${{q{n - 1}}} != ''" if n % 10 == 9 else None,
        )
        for n in range(count)
    ]
    scale = [("scale", str(n), f"ระดับ {n}", f"Level {n}") for n in range(1, 6)]
    return workbook(
        survey=[("type", "name", *LABELS, "required", "constraint", "relevant"), *survey],
        choices=[
            ("list_name", "name", *LABELS),
            ("yn", "y", "ใช่", "Yes"),
            ("yn", "n", "ไม่", "No"),
            *scale,
        ],
        settings=[SETTINGS, (f"แบบ {count} ข้อ", f"sized{count}", "1", "ไทย (th)")],
    )


def listed(name: str) -> bytes:
    """A form that asks on one page for a province, and for a place of a list and of that province."""
    place = f"select_one_from_file {name}.csv"
    return workbook(
        survey=[
            ("type", "name", *LABELS, "appearance", "choice_filter"),
            ("begin_group", "g", "ที่", "Place", "field-list", None),
            ("text", "province", "จังหวัด", "Province", None, None),
            (place, "whole", "ทุกแห่ง", "All", "minimal autocomplete", None),
            (place, "part", "ในจังหวัด", "Of it", "minimal autocomplete", "province=${province}"),
            ("end_group", None, None, None, None, None),
        ],
        settings=[SETTINGS, ("รายการยาว", name, "1", "ไทย (th)")],
    )


def long_list() -> bytes:
    """`LONG` places in 77 provinces as places.csv."""
    rows = (f"{n},ตำบลที่ {n},Tambon {n},{n // 10},{10 + n % 77}" for n in range(LONG))
    return "\n".join(("name,label,label_en,district,province", *rows, "")).encode()


class Visitor:
    """A phone that was never here: its page, slowed down, and what that fetches over the network."""

    def __init__(self, browser: Browser, slower: int = SLOWER) -> None:
        self.context = browser.new_context(
            viewport={"width": 390, "height": 844},
            has_touch=True,
            is_mobile=True,
            locale="th-TH",
            timezone_id="Asia/Bangkok",
        )
        self.page: Page = self.context.new_page()
        self.page.add_init_script(USABLE)
        self.asked: dict[str, float | None] = {}
        """Bytes of each request, headers included; None while it is under way."""
        tools: CDPSession = self.context.new_cdp_session(self.page)
        tools.on("Network.requestWillBeSent", self.goes)
        tools.on("Network.loadingFinished", self.came)
        tools.on("Network.loadingFailed", self.came)
        tools.send("Network.enable")
        tools.send("Emulation.setCPUThrottlingRate", {"rate": slower})

    def goes(self, event: dict[str, Any]) -> None:
        self.asked.setdefault(event["requestId"], None)

    def came(self, event: dict[str, Any]) -> None:
        self.asked[event["requestId"]] = event.get("encodedDataLength", 0)

    def open(self, address: str) -> float:
        """Visit a form; seconds until its first question can be answered."""
        self.page.goto(address, wait_until="commit")
        return self.page.evaluate("window.usable")

    def fetched(self, address: str) -> float:
        """Visit a form; kB of all that was asked for until its first question could be answered."""
        self.open(address)
        asked = list(self.asked)
        while None in (self.asked[one] for one in asked):
            self.page.wait_for_timeout(20)
        return sum(self.asked[one] or 0 for one in asked) / 1000

    def tap(self, question: str) -> float:
        """Tap a question with a long list; seconds until the list is shown."""
        self.page.evaluate(OPENED)
        self.page.locator(".q", has_text=question).locator(".pick").tap()
        return self.page.evaluate("window.opened")


@contextmanager
def visiting(browser: Browser, slower: int = SLOWER) -> Iterator[Visitor]:
    """A phone that was never here and is gone afterwards."""
    made = Visitor(browser, slower)
    yield made
    made.context.close()


def page_of(place: Place, form: Form) -> str:
    """The form's page for a phone with a key."""
    return f"{place.url}/key/{form.key}/f/{form.uid}"


def report(what: str, values: Sequence[float], limit: float, unit: str, places: int = 2) -> bool:
    """Print a figure beside its limit; whether it keeps it."""
    middle = statistics.median(values)
    kept = middle < limit
    spread = f"{min(values):.{places}f} to {max(values):.{places}f}" if len(values) > 1 else ""
    said = f"limit {limit:g} {unit}" + ("" if kept else "   BROKEN")
    print(f"{what:<44}{middle:>8.{places}f} {unit:<3}{spread:>16}   | {said}", flush=True)
    return kept


def engine_alone(browser: Browser, place: Place) -> float:
    """The limit of the machine: seconds in which an empty page has fetched and run the engine."""
    with visiting(browser) as phone:
        empty = f"{place.url}/empty"
        phone.page.route(empty, lambda route: route.fulfill(body="", content_type="text/html"))
        phone.page.goto(empty)
        phone.page.unroute_all()
        return phone.page.evaluate(ALONE, "/static/web/vendor/xforms-engine.js")


def first_visits(browser: Browser, place: Place) -> bool:
    """What is fetched by a phone that comes for the first time, for a small and a large form."""
    folder = shipped()
    names = ("courses", "participants", "districts", "tambons")
    lists = {name: (folder / f"{name}.csv").read_bytes() for name in names}
    registration = publish(place, (folder / "mne_registration.xlsx").read_bytes(), **lists)
    kept = True
    for what, form in (
        ("first visit, 3 questions", publish(place, sized(3))),
        ("first visit, the shipped registration", registration),
    ):
        with visiting(browser, slower=1) as phone:
            kept &= report(what, [phone.fetched(page_of(place, form))], MOST_FETCHED, "kB", 0)
    return kept


def first_questions(browser: Browser, place: Place, runs: int) -> bool:
    """How long until the first of 120 questions can be answered, on the first visit and the next."""
    address = page_of(place, form := publish(place, sized(120)))
    cold, warm = list[float](), list[float]()
    for _ in range(runs):
        with visiting(browser) as phone:
            cold.append(phone.open(address))
            phone.page.evaluate(READY, f"/key/{form.key}/f/{form.uid}/config.json")
            warm.append(phone.open(f"{address}?new=1"))
    kept = report("120 questions, cold: the first is usable", cold, COLD, "s")
    return report("120 questions, warm (service worker)", warm, WARM, "s") and kept


def long_lists(browser: Browser, place: Place, runs: int) -> bool:
    """How long from the first tap until a list is shown: all rows, or those of one province."""
    kept = True
    tambons = (shipped() / "tambons.csv").read_bytes()
    for rows, form, limit in (
        (tambons.count(b"\n") - 1, publish(place, listed("tambons"), tambons=tambons), OPENS),
        (LONG, publish(place, listed("places"), places=long_list()), OPENS_LONG),
    ):
        whole, part = list[float](), list[float]()
        for _ in range(runs):
            with visiting(browser) as phone:
                phone.open(page_of(place, form))
                whole.append(phone.tap("ทุกแห่ง"))
            with visiting(browser) as phone:
                phone.open(page_of(place, form))
                phone.page.locator(".q", has_text="จังหวัด").locator("input").first.fill("50")
                part.append(phone.tap("ในจังหวัด"))
        kept &= report(f"{rows:,} rows, tap to list", whole, limit, "s")
        kept &= report(f"{rows:,} rows, cascade: those of a province", part, limit, "s")
    return kept


def main() -> int:
    """Run once; 1 when a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="of each time that is measured")
    asked = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        print("no Chromium: install the package chromium", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        place = Place(Path(folder) / "data", "--programme", str(shipped()))
        place.start()
        browser = playwright.chromium.launch(executable_path=chromium, args=OPTIONS)
        try:
            print(f"Chromium {browser.version}, {SLOWER} × slower, load {os.getloadavg()[0]:.1f}")
            alone = [engine_alone(browser, place) for _ in range(asked.runs)]
            print(f"{'the engine alone, on an empty page':<44}{statistics.median(alone):>8.2f} s")
            kept = first_visits(browser, place)
            kept &= first_questions(browser, place, asked.runs)
            kept &= long_lists(browser, place, asked.runs)
            return 0 if kept else 1
        finally:
            browser.close()
            place.stop()


if __name__ == "__main__":
    sys.exit(main())
