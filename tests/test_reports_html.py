"""The report as a document: what it must say, what it must survive."""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sample_evaluation import sample

from reports.html import css_string, render, stamp, write
from reports.summary import five_lines

LANGUAGES = ("th", "en")
VOID = {"meta", "br", "img", "hr", "link", "input"}


class Page(HTMLParser):
    """The visible text, the tags in order, the captions; checks that tags close in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags, self.open = "", [], []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def read(evaluation: dict[str, Any], language: str) -> Page:
    """A rendered page, with runs of white space as one space."""
    page = Page(render(evaluation, language=language))
    page.text = re.sub(r"\s+", " ", page.text)
    return page


def spoiled(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """The sample after a change."""
    evaluation = copy.deepcopy(sample())
    change(evaluation)
    return evaluation


def nothing_known(evaluation: dict[str, Any]) -> None:
    """Every indicator without data, no table."""
    evaluation["tables"] = {}
    for row in evaluation["indicators"].values():
        row |= {"status": "no_data", "measures": {}, "headline": None, "light": "none",
                "light_reason": "no_data"}  # fmt: skip


def refused(evaluation: dict[str, Any]) -> None:
    """Every figure refused."""
    for row in evaluation["indicators"].values():
        for found in row["measures"].values():
            found |= {"value": None, "low": None, "high": None, "level": None, "n": 0,
                      "status": "refused", "reason": "n_below_2"}  # fmt: skip
        row |= {"status": "refused", "light": "none", "light_reason": "refused"}


def suppressed(evaluation: dict[str, Any]) -> None:
    """Every gain and mean hidden."""
    hidden = {"n": None, "pre": None, "post": None, "gain": None, "low": None, "high": None,
              "status": "suppressed", "reason": "n_below_limit", "courses": None,
              "normalized_gain": None}  # fmt: skip
    for name in ("gain_by_province", "gain_by_sex", "gain_by_module", "gain_by_course"):
        for row in evaluation["tables"][name]:
            row |= hidden
    for row in evaluation["tables"]["likert"]:
        row |= {"mean": None, "sd": None, "band": None, "n": None, "counts": None}
    for row in evaluation["indicators"].values():
        for found in row["measures"].values():
            found |= {"value": None, "low": None, "high": None, "n": None,
                      "status": "suppressed", "reason": "n_below_limit"}  # fmt: skip


def all_null(evaluation: dict[str, Any]) -> None:
    """Every number of every table null."""
    for rows in evaluation["tables"].values():
        for row in rows if isinstance(rows, list) else [rows]:
            for key, value in row.items():
                if isinstance(value, int | float):
                    row[key] = None


def one_province(evaluation: dict[str, Any]) -> None:
    """A programme of one province."""
    for name in ("gain_by_province", "progress_by_province", "budget"):
        del evaluation["tables"][name][1:]
    del evaluation["programme"]["provinces"][1:]


def not_numbers(evaluation: dict[str, Any]) -> None:
    """NaN and infinity where numbers are meant."""
    for row in evaluation["tables"]["gain_by_province"]:
        row |= {"gain": float("nan"), "low": float("inf")}
    evaluation["indicators"]["EFT-1"]["measures"]["overall"]["value"] = float("nan")


def bare(evaluation: dict[str, Any]) -> None:
    """Nothing but the schema."""
    evaluation.clear()
    evaluation["schema"] = 1


TROUBLES = [nothing_known, refused, suppressed, all_null, one_province, not_numbers, bare]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda change: change.__name__)
def test_missing_figures_are_said_in_words(
    trouble: Callable[[dict[str, Any]], None], language: str
) -> None:
    """Refused, hidden, absent or broken figures: a correct page, no empty chart, no "None"."""
    evaluation = spoiled(trouble)
    page = read(evaluation, language)
    for bad in ("None", "nan", "NaN", "inf ", "Undefined", "{", "}", "null"):
        assert bad not in page.text.replace("information", ""), bad
    raw = render(evaluation, language=language)
    for svg in re.findall(r'<svg[^>]*class="chart".*?</svg>', raw, re.DOTALL):
        assert svg.count("<circle") + svg.count("<rect") > 3
    lines = five_lines(evaluation, language)
    assert len(lines) == 5
    assert all(len(line) > 20 for line in lines)


@pytest.mark.parametrize(
    ("trouble", "thai", "english"),
    [
        (nothing_known, "ไม่มีแบบทดสอบที่จับคู่ได้แม้แต่คู่เดียว", "not a single pair of tests"),
        (refused, "มีข้อมูลน้อยกว่า 2 คน", "fewer than two persons"),
        (suppressed, "ปิดไว้: จำนวนคนน้อยเกินไป", "hidden: too few persons"),
    ],
    ids=["no pairs", "refused", "suppressed"],
)
def test_the_words_tell_which_kind_of_absence_it_is(
    trouble: Callable[[dict[str, Any]], None], thai: str, english: str
) -> None:
    """No pairs, refused and hidden are different things."""
    assert thai in read(spoiled(trouble), "th").text
    assert english in read(spoiled(trouble), "en").text


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_one_stands_alone(language: str) -> None:
    """Five sentences with number, interval, n and date; the decision asked; light with its rule."""
    page = read(sample(), language)
    lines = five_lines(sample(), language)
    date = {"th": "30 กันยายน 2564", "en": "30 September 2021"}[language]
    assert len(lines) == 5
    for line in lines:
        assert date in line
        assert re.search(r"n = [\d,]+", line), line
        assert line.partition(": ")[2] in page.text
    effect = lines[3]
    assert "13.8" in effect
    assert "13.1" in effect
    assert "14.5" in effect
    assert "10,912" in effect
    assert "294" in effect
    first = page.text.partition({"th": "สารบัญ", "en": "Contents"}[language])[0]
    for word in {
        "th": ("ถึงเป้าหมาย", "เกณฑ์: เขียวตั้งแต่ 3.51", "4,713,914", "พิจารณาตัดสินใจ"),
        "en": ("Meets the target", "rule: green from 3.51", "4,713,914", "asked to decide"),
    }[language]:
        assert word in first


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_claims_a_cause(language: str) -> None:
    """Gains are reported, not explained (methods, 1.9)."""
    for line in five_lines(sample(), language):
        assert not re.search(r"caus|due to|because of the course|สาเหตุ|ทำให้คะแนน", line)


@pytest.mark.parametrize(
    ("reason", "low", "value", "english"),
    [
        ("not_assessed", -2.0, 4.0, "not assessed, so wait for more pairs"),
        ("not_met", 0.4, 1.2, "not met, so look at content and method"),
        ("not_met", -9.0, -6.0, "scores fell by 6.0 points"),
    ],
)
def test_the_sentence_follows_the_verdict(
    reason: str, low: float, value: float, english: str
) -> None:
    """Met, not met, not assessed and a fall are told apart."""

    def change(evaluation: dict[str, Any]) -> None:
        row = evaluation["indicators"]["EFT-1"]
        row["light_reason"], row["light"] = reason, "none"
        row["measures"]["overall"] |= {"value": value, "low": low, "high": value + 3}

    assert english in five_lines(spoiled(change), "en")[3]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_disbursement_table_of_the_seed_is_there(language: str) -> None:
    """18 rows in the seed's order, subtotal of 17, totals and shares; dates never added up."""
    raw = render(sample("2021-04-19"), language=language)
    table = re.search(r'<table class="grid disbursement">.*?</table>', raw, re.DOTALL)
    assert table
    numbers = re.findall(r'<tr><td class="num">(\d+)</td>', table[0])
    assert numbers == [str(no) for no in range(1, 19)]
    figures = (
        "1,781,000 1,240,000 541,000 13,873,500 9,688,300 4,185,200 "
        "1,762,380 1,233,666 528,714 15,635,880 10,921,966 4,713,914"
    )
    for figure in figures.split():
        assert f">{figure}<" in table[0], figure
    assert "281,545" not in raw
    text = read(sample("2021-04-19"), language).text
    for share in ("69.83", "30.17", "69.85", "30.15"):
        assert share in text
    for both in ("12,810", "12,850", "1,335", "1,070"):
        assert both in text
    assert {"th": "19 เมษายน 2564", "en": "19 April 2021"}[language] in text
    assert {"th": "25 ก.พ. 2564", "en": "25 Feb 2021"}[language] in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_41_indicators_are_listed(language: str) -> None:
    """The coverage annex has every indicator, those not yet built too."""
    page = read(sample(), language)
    annex = page.text[page.text.rindex({"th": "พร้อมสูตร", "en": "with their formula"}[language]) :]
    for key in sample()["indicators"]:
        assert key in annex
    word = {"th": "ยังไม่ได้จัดทำ", "en": "not yet built"}[language]
    assert annex.count(word) >= 22


@pytest.mark.parametrize("language", LANGUAGES)
def test_simulated_data_say_so_and_real_data_do_not(language: str) -> None:
    """The mark stands first on the page, in the title and on every printed page."""
    mark = {"th": "ข้อมูลจำลอง", "en": "SIMULATED DATA"}[language]
    raw = render(sample(), language=language)
    assert "simulated" in raw
    body = raw[raw.index("<body>") :]
    assert body.index(mark) < body.index("<h1>")
    assert re.search(r"<title>[^<]*(จำลอง|simulated)", raw)
    assert "@top-right { content:" in raw
    real = render(spoiled(lambda e: e.update(simulated=False)), language=language)
    assert mark not in real
    assert "@top-right { content:" not in real


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_chart_says_what_n_and_date(language: str) -> None:
    """Claim, second line with unit, year, n and as-of date, source; name and description."""
    raw = render(sample(), language=language)
    figures = re.findall(r"<figure>.*?</figure>", raw, re.DOTALL)
    assert len(figures) == 5
    date = {"th": "30 กันยายน 2564", "en": "30 September 2021"}[language]
    for figure in figures:
        caption = re.sub(r"<[^>]+>", "", figure[: figure.index("</figcaption>")])
        assert re.search(r"n = [\d,]+", caption), caption
        assert date in caption
        assert "2564" in caption
        assert re.search(r'<p class="small source">.*watphon 0\.1\.0', figure)
        assert figure.count('role="img"') == 2
        assert figure.count("<title>") == figure.count("<desc>") == 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_findings_chapter_has_a_data_quality_box(language: str) -> None:
    """Received, used, left out by reason, and what that does to the conclusion."""
    raw = render(sample(), language=language)
    chapters = re.findall(r'<section id="\w+" class="chapter">.*?</section>', raw, re.DOTALL)
    assert len(chapters) == 5
    for chapter in chapters:
        assert chapter.count('class="quality"') == 1


def test_what_looks_like_markup_stays_text() -> None:
    """`<script>` in names, statements, notes and titles is shown, never run; CSS cannot be left."""
    evil = "<script>alert(1)</script></style>\"'}"

    def change(evaluation: dict[str, Any]) -> None:
        programme = evaluation["programme"]
        programme["title"] = programme["organisation"] = {"th": evil, "en": evil}
        programme["provinces"][0] |= {"th": evil, "en": evil}
        evaluation["tables"]["likert"][0] |= {"th": evil, "en": evil}
        evaluation["tables"]["budget"][0] |= {"province_en": evil, "project_th": evil}
        evaluation["findings"][0] |= {"code": evil, "what": evil, "where": evil}
        evaluation["tables"]["seed_notes"].append({"code": evil, "x": evil})
        evaluation["indicators"]["REL-4"]["question_en"] = evil
        evaluation["version"] = evil

    page = render(spoiled(change), language="en")
    assert "script" not in Page(page).tags
    assert "<script" not in page
    assert page.count("</style>") == 1
    assert css_string('a"</style>\n\\') == '"a\\22 \\3c \\2f style\\3e \\a \\5c "'


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_stands_by_itself(language: str) -> None:
    """No script, no address it would fetch from, fonts inside, under one megabyte."""
    raw = render(sample(), language=language)
    page = Page(raw)
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert not re.findall(r"(?:src|href)=\"(?!#)", raw)
    assert not re.findall(r"url\((?!data:font/woff2)", raw)
    assert "@import" not in raw
    assert raw.count("font/woff2;base64,") == 4
    assert len(raw.encode()) < 1_000_000


@pytest.mark.parametrize("language", LANGUAGES)
def test_headings_and_links_are_in_order(language: str) -> None:
    """One h1, no level left out, every link leads somewhere, the language is stated."""
    raw = render(sample(), language=language)
    page = Page(raw)
    levels = [int(tag[1]) for tag in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    ids = [attrs["id"] for _, attrs in page.attributes if attrs.get("id")]
    assert len(ids) == len(set(ids))
    targets = {str(a["href"])[1:] for tag, a in page.attributes if tag == "a" and a.get("href")}
    assert targets <= set(ids)
    assert f'<html lang="{language}">' in raw


def test_the_same_evaluation_gives_the_same_bytes(tmp_path: Path) -> None:
    """No clock, no random ids; another evaluation has another stamp."""
    first = [path.read_bytes() for path in write(sample(), tmp_path / "one")]
    second = [path.read_bytes() for path in write(copy.deepcopy(sample()), tmp_path / "two")]
    assert first == second
    assert stamp(sample()) in first[0].decode()
    assert stamp(sample("2021-04-19")) != stamp(sample())


def test_writing_leaves_two_whole_files_and_nothing_else(tmp_path: Path) -> None:
    """Also over older reports."""
    folder = tmp_path / "data" / "reports"
    assert write(sample(), folder) == write(sample(), folder)
    assert sorted(path.name for path in folder.iterdir()) == ["report.en.html", "report.th.html"]


def test_a_failed_write_keeps_the_old_report(tmp_path: Path) -> None:
    """What cannot be rendered replaces nothing."""
    write(sample(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(AttributeError):
        write(None, tmp_path)  # type: ignore[arg-type]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_both_languages_are_rendered_in_time(tmp_path: Path) -> None:
    """Under 1.5 seconds once imported."""
    write(sample(), tmp_path)
    start = time.perf_counter()
    write(sample(), tmp_path)
    assert time.perf_counter() - start < 1.5


def test_nothing_is_printed_that_the_evaluation_does_not_hold() -> None:
    """Every gain, mean and amount of the page's tables is a rounded number of the evaluation."""
    known: set[str] = set()

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            for part in value.values():
                collect(part)
        elif isinstance(value, list):
            for part in value:
                collect(part)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            known.update(f"{abs(value) + 1e-9:,.{places}f}" for places in range(3))

    evaluation = sample()
    collect(evaluation)
    known |= {f"{len(rows):,}" for rows in evaluation["tables"].values()}
    raw = render(evaluation, language="en")
    cells = re.findall(r'<td class="num[^"]*">(.*?)</td>', raw, re.DOTALL)
    figures = [f for cell in cells for f in re.findall(r"\d[\d,]*(?:\.\d+)?", cell)]
    assert len(figures) > 2000
    assert [figure for figure in figures if figure not in known] == []
