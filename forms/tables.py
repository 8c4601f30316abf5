"""The rows of a programme's CSV files, one type a file.

Each model's aliases are the column heads; each validator parses at the edge (C.E. dates, whole satang,
Thai digits) and says in its error what to write instead.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from forms.model import Personal
from forms.values import BUDDHIST_FROM, BUDDHIST_OFFSET, arabic_digits, iso_date, satang

__all__ = [
    "Course",
    "Criterion",
    "DictionaryRow",
    "Disbursement",
    "IndicatorSpec",
    "Item",
    "Module",
    "Province",
    "SummaryRow",
    "Target",
    "Unit",
]


def be_year(value: object) -> object:
    """A Buddhist year; a C.E. one is refused with the Buddhist one named."""
    year = int(arabic_digits(str(value)))
    if year < BUDDHIST_FROM:
        raise ValueError(
            f"{year} is a C.E. year where a Buddhist year is meant; write {year + BUDDHIST_OFFSET}"
        )
    return year


def codes(value: object) -> object:
    """`M1 M2` or `M1;C1` as a tuple."""
    return tuple(str(value).replace(";", " ").split()) if isinstance(value, str) else value


def whole(value: object) -> object:
    return arabic_digits(value).replace(",", "") if isinstance(value, str) else value


Day = Annotated[date, BeforeValidator(lambda v: iso_date(v) if isinstance(v, str) else v)]
Satang = Annotated[int, BeforeValidator(lambda v: satang(v) if isinstance(v, str) else v)]
Whole = Annotated[int, BeforeValidator(whole)]
Codes = Annotated[tuple[str, ...], BeforeValidator(codes)]
BuddhistYear = Annotated[int, BeforeValidator(be_year)]


class Row(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)


class Province(Row):
    """A province: two-digit DOPA code and its names."""

    code: str
    th: str
    en: str


class Target(Row):
    """Persons to be trained in a province."""

    province: str = Field(alias="province_code")
    persons: Whole = Field(alias="target", ge=0)


class Course(Row):
    """One course (batch): where, when, what it teaches, seats planned. Province `00` is the region."""

    code: str = Field(alias="name")
    label: str
    fiscal_year_be: BuddhistYear
    project: str
    province: str
    curriculum: str
    units: Codes
    start: Day = Field(alias="start_date")
    end: Day = Field(alias="end_date")
    planned_n: Whole = Field(ge=0)
    status: str = "planned"

    @model_validator(mode="after")
    def ordered(self) -> Course:
        if self.end < self.start:
            raise ValueError(f"end_date {self.end} lies before start_date {self.start}")
        return self


class Item(Row):
    """One line of the answer key. It never leaves the programme folder."""

    name: str = Field(alias="item")
    module: str
    correct: str
    weight: float = Field(default=1, gt=0)


class Module(Row):
    """A test module and the curriculum units that teach it."""

    code: str = Field(alias="module")
    th: str = Field(alias="label_th")
    en: str = Field(alias="label_en")
    units: Codes = Field(alias="curriculum_codes")


class Unit(Row):
    """A curriculum unit."""

    curriculum: str
    code: str
    level: str
    th: str = Field(alias="title_th")
    en: str = Field(alias="title_en")


class Criterion(Row):
    """One of the evaluation's criteria with its definition."""

    code: str
    en: str = Field(alias="criterion_en")
    th: str = Field(alias="criterion_th")
    definition_th: str = ""
    definition_en: str = ""

    @property
    def key(self) -> str:
        return criterion_key(self.en)


def criterion_key(name: str) -> str:
    """`Outcome and Output` → `outcome_and_output`."""
    return name.strip().lower().replace(" ", "_")


class Disbursement(Row):
    """One project's approval and transfers; money in whole satang."""

    no: Whole
    project: str = Field(alias="project_code")
    province: str = Field(alias="province_code")
    level: str
    meeting: str = Field(alias="meeting_th", default="")
    approved_on: Day = Field(alias="approved_date_iso")
    title: str = Field(alias="project_th")
    organisation: str = Field(alias="organisation_th", default="")
    approved: Satang = Field(alias="approved_baht", ge=0)
    instalment1: Satang = Field(alias="instalment1_baht", ge=0)
    transferred1_on: Day | None = Field(alias="transfer1_date_iso", default=None)
    instalment2_paid: Satang = Field(alias="instalment2_paid_baht", default=0, ge=0)
    transferred2_on: Day | None = Field(alias="transfer2_date_iso", default=None)

    def transferred_by(self, day: date) -> int:
        """Satang transferred up to and including `day`."""
        first = self.transferred1_on is not None and self.transferred1_on <= day
        second = self.transferred2_on is not None and self.transferred2_on <= day
        return self.instalment1 * first + self.instalment2_paid * second


class SummaryRow(Row):
    """Frame and approvals of one level (region, province, total) as the office reports them."""

    level: str
    frame: Satang = Field(alias="budget_frame_baht", ge=0)
    approved: Satang = Field(alias="approved_baht", ge=0)
    projects_approved: Whole = Field(alias="n_projects_approved", ge=0)
    projects_recorded: Whole = Field(alias="n_projects_in_codi_pm", ge=0)


class IndicatorSpec(Row):
    """One row of the indicator table: question, formula in words, unit, target, bands, breakdown."""

    id: str
    criterion_name: str = Field(alias="criterion")
    kind: str
    question_en: str
    question_th: str
    inputs: str = ""
    formula: str
    unit: str
    direction: str
    target: str = ""
    target_status: str = ""
    green: float | None = None
    amber: float | None = None
    by: Codes = ()

    @property
    def criterion(self) -> str:
        return criterion_key(self.criterion_name)


class DictionaryRow(Row):
    """Personal-data class of one field of one form."""

    form: str
    name: str
    personal: Personal = Field(alias="pii_class")
