"""programme.toml, section by section: what may stand there and what must.

An unknown setting is refused, so that a misspelt one is told instead of silently having no effect.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from forms.tables import BuddhistYear

__all__ = [
    "AccessSpec",
    "FormSpec",
    "LinkSpec",
    "ProgrammeFile",
    "Role",
    "Rules",
    "Scale",
    "Traits",
    "Words",
    "table_names",
]

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
    """Who runs the programme, when and in which languages."""

    id: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")
    title: Words
    organisation: Words
    fiscal_year_be: BuddhistYear
    time_zone: str = "Asia/Bangkok"
    languages: tuple[str, ...] = ("th", "en")


class BackendSpec(Section):
    """The form server: KoboToolbox or the embedded server (`kobo`), or ODK Central (`central`).

    `project` is the name of the project on ODK Central; the programme's id unless told.
    """

    kind: Literal["kobo", "central"]
    url: str = Field(pattern=r"^https?://")
    project: str = ""


class AccessSpec(Section):
    """Accounts of the server and what they may do there.

    `facilitators` may send every form; anybody may send the forms named in `anonymous`; `provinces`
    gives accounts the rows of provinces to read. With `only`, accounts that are not named here lose
    the rights to send and read.
    """

    facilitators: tuple[str, ...] = ()
    anonymous: tuple[str, ...] = ()
    provinces: dict[str, tuple[str, ...]] = {}
    only: bool = False


class LinkSpec(Section):
    """Rows of another form, offered to this one's phones as `name`.xml (KoboToolbox)."""

    form: str
    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")
    fields: tuple[str, ...] = Field(min_length=1)


class FormSpec(Section):
    """What a form is for and which of its questions say who, where and when."""

    role: Role
    wave: Literal["pre", "post"] | None = None
    person: str = ""
    course: str = ""
    province: str = ""
    name: str = ""
    """How a registration writes a person's name: questions in braces, `{first_name} {last_name}`."""
    event_date: str
    media: tuple[str, ...] = ()
    record: tuple[str, ...] = ()
    links: tuple[LinkSpec, ...] = ()
    prefill: dict[str, tuple[tuple[str, str], ...]] = {}
    """For a name in a link's address (`?participant_id=…`), the questions to answer and with what;
    `$value` is the address's value. Where a name is not here, the question of that name is answered."""


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
    """Limits that decide what is shown, marked or counted, declared beforehand."""

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
    access: AccessSpec = AccessSpec()
    forms: dict[str, FormSpec]
    test: TestSpec
    traits: Traits
    scales: dict[str, Scale] = {}
    rules: Rules = Rules()
    tables: TableSpec
    targets: TargetSpec
    budget: BudgetSpec
    indicators: IndicatorTable


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
