"""The one boundary to a form server: what publishing and pulling need, whatever the server is.

A `Backend` finds the forms of a programme on its server, publishes one form, and hands out rows: the
new ones page by page, the light ledger of all that is there now, and single rows again by id. It
keeps nothing between two calls but its connection; cursors and rows belong to the mirror.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = [
    "Action",
    "Backend",
    "Deployed",
    "Ledger",
    "Mark",
    "Medium",
    "Outgoing",
    "Page",
    "Progress",
    "Published",
    "PullResult",
    "Row",
    "quiet",
]

Action = Literal["created", "replaced", "media", "unchanged"]

Progress = Callable[[str, int, int], None]
"""Called between steps as `progress(what, done, total)`; total 0 = not known. May raise to stop."""


def quiet(what: str, done: int, total: int) -> None:
    """The progress that shows nothing."""


@dataclass(frozen=True, slots=True)
class Medium:
    """A file that travels with a form: a CSV of choices, a picture."""

    name: str
    content: bytes
    media_type: str
    md5: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A form as it leaves the house: own columns stripped, `sha256` over the cells, its media."""

    programme_id: str
    form_id: str
    title: str
    workbook: bytes
    sha256: str
    media: tuple[Medium, ...]


@dataclass(frozen=True, slots=True)
class Deployed:
    """A form of ours as it stands on the server; `uid` names it there, `sha256` is our own marker.

    `is_live`: phones are offered it now; `was_deployed`: it has data, if perhaps archived.
    """

    form_id: str
    uid: str
    sha256: str
    is_live: bool
    was_deployed: bool
    rows: int


@dataclass(frozen=True, slots=True)
class Published:
    """What publishing one form did; `version` is the version string that phones see."""

    form_id: str
    uid: str
    action: Action
    version: str


@dataclass(frozen=True, slots=True)
class Row:
    """One submission as the server has it now.

    `row_id` orders rows on the server; `mark` changes whenever anything about the row does;
    `validation` is `""`, `approved`, `not_approved` or `on_hold`; `payload` the row's own JSON.
    """

    root_id: str
    row_id: int
    uuid: str
    mark: str
    submitted_at: str
    validation: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in ascending `row_id`, and the cursor from which the next page goes on.

    `left` is how many rows the server says follow this page.
    """

    rows: tuple[Row, ...]
    cursor: str
    left: int


@dataclass(frozen=True, slots=True)
class Mark:
    """The light line of one row: enough to see that it is there and whether it changed."""

    row_id: int
    root_id: str
    mark: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """One page of light lines, and how many rows the server says follow it."""

    marks: tuple[Mark, ...]
    left: int


@dataclass(frozen=True, slots=True)
class PullResult:
    """What one pull of one form brought, and the proof.

    `server_count` rows were counted on the server after the last sweep; of them `phantoms` are
    second rows of one submission; `local_count` live rows lie in the mirror. `differs` lists in
    words what is not equal; empty means that what lies here is what lies there.
    """

    form_id: str
    new: int
    changed: int
    withdrawn: int
    server_count: int
    local_count: int
    phantoms: int = 0
    differs: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        return not self.differs


class Backend(Protocol):
    """A form server. Every method raises `forms.problems.ServerProblem`."""

    url: str

    def check(self) -> str:
        """Prove that the server is there and the token valid; gives the account's name."""
        ...

    def find(self, programme_id: str) -> Mapping[str, Deployed]:
        """The programme's forms on the server, by form id."""
        ...

    def publish(self, form: Outgoing, known: Deployed | None, progress: Progress) -> Published:
        """Bring one form and its media onto the server; nothing is sent when nothing changed."""
        ...

    def pages(self, uid: str, cursor: str) -> Iterator[Page]:
        """Rows that came after `cursor` (`""`: from the first), a page at a time."""
        ...

    def ledger(self, uid: str) -> Iterator[Ledger]:
        """Light lines of all rows as they stand now, in ascending `row_id`."""
        ...

    def rows(self, uid: str, row_ids: Sequence[int]) -> tuple[Row, ...]:
        """The named rows as they stand now; rows that are gone are left out."""
        ...

    def count(self, uid: str, last: int) -> int:
        """How many rows up to row id `last` the server has now (later ones may be arriving)."""
        ...
