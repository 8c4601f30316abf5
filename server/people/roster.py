"""People from a CSV: `name,role,provinces`, made and brought up to date as often as it is read.

A name that is new becomes an account with a one-time password; one that is known gets the role and
the provinces of its row; one that the file does not name is left alone. One wrong row, and nothing
is done.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from forms.csvtable import read_rows
from forms.problems import Finding, Problem
from server.people.accounts import account_named, add_user, change_role, set_hash
from server.people.audit import COMMAND_LINE, Action, log
from server.people.passwords import fresh, rehashed

__all__ = ["Done", "OneTime", "Person", "bring_in", "one_time", "read_people"]


class Person(BaseModel):
    """A row of the file; `provinces` are two-digit codes between spaces, commas or semicolons."""

    model_config = ConfigDict(frozen=True)

    name: str
    role: str
    provinces: str = Field(default="")

    @property
    def codes(self) -> tuple[str, ...]:
        """The province codes."""
        return tuple(sorted({code for code in re.split(r"[\s,;|]+", self.provinces) if code}))


@dataclass(frozen=True, slots=True)
class OneTime:
    """A one-time password and its hash."""

    password: str
    hashed: str


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a row: `made` (then with a one-time password), `changed` or `as it was`."""

    person: Person
    what: str
    password: str = ""


def read_people(path: Path) -> tuple[Person, ...]:
    """The file's rows; raises `Problem` with every wrong row."""
    findings: list[Finding] = []
    people = read_rows(Person, path, findings)
    seen: set[str] = set()
    for person in people:
        if person.name.lower() in seen:
            findings.append(
                Finding("twice", "error", path.name, f"{person.name} stands twice", "keep one row")
            )
        seen.add(person.name.lower())
    if findings:
        raise Problem(findings)
    return people


def one_time(people: Sequence[Person], known: Collection[str]) -> dict[str, OneTime]:
    """A password for each person whose name is not known yet.

    Hashing takes its time, on purpose: it is done before the transaction, which keeps others waiting.
    """
    made: dict[str, OneTime] = {}
    for person in people:
        if person.name not in known:
            password = fresh()
            made[person.name] = OneTime(password, rehashed(password))
    return made


def bring_in(
    connection: Connection,
    people: Sequence[Person],
    passwords: Mapping[str, OneTime],
    *,
    now: datetime,
    who: str = COMMAND_LINE,
) -> list[Done]:
    """Make the accounts that are missing, with `passwords` by name, and bring the others up to date.

    All or none: raises `Problem` with every row that cannot be.
    """
    findings: list[Finding] = []
    done: list[Done] = []
    for person in people:
        try:
            done.append(one(connection, person, passwords.get(person.name), now=now, who=who))
        except Problem as problem:
            findings.extend(problem.findings)
    if findings:
        raise Problem(findings)
    return done


def one(
    connection: Connection, person: Person, password: OneTime | None, *, now: datetime, who: str
) -> Done:
    known = account_named(connection, person.name)
    what = f"{person.name}: {' '.join((person.role, *person.codes))}"
    if known is None:
        account = add_user(
            connection, person.name, now=now, role=person.role, provinces=person.codes
        )
        if password is not None:
            set_hash(connection, account.id, password.hashed)
        log(connection, who=who, action=Action.USER_ADDED, what=what, now=now)
        return Done(person, "made", password.password if password else "")
    if (known.role, known.provinces) == (person.role, person.codes):
        return Done(person, "as it was")
    change_role(connection, person.name, person.role, person.codes)
    log(connection, who=who, action=Action.USER_CHANGED, what=what, now=now)
    return Done(person, "changed")
