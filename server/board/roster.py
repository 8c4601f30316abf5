"""Who is expected: the list of participants that goes with the registration form.

The list that phones have counts (it was published with the form); before there is one, the file in
the programme's folder. Columns: `name` (the participant code), `label`, `province`, `course`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Connection, select

from forms.programme import Programme
from forms.values import arabic_digits
from server.state.blobs import Blobs
from server.state.schema import deployed_media
from server.state.trouble import StorageLost

__all__ = ["NO_ROSTER", "Listed", "Roster", "roster"]

LIST = "participants.csv"


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the list."""

    code: str
    name: str


@dataclass(frozen=True)
class Roster:
    """The list by course, and names by code."""

    courses: Mapping[str, Sequence[Listed]]
    names: Mapping[str, str]


NO_ROSTER = Roster({}, {})


def roster(
    connection: Connection, blobs: Blobs, programme: Programme, registration: Sequence[int]
) -> Roster:
    """The list as it is now; `registration` are the ids of the registration form's assets.

    A list that cannot be read counts as none: whoever has registered is on the board all the same.
    """
    digest = connection.execute(
        select(deployed_media.c.digest)
        .where(deployed_media.c.asset_id.in_(registration), deployed_media.c.name == LIST)
        .order_by(deployed_media.c.id.desc())
        .limit(1)
    ).scalar()
    try:
        if digest:  # what is kept under its hash never changes
            return read(blobs.path(digest), 0, 0)
        path = programme.folder / LIST
        about = path.stat()
        return read(path, about.st_mtime_ns, about.st_size)
    except (OSError, StorageLost, UnicodeDecodeError, csv.Error):
        return NO_ROSTER


@lru_cache(maxsize=4)
def read(path: Path, _changed: int, _size: int) -> Roster:
    text = path.read_bytes().decode("utf-8-sig")
    courses: dict[str, list[Listed]] = {}
    names: dict[str, str] = {}
    for row in csv.DictReader(io.StringIO(text, newline=""), strict=True):
        code = arabic_digits(row.get("name") or "").strip()
        name = (row.get("label") or "").strip()
        if not code:
            continue
        names[code] = name
        if course := (row.get("course") or "").strip():
            courses.setdefault(course, []).append(Listed(code, name))
    return Roster(courses, names)
