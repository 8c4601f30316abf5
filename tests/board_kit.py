"""A small season for tests of the board: a programme folder of six courses, its four forms with few
questions, and documents as a phone sends them."""

from __future__ import annotations

import re
import shutil
import uuid
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import requests
from lxml import html
from office import Office, RunningServer, workbook

from forms.programme import shipped
from forms.values import participant_code

__all__ = ["Season", "book", "numbers", "people", "programme_folder", "said"]

HEAD = ("type", "name", "label::ไทย (th)", "label::English (en)", "calculation")
TITLES = (
    ("list_name", "name", "label::ไทย (th)", "label::English (en)"),
    ("title", "mr", "นาย", "Mr"),
    ("title", "ms", "นางสาว", "Miss"),
    ("title", "other", "อื่น", "Other"),
)
WHO = (
    ("today", "today", None, None, None),
    ("deviceid", "deviceid", None, None, None),
    ("text", "course_code", "หลักสูตร", "Course", None),
    ("begin_group", "g", "กลุ่ม", "Group", None),
    ("text", "participant_id", "รหัส", "Code", None),
    ("end_group", None, None, None, None),
)
NAMES = (
    ("select_one title", "title", "คำนำหน้า", "Title", None),
    ("text", "title_other", "ระบุ", "Which", None),
    ("text", "first_name", "ชื่อ", "First name", None),
    ("text", "last_name", "นามสกุล", "Last name", None),
    ("text", "province", "จังหวัด", "Province", None),
)
COURSE = "name,label,fiscal_year_be,project,province,curriculum,units,start_date,end_date,planned_n,status"


def programme_folder(folder: Path, today: date, more: int = 0) -> Path:
    """The shipped programme with other courses: two in Chiang Mai (one today with 5 places, one next
    month with none planned), one in Lamphun, one of the region, and `more` in Lampang."""
    shutil.copytree(shipped(), folder)
    lines = [COURSE]

    def add(code: str, label: str, province: str, start: date, seats: int) -> None:
        end = start + timedelta(1)
        lines.append(
            f"{code},{label},2564,P64-01,{province},FULL,M1 M2,{start},{end},{seats},planned"
        )

    add("C-50-1", "เชียงใหม่ รุ่น 1", "50", today, 5)
    add("C-50-2", "เชียงใหม่ รุ่น 2", "50", today + timedelta(30), 0)
    add("C-51-1", "ลำพูน รุ่น 1", "51", today - timedelta(9), 40)
    add("C-REG-1", "ระดับภาค รุ่น 1", "00", today + timedelta(3), 40)
    for n in range(more):
        add(f"C-52-{n:03}", f"ลำปาง รุ่น {n}", "52", today - timedelta(n + 2), 40)
    (folder / "courses.csv").write_text("\n".join(lines) + "\n", "utf-8")
    listed = ["name,label,province,course"]
    for number, name in ((1, "หนึ่ง ในรายชื่อ"), (2, "สอง ในรายชื่อ")):
        listed.append(f"{participant_code('50', 2564, number)},{name},50,C-50-1")
    (folder / "participants.csv").write_text("\n".join(listed) + "\n", "utf-8")
    for form_id in FORMS:
        (folder / f"{form_id}.xlsx").write_bytes(book(form_id))
    return folder


FORMS = ("mne_registration", "mne_pretest", "mne_posttest", "mne_course_eval")


def book(form_id: str, version: str = "1") -> bytes:
    """The workbook of a form."""
    survey = (HEAD, *WHO, *(NAMES if form_id == "mne_registration" else ()))
    settings = (
        ("form_title", "form_id", "version", "default_language"),
        (form_id, form_id, version, "ไทย (th)"),
    )
    return workbook(survey=survey, choices=TITLES, settings=settings)


@dataclass
class Season:
    """The forms of the board on a running server, and what a phone sends there."""

    server: RunningServer
    uids: dict[str, str] = field(default_factory=dict)

    @property
    def office(self) -> Office:
        return Office(self.server.url, self.server.token)

    def publish(self) -> Season:
        """Put the four forms on the server."""
        office = self.office
        for form_id in FORMS:
            uid = office.import_form(book(form_id))
            answer = office.call("POST", f"/api/v2/assets/{uid}/deployment/", json={"active": True})
            assert answer.status_code == 200, answer.text
            self.uids[form_id] = uid
        return self

    def send(
        self,
        form_id: str,
        course: str,
        who: str = "",
        *,
        device: str = "",
        instance_id: str = "",
        deprecated: str = "",
        path: str = "/submission",
        **answers: str,
    ) -> str:
        """Send one record by OpenRosa; its instanceID."""
        uid, one = self.uids[form_id], instance_id or str(uuid.uuid4())
        edit = f"<deprecatedID>uuid:{deprecated}</deprecatedID>" if deprecated else ""
        more = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in answers.items())
        document = (
            f'<{uid} id="{uid}" version="1"><today>2021-03-11</today>'
            f"<deviceid>{escape(device)}</deviceid><course_code>{escape(course)}</course_code>"
            f"<g><participant_id>{escape(who)}</participant_id></g>{more}"
            f"<meta><instanceID>uuid:{one}</instanceID>{edit}</meta></{uid}>"
        ).encode()
        answer = self.office.send(document, path)
        assert answer.status_code == 201, answer.text
        return one

    def register(self, course: str, who: str, first: str, last: str = "", **more: str) -> str:
        return self.send(
            "mne_registration", course, who,
            **{"title": "ms", "first_name": first, "last_name": last, **more},
        )  # fmt: skip

    def row(self, form_id: str, instance_id: str) -> int:
        """The number of a record."""
        rows = self.office.rows(self.uids[form_id])
        return next(row["_id"] for row in rows if row["_uuid"] == instance_id)


def said(answer: requests.Response) -> Any:
    """The page of an answer, parsed."""
    assert answer.status_code == 200, (answer.status_code, answer.text[:500])
    return html.fromstring(answer.text)


def numbers(page: Any, course: str = "") -> dict[str, str]:
    """The numbers of a course's page, or of one course on the first page, by their English words."""
    place = page
    if course:
        (place,) = page.xpath(f"//li[h3/a[@href='/board/{course}']]")
    return {
        div.findtext("dt"): re.sub(r"\s+", "", div.find("dd").text_content())
        for div in place.xpath(".//dl[contains(@class, 'nums')]/div")
    }


def people(page: Any, box: str) -> list[str]:
    """The people listed in one of a course's boxes."""
    return [
        " ".join(one.text_content().split())
        for one in page.xpath(f"//details[@id='{box}']//ul[@class='people']/li")
    ]
