"""A workbook as KoboToolbox shows it: `content` (survey, choices, settings …) and `summary`.

Labels and other translated columns become lists in the order of `translations`, the default
language first; every question gets its `$xpath`. Whether the form works is not decided here but by
pyxform, when it is deployed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from forms.problems import Problem
from forms.xlsform import Sheet, read_sheets

__all__ = ["NO_CONTENT", "DuplicateName", "Imported", "read_workbook", "summary"]

NO_CONTENT: Mapping[str, Any] = {
    "schema": "1",
    "survey": [],
    "choices": [],
    "settings": {},
    "translated": [],
    "translations": [None],
}
"""The content of an asset before its first import."""

TRANSLATED = re.compile(r"^([^:]+?)\s*::\s*(.+?)$")
SELECT = re.compile(r"^((?:select_one|select_multiple)(?:_from_file)?|rank)\s+(\S+)(.*)$")
CHOICE_COLUMNS = {"list name": "list_name"}
FLAGS = {"yes": True, "true": True, "true()": True, "no": False, "false": False, "false()": False}


class DuplicateName(Problem):
    """Two questions of one group carry one name."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import learns of a workbook."""

    name: str
    form_id: str
    content: dict[str, Any]
    summary: dict[str, Any]
    content_hash: str


def read_workbook(workbook: bytes, name: str) -> Imported:
    """Read an uploaded workbook; slow. `name` is used where the settings give no title.

    Raises `DuplicateName`, or another `Problem` when it is no workbook.
    """
    sheets = read_sheets(workbook, where=name)
    empty = Sheet((), ())
    survey, choices = sheets["survey"], sheets.get("choices", empty)
    setting_rows = sheets.get("settings", empty).rows
    settings = dict(setting_rows[0][1]) if setting_rows else {}
    title = settings.pop("form_title", "") or settings.pop("title", "")
    form_id = settings.pop("form_id", "") or settings.get("id_string", "")
    translations = languages((survey, choices), settings.get("default_language", ""))
    kuid = Kuids(hashlib.sha256(workbook).digest())
    content = {
        "schema": "1",
        "survey": list(questions(survey, translations, kuid)),
        "choices": list(answers(choices, translations, kuid)),
        "settings": {**settings, **({"id_string": form_id} if form_id else {})},
        "translated": sorted(
            {match[1] for s in (survey, choices) for head in s.heads if (match := split(head))}
        ),
        "translations": translations or [None],
    }
    stem = re.sub(r"\.(xlsx|xls)$", "", name, flags=re.IGNORECASE)
    return Imported(
        name=(title or stem or "form")[:255],
        form_id=form_id[:255],
        content=content,
        summary=summary(content),
        content_hash=hashlib.sha256(workbook).hexdigest()[:40],
    )


class Kuids:
    """KoboToolbox gives every row a `$kuid`; ours follow from the workbook, so they are stable."""

    def __init__(self, seed: bytes) -> None:
        self.seed = seed
        self.count = 0

    def next(self) -> str:
        self.count += 1
        return hashlib.sha256(self.seed + b"%d" % self.count).hexdigest()[:9]


def split(head: str) -> re.Match[str] | None:
    """Column and language of a translated column; our own columns are none."""
    match = TRANSLATED.match(head)
    return None if match and match[1] in ("bind", "body", "instance", "control") else match


def languages(sheets: tuple[Sheet, ...], default: str) -> list[str | None]:
    """Languages as the columns name them, the default first; None stands for plain columns."""
    found: dict[str | None, None] = {}
    if default:
        found[default] = None
    for sheet in sheets:
        for head in sheet.heads:
            if match := split(head):
                found[match[2]] = None
    if not any(split(head) for sheet in sheets for head in sheet.heads):
        return [None]
    return list(found)


def row_of(row: Mapping[str, str], translations: list[str | None]) -> dict[str, Any]:
    """A row with its translated columns as lists."""
    made: dict[str, Any] = {}
    for head, value in row.items():
        if match := split(head):
            column, language = match[1], match[2]
            made.setdefault(column, [None] * len(translations))
            if isinstance(made[column], list):
                made[column][translations.index(language)] = value
        elif head in ("label", "hint", "required_message", "constraint_message"):
            made[head] = [value, *[None] * (len(translations) - 1)]
        else:
            made[head] = value
    return made


def questions(
    survey: Sheet, translations: list[str | None], kuid: Kuids
) -> Iterator[dict[str, Any]]:
    """Rows of the survey sheet; raises `DuplicateName`."""
    steps: list[str] = []
    seen: set[str] = set()
    for number, row in survey.rows:
        if "type" not in row:
            continue
        made = row_of(row, translations)
        kind = re.sub(r"^(begin|end)[ _]+", r"\1_", made["type"].strip())
        if match := SELECT.match(kind):
            kind = match[1]
            made["file" if kind.endswith("_from_file") else "select_from_list_name"] = match[2]
            if "or_other" in match[3]:
                made["_or_other"] = True
        made = {**made, "type": kind, "$kuid": kuid.next()}
        if kind in ("end_group", "end_repeat"):
            if steps:
                steps.pop()
            made.pop("name", None)
            yield made
            continue
        if required := made.get("required"):
            made["required"] = FLAGS.get(required.lower(), required)
        name = made.get("name")
        if name:
            path = "/".join([*steps, name])
            if path in seen:
                raise DuplicateName.at(
                    f"survey, row {number}", f"Duplicate node name: {name}", "give it another name"
                )
            seen.add(path)
            made |= {"$xpath": path, "$autoname": name}
        if kind in ("begin_group", "begin_repeat"):
            steps.append(name or "")
        yield made


def answers(
    choices: Sheet, translations: list[str | None], kuid: Kuids
) -> Iterator[dict[str, Any]]:
    """Rows of the choices sheet."""
    for _, row in choices.rows:
        made = row_of(row, translations)
        for said, meant in CHOICE_COLUMNS.items():
            if said in made:
                made[meant] = made.pop(said)
        if "list_name" in made and "name" in made:
            yield {**made, "$kuid": kuid.next(), "$autovalue": made["name"]}


def summary(content: Mapping[str, Any]) -> dict[str, Any]:
    """What lists of assets show of a form."""
    rows = [r for r in content["survey"] if not r["type"].startswith(("begin_", "end_"))]
    labels = [r["label"][0] for r in rows if r.get("label") and r["label"][0]]
    columns = dict.fromkeys(k for r in content["survey"] for k in r if not k.startswith("$"))
    return {
        "geo": any(r["type"] in ("geopoint", "geotrace", "geoshape") for r in rows),
        "labels": labels[:5],
        "columns": list(columns),
        "lock_all": False,
        "lock_any": False,
        "languages": content["translations"],
        "row_count": len(rows),
        "default_translation": content["translations"][0],
    }
