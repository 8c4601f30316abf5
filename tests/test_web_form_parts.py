"""Parts of the browser form by themselves, in the browser: days, lists, texts, and what is fetched."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
import requests
from every_question import FORM_ID, PLACES, every_question
from hypothesis import given, settings
from hypothesis import strategies as st
from needs import needs_chromium, needs_engine
from office import RunningServer
from playwright.sync_api import Browser, Page
from web_phone import Phone, browser, publish

from forms.xlsform import to_xform

pytestmark = [needs_chromium, needs_engine]

FIRST_LOAD = 450_000
"""Bytes that a phone fetches before it can fill in a form for the first time (compressed)."""

CELLS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=8
)
FIELDS = CELLS | st.sampled_from(["", " ", '"', ",", '""', 'a"b', "a,b", "บรรทัด\nใหม่", "\r\n"])
NAMES = st.lists(
    st.sampled_from(["name", "label", "used", "unused", "other"]), min_size=3, unique=True
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def page(chromium: Browser, module_server: RunningServer) -> Iterator[Page]:
    """A page of the server, in which its modules can be imported."""
    opened = chromium.new_page()
    opened.goto(f"{module_server.url}/signin")
    yield opened
    opened.close()


def call(page: Page, module: str, name: str, *given: Any) -> Any:
    """What a module's function answers."""
    return page.evaluate(
        "async ([module, name, given]) => (await import(module))[name](...given)",
        [f"/static/web/{module}", name, list(given)],
    )


@given(st.dates(date(1850, 1, 1), date(2250, 12, 31)), st.sampled_from([0, 543]))
@settings(max_examples=150, deadline=None)
def test_a_day_survives_being_shown_and_typed(page: Page, day: date, era: int) -> None:
    """Every day, in either era, is typed back as it was shown; the day in words is that day."""
    shown = call(page, "calendar.js", "parts", day.isoformat(), era)
    assert shown == {"day": str(day.day), "month": str(day.month), "year": str(day.year + era)}
    assert call(page, "calendar.js", "isoDate", shown, era) == {"iso": day.isoformat()}
    words = call(page, "calendar.js", "dayInWords", day.isoformat(), "th")
    assert words.startswith(f"{day.day} ")
    assert words.endswith(f"พ.ศ. {day.year + 543}")


@given(st.integers(1, 31), st.integers(1, 12), st.integers(1850, 2250))
@settings(max_examples=150, deadline=None)
def test_a_day_that_does_not_exist_is_none(page: Page, day: int, month: int, year: int) -> None:
    """Python's calendar and the form's agree about which days there are."""
    typed = {"day": str(day), "month": str(month), "year": str(year + 543)}
    try:
        expected = {"iso": date(year, month, day).isoformat()}
    except ValueError:
        expected = {"problem": "error_date"}
    assert call(page, "calendar.js", "isoDate", typed, 543) == expected


@given(NAMES.flatmap(lambda names: st.tuples(st.just(names), st.lists(
    st.lists(FIELDS, min_size=len(names), max_size=len(names)), max_size=6))))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_a_list_loses_only_the_columns_the_form_never_names(
    page: Page, table: tuple[list[str], list[list[str]]]
) -> None:
    """Whatever stands in the fields, the rows and the named columns are as they were."""
    names, rows = table
    out = io.StringIO()
    csv.writer(out).writerows([names, *rows])
    said = call(page, "csv.js", "trimmed", out.getvalue(), "<value ref='used'/> other_thing")
    found = list(csv.DictReader(io.StringIO(said, newline="")))
    whole = [dict(zip(names, row, strict=True)) for row in rows]
    stays = [name for name in names if name in ("name", "label", "used")]
    kept = [row for row in whole if len(names) > 1]
    if len(stays) == len(names):
        assert said == out.getvalue()
    else:
        assert found == [{name: row[name] for name in stays} for row in kept]


def test_no_text_is_a_blank(page: Page) -> None:
    """A missing translation is filled from the other language, guidance is marked, and what pyxform
    adds for "other" speaks Thai."""
    xform, _ = to_xform(every_question(), form_id=FORM_ID, version="1")
    said = call(page, "xform.js", "prepared", xform)
    assert said.count("<value>-</value>") == 0
    assert said.count("ไม่มีคำแปล") == 2
    assert said.count("ลำไย") == 2
    assert "โปรดระบุ / Specify other." in said
    assert "\u2063" in said
    assert call(page, "xform.js", "prepared", "no XML <") == "no XML <"


def test_a_first_visit_fetches_little(chromium: Browser, module_server: RunningServer) -> None:
    """Page, styles, fonts, scripts, engine, form and list together stay below the limit, and what
    is not needed for the first page is not among them."""
    publish(module_server, every_question(), places=PLACES)
    phone = Phone(chromium, module_server)
    fetched: dict[str, int] = {}

    def arrived(request: Any) -> None:
        if request.service_worker is None:
            fetched[request.url] = request.sizes()["responseBodySize"]

    phone.page.on("requestfinished", arrived)
    phone.open(FORM_ID)
    phone.page.locator(".bar .next").wait_for()
    assert sum(fetched.values()) < FIRST_LOAD, fetched
    names = {url.rpartition("/")[2] for url in fetched}
    assert "xforms-engine.js" in names
    assert not {"jsqr.js", "scan.js", "draw.js", "place.js"} & names
    assert phone.complaints == []
    phone.close()


def test_scripts_go_out_without_comments(module_server: RunningServer) -> None:
    """What is written for us is not fetched by phones; licences stay with what they cover."""
    for path in ("web/app.js", "web/vendor/xforms-engine.js"):
        said = requests.get(f"{module_server.url}/static/{path}", timeout=10).text
        assert not re.findall(r"^\s*//.*$", said, re.MULTILINE)
        blocks = re.findall(r"^\s*/\*\*(?:(?!\*/).)*\*/[ \t]*$", said, re.MULTILINE | re.DOTALL)
        assert all(re.search("licen[cs]e|copyright", one, re.IGNORECASE) for one in blocks)
        assert "import" in said
