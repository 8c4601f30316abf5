"""Codes that must lead from one table of a programme to another, and keys that must stand once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any

from forms.problems import Finding
from forms.sections import ProgrammeFile, table_names

__all__ = ["joins"]


def joins(file: ProgrammeFile, read: Mapping[str, tuple[Any, ...]]) -> Iterator[Finding]:
    """Codes that do not join: every reference from one table to another that leads nowhere."""
    names = table_names(file)
    provinces = {province.code for province in read["provinces"]}
    projects = {row.project for row in read["disbursements"]}
    units = {unit.code for unit in read["units"]}
    modules = {module.code for module in read["modules"]}
    criteria = {criterion.key for criterion in read["criteria"]}
    checks: list[tuple[str, str, str, str, set[str], str]] = []
    for course in read["courses"]:
        checks.append(
            (
                names["courses"],
                course.code,
                "province",
                course.province,
                provinces | {"00"},
                "provinces",
            )
        )
        checks.append(
            (names["courses"], course.code, "project", course.project, projects, "disbursements")
        )
        checks.extend(
            (names["courses"], course.code, "units", unit, units, "units") for unit in course.units
        )
    for target in read["targets"]:
        checks.append(
            (
                names["targets"],
                target.province,
                "province_code",
                target.province,
                provinces,
                "provinces",
            )
        )
    for row in read["disbursements"]:
        checks.append(
            (
                names["disbursements"],
                row.project,
                "province_code",
                row.province,
                provinces | {"00"},
                "provinces",
            )
        )
    for item in read["items"]:
        checks.append((names["items"], item.name, "module", item.module, modules, "modules"))
    for module in read["modules"]:
        checks.extend(
            (names["modules"], module.code, "curriculum_codes", unit, units, "units")
            for unit in module.units
        )
    for indicator in read["indicators"]:
        checks.append(
            (
                names["indicators"],
                indicator.id,
                "criterion",
                indicator.criterion,
                criteria,
                "criteria",
            )
        )
    for table, row, column, value, known, other in checks:
        if value not in known:
            yield Finding(
                "does_not_join",
                "error",
                f"{table}, {row}, column {column}",
                f"{value} is not in {names[other]}",
                f"correct it, or add it to {names[other]}",
            )
    yield from of_access(file, provinces)
    yield from twice(names, read)
    for scale, spec in file.scales.items():
        if spec.form not in file.forms:
            yield Finding(
                "does_not_join",
                "error",
                f"programme.toml, scales.{scale}",
                f"form {spec.form} is not one of the programme's forms",
                f"use one of: {', '.join(file.forms)}",
            )
    for form_id, spec in file.forms.items():
        if spec.role == "test" and spec.wave is None:
            yield Finding(
                "wave_missing",
                "error",
                f"programme.toml, forms.{form_id}",
                "a test needs its wave",
                'add wave = "pre" or wave = "post"',
            )
        for link in spec.links:
            if link.form not in file.forms:
                yield Finding(
                    "no_such_form",
                    "error",
                    f"programme.toml, forms.{form_id}.links",
                    f"{link.form} is no form of the programme",
                    "name one of its forms",
                )
        if file.test.key in spec.media:
            yield Finding(
                "key_would_leave",
                "error",
                f"programme.toml, forms.{form_id}.media",
                f"{file.test.key} is the answer key and must never be sent to a server",
                "remove it from media",
            )


def of_access(file: ProgrammeFile, provinces: Set[str]) -> Iterator[Finding]:
    """Forms and provinces that [access] names are there."""
    for form_id in file.access.anonymous:
        if form_id not in file.forms:
            yield Finding(
                "no_such_form",
                "error",
                "programme.toml, access.anonymous",
                f"{form_id} is no form of the programme",
                "name one of its forms",
            )
    for account, codes in file.access.provinces.items():
        for code in codes:
            if code not in provinces:
                yield Finding(
                    "code_leads_nowhere",
                    "error",
                    f"programme.toml, access.provinces.{account}",
                    f"{code} is not in {file.tables.provinces}",
                    "write the two-digit code of a province",
                )


def twice(names: Mapping[str, str], read: Mapping[str, tuple[Any, ...]]) -> Iterator[Finding]:
    """Keys that stand twice in a table where they must be unique."""
    for key, field in (
        ("provinces", "code"),
        ("targets", "province"),
        ("courses", "code"),
        ("items", "name"),
        ("modules", "code"),
        ("units", "code"),
        ("indicators", "id"),
        ("disbursements", "project"),
    ):
        seen: set[str] = set()
        for row in read[key]:
            value = getattr(row, field)
            if value in seen:
                yield Finding(
                    "twice",
                    "error",
                    f"{names[key]}, {value}",
                    "stands there more than once",
                    "keep one row",
                )
            seen.add(value)
