"""Searching a list as people type: tone marks, digits, case and ways of writing do not matter."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from needs import needs_chromium
from office import ROOT, RunningServer
from playwright.sync_api import Page
from web_phone import browser

pytestmark = needs_chromium

TONES = "่้๊๋์็"
THAI = "กขคงจชซญดตถทธนบปผพฟภมยรลวศษสหอฮะัาำิีึืุูเแโใไๅํ" + TONES + "๐๑๒๓๔๕๖๗๘๙"
TEXT = st.text(alphabet=THAI + "abcxyzABCXYZéÅ0123456789 -.()\u200b", max_size=24)
TRIES = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def page(module_server: RunningServer) -> Iterator[Page]:
    """A browser that has the module the widgets search with."""
    with browser() as started:
        opened = started.new_page()
        opened.goto(f"{module_server.url}/static/web/widgets/matching.js")
        opened.evaluate("""async () => {
            window.matching = await import('/static/web/widgets/matching.js');
        }""")
        yield opened


def folded(page: Page, *texts: str) -> list[str]:
    return page.evaluate("(texts) => texts.map(matching.folded)", list(texts))


def found(page: Page, texts: list[str], query: str) -> list[int]:
    asked: Any = [texts, query]
    return page.evaluate("([texts, query]) => matching.finder(texts)(query)", asked)


@TRIES
@given(texts=st.lists(TEXT, min_size=1, max_size=8), data=st.data())
def test_any_part_of_a_text_finds_it(page: Page, texts: list[str], data: st.DataObject) -> None:
    """Wherever a person begins to read, what is typed finds the row; nothing is found twice, and
    an empty search finds all in the list's order."""
    row = data.draw(st.integers(0, len(texts) - 1))
    start = data.draw(st.integers(0, len(texts[row])))
    end = data.draw(st.integers(start, len(texts[row])))
    rows = found(page, texts, texts[row][start:end])
    assert row in rows
    assert len(rows) == len(set(rows))
    assert found(page, texts, "  ") == list(range(len(texts)))


@TRIES
@given(text=TEXT, data=st.data())
def test_ways_of_writing_are_one(page: Page, text: str, data: st.DataObject) -> None:
    """Another tone mark, capitals, Thai or Arabic digits, parted or joined characters, spaces: the
    text stays the same for the search, also when it is folded again."""
    digits = str.maketrans("0123456789", "๐๑๒๓๔๕๖๗๘๙")
    at = data.draw(st.integers(0, len(text)))
    toned = text[:at] + data.draw(st.sampled_from([*TONES, " ", "\u200b"])) + text[at:]
    ways = [
        text, text.upper(), text.lower(), text.translate(digits), toned,
        unicodedata.normalize("NFD", text), unicodedata.normalize("NFC", text),
        text.replace("แ", "เเ"), text.replace("ำ", "ํา"),
    ]  # fmt: skip
    results = folded(page, *ways)
    assert set(results) == {results[0]}
    assert folded(page, results[0]) == [results[0]]


@TRIES
@given(texts=st.lists(TEXT, max_size=8), query=TEXT)
def test_what_is_found_has_every_word(page: Page, texts: list[str], query: str) -> None:
    """A row is shown exactly when it contains all words typed, those that begin with it first."""
    words = [one for one in folded(page, *query.split()) if one]
    known = folded(page, *texts)
    wanted = [at for at, text in enumerate(known) if all(word in text for word in words)]
    rows = found(page, texts, query)
    assert sorted(rows) == wanted
    begins = [known[at].startswith("".join(words)) for at in rows]
    assert begins == sorted(begins, reverse=True)


@pytest.mark.parametrize(
    ("typed", "label"),
    [
        ("นำ", "บ้านน้ำบ่อหลวง"),
        ("น้ํา", "บ้านน้ำบ่อหลวง"),
        ("แม่ริม", "เเม่ริม"),
        ("แมริม", "แม่ริม"),
        ("ที่ ๑๒", "ตำบลที่ 12"),
        ("ที่12", "ตำบลที่ ๑๒"),
        ("CHIANG rai", "Chiang Rai"),
        ("rai chiang", "Chiang Rai"),
        ("cafe", "Café"),
        ("สันทราย", "ตำบล **สัน ทราย**"),
    ],
)
def test_what_people_type(page: Page, typed: str, label: str) -> None:
    """Spellings as they occur."""
    assert found(page, ["อื่น", label], typed) == [1]


def test_every_subdistrict_is_found_without_its_tone_marks(page: Page) -> None:
    """Each of the 1,562 subdistricts of the programme, by its name typed in a hurry and by its
    code; a wrong letter finds none."""
    path = ROOT / "forms/programmes/north2564/tambons.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    texts = [f"{row['label']}\n{row['name']}" for row in rows]
    bare = ["".join(c for c in row["label"] if c not in TONES) for row in rows]
    asked: Any = [texts, bare, [row["name"] for row in rows]]
    lost = page.evaluate(
        """([texts, names, codes]) => {
          const find = matching.finder(texts);
          return texts.filter((_, at) => !find(names[at]).includes(at) || find(codes[at])[0] !== at
            || find(`${names[at]}ฬ`).length);
        }""",
        asked,
    )
    assert len(rows) == 1562
    assert lost == []
