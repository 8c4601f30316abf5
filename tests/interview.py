"""An interview on the phone: every page of a form is answered, as a person would, by a plan.

What the plan does not say is answered by the question's type. What was entered is noted by the
question's path, so that it can be held against what the server received.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from field_phone import PHOTO
from playwright.sync_api import Locator, Page, expect
from web_phone import look

from forms.model import Form, Question

__all__ = ["Interview"]

MONTHS = dict(
    enumerate(
        ("มกราคม", "กุมภาพันธ์", "มีนาคม", "เมษายน", "พฤษภาคม", "มิถุนายน", "กรกฎาคม", "สิงหาคม",
         "กันยายน", "ตุลาคม", "พฤศจิกายน", "ธันวาคม"),
        start=1,
    )
)  # fmt: skip
BY_TYPE = {
    "text": "ข้อความ ทดสอบ",
    "integer": "3",
    "decimal": "1250.5",
    "date": "2021-03-11",
    "barcode": "5064000010",
    "geopoint": "18.7883 98.9853",
}
FILES = ("image", "file")
UNSEEN = re.compile(r"\$\{[^}]*\}.*", re.DOTALL)


@dataclass
class Interview:
    """One form on one phone; `plan` gives answers by question name (codes, ISO dates, text; several
    codes separated by spaces; "" leaves the question alone). `entered` is what was answered."""

    page: Page
    form: Form
    plan: Mapping[str, str] = field(default_factory=dict)
    turns: int = 1
    entered: dict[str, list[str]] = field(default_factory=dict)

    def to_end(self, picture: str = "") -> None:
        """Answer page after page to the one before sending."""
        added = 0
        for number in range(200):
            if self.page.locator(".review").count():
                return
            self.answer_page()
            if picture:
                look(f"{picture}-{number:03}", self.page)
            another = self.page.locator(
                ".only button.add, .page > button.add, button.wide.add"
            ).first
            if another.count() and another.is_visible() and added < self.turns:
                added += 1
                another.tap()
                continue
            self.next()
        raise AssertionError("the form has no end")

    def next(self) -> None:
        """The next page; an error on this one ends the interview."""
        at = self.page.locator(".progress-text")
        before = at.inner_text()
        self.page.locator(".bar .next").tap()
        wrong = self.page.locator(".q-error:visible")
        moved = f'() => document.querySelector(".progress-text").textContent !== "{before}"'
        try:
            self.page.wait_for_function(moved, timeout=5000)
        except Exception as error:
            told = [one.inner_text() for one in wrong.all()]
            titles = [one.inner_text() for one in self.page.locator(".q-label").all()]
            raise AssertionError(f"{self.form.id}: {before} stays: {titles} {told}") from error

    def answer_page(self) -> None:
        """Answer what is on the page, and what appears because of an answer."""
        done: set[str] = set()
        for _ in range(40):
            waiting = [
                (one, node)
                for one in self.page.locator(".q[data-node]:visible").all()
                if (node := one.get_attribute("data-node") or "") not in done
            ]
            if not waiting:
                return
            element, node = waiting[0]
            done.add(node)
            if "q-note" in (element.get_attribute("class") or "").split():
                continue
            # what a page seldom needs is fetched when it is shown
            element.locator("input, button, textarea, select").first.wait_for(state="attached")
            question = self.question(element)
            answer = self.plan.get(question.name, None)
            self.answer(element, question, answer)

    def question(self, element: Locator) -> Question:
        """The form's question by its Thai label; of several that fit, the longest."""
        words = plain(element.locator(".q-label").first.inner_text())
        fitting = [
            (len(label), question)
            for question in self.form.questions
            if not question.is_group
            and question.type not in ("note", "calculate")
            and (label := plain(UNSEEN.sub("", question.labels.get("th", ""))))
            and words.startswith(label)
        ]
        assert fitting, f"{self.form.id}: no question is labelled {words!r}"
        longest = max(length for length, _ in fitting)
        named = [question for length, question in fitting if length == longest]
        planned = [question for question in named if question.name in self.plan]
        return (planned or named)[0]

    def answer(self, element: Locator, question: Question, planned: str | None) -> None:
        if planned == "":
            return
        if question.type in ("select_one", "select_multiple", "select_one_from_file"):
            answer = self.choose(element, question, planned)
        elif question.type in FILES:
            answer = self.attach(element)
        elif question.type == "date":
            answer = planned or BY_TYPE["date"]
            date(element, answer)
        elif question.type == "geopoint":
            answer = BY_TYPE["geopoint"]
            element.get_by_role("button").first.tap()
            expect(element.locator(".place-answer")).to_be_visible(timeout=15_000)
        else:
            answer = planned or BY_TYPE[question.type]
            element.locator("input:not([type=file]), textarea").first.fill(answer)
        self.entered.setdefault(question.path, []).append(answer)

    def choose(self, element: Locator, question: Question, planned: str | None) -> str:
        """Tap choices, in the page or in the sheet of a searched list; their codes."""
        pick = element.locator(".pick")
        if not pick.count():
            wanted = (
                planned.split()
                if planned
                else [element.locator(".choice input").first.get_attribute("value") or ""]
            )
            for code in wanted:
                choice = element.locator(".choice", has=self.page.locator(f'input[value="{code}"]'))
                if not choice.locator("input").is_checked():
                    choice.tap()
            return " ".join(wanted)
        pick.tap()
        sheet = self.page.locator("dialog.search-sheet")
        codes = []
        for code in planned.split() if planned else [""]:
            if code and sheet.locator(".search-field").is_visible():
                sheet.locator(".search-field").fill(code)
            label = self.label(question, code)
            rows = sheet.locator(".search-row:visible")
            (rows.filter(has_text=label) if label else rows).first.tap()
            codes.append(code)
        if question.type == "select_multiple":
            sheet.locator(".whole-foot button").tap()
        expect(sheet).to_have_count(0)
        return " ".join(codes)

    def label(self, question: Question, code: str) -> str:
        """The Thai label of a code that is in the form itself; "" for lists in files."""
        for choice in self.form.choices.get(question.list_name, ()):
            if choice.name == code:
                return choice.labels.get("th", "")
        return ""

    def attach(self, element: Locator) -> str:
        """A photograph, a file, or a signature drawn by a finger."""
        if element.locator(".draw-start").count():
            element.locator(".draw-start").tap()
            pad = self.page.locator("dialog canvas.pad")
            box = pad.bounding_box()
            assert box
            mouse = self.page.mouse
            mouse.move(box["x"] + 30, box["y"] + 40)
            mouse.down()
            for step in range(1, 12):
                mouse.move(box["x"] + 30 + 15 * step, box["y"] + 40 + (step % 3) * 25)
            mouse.up()
            self.page.locator("dialog .row button:not(.second)").last.tap()
            expect(element.locator("img.drawn")).to_be_visible()
            return "drawing"
        element.locator("input[type=file]").first.set_input_files(
            {"name": "ภาพ.png", "mimeType": "image/png", "buffer": PHOTO}
        )
        expect(element.locator("img, .file-line").first).to_be_visible()
        return "photo"


def date(element: Locator, answer: str) -> None:
    """Day, month and Buddhist year, or the phone's own date field."""
    year, month, day = answer.split("-")
    parts = element.locator(".date-fields")
    if element.locator("input[type=date]").count():
        element.locator("input[type=date]").first.fill(answer)
        return
    parts.get_by_label("วัน", exact=True).fill(str(int(day)))
    parts.get_by_label("เดือน").select_option(label=MONTHS[int(month)])
    parts.get_by_label("ปี พ.ศ.").fill(str(int(year) + 543))


def plain(text: str) -> str:
    """A label without Markdown, the required mark and differences of white space."""
    return re.sub(r"\s+", " ", re.sub(r"[*_#]|\(จำเป็น\)", "", text)).strip()
