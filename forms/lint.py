"""What would go wrong in the field or in the analysis, found before a form is published.

`lint` looks at every workbook with the programme that uses it: words missing in a language, an answer
key that names no choice, tests that differ between waves, columns that would travel to phones, names
and codes that do not join. It changes nothing and tells everything at once, with sheet, row and remedy.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from forms.csvtable import read_text
from forms.model import Form
from forms.problems import Finding, Problem
from forms.programme import FormSpec, Programme
from forms.xlsform import LANGUAGE, OWN_PREFIX, Sheet, deployable, read_sheets, to_xform

__all__ = ["lint"]

SPOKEN = ("label", "hint", "required_message", "constraint_message")
"""Columns a person reads: present in one language, they must be present in all."""

SILENT = frozenset(
    {"start", "end", "today", "deviceid", "username", "phonenumber", "audit", "calculate", "hidden"}
)
"""Types that show nothing and need no label."""

CHOICE_COLUMNS = frozenset({"list_name", "list name", "name", "value"})
MEDIA_COLUMNS = ("label", "image", "audio", "video", "big-image", "media::")
WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
NAMED = re.compile(r"\{([^{}]*)\}")
"""A question in the pattern of a person's name."""


def lint(programme: Programme) -> list[Finding]:
    """Every finding about a programme's forms, in the order of programme.toml; empty when all is well."""
    found = list(programme.warnings)
    forms: dict[str, Form] = {}
    for form_id, spec in programme.forms.items():
        where = f"{form_id}.xlsx"
        try:
            sheets = read_sheets(programme.workbook(form_id))
            forms[form_id] = programme.form(form_id)
        except Problem as problem:
            found.extend(problem.findings)
            continue
        found.extend(of_settings(where, form_id, forms[form_id]))
        found.extend(of_words(where, forms[form_id], sheets))
        found.extend(of_required(where, forms[form_id], sheets["survey"]))
        found.extend(of_choice_columns(where, sheets))
        found.extend(of_lists(where, forms[form_id], spec))
        found.extend(of_roles(programme, form_id, forms[form_id]))
        found.extend(of_dictionary(programme, form_id, forms[form_id]))
        found.extend(of_conversion(programme, form_id))
    found.extend(of_key(programme, forms))
    found.extend(of_waves(programme, forms))
    found.extend(of_codes(programme, forms))
    return found


def of_settings(where: str, form_id: str, form: Form) -> Iterator[Finding]:
    """The form's id is the file's name and programme.toml's key."""
    if form.id != form_id:
        yield Finding(
            "form_id",
            "error",
            f"{where}, settings",
            f"form_id is {form.id}, but the file and programme.toml say {form_id}",
            f"write {form_id} into form_id",
        )
    if not form.version:
        yield Finding(
            "version_missing", "warning", f"{where}, settings", "has no version", "add one"
        )


def of_words(where: str, form: Form, sheets: Mapping[str, Sheet]) -> Iterator[Finding]:
    """Every word a person reads stands in every language of the form."""
    for name in ("survey", "choices"):
        sheet = sheets.get(name)
        if sheet is None:
            continue
        for number, row in sheet.rows:
            for column in SPOKEN if name == "survey" else ("label",):
                there = {
                    match["code"] or match["words"]
                    for head in row
                    if (match := LANGUAGE.match(head)) and match["column"] == column
                }
                missing = [language for language in form.languages if language not in there]
                needed = there or (column == "label" and speaks(name, row))
                if needed and missing:
                    yield Finding(
                        "translation_missing",
                        "error",
                        f"{where}, {name}, row {number} ({row.get('name', '')})",
                        f"{column} is missing in {', '.join(missing)}",
                        "translate it",
                    )


def speaks(sheet: str, row: Mapping[str, str]) -> bool:
    """Whether a row must have a label."""
    if sheet == "choices":
        return True
    kind = row.get("type", "").split(" ")[0]
    quiet = (
        kind in SILENT
        or kind == "csv-external"
        or re.match(r"(begin|end)[ _]", row.get("type", ""))
    )
    return bool(kind) and not quiet


def of_required(where: str, form: Form, survey: Sheet) -> Iterator[Finding]:
    """A question that must be answered says so in words."""
    for number, row in survey.rows:
        needed = row.get("required", "").lower() not in ("", "no", "false", "false()")
        if needed and not any(head.startswith("required_message") for head in row):
            yield Finding(
                "required_message_missing",
                "error",
                f"{where}, survey, row {number} ({row.get('name', '')})",
                "is required but has no required_message",
                f"say in {', '.join(form.languages)} what to answer",
            )


def of_choice_columns(where: str, sheets: Mapping[str, Sheet]) -> Iterator[Finding]:
    """Columns of the choices sheet that would be copied into the XForm on every phone.

    Allowed are XLSForm's own and those a choice_filter uses.
    """
    if "choices" not in sheets:
        return
    filters = {
        word
        for _, row in sheets["survey"].rows
        for word in WORD.findall(row.get("choice_filter", ""))
    }
    for head in sheets["choices"].heads:
        known = head in CHOICE_COLUMNS or head.startswith((*MEDIA_COLUMNS, OWN_PREFIX))
        if head and not known and head not in filters:
            yield Finding(
                "choice_column_unknown",
                "error",
                f"{where}, choices, column {head}",
                "is not an XLSForm column and no choice_filter uses it: phones would receive it",
                "remove the column",
            )


def of_lists(where: str, form: Form, spec: FormSpec) -> Iterator[Finding]:
    """Selects have their list; names in a list are unique; files are declared as media."""
    for question in form.questions:
        if question.type.endswith("_from_file"):
            if question.list_name not in spec.media:
                yield Finding(
                    "media_undeclared",
                    "error",
                    f"{where}, survey, row {question.row} ({question.name})",
                    f"{question.list_name} is not in the form's media in programme.toml",
                    f'add "{question.list_name}" to media',
                )
        elif question.list_name and question.list_name not in form.choices:
            yield Finding(
                "list_missing",
                "error",
                f"{where}, survey, row {question.row} ({question.name})",
                f"list {question.list_name} is not on the choices sheet",
                "add the list or correct the name",
            )
    for name, choices in form.choices.items():
        seen: set[str] = set()
        for choice in choices:
            if choice.name in seen:
                yield Finding(
                    "choice_twice",
                    "error",
                    f"{where}, choices, row {choice.row}",
                    f"{choice.name} stands twice in list {name}",
                    "give each choice its own name",
                )
            seen.add(choice.name)


def of_roles(programme: Programme, form_id: str, form: Form) -> Iterator[Finding]:
    """Every question that programme.toml names is in the form."""
    spec = programme.forms[form_id]
    named = [(key, getattr(spec, key)) for key in ("person", "course", "province", "event_date")]
    named += [("record", name) for name in spec.record]
    named += [("name", name) for name in NAMED.findall(spec.name)]
    named += [
        ("prefill", name)
        for answered, steps in spec.prefill.items()
        for name in (answered, *(question for question, _ in steps))
    ]
    named += [
        (f"scales.{scale}", name)
        for scale, about in programme.scales.items()
        if about.form == form_id
        for name in about.items
    ]
    if spec.role == "registration":
        named += [(f"traits.{key}", name) for key, name in programme.traits]
    for key, name in named:
        if name and name not in form.by_name:
            yield Finding(
                "question_missing",
                "error",
                f"programme.toml, {key} of {form_id}",
                f"the form has no question {name}",
                "correct the name",
            )


def of_dictionary(programme: Programme, form_id: str, form: Form) -> Iterator[Finding]:
    """Every field has a personal-data class; what has none never leaves the mirror."""
    for question in form.questions:
        silent = question.is_group or question.type == "note"
        if not silent and (form_id, question.name) not in programme.dictionary:
            yield Finding(
                "class_missing",
                "error",
                f"{programme.file.tables.dictionary}, {form_id}",
                f"field {question.name} has no pii_class: it would be left out of every table",
                "add a row for it",
            )


def of_conversion(programme: Programme, form_id: str) -> Iterator[Finding]:
    """pyxform turns the workbook into an XForm."""
    try:
        _, warnings = to_xform(
            deployable(programme.workbook(form_id)), form_id=form_id, version="check"
        )
    except Problem as problem:
        for finding in problem.findings:
            yield Finding("pyxform", "error", f"{form_id}.xlsx", finding.what, "mend the workbook")
        return
    for warning in warnings:
        yield Finding("pyxform", "warning", f"{form_id}.xlsx", warning, "see the XLSForm reference")


def of_key(programme: Programme, forms: Mapping[str, Form]) -> Iterator[Finding]:
    """Every line of the answer key names a question of both tests and one of its choices."""
    for form_id, form in forms.items():
        if programme.forms[form_id].role != "test":
            continue
        for item in programme.items:
            where = f"{programme.test.key}, {item.name}"
            question = form.by_name.get(item.name)
            if question is None:
                yield Finding(
                    "key_without_question",
                    "error",
                    where,
                    f"{form_id} has no question {item.name}",
                    "correct the item's name",
                )
                continue
            codes = [choice.name for choice in form.choices.get(question.list_name, ())]
            if item.correct not in codes:
                yield Finding(
                    "key_names_no_choice",
                    "error",
                    where,
                    f"the key {item.correct!r} is none of {form_id}'s choices ({', '.join(codes)})",
                    "correct the key",
                )


def of_waves(programme: Programme, forms: Mapping[str, Form]) -> Iterator[Finding]:
    """Items read the same before and after: else a gain would compare two different tests."""
    tests = [forms[f] for f, spec in programme.forms.items() if spec.role == "test" and f in forms]
    for first, second in pairwise(tests):
        for item in programme.items:
            one, two = first.by_name.get(item.name), second.by_name.get(item.name)
            if one is None or two is None:
                continue
            answers = [
                [(choice.name, dict(choice.labels)) for choice in form.choices.get(q.list_name, ())]
                for form, q in ((first, one), (second, two))
            ]
            if dict(one.labels) != dict(two.labels) or answers[0] != answers[1]:
                yield Finding(
                    "waves_differ",
                    "error",
                    f"{first.id}.xlsx row {one.row} and {second.id}.xlsx row {two.row}",
                    f"item {item.name} is not worded the same before and after",
                    "make question and choices equal in both workbooks",
                )


def of_codes(programme: Programme, forms: Mapping[str, Form]) -> Iterator[Finding]:
    """Codes in programme.toml and in the media files join with the forms and with each other."""
    registration = programme.form_of("registration")
    if registration in forms:
        form = forms[registration]
        role = form.by_name.get(programme.traits.role)
        codes = {c.name for c in form.choices.get(role.list_name if role else "", ())}
        for target in programme.rules.target_roles:
            if target not in codes:
                yield Finding(
                    "does_not_join",
                    "error",
                    "programme.toml, rules.target_roles",
                    f"{target} is not a choice of {programme.traits.role}",
                    f"use some of: {', '.join(sorted(codes))}",
                )
    known = {
        "province": {province.code for province in programme.provinces},
        "course": {course.code for course in programme.courses},
    }
    names: dict[str, set[str]] = {}
    for file in sorted({name for spec in programme.forms.values() for name in spec.media}):
        rows = media_rows(programme, file)
        names[file] = {row.get("name", "") for row in rows}
        for number, row in enumerate(rows, start=2):
            for column, codes in known.items():
                value = row.get(column, "")
                if value and value not in codes and value != "00":
                    yield Finding(
                        "does_not_join",
                        "error",
                        f"{file}, row {number}, column {column}",
                        f"{value} is not a known {column}",
                        "correct the code",
                    )
            if "district" in row and row["district"] not in names.get("districts.csv", set()):
                yield Finding(
                    "does_not_join",
                    "error",
                    f"{file}, row {number}, column district",
                    f"{row['district']} is not in districts.csv",
                    "correct the code",
                )


def media_rows(programme: Programme, file: str) -> list[dict[str, str]]:
    """A medium's rows by head; empty when it is no CSV."""
    if not file.endswith(".csv"):
        return []
    text = read_text(programme.folder / file, [])
    return list(csv.DictReader(io.StringIO(text or "", newline="")))
