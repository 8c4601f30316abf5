"""The one boundary to a form server: what publishing, pulling and writing back need of it.

A `Backend` finds the forms of a programme on its server, publishes one form, and hands out rows: the
new ones page by page, the light ledger of all that is there now, and single rows again. It keeps
nothing between two calls but its connection; cursors and rows belong to the mirror.

Why it has more than `publish` and `pull`: what must happen between two requests (saving a page with
its cursor, stopping, counting) is the mirror's business and the same for every server, so the server
side is cut where the transactions are. `xform` lets a change that would orphan answers be refused,
`fetch` resumes a photo, `review` and `replace` write back, `log` tells who changed what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from forms.model import Attachment

__all__ = [
    "STATUSES",
    "Access",
    "Action",
    "Backend",
    "Deployed",
    "Happened",
    "Ledger",
    "Link",
    "Mark",
    "Medium",
    "Outgoing",
    "Page",
    "Progress",
    "Published",
    "PullResult",
    "Row",
    "Source",
    "Status",
    "Step",
    "quiet",
]

Action = Literal["created", "replaced", "media", "access", "unchanged"]

Status = Literal["", "approved", "not_approved", "on_hold"]
"""Validation status of a submission; `""` is none."""

STATUSES: tuple[Status, ...] = ("", "approved", "not_approved", "on_hold")

Progress = Callable[[str, int, int], None]
"""Called between steps as `progress(what, done, total)`; total 0 = not known. May raise to stop."""


def quiet(what: str, done: int, total: int) -> None:
    """The progress that shows nothing."""


# ── publishing ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Medium:
    """A file that travels with a form: a CSV of choices, a picture."""

    name: str
    content: bytes
    media_type: str
    md5: str


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what with one form.

    `facilitators` send it; `anonymous`: so may anybody; `readers` maps an account to the filters
    (question path → value, any one of them must hold) of the rows it may see. With `only`, rights of
    accounts that are not named here are taken away.
    """

    facilitators: tuple[str, ...] = ()
    anonymous: bool = False
    readers: Mapping[str, tuple[Mapping[str, str], ...]] | None = None
    only: bool = False

    def __bool__(self) -> bool:
        return bool(self.facilitators or self.anonymous or self.readers or self.only)


@dataclass(frozen=True, slots=True)
class Link:
    """Rows of another form of the programme, offered to this one as the file `name`.xml."""

    source: str
    name: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A form as it leaves the house: own columns stripped, `sha256` over the cells, its media."""

    programme_id: str
    form_id: str
    title: str
    workbook: bytes
    sha256: str
    media: tuple[Medium, ...]
    access: Access = Access()
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Deployed:
    """A form of ours as it stands on the server; `uid` names it there, `sha256` is our own marker.

    `is_live`: phones are offered it now; `was_deployed`: it has data, if perhaps archived; `whole`:
    this account sees all of its rows, as far as the server lets us know.
    """

    form_id: str
    uid: str
    sha256: str
    is_live: bool
    was_deployed: bool
    rows: int
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """One thing publishing would do; `what` is told to the user, `action` says what kind it is."""

    action: Action
    what: str


@dataclass(frozen=True, slots=True)
class Published:
    """What publishing one form did; `version` is the version string that phones see.

    `notes` are things the user should know, such as a right this server has no notion of.
    """

    form_id: str
    uid: str
    action: Action
    version: str
    notes: tuple[str, ...] = ()


# ── pulling ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Source:
    """Where rows of a form come from: its name on the server, and its questions answered by a file.

    `files` are question paths; a row that names a file which has not arrived yet is `waiting`. When
    this account does not see the `whole` of the rows, one that it does not see is not gone.
    """

    uid: str
    files: frozenset[str] = frozenset()
    whole: bool = True


class Row(NamedTuple):
    """One submission as the server has it now.

    `row_id` orders rows as the server hands them out; `mark` changes whenever anything about the row
    does; `payload` is the row as KoboToolbox's data API gives it. A tuple, because a first pull makes
    one for every row there is.
    """

    root_id: str
    row_id: int
    uuid: str
    mark: str
    submitted_at: str
    validation: str
    payload: bytes
    attachments: tuple[Attachment, ...] = ()
    waiting: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Rows that came after the cursor, and the cursor from which the next page goes on.

    `left` is how many rows the server says follow this page.
    """

    rows: tuple[Row, ...]
    cursor: str
    left: int


class Mark(NamedTuple):
    """The light line of one row: enough to see that it is there and whether it changed.

    A tuple, because a sweep makes one for every row there is.
    """

    row_id: int
    root_id: str
    mark: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """One page of light lines by rising row id, how many rows follow it, and where it ends.

    `last` is what `Backend.count` takes: rows that arrive after it are not counted.
    """

    marks: tuple[Mark, ...]
    left: int
    last: str


@dataclass(frozen=True, slots=True)
class Happened:
    """One line of the server's own log: who did what to a submission, when (ISO 8601, UTC).

    `action` is `edit`, `review` or `delete`; `detail` the new status of a review.
    """

    root_id: str
    at: str
    who: str
    action: Literal["edit", "review", "delete"]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PullResult:
    """What one pull of one form brought, and the proof.

    `server_count` rows were counted on the server after the last sweep; of them `phantoms` are
    second rows of one submission; `local_count` live rows lie in the mirror. `differs` lists in
    words what is not equal; empty means that what lies here is what lies there. `proven` is False
    when the server's rows were not swept this time (`--since`, a quick round of `--watch`).
    """

    form_id: str
    new: int
    changed: int
    withdrawn: int
    server_count: int
    local_count: int
    phantoms: int = 0
    waiting: int = 0
    differs: tuple[str, ...] = ()
    proven: bool = True

    @property
    def complete(self) -> bool:
        return self.proven and not self.differs


class Backend(Protocol):
    """A form server. Every method raises `forms.problems.ServerProblem`."""

    url: str

    def check(self) -> str:
        """Prove that the server is there and lets us in; gives the account's name."""
        ...

    def find(self, programme_id: str, adopted: Mapping[str, str] = {}) -> Mapping[str, Deployed]:
        """The programme's forms on the server, by form id.

        `adopted` maps form ids to names on the server under which they were published from here: a
        form that lost its marker there is recognised by it.
        """
        ...

    def deployed(self, uid: str) -> Deployed:
        """Any form of the server, ours or not, by its name there."""
        ...

    def plan(self, form: Outgoing, known: Deployed | None) -> tuple[Step, ...]:
        """What `publish` would do, in order; reads only."""
        ...

    def publish(self, form: Outgoing, known: Deployed | None, progress: Progress) -> Published:
        """Bring one form, its media and its rights onto the server; sends only what differs."""
        ...

    def link(
        self,
        uid: str,
        links: Sequence[Link],
        sources: Mapping[str, str],
        *,
        dry_run: bool = False,
    ) -> tuple[str, ...]:
        """Bring the form's links up to date (`sources`: form id → uid); gives what was done.

        With `dry_run` it says what would be.
        """
        ...

    def xform(self, uid: str) -> bytes:
        """The XForm that phones are offered now, or were last."""
        ...

    def pages(self, source: Source, cursor: str) -> Iterator[Page]:
        """Rows that came after `cursor` (`""`: from the first), a page at a time."""
        ...

    def since(self, source: Source, moment: str) -> Iterator[Page]:
        """Rows submitted, and where the server can tell changed, since `moment` (ISO 8601, UTC)."""
        ...

    def ledger(self, source: Source) -> Iterator[Ledger]:
        """Light lines of all rows as they stand now."""
        ...

    def rows(self, source: Source, marks: Sequence[Mark]) -> tuple[Row, ...]:
        """The named rows as they stand now; rows that are gone are left out."""
        ...

    def count(self, source: Source, last: str) -> int:
        """How many rows up to `last` (of a ledger) the server has now; `""`: in all."""
        ...

    def stamp(self, source: Source) -> str:
        """A word that stays equal while no row is added, edited, reviewed or deleted; `""`: none."""
        ...

    def log(self, uid: str, since: str, marks: Sequence[Mark]) -> Iterator[Happened]:
        """Edits, reviews and deletions since a moment, oldest first; empty where we may not look.

        A server that only tells it row by row is asked about `marks`.
        """
        ...

    def fetch(self, address: str, target: Path, *, progress: Callable[[int], None]) -> None:
        """Download an attachment into `target`, going on where an earlier attempt broke off."""
        ...

    def review(self, uid: str, marks: Sequence[Mark], status: Status) -> None:
        """Give rows a validation status."""
        ...

    def document(self, uid: str, mark: Mark) -> bytes:
        """The instance XML of a row's present version."""
        ...

    def replace(self, uid: str, mark: Mark, document: bytes) -> None:
        """Send an edited instance (it names the version it replaces in `deprecatedID`)."""
        ...
