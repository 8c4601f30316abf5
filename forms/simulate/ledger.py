"""The ledger of declared faults: what goes wrong, for whom, and what it must cause.

A `Fault` is one line of ledger.csv; `Dirt` is what the faults of a season change about its submissions
and about what an evaluation must count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from forms.model import Submission
from forms.simulate.people import People

__all__ = ["LEDGER", "Dirt", "Extra", "Fault", "Written"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One line of the ledger.

    `expected` is the code it must cause, for the row `root_id` of `form`; `also` what follows from it
    for the person's pair; `where` says where to look; `value` what was written. A fault that is not
    `detectable` must leave no trace: its value is read right, or the row does not come to be.
    """

    id: str
    kind: str
    form: str
    root_id: str
    participant_id: str
    course: str
    expected: str
    also: str
    where: str
    detectable: bool
    value: str = ""


LEDGER = tuple(spec.name for spec in fields(Fault))


@dataclass(frozen=True, slots=True)
class Written:
    """What stands in a form instead of what belongs there."""

    code: str = ""
    paper: bool = False
    birth_year: str = ""


@dataclass(frozen=True, slots=True)
class Extra:
    """A further submission: when it is made, in which course, and of what kind sending it is."""

    day: date
    course: str
    form: str
    kind: Literal["new", "resend", "edit"]
    make: Callable[[], Submission]


@dataclass
class Dirt:
    """The faults of a season and what they change.

    `written[form, enrolment]` changes an original, `without` names originals that are never sent;
    `answers[wave, enrolment]` are the answers that count in the end; `unmatched` names tests whose code
    leads to nobody, `quarantined` enrolments under a code of two people; `excluded[form, reason]`
    counts rows. `strangers` are further humans, `free` those of them not used yet.
    """

    strangers: People
    free: set[int]
    faults: list[Fault] = field(default_factory=list)
    written: dict[tuple[str, int], Written] = field(default_factory=dict)
    without: set[tuple[str, int]] = field(default_factory=set)
    extras: list[Extra] = field(default_factory=list)
    answers: dict[tuple[str, int], NDArray[np.bool_]] = field(default_factory=dict)
    unmatched: set[tuple[str, int]] = field(default_factory=set)
    quarantined: set[int] = field(default_factory=set)
    excluded: Counter[tuple[str, str]] = field(default_factory=Counter)
