"""The audit trail: who did what on the server, when; rows are added and never changed.

What happens to single submissions stands in `changes` (`server.state.history`); here is the rest.
`what` names accounts, key numbers, forms and files: never personal data of respondents, never a
secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from sqlalchemy import Connection, insert, select

from forms.words import mark
from server.state.schema import audit
from server.times import moment, utc_now

__all__ = ["COMMAND_LINE", "Action", "Entry", "entries", "log"]

COMMAND_LINE = "command line"
"""Who acts where nobody signed in: whoever may run commands on the server's machine."""


class Action(Enum):
    """What can be done; the value is kept and, as a sentence of the catalogue, shown."""

    SIGNED_IN = mark("signed in")
    SIGN_IN_FAILED = mark("failed to sign in")
    SIGNED_OUT = mark("signed out")
    PASSWORD_CHANGED = mark("changed a password")
    SESSIONS_ENDED = mark("signed an account out everywhere")
    USER_ADDED = mark("added an account")
    USER_CHANGED = mark("changed an account's role")
    USER_DISABLED = mark("disabled an account")
    USER_ENABLED = mark("enabled an account")
    USER_REMOVED = mark("removed an account")
    TOKEN_MADE = mark("made a token")
    TOKENS_REVOKED = mark("revoked tokens")
    KEY_MADE = mark("made a key")
    KEY_CHANGED = mark("changed a key")
    KEY_REVOKED = mark("revoked a key")
    BADGES_MADE = mark("made badges")
    SENT_OUTSIDE = mark("sent from outside its provinces")
    FORM_PUBLISHED = mark("published a form")
    FORM_OPENED = mark("opened a form")
    FORM_CLOSED = mark("closed a form")
    FORM_DELETED = mark("deleted a form")
    REPORT_READ = mark("read a report")
    DATA_READ = mark("read a form's data")
    NAMES_READ = mark("read a course's names")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the trail; `at` is UTC."""

    id: int
    at: str
    who: str
    action: str
    what: str


def log(
    connection: Connection,
    *,
    who: str,
    action: Action,
    what: str = "",
    now: datetime | None = None,
) -> None:
    """Add a line: an account's name or a key's label, what it did and to what."""
    kept = "".join(c if c.isprintable() else " " for c in what)[:255]
    row = {"at": moment(now or utc_now()), "who": who[:80], "action": action.value, "what": kept}
    connection.execute(insert(audit), row)


def entries(
    connection: Connection,
    *,
    who: str = "",
    action: str = "",
    before: int | None = None,
    limit: int | None = None,
    oldest_first: bool = False,
) -> Sequence[Entry]:
    """Lines of the trail, newest first: of one account, of one action, older than one line."""
    query = select(audit).order_by(audit.c.id if oldest_first else audit.c.id.desc())
    if who:
        query = query.where(audit.c.who == who)
    if action:
        query = query.where(audit.c.action == action)
    if before is not None:
        query = query.where(audit.c.id < before)
    rows = connection.execute(query.limit(limit))
    return [Entry(row.id, row.at, row.who, row.action, row.what) for row in rows]
