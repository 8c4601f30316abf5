"""Who may send and read a form on KoboToolbox, and which forms' rows are offered to which.

Rights are permission assignments of an asset (034, 035, 220), links are its paired data (239-243).
What differs is worked out here from what the server lists; `sync.kobo_publish` sends it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sync.backend import Access, Link

__all__ = ["Rights", "differences", "link_changes", "missing_fields"]

ANYBODY = "AnonymousUser"
SEND = "add_submissions"
READ_SOME = "partial_submissions"
READ = "view_submissions"
MANAGED = frozenset({SEND, READ_SOME, READ})
"""What we take away under `only`; `view_asset` is the server's own companion of each."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What must be sent: assignments to make, and to remove (their URLs), each with words for it."""

    grant: tuple[tuple[Mapping[str, Any], str], ...] = ()
    revoke: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.grant or self.revoke)


def differences(
    listed: Sequence[Mapping[str, Any]], access: Access, owner: str, url: str
) -> Rights:
    """What makes the assignments `listed` by the server equal to `access`; the owner is left alone."""
    wanted: dict[tuple[str, str], frozenset[tuple[tuple[str, str], ...]]] = {}
    for name in access.facilitators:
        wanted[name, SEND] = frozenset()
    if access.anonymous:
        wanted[ANYBODY, SEND] = frozenset()
    for name, filters in (access.readers or {}).items():
        wanted[name, READ_SOME] = shape(filters)
    standing: set[tuple[str, str]] = set()
    revoke: list[tuple[str, str]] = []
    for assignment in listed:
        name, right = last_step(assignment["user"]), last_step(assignment["permission"])
        if (name, right) in wanted and wanted[name, right] == filters_of(assignment):
            standing.add((name, right))
        elif (name, right) in wanted:
            # There is no changing filters: the assignment is removed and made anew.
            revoke.append((assignment["url"], f"{name} no longer {words(right)} as before"))
        elif access.only and name != owner and right in MANAGED:
            revoke.append((assignment["url"], f"{name} no longer {words(right)}"))
    grant = tuple(
        (assignment_for(name, right, filters, url), f"{name} {words(right)}{narrowed(filters)}")
        for (name, right), filters in wanted.items()
        if (name, right) not in standing and name != owner
    )
    return Rights(grant, tuple(revoke))


def shape(
    filters: Sequence[Mapping[str, str]],
) -> frozenset[tuple[tuple[str, str], ...]]:
    return frozenset(tuple(sorted(one.items())) for one in filters)


def filters_of(assignment: Mapping[str, Any]) -> frozenset[tuple[tuple[str, str], ...]]:
    """The filters under which an assignment lets rows be read."""
    for partial in assignment.get("partial_permissions") or ():
        if last_step(partial["url"]) == READ:
            return shape(partial["filters"])
    return frozenset()


def assignment_for(
    name: str, right: str, filters: frozenset[tuple[tuple[str, str], ...]], url: str
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "user": f"{url}/api/v2/users/{name}/",
        "permission": f"{url}/api/v2/permissions/{right}/",
    }
    if right == READ_SOME:
        made["partial_permissions"] = [
            {
                "url": f"{url}/api/v2/permissions/{READ}/",
                "filters": [dict(one) for one in sorted(filters)],
            }
        ]
    return made


def words(right: str) -> str:
    return {SEND: "may send", READ_SOME: "may read some rows", READ: "may read all rows"}[right]


def narrowed(filters: frozenset[tuple[tuple[str, str], ...]]) -> str:
    told = [" and ".join(f"{k}={v}" for k, v in one) for one in sorted(filters)]
    return f" (where {', or '.join(told[:4])}{' …' if len(told) > 4 else ''})" if told else ""


def last_step(link: str) -> str:
    return link.rstrip("/").rpartition("/")[2]


def link_changes(
    listed: Sequence[Mapping[str, Any]], links: Sequence[Link], sources: Mapping[str, str]
) -> tuple[list[Link], list[tuple[Link, str]], list[tuple[str, str]]]:
    """Links to make, to give other fields (with their URL), and to remove (URL, words).

    Only links to forms of this programme (`sources`: form id → uid) are ever removed.
    """
    make: list[Link] = []
    change: list[tuple[Link, str]] = []
    standing = {str(one["filename"]).removesuffix(".xml"): one for one in listed}
    for link in links:
        one = standing.pop(link.name, None)
        if one is None:
            make.append(link)
        elif last_step(one["source"] or "") != sources[link.source]:
            make.append(link)
            standing[link.name] = one
        elif list(one["fields"]) != list(link.fields):
            change.append((link, one["url"]))
    ours = set(sources.values())
    remove = [
        (one["url"], f"no longer offers {name}.xml")
        for name, one in standing.items()
        if last_step(one["source"] or "") in ours
    ]
    return make, change, remove


def missing_fields(sharing: Mapping[str, Any] | None, fields: Sequence[str]) -> list[str] | None:
    """The fields a source must share so that `fields` are among them; None when they are (239, 240).

    An empty list of shared fields shares all.
    """
    if not sharing or not sharing.get("enabled"):
        return list(fields)
    shared = list(sharing.get("fields") or ())
    lacking = [name for name in fields if name not in shared]
    return [*shared, *lacking] if shared and lacking else None
