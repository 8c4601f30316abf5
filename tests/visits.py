"""The programme of the conformance suite: one small form with each type the real forms use, and a second.

`Visits` writes the workbooks and media of a programme into a folder and gives the `Programme`; tests
change a label, a question, a list or the rights through its fields.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from office import CHOICES, workbook

from forms.model import Personal, Record
from forms.programme import Programme, load, shipped
from forms.renames import Renames
from forms.sections import AccessSpec, FormSpec, LinkSpec

Rows = tuple[tuple[str | None, ...], ...]

HEAD = ("type", "name", "label::ไทย (th)", "label::English (en)", "calculation")
VISIT: Rows = (
    ("start", "start", None, None, None),
    ("end", "end", None, None, None),
    ("today", "today", None, None, None),
    ("deviceid", "deviceid", None, None, None),
    ("username", "username", None, None, None),
    ("audit", "audit", None, None, None),
    ("note", "intro", "คำนำ", "Before we begin", None),
    ("text", "who", "ชื่อ", "Name", None),
    ("select_one sex", "sex", "เพศ", "Sex", None),
    ("select_one_from_file places.csv", "place", "ที่", "Place", None),
    ("date", "seen", "วันที่พบ", "Seen on", None),
    ("begin_group", "g", "กลุ่ม", "Group", None),
    ("integer", "age", "อายุ", "Age", None),
    ("decimal", "income", "รายได้", "Income", None),
    ("geopoint", "spot", "พิกัด", "Location", None),
    ("end_group", None, None, None, None),
    ("select_multiple team", "team", "คณะ", "Team", None),
    ("calculate", "line", None, None, "concat(${who}, ' ', ${place})"),
    ("barcode", "code", "รหัส", "Code", None),
    ("image", "photo", "ภาพ", "Photo", None),
    ("file", "paper", "เอกสาร", "Paper", None),
    ("begin_repeat", "tree", "ต้นไม้", "Tree", None),
    ("text", "kind", "ชนิด", "Kind", None),
    ("image", "pic", "ภาพ", "Picture", None),
    ("begin_repeat", "fruit", "ผล", "Fruit", None),
    ("integer", "weight", "น้ำหนัก", "Weight", None),
    ("end_repeat", None, None, None, None),
    ("end_repeat", None, None, None, None),
)
SMALL: Rows = (VISIT[7], VISIT[9])
"""A name and a choice from a file: what must be published many times over."""

PLOT: Rows = (
    ("text", "owner", "เจ้าของ", "Owner", None),
    ("decimal", "rai", "ไร่", "Rai", None),
)
TEAM = (
    *CHOICES,
    ("team", "dev", "พัฒนา", "Development"),
    ("team", "fin", "การเงิน", "Finance"),
)
PLACES = "name,label\n50,เชียงใหม่\n51,ลำพูน\n".encode()
NOBODY = AccessSpec()
SPEC = FormSpec(role="process", event_date="seen", province="place", media=("places.csv",))


def relabelled(survey: Rows, name: str, words: str) -> Rows:
    """The survey with another Thai label for one question."""
    return tuple((*row[:2], words, *row[3:]) if row[1] == name else row for row in survey)


def renamed(survey: Rows, old: str, new: str) -> Rows:
    """The survey with another name for one question."""
    return tuple((row[0], new, *row[2:]) if row[1] == old else row for row in survey)


def without(survey: Rows, *names: str) -> Rows:
    """The survey with questions left out."""
    return tuple(row for row in survey if row[1] not in names)


@dataclass(slots=True)
class Visits:
    """A programme folder: `surveys` and `specs` by form id, the files beside it, and its rights."""

    folder: Path
    programme_id: str
    surveys: dict[str, Rows] = field(default_factory=lambda: {"visit": VISIT})
    specs: dict[str, FormSpec] = field(default_factory=lambda: {"visit": SPEC})
    files: dict[str, bytes] = field(default_factory=lambda: {"places.csv": PLACES})
    access: AccessSpec = NOBODY
    renames: Mapping[str, Renames] = field(default_factory=dict)

    def with_plots(self, *fields: str) -> Visits:
        """Add the second form; with `fields` of the first it is linked to it."""
        self.surveys["plot"] = PLOT
        links = (LinkSpec(form="visit", name="visits", fields=fields),) if fields else ()
        self.specs["plot"] = FormSpec(role="output", event_date="rai", links=links)
        return self

    def load(self) -> Programme:
        """Write everything and read it as the programme it is now."""
        self.folder.mkdir(exist_ok=True)
        for name, content in self.files.items():
            (self.folder / name).write_bytes(content)
        for form_id, survey in self.surveys.items():
            (self.folder / f"{form_id}.xlsx").write_bytes(book(form_id, survey))
        base = surroundings()
        about = base.about.model_copy(update={"id": self.programme_id})
        known = {
            (form_id, str(row[1])): Personal.NONE
            for form_id, survey in self.surveys.items()
            for row in survey
            if row[1]
        }
        made = base.model_copy(
            update={
                "folder": self.folder,
                "file": base.file.model_copy(
                    update={"programme": about, "forms": dict(self.specs), "access": self.access}
                ),
                "dictionary": known,
                "renames": dict(self.renames),
            }
        )
        vars(made).pop("_parsed", None)  # a copy shares what its origin had parsed
        return made


@functools.cache
def book(form_id: str, survey: Rows) -> bytes:
    """A form's workbook."""
    settings = (
        ("form_title", "form_id", "version", "default_language"),
        (f"แบบ {form_id}", form_id, "1", "ไทย (th)"),
    )
    return workbook(survey=(HEAD, *survey), choices=TEAM, settings=settings)


@functools.cache
def surroundings() -> Programme:
    """The shipped programme, read once: what stands around the forms."""
    return load(shipped())


def record(**answers: Any) -> Record:
    """A record from answers by name with `__` for `/`; a list of records is a repeat."""
    plain = {name.replace("__", "/"): value for name, value in answers.items()}
    return Record(
        {path: value for path, value in plain.items() if isinstance(value, str)},
        {path: tuple(value) for path, value in plain.items() if not isinstance(value, str)},
    )


def tree(kind: str, *weights: str, pic: str = "") -> Record:
    """One turn of the repeat `tree` with its fruit."""
    fruit = tuple(Record({"tree/fruit/weight": weight}) for weight in weights)
    answers = {"tree/kind": kind, "tree/pic": pic}
    repeats = {"tree/fruit": fruit} if fruit else {}
    return Record({path: value for path, value in answers.items() if value}, repeats)


FULL = record(
    start="2021-03-11T09:00:00.000+07:00",
    end="2021-03-11T09:20:00.000+07:00",
    today="2021-03-11",
    deviceid="collect:9dQ3",
    username="enum1",
    who='มาลี "Yai" & <Ta>',
    sex="f",
    place="50",
    seen="2021-03-10",
    g__age="45",
    g__income="8500.50",
    g__spot="18.79 98.98 300.5 4.2",
    team="dev fin",
    line="มาลี 50",
    code="8850999320007",
    photo="ภาพ 1.jpg",
    paper="plan.pdf",
    tree=[tree("มะม่วง", "3", "12", pic="m.jpg"), tree("ลำไย"), tree("กล้วย", "7")],
    **{"meta__audit": "audit.csv"},
)
"""One answer of each question type."""

JPEG = b"\xff\xd8\xff\xe0 photo"
FULL_FILES = (
    ("ภาพ 1.jpg", JPEG, "image/jpeg"),
    ("plan.pdf", b"%PDF-1.4 plan", "application/pdf"),
    ("m.jpg", JPEG + b"2", "image/jpeg"),
    ("audit.csv", b"event,node\nform start,\n", "text/csv"),
)
