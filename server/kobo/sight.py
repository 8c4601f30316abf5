"""What of a form's submissions a visitor of the API may see: which rows, and which of their answers.

An admin and a province team see whole rows, a team those of its provinces. An evaluator sees every
row without what says who: the personal-data class of a question (`data_dictionary.csv` of the
programme the server was started with) decides, and a question without a class is not shown. What is
not shown cannot be asked for either: a query is answered from what the visitor may see.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, select, true
from starlette.requests import Request

from forms.model import Personal
from server.answers import Refusal
from server.house import House, house_of
from server.people.audit import Action, log
from server.people.rights import Right, Visitor
from server.state.schema import assets, submissions
from server.state.store import is_busy, is_full

__all__ = ["Sight", "reader", "reviewer", "rows_of", "sight_of"]

ABOUT = frozenset(
    {
        "_id",
        "_uuid",
        "_submission_time",
        "_date_modified",
        "_submitted_by",
        "_validation_status",
        "_status",
        "_xform_id_string",
        "__version__",
        "formhub/uuid",
        "meta/rootUuid",
        "meta/instanceID",
        "meta/deprecatedID",
    }
)
"""Keys that tell of the submission, not of a person. An instance name is made of answers, and the
audit file holds them: neither is here."""
NOWHERE = [None, None]


@dataclass(frozen=True, slots=True)
class Sight:
    """Rows that fulfil `rows`; of each, the answers to the questions named in `shown` (None: all)."""

    visitor: Visitor
    rows: ColumnElement[bool]
    everything: bool
    shown: frozenset[str] | None

    @property
    def name(self) -> str:
        """What tells two sights' counts apart."""
        return ",".join(sorted(self.visitor.provinces)) if not self.everything else ""

    def cut(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row with what may be seen of it."""
        if self.shown is None:
            return row
        made = answers(row, self.shown)
        made["_attachments"] = [
            file for file in row.get("_attachments", ()) if self.shows(file["question_xpath"])
        ]
        made["_geolocation"] = NOWHERE
        return made

    def shows(self, path: str) -> bool:
        """Whether the answers to a question may be seen; `tree[2]/pic` is `pic`."""
        return self.shown is None or path.rpartition("/")[2].partition("[")[0] in self.shown


def answers(row: Mapping[str, Any], shown: frozenset[str]) -> dict[str, Any]:
    """The keys of a row, or of a turn of a repeat, that may be seen."""
    made: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, list) and not key.startswith("_"):
            made[key] = [answers(turn, shown) for turn in value if isinstance(turn, dict)]
        elif key in ABOUT or (key[:1] != "_" and key.rpartition("/")[2] in shown):
            made[key] = value
    return made


async def reader(request: Request) -> Visitor:
    """Who may read forms and some of their rows; everyone else hears 404, as on KoboToolbox."""
    visitor = await house_of(request).doorkeeper.api_visitor(request)
    if visitor is None or not (visitor.may(Right.ROWS) or visitor.may(Right.ANSWERS)):
        raise Refusal(404, "Not found.")
    return visitor


async def reviewer(request: Request) -> Visitor:
    """Who may set validation statuses of some rows; everyone else hears 404."""
    visitor = await reader(request)
    if not visitor.may(Right.REVIEW):
        raise Refusal(404, "Not found.")
    return visitor


def rows_of(visitor: Visitor) -> ColumnElement[bool]:
    """The condition on `submissions` that the visitor's provinces make."""
    if not visitor.provinces:
        return true()
    return submissions.c.province.in_(sorted(visitor.provinces))


async def sight_of(request: Request) -> Sight:
    """What the visitor may see of the form in the address.

    Raises `Refusal` 404 for whoever may read nothing, and 403 where answers without identities are
    asked of a form that the server's programme does not know.
    """
    house, visitor = house_of(request), await reader(request)
    bounded = bool(visitor.provinces)
    rows = rows_of(visitor)
    uid = request.path_params["uid"]
    await note_reading(house, visitor, uid)
    if visitor.may(Right.ROWS):
        return Sight(visitor, rows, not bounded, None)

    def form_id() -> str:
        with house.store.read() as connection:
            return form_id_of(connection, uid)

    return Sight(visitor, rows, not bounded, impersonal(house, await asyncio.to_thread(form_id)))


async def note_reading(house: House, visitor: Visitor, uid: str) -> None:
    """A line of the audit trail, once an hour for one reader and form: a pull asks page by page.

    A disk too full for the line keeps nobody from reading.
    """
    known = f"{visitor.name} {uid}"
    if house.readings.get(known):
        return

    def note(connection: Connection) -> None:
        what = form_id_of(connection, uid)
        log(connection, who=visitor.name, action=Action.DATA_READ, what=what)

    try:
        # the line is written in any case; while another process holds the database, nobody waits
        await asyncio.wait_for(house.inbox.run(note), 0.5)
    except TimeoutError:
        house.readings.put(known, True)
    except Exception as error:
        if not (is_full(error) or is_busy(error)):
            raise
    else:
        house.readings.put(known, True)


def form_id_of(connection: Connection, uid: str) -> str:
    found = connection.execute(select(assets.c.form_id).where(assets.c.uid == uid)).scalar()
    if found is None:
        raise Refusal(404, "Not found.")
    return found


def impersonal(house: House, form_id: str) -> frozenset[str]:
    """Names of the form's questions whose answers say nothing of who gave them."""
    programme = house.programme
    if programme is None or form_id not in programme.forms:
        raise Refusal(
            403,
            "Which of this form's answers are personal is not known here. "
            "Start the server with the programme folder whose data_dictionary.csv says so.",
        )
    classes: Mapping[tuple[str, str], Personal] = programme.dictionary
    return frozenset(
        name
        for (form, name), personal in classes.items()
        if form == form_id and personal.may_be_tabled
    )
