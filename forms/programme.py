"""A programme folder read into one checked value.

`load` reads programme.toml and every CSV it names and tells all problems together, each with file,
row and remedy; what it returns can be trusted by everything downstream. Workbooks are parsed when a
form is first asked for. Whether the forms are any good in the field is `forms.lint`'s question.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cached_property
from importlib.resources import files as resource_files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from forms.csvtable import read_rows, read_text
from forms.joins import joins
from forms.model import Form, Personal
from forms.problems import Finding, ProgrammeProblem
from forms.renames import RENAMES, Renames, read_renames
from forms.sections import (
    About,
    BackendSpec,
    BudgetSpec,
    FormSpec,
    ProgrammeFile,
    Role,
    Rules,
    Scale,
    TestSpec,
    Traits,
    Words,
    table_names,
)
from forms.tables import (
    Course,
    Criterion,
    DictionaryRow,
    Disbursement,
    IndicatorSpec,
    Item,
    Module,
    Province,
    SummaryRow,
    Target,
    Unit,
)
from forms.xlsform import read_form

__all__ = ["FormSpec", "Programme", "Scale", "load", "shipped"]


class Programme(BaseModel):
    """A checked programme: the file's sections and every table it names, typed."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    folder: Path
    file: ProgrammeFile
    provinces: tuple[Province, ...]
    targets: dict[str, int]
    courses: tuple[Course, ...]
    items: tuple[Item, ...]
    modules: tuple[Module, ...]
    units: tuple[Unit, ...]
    criteria: tuple[Criterion, ...]
    indicators: tuple[IndicatorSpec, ...]
    disbursements: tuple[Disbursement, ...]
    summary: tuple[SummaryRow, ...]
    dictionary: dict[tuple[str, str], Personal]
    renames: dict[str, Renames] = {}
    warnings: tuple[Finding, ...] = ()

    @property
    def id(self) -> str:
        return self.file.programme.id

    @property
    def about(self) -> About:
        return self.file.programme

    @property
    def title(self) -> Words:
        return self.file.programme.title

    @property
    def organisation(self) -> Words:
        return self.file.programme.organisation

    @property
    def fiscal_year_be(self) -> int:
        return self.file.programme.fiscal_year_be

    @property
    def time_zone(self) -> str:
        return self.file.programme.time_zone

    @property
    def languages(self) -> tuple[str, ...]:
        return self.file.programme.languages

    @property
    def backend(self) -> BackendSpec:
        return self.file.backend

    @property
    def forms(self) -> Mapping[str, FormSpec]:
        return self.file.forms

    @property
    def scales(self) -> Mapping[str, Scale]:
        return self.file.scales

    @property
    def traits(self) -> Traits:
        return self.file.traits

    @property
    def rules(self) -> Rules:
        return self.file.rules

    @property
    def test(self) -> TestSpec:
        return self.file.test

    @property
    def budget(self) -> BudgetSpec:
        return self.file.budget

    @cached_property
    def _parsed(self) -> dict[str, Form]:
        return {}

    def workbook(self, form_id: str) -> Path:
        """The file a form is made from."""
        return self.folder / f"{form_id}.xlsx"

    def form(self, form_id: str) -> Form:
        """The parsed form; raises `ProgrammeProblem` when its workbook cannot be read."""
        if form_id not in self._parsed:
            self._parsed[form_id] = read_form(self.workbook(form_id))
        return self._parsed[form_id]

    def form_of(self, role: Role, wave: str | None = None) -> str:
        """The id of the form with this role; raises `ProgrammeProblem` when there is none."""
        for form_id, spec in self.forms.items():
            if spec.role == role and spec.wave == wave:
                return form_id
        wanted = role if wave is None else f"{role}, wave {wave}"
        raise ProgrammeProblem.at(
            "programme.toml", f"no form has the role {wanted}", f'add role = "{role}" to a form'
        )

    def files(self) -> dict[str, Path]:
        """Every input file by name, workbooks and the answer key included, in a fixed order."""
        named = {"programme.toml", *(f"{form_id}.xlsx" for form_id in self.forms)}
        named |= {name for spec in self.forms.values() for name in spec.media}
        named |= set(table_names(self.file).values())
        named |= {RENAMES} if (self.folder / RENAMES).is_file() else set()
        return {name: self.folder / name for name in sorted(named)}


MODELS: dict[str, tuple[type[BaseModel], tuple[str, ...]]] = {
    "provinces": (Province, ("iso_3166_2",)),
    "targets": (Target, ("province_th", "province_en")),
    "courses": (Course, ()),
    "items": (Item, ("cognitive_level", "seed_or_source")),
    "modules": (Module, ()),
    "units": (Unit, ()),
    "criteria": (Criterion, ()),
    "indicators": (IndicatorSpec, ("seed_ref", "read_by")),
    "disbursements": (
        Disbursement,
        (
            "meeting_no",
            "meeting_start_iso",
            "meeting_end_iso",
            "approved_date_th",
            "province_th",
            "province_en",
            "transfer1_date_th",
            "instalment2_remaining_baht",
            "instalment1_pct_calc",
            "days_approval_to_transfer_calc",
            "within_3_months_calc",
        ),
    ),
    "summary": (
        SummaryRow,
        (
            "level_th",
            "pct_frame_approved",
            "disbursed_baht",
            "n_projects_disbursed",
            "pct_disbursed_printed",
            "remaining_baht",
            "pct_remaining_printed",
            "pct_disbursed_calc",
            "pct_remaining_calc",
            "as_of_iso",
        ),
    ),
    "dictionary": (DictionaryRow, ("type", "label_th", "label_en", "storage_rule")),
}
"""Model of each table, and the columns that may stand there for people without being read."""


def shipped() -> Path:
    """The folder of the programme that comes with watphon."""
    return Path(str(resource_files("forms"))) / "programmes" / "north2564"


def load(folder: Path) -> Programme:
    """Read and check a programme folder.

    Raises `ProgrammeProblem` with every error found, each naming file, row and remedy; warnings are
    kept in `Programme.warnings`.
    """
    findings: list[Finding] = []
    file = read_toml(folder, findings)
    if file is None:
        raise ProgrammeProblem(findings)
    read: dict[str, tuple[Any, ...]] = {}
    for key, name in table_names(file).items():
        model, also = MODELS[key]
        read[key] = read_rows(model, folder / name, findings, also=also)
    for form_id, spec in file.forms.items():
        for name in (f"{form_id}.xlsx", *spec.media):
            if not (folder / name).is_file():
                findings.append(
                    Finding(
                        "file_missing", "error", name, "is missing", f"put {name} into {folder}"
                    )
                )
            elif name.endswith(".csv"):
                read_text(folder / name, findings)
    renames, parsed = read_renames(folder, file.forms, read_form, findings)
    if not any(finding.severity == "error" for finding in findings):
        findings.extend(joins(file, read))
    errors = [finding for finding in dict.fromkeys(findings) if finding.severity == "error"]
    if errors:
        raise ProgrammeProblem(errors)
    targets = {target.province: target.persons for target in read.pop("targets")}
    dictionary = {(row.form, row.name): row.personal for row in read.pop("dictionary")}
    programme = Programme(
        folder=folder,
        file=file,
        targets=targets,
        dictionary=dictionary,
        renames=renames,
        warnings=tuple(dict.fromkeys(findings)),
        **read,
    )
    programme._parsed.update(parsed)
    return programme


def read_toml(folder: Path, findings: list[Finding]) -> ProgrammeFile | None:
    """programme.toml parsed; `None` (and findings) when it cannot be used."""
    path = folder / "programme.toml"
    if not path.is_file():
        findings.append(
            Finding(
                "file_missing",
                "error",
                str(path),
                "is missing: this is not a programme folder",
                "make one with `watphon new FOLDER`, or name it with -C FOLDER",
            )
        )
        return None
    text = read_text(path, findings)
    if text is None:
        return None
    try:
        return ProgrammeFile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        findings.append(
            Finding("toml", "error", "programme.toml", str(error), "mend the line it names")
        )
    except ValidationError as error:
        for fault in error.errors():
            place = ".".join(str(part) for part in fault["loc"])
            said = fault["msg"].removeprefix("Value error, ")
            if fault["type"] == "extra_forbidden":
                said = "is not a known setting"
            findings.append(
                Finding("toml", "error", f"programme.toml, {place}", said, "correct or remove it")
            )
    return None
