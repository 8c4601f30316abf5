"""What happens on a server behind a puller's back, and what its mirror must hold in the end.

`World` is a SmallKobo that remembers every version of every row it ever had. `Watched` follows one
mirror from pull to pull: what was once seen there must still be there, as a live row, a tombstone or
a link of the version chain, and nothing may be there that the server never had.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

import orjson
from hypothesis import strategies as st
from small_kobo import Kept, SmallKobo

from sync.mirror import Mirror

__all__ = [
    "FORM",
    "HAPPENINGS",
    "PHOTO",
    "ROOTS",
    "During",
    "Happening",
    "Watched",
    "World",
    "comparable",
    "everything",
    "standing",
]

FORM = "mne_registration"
PHOTO = "g_consent/consent_signature"
What = Literal["insert", "phantom", "edit", "review", "delete", "file", "clock"]
Happening = tuple[What, int]
ROOTS = 8
HAPPENINGS = st.tuples(
    # Most of it to the same few rows, so that they are deleted, sent again, edited and so on.
    st.sampled_from(get_args(What)),
    st.sampled_from((0, 0, 0, 0, 1, 1, 1, 1, *range(2, ROOTS))),
)
During = dict[str, set[bytes | None]]
"""By root id, what it stood for at the times of a pull."""

STATUSES = ("approved", "not_approved", "on_hold", "")


def standing(rows: Iterable[Mapping[str, Any]]) -> dict[str, bytes]:
    """Per root id the row with the highest `_id`, as JSON: what an evaluator is promised."""
    ordered = sorted(rows, key=lambda row: row["_id"])
    return {row["meta/rootUuid"].removeprefix("uuid:"): orjson.dumps(row) for row in ordered}


def first_answers(number: int) -> dict[str, str]:
    """What a phone sent first; every other one names a photo, which arrives later."""
    return {"role": "leader", **({PHOTO: f"root-{number}.png"} if number % 2 else {})}


class World:
    """A server on which things happen; `ever` has every payload a root id ever had."""

    def __init__(self, kobo: SmallKobo) -> None:
        self.kobo = kobo
        self.kobo.rows.clear()
        self.kobo.files.clear()
        self.kobo.history.clear()
        self.kobo.ahead = 0
        self.ever: dict[str, set[bytes]] = {}
        self.last_id = 0
        self.n = 0
        self.during: During = {}

    def happen(self, happening: Happening) -> None:
        """One thing; what is impossible now (an edit of a row that is not there) does not happen."""
        what, number = happening
        kobo, root_id = self.kobo, f"root-{number}"
        own = [i for i, row in kobo.rows.items() if row["meta/rootUuid"] == f"uuid:{root_id}"]
        self.n += 1
        match what:
            case "insert" if not own:  # a phone sends it, again if it was deleted
                self.last_id = kobo.insert(root_id, first_answers(number))
            case "phantom" if own:
                row = kobo.rows[own[-1]]
                answers = {name: row[name] for name in ("role", PHOTO) if name in row}
                self.last_id = kobo.insert(root_id, answers, uuid=row["_uuid"])
            case "edit" if own:
                photo = {PHOTO: f"{self.n}.png"} if self.n % 3 == 0 else {}
                kobo.edit(own[-1], f"{root_id}-{self.n}", {"role": str(self.n), **photo})
            case "review" if own:
                kobo.review(own[-1], STATUSES[self.n % 4])
            case "delete" if own:
                kobo.delete(own[-1])
            case "file" if own:
                row = kobo.rows[own[-1]]
                name = row.get(PHOTO)
                if not name or name in {a["media_file_basename"] for a in row["_attachments"]}:
                    return
                kobo.attach(own[-1], PHOTO, name, Kept(f"{root_id} {name}".encode() * 40))
            case "clock":
                kobo.ahead += 3600 if number % 2 else -3600
                return
            case _:
                return
        there = self.standing().get(root_id)
        self.during.setdefault(root_id, {None}).add(there)
        if there is not None:
            self.ever.setdefault(root_id, set()).add(there)

    def begin(self) -> None:
        """From now on `during` notes what each root id stands for, None while it is not there."""
        there = self.standing()
        self.during = {root_id: {there.get(root_id)} for root_id in self.ever}

    def standing(self) -> dict[str, bytes]:
        return standing(self.kobo.rows.values())


def everything(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """All that a mirror holds, table by table."""
    tables = {
        "rows": "form_id, root_id",
        "versions": "form_id, root_id, n",
        "attachments": "form_id, root_id, name",
        "log": "root_id, at, action, detail",
        "forms": "form_id",
    }
    base = sqlite3.connect(path)
    try:
        return {
            name: base.execute(f"SELECT * FROM {name} ORDER BY {order}").fetchall()
            for name, order in tables.items()
        }
    finally:
        base.close()


@dataclass(slots=True)
class Watched:
    """A mirror, and what was seen in it so far."""

    path: Path
    form: str = FORM
    alike: Callable[[bytes], bytes] = bytes
    """A payload without what depends on the way it came."""
    seen: dict[str, set[str]] = field(default_factory=dict)
    """Root ids with the instance ids they were seen with."""

    def look(self) -> dict[str, bytes]:
        """See what is there after a pull, however it ended; gives the live rows."""
        with Mirror(self.path) as mirror:
            for root_id, uuid in mirror.base.execute(
                "SELECT root_id, uuid FROM rows WHERE form_id = ?", (self.form,)
            ):
                self.seen.setdefault(root_id, set()).add(uuid)
            return {
                stored.root_id: self.alike(stored.payload)
                for stored in mirror.stored(self.form)
                if not stored.withdrawn
            }

    def sound(self, ever: Mapping[str, set[bytes]]) -> None:
        """Whatever stopped a pull: the file is whole, and all that is in it was once on the server."""
        base = sqlite3.connect(self.path)
        try:
            assert base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        finally:
            base.close()
        with Mirror(self.path) as mirror:
            for table in ("rows", "versions"):
                for root_id, payload in mirror.base.execute(
                    f"SELECT root_id, payload FROM {table}"
                ):
                    assert payload in ever[root_id], f"{table}: {root_id} was never like this"

    def agrees(self, during: During) -> None:
        """A pull that says complete: each row lies here as it lay there at some time of the pull."""
        live = self.look()
        assert live.keys() <= during.keys()
        for root_id, states in during.items():
            assert live.get(root_id) in states, f"{root_id} is not as on the server"

    def ends(self, there: Mapping[str, bytes]) -> None:
        """After an undisturbed pull: live rows, tombstones and version chain are what they must be."""
        live = self.look()
        assert live == there
        found = everything(self.path)
        roots = {root_id for _, root_id, *_ in found["rows"]}
        assert len(roots) == len(found["rows"]), "a submission is there twice"
        assert roots == self.seen.keys(), "tombstones are the roots that were seen and are gone"
        chains: dict[object, list[tuple[Any, ...]]] = {}
        for _, root_id, n, uuid, mark, _, _, payload, _ in found["versions"]:
            chains.setdefault(root_id, []).append((n, uuid, mark, payload))
        for _, root_id, _, uuid, mark, _, _, _, payload, _ in found["rows"]:
            chain = chains.pop(root_id, [])
            assert [n for n, *_ in chain] == list(range(1, len(chain) + 1)), "the chain has a gap"
            links = [*(link[1:] for link in chain), (uuid, mark, payload)]
            # The same answers and status may return, of a second row: then `_id` tells them apart.
            assert all(one != other for one, other in pairwise(links)), "a version is there twice"
            kept = {uuid for uuid, *_ in links}
            assert self.seen[str(root_id)] <= kept, f"an answer of {root_id} was lost"
        assert not chains, "versions of a submission that is not there"


def comparable(found: Mapping[str, list[tuple[object, ...]]]) -> list[tuple[object, ...]]:
    """Of `everything`, what a fresh mirror must have too: live rows and their listed files."""
    live = [row for row in found["rows"] if not row[7]]
    roots = {row[1] for row in live}
    files = [row[:6] for row in found["attachments"] if row[6] and row[1] in roots]
    return [*live, *files]
