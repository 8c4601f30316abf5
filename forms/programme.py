"""A programme folder read into one checked value.

`load` reads programme.toml and every CSV it names and tells all problems together, each with file,
row and remedy; what it returns can be trusted by everything downstream. Workbooks are parsed when a
form is first asked for. Whether the forms are any good in the field is `forms.lint`'s question.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.resources import files as resource_files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from forms.csvtable import read_rows, read_text
from forms.model import Form, Personal
from forms.problems import Finding, ProgrammeProblem
from forms.tables import (
    BuddhistYear,
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

Role = Literal[
    "registration", "test", "evaluation", "process", "activity", "followup", "output", "expertise"
]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Words(Section):
    """The same words in Thai and English."""

    th: str
    en: str


class About(Section):
    id: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")
    title: Words
    organisation: Words
    fiscal_year_be: BuddhistYear
    time_zone: str = "Asia/Bangkok"
    languages: tuple[str, ...] = ("th", "en")


class BackendSpec(Section):
    kind: Literal["kobo"]
    url: str = Field(pattern=r"^https?://")


class FormSpec(Section):
    """What a form is for and which of its questions say who, where and when."""

    role: Role
    wave: Literal["pre", "post"] | None = None
    person: str = ""
    course: str = ""
    event_date: str
    media: tuple[str, ...] = ()
    record: tuple[str, ...] = ()


class TestSpec(Section):
    key: str
    modules: str
    pass_mark: float = Field(ge=0, le=100)
    mid_points: float = Field(gt=0, le=100)


class Traits(Section):
    """Which questions of the registration form tell a person's traits."""

    sex: str
    birth_year: str
    age: str
    education: str
    role: str


class Scale(Section):
    """Statements of one form whose mean is a person's score on a criterion."""

    form: str
    items: tuple[str, ...]


class Rules(Section):
    suppress_below: int = Field(default=5, ge=1)
    indicative_below: int = Field(default=30, ge=1)
    likert_answered: float = Field(default=0.8, gt=0, le=1)
    likert_bands: Literal["4.51", "0.80"] = "4.51"
    target_roles: tuple[str, ...] = ()
    age_groups: tuple[int, ...] = ()
    training_activity: str = "1"


class TableSpec(Section):
    provinces: str
    courses: str
    curriculum: str
    criteria: str
    dictionary: str


class TargetSpec(Section):
    persons: str
    persons_stated: int = Field(ge=0)
    tambons_stated: tuple[int, ...] = ()


class BudgetSpec(Section):
    disbursement: str
    summary: str
    first_instalment_max: float = Field(gt=0, le=1)
    transfer_within_months: int = Field(ge=0)


class IndicatorTable(Section):
    table: str
    weights: dict[str, dict[str, float]] = {}


class ProgrammeFile(Section):
    """programme.toml as it stands."""

    programme: About
    backend: BackendSpec
    forms: dict[str, FormSpec]
    test: TestSpec
    traits: Traits
    scales: dict[str, Scale] = {}
    rules: Rules = Rules()
    tables: TableSpec
    targets: TargetSpec
    budget: BudgetSpec
    indicators: IndicatorTable


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
        return {name: self.folder / name for name in sorted(named)}


def table_names(file: ProgrammeFile) -> dict[str, str]:
    """What each CSV of the programme is called."""
    return {
        "provinces": file.tables.provinces,
        "targets": file.targets.persons,
        "courses": file.tables.courses,
        "items": file.test.key,
        "modules": file.test.modules,
        "units": file.tables.curriculum,
        "criteria": file.tables.criteria,
        "indicators": file.indicators.table,
        "disbursements": file.budget.disbursement,
        "summary": file.budget.summary,
        "dictionary": file.tables.dictionary,
    }


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
    if not any(finding.severity == "error" for finding in findings):
        findings.extend(joins(file, read))
    errors = [finding for finding in dict.fromkeys(findings) if finding.severity == "error"]
    if errors:
        raise ProgrammeProblem(errors)
    targets = {target.province: target.persons for target in read.pop("targets")}
    dictionary = {(row.form, row.name): row.personal for row in read.pop("dictionary")}
    return Programme(
        folder=folder,
        file=file,
        targets=targets,
        dictionary=dictionary,
        warnings=tuple(dict.fromkeys(findings)),
        **read,
    )


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
        if file.test.key in spec.media:
            yield Finding(
                "key_would_leave",
                "error",
                f"programme.toml, forms.{form_id}.media",
                f"{file.test.key} is the answer key and must never be sent to a server",
                "remove it from media",
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
