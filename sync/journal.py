"""Who changed what, when, from what to what: the version chain read as a list of changes.

The mirror keeps every earlier payload; the server's own log says who edited, reviewed or deleted and
when, where this account may read it; what was written back from here keeps its comment. Personal
answers are shown as changed, not as what they were, unless asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import orjson

from sync.backend import Happened
from sync.mirror import Mirror
from sync.storage import storage_problem

__all__ = [
    "Change",
    "Comment",
    "changes",
    "comment",
    "comments",
    "keep_log",
    "last_logged",
    "place_path",
]

ENVELOPE = ("_", "meta/", "formhub/", "__version__")


@dataclass(frozen=True, slots=True)
class Change:
    """One answer, or the status, of one submission as it was before and after.

    `at` is the server's own moment where its log tells it, else the moment of the pull that saw the
    change (`at_is_pull`); `question` is a path, with the turn of a repeat in brackets, or
    `(status)`, `(deleted)`.
    """

    form_id: str
    root_id: str
    version: int
    question: str
    old: str
    new: str
    who: str
    at: str
    at_is_pull: bool
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Comment:
    """What was written back to the server from here, and why."""

    form_id: str
    root_id: str
    at: str
    who: str
    action: str
    detail: str
    comment: str


# ── keeping ──────────────────────────────────────────────────────────────────────────────────────


def last_logged(mirror: Mirror, form_id: str) -> str:
    """The moment up to which the server's log is here; `""` when nothing of it is."""
    with storage_problem(mirror.path):
        found = mirror.base.execute(
            "SELECT logged FROM forms WHERE form_id = ?", (form_id,)
        ).fetchone()
    return found[0] if found else ""


def keep_log(mirror: Mirror, form_id: str, happened: Iterable[Happened]) -> None:
    """Take in lines of the server's log."""
    lines = list(happened)
    with mirror.transaction():
        mirror.base.executemany(
            "INSERT OR IGNORE INTO log VALUES (?, ?, ?, ?, ?, ?)",
            [
                (form_id, line.root_id, line.at, line.who, line.action, line.detail)
                for line in lines
            ],
        )
        mirror.base.execute(
            "UPDATE forms SET logged = max(logged, ?) WHERE form_id = ?",
            (max((line.at for line in lines), default=""), form_id),
        )


def comment(mirror: Mirror, notes: Iterable[Comment]) -> None:
    """Keep why something was written back."""
    with mirror.transaction():
        mirror.base.executemany(
            "INSERT INTO comments (form_id, root_id, at, who, action, detail, comment) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(n.form_id, n.root_id, n.at, n.who, n.action, n.detail, n.comment) for n in notes],
        )


def comments(mirror: Mirror, form_id: str) -> list[Comment]:
    """What was written back of a form, oldest first."""
    with storage_problem(mirror.path):
        return [
            Comment(*row)
            for row in mirror.base.execute(
                "SELECT form_id, root_id, at, who, action, detail, comment FROM comments "
                "WHERE form_id = ? ORDER BY n",
                (form_id,),
            )
        ]


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


def changes(
    mirror: Mirror, form_id: str, *, may_show: Callable[[str], bool] = lambda path: True
) -> Iterator[Change]:
    """Every change of a form's submissions, by root id, oldest first.

    `may_show(path)` says whether the answers of a question may be told; others read `(personal)`.
    """
    written = comments(mirror, form_id)
    for root_id in changed_roots(mirror, form_id):
        chain = versions(mirror, form_id, root_id)
        said = log_of(mirror, form_id, root_id)
        told = [note for note in written if note.root_id == root_id]
        for number, (before, after) in enumerate(pairwise(chain), start=1):
            found = list(differences(before.payload, after.payload, may_show))
            edited = any(question != "(status)" for question, _, _ in found)
            line = take(said, "edit" if edited else "review")
            for question, old, new in found:
                note = next((n for n in told if matches(n, question, new)), None)
                yield Change(
                    form_id,
                    root_id,
                    number,
                    question,
                    old,
                    new,
                    who=line.who if line else note.who if note else "",
                    at=line.at if line else before.replaced_at,
                    at_is_pull=line is None,
                    comment=note.comment if note else "",
                )
        if chain[-1].withdrawn:
            line = take(said, "delete")
            who, at = (line.who, line.at) if line else ("", "")
            yield Change(form_id, root_id, len(chain), "(deleted)", "", "", who, at, line is None)


@dataclass(frozen=True, slots=True)
class Version:
    payload: Mapping[str, Any]
    replaced_at: str
    withdrawn: bool = False


def changed_roots(mirror: Mirror, form_id: str) -> list[str]:
    with storage_problem(mirror.path):
        return [
            row[0]
            for row in mirror.base.execute(
                "SELECT root_id FROM versions WHERE form_id = :form UNION "
                "SELECT root_id FROM rows WHERE form_id = :form AND withdrawn ORDER BY 1",
                {"form": form_id},
            )
        ]


def versions(mirror: Mirror, form_id: str, root_id: str) -> list[Version]:
    """Every version of a submission that was seen, the present one last."""
    with storage_problem(mirror.path):
        earlier = mirror.base.execute(
            "SELECT payload, replaced_at FROM versions "
            "WHERE form_id = ? AND root_id = ? ORDER BY n",
            (form_id, root_id),
        ).fetchall()
        payload, withdrawn = mirror.base.execute(
            "SELECT payload, withdrawn FROM rows WHERE form_id = ? AND root_id = ?",
            (form_id, root_id),
        ).fetchone()
    return [
        *(Version(orjson.loads(old), at) for old, at in earlier),
        Version(orjson.loads(payload), "", bool(withdrawn)),
    ]


def log_of(mirror: Mirror, form_id: str, root_id: str) -> list[Happened]:
    with storage_problem(mirror.path):
        return [
            Happened(*row)
            for row in mirror.base.execute(
                "SELECT root_id, at, who, action, detail FROM log "
                "WHERE form_id = ? AND root_id = ? ORDER BY at",
                (form_id, root_id),
            )
        ]


def take(said: list[Happened], action: str) -> Happened | None:
    """The first line of the log about such an action, taken out of it."""
    for line in said:
        if line.action == action:
            said.remove(line)
            return line
    return None


def matches(note: Comment, question: str, new: str) -> bool:
    """Whether a comment was written about this change."""
    if note.action == "review":
        return question == "(status)" and note.detail == new
    return note.detail == question


def differences(
    before: Mapping[str, Any], after: Mapping[str, Any], may_show: Callable[[str], bool]
) -> Iterator[tuple[str, str, str]]:
    """Question, old and new of every answer that two payloads of one submission have otherwise."""
    old, new = dict(leaves(before)), dict(leaves(after))
    for place in [*old, *(place for place in new if place not in old)]:
        was, now = old.get(place, ""), new.get(place, "")
        if was != now:
            shown = may_show(place_path(place))
            yield place, was if shown else hidden(was), now if shown else hidden(now)
    status = (status_of(before), status_of(after))
    if status[0] != status[1]:
        yield "(status)", *status


def leaves(row: Mapping[str, Any], turn: str = "") -> Iterator[tuple[str, str]]:
    """Answers by place: the path, with the turn of each repeat around it (`tree[2]/kind`)."""
    for key, value in row.items():
        if key.startswith(ENVELOPE):
            continue
        # Inside a repeat keys begin with its path, which `turn` says with its number.
        place = key
        if turn:
            path = place_path(turn)
            place = turn + key.removeprefix(path)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            for n, inner in enumerate(value, start=1):
                yield from leaves(inner, f"{place}[{n}]")
        elif value not in (None, ""):
            yield place, str(value)


def place_path(place: str) -> str:
    """A place without the turns: the question's path."""
    return "".join(part.partition("]")[2] if n else part for n, part in enumerate(place.split("[")))


def status_of(row: Mapping[str, Any]) -> str:
    status = row.get("_validation_status") or {}
    return str(status.get("uid") or "").removeprefix("validation_status_")


def hidden(value: str) -> str:
    return "(personal)" if value else ""
