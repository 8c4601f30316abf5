"""A form of the questions that need more than a field or a list, and what must hold of their look."""

from __future__ import annotations

from typing import Any

import pytest
from every_question import PLACES
from office import ROOT, RunningServer, workbook
from playwright.sync_api import Page
from web_phone import publish

__all__ = ["FORM", "TAMBONS", "publish_widgets", "serious", "small"]

AXE = ROOT / "server/web/node_modules/axe-core/axe.min.js"
TAMBONS = (ROOT / "forms/programmes/north2564/tambons.csv").read_bytes()
"""The 1,562 subdistricts of the programme."""

FORM = "widgets"

SURVEY = """
text                                  | province | จังหวัด              | Province
select_one_from_file tambons.csv      | tambon   | ตำบล     | Subdistrict  | minimal autocomplete
select_one_from_file tambons.csv      | near     | ใกล้                 | Near             | minimal
select_multiple fruit                 | several  | ผลไม้                | Fruit            | minimal
select_multiple_from_file places.csv  | sites    | ที่ตั้ง                | Sites            | autocomplete
barcode                               | badge    | สแกนป้าย             | Scan the badge
rank fruit                            | ranked   | เรียงลำดับ            | Rank
range                                 | whole    | ระดับ                | Scale
range                                 | part     | ส่วน                 | Part             | no-ticks
range                                 | up       | สูง                  | Height           | vertical
range                                 | stars    | ดาว                 | Stars            | rating
range                                 | picked   | เลือกจำนวน           | Pick a number    | picker
image                                 | photo    | ภาพถ่าย              | Photo
image                                 | wide     | ภาพกว้าง             | Wide photo
image                                 | selfie   | ภาพตนเอง            | Selfie           | new-front
image                                 | sign     | ลายมือชื่อ             | Signature        | signature
image                                 | sketch   | ภาพวาด              | Drawing          | draw
image                                 | marked   | เขียนบนภาพ           | Annotate         | annotate
audio                                 | sound    | เสียง                | Sound
video                                 | film     | วิดีโอ                | Film
file                                  | paper    | ไฟล์                 | File
geopoint                              | here     | ตำแหน่ง              | Place
geopoint                              | there    | ที่อื่น                 | Elsewhere        | placement-map
geotrace                              | path     | เส้นทาง              | Path
geoshape                              | field    | แปลง                | Field
begin_group                           | table    | ตาราง               | Table            | table-list
select_one agree                      | row1     | เนื้อหาตรงกับความต้องการของผู้เข้าอบรม | Row 1
select_one agree                      | row2     | วิทยากรตอบคำถามได้     | Row 2
end_group
"""

MORE: dict[str, dict[str, str]] = {
    "near": {"choice_filter": "province=${province}"},
    "badge": {
        "constraint": "regex(., '^[0-9]{10}$')",
        "constraint_message::ไทย (th)": "รหัสต้องมี 10 หลัก",
        "constraint_message::English (en)": "The code has 10 digits",
    },
    "whole": {"parameters": "start=0 end=10 step=2"},
    "part": {"parameters": "start=-1 end=1 step=0.1"},
    "up": {"parameters": "start=1 end=5 step=1"},
    "stars": {"parameters": "start=1 end=5 step=1"},
    "picked": {"parameters": "start=1 end=20 step=1"},
    "photo": {"parameters": "max-pixels=640"},
    "marked": {"parameters": "max-pixels=800"},
    "here": {"parameters": "capture-accuracy=10 warning-accuracy=50"},
    "row2": {
        "required": "yes",
        "required_message::ไทย (th)": "กรุณาตอบข้อนี้",
        "required_message::English (en)": "Please answer",
    },
}
COLUMNS = ("type", "name", "label::ไทย (th)", "label::English (en)", "appearance")
CHOICES = (
    ("list_name", "name", "label::ไทย (th)", "label::English (en)"),
    ("fruit", "mango", "มะม่วง", "Mango"),
    ("fruit", "banana", "กล้วย", "Banana"),
    ("fruit", "longan", "ลำไย", "Longan"),
    ("agree", "5", "มากที่สุด", "Very much"),
    ("agree", "4", "มาก", "Much"),
    ("agree", "3", "ปานกลาง", "Fair"),
    ("agree", "2", "น้อย", "Little"),
    ("agree", "1", "น้อยที่สุด", "Very little"),
)
SETTINGS = (
    ("form_title", "form_id", "version", "default_language"),
    ("ตัวช่วยตอบ | Widgets", FORM, "1", "ไทย (th)"),
)


def survey() -> list[tuple[Any, ...]]:
    """The survey sheet's rows, the heading first."""
    more = list(dict.fromkeys(column for columns in MORE.values() for column in columns))
    rows: list[tuple[Any, ...]] = [(*COLUMNS, *more)]
    for line in SURVEY.strip().splitlines():
        cells = [cell.strip() or None for cell in line.split("|")]
        cells += [None] * (len(COLUMNS) - len(cells))
        rows.append((*cells, *(MORE.get(cells[1] or "", {}).get(column) for column in more)))
    return rows


def publish_widgets(server: RunningServer) -> str:
    """Put the form on a server; the asset's uid."""
    form = workbook(survey=survey(), choices=CHOICES, settings=SETTINGS)
    return publish(server, form, tambons=TAMBONS, places=PLACES)


def serious(page: Page) -> list[str]:
    """What axe finds that is serious or critical (https://www.deque.com/axe/)."""
    if not AXE.is_file():
        pytest.skip("npm ci in server/web brings axe")
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document)")
    assert found["passes"]
    return [
        f"{one['id']}: {node['html']}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def small(page: Page) -> list[str]:
    """Controls in sight that a thumb would miss: less than 44 px high or wide."""
    return page.evaluate("""() => [...document.querySelectorAll(
          'button, input:not(.vh), select, summary, .star, [role=option], .rank-handle, canvas')]
        .filter((one) => one.getClientRects().length)
        .map((one) => one.closest('.table-cell, .choice') ?? one)
        .filter((one) => Math.min(one.offsetWidth, one.offsetHeight) < 44)
        .map((one) => one.outerHTML.slice(0, 200))""")
