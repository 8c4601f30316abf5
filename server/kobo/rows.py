"""A stored row as KoboToolbox's JSON, put together from what was rendered at intake.

Only what changes (id, validation status, attachments, moment of change) is written here, by `%`
into a fixed text: a page of a thousand rows costs a few milliseconds, where a dictionary and a JSON
writer per row cost three times that. What is put between quotation marks holds none: ids are
checked at intake (`server.phones.submitting.INSTANCE_ID`), moments are the server's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Select, select

from server.state.schema import documents, submissions

__all__ = ["ALWAYS", "LIGHT", "SIZES", "Light", "chosen", "joined", "light", "parsed", "spliced"]

ALWAYS = ("_uuid", "meta/rootUuid", "_validation_status", "_id")
"""Keys that KoboToolbox adds to whatever `fields` asks for."""

LIGHT: Mapping[str, tuple[ColumnElement[Any], str]] = {
    "_id": (submissions.c.id, "%d"),
    "_uuid": (submissions.c.instance_id, '"%s"'),
    "meta/rootUuid": (submissions.c.root_id, '"uuid:%s"'),
    "_submission_time": (submissions.c.submitted_at, '"%s"'),
    "_date_modified": (submissions.c.modified_at, '"%s"'),
    "_validation_status": (submissions.c.status, "%s"),
}
"""Keys that are told from a column as it stands."""

HEAD = "".join(f'"{key}":{form},' for key, (_, form) in LIGHT.items())
WHOLE = "{" + HEAD + '"_submitted_by":%s,"_attachments":%s,'
SIZES = ("large", "medium", "small")


@dataclass(frozen=True, slots=True)
class Light:
    """Rows of `LIGHT` keys only: their columns, the text they go into, where the `_id` stands."""

    columns: tuple[ColumnElement[Any], ...]
    text: str
    number: int

    def written(self, rows: Iterable[tuple[Any, ...]]) -> bytes:
        """Rows as JSON, joined by commas."""
        text = self.text
        return ",".join([text % row for row in rows]).encode()


def light(fields: Iterable[str]) -> Light | None:
    """How to tell these fields without looking into documents, where that can be done."""
    keys = tuple(dict.fromkeys((*fields, *ALWAYS)))
    if not LIGHT.keys() >= set(keys):
        return None
    text = ",".join(f'"{key}":{LIGHT[key][1]}' for key in keys)
    return Light(tuple(LIGHT[key][0] for key in keys), "{" + text + "}", keys.index("_id"))


def joined() -> Select[Any]:
    """What `spliced` needs of each row: heads with the bodies of the present documents."""
    return select(
        *(column for column, _ in LIGHT.values()),
        submissions.c.submitter,
        submissions.c.attachments,
        documents.c.body,
    ).join(documents, documents.c.id == submissions.c.document_id)


def spliced(rows: Iterable[tuple[Any, ...]], uid: str, base: str) -> list[bytes]:
    """Whole rows as JSON: head, then stored body."""
    submitters: dict[str, str] = {"": "null"}
    made: list[bytes] = []
    for *head, submitter, listed, body in rows:
        told = submitters.get(submitter)
        if told is None:
            told = submitters[submitter] = orjson.dumps(submitter).decode()
        files = "[]" if listed == "[]" else files_of(head[0], head[1], listed, uid, base)
        made.append((WHOLE % (*head, told, files)).encode() + body[1:])
    return made


def files_of(number: int, instance_id: str, listed: str, uid: str, base: str) -> str:
    """The attachments of a row as KoboToolbox lists them, in JSON."""
    made: list[Any] = []
    for item in orjson.loads(listed):
        url = f"{base}/api/v2/assets/{uid}/data/{number}/attachments/{item['uid']}/"
        made.append(
            {
                "download_url": url,
                **{f"download_{size}_url": f"{url}{size}/" for size in SIZES},
                "mimetype": item["media_type"],
                "filename": f"attachments/{instance_id}/{item['name']}",
                "media_file_basename": item["name"],
                "uid": item["uid"],
                "is_deleted": False,
                "question_xpath": item["question"],
            }
        )
    return orjson.dumps(made).decode()


def parsed(row: tuple[Any, ...], uid: str, base: str) -> dict[str, Any]:
    """A whole row as values."""
    return orjson.loads(spliced([row], uid, base)[0])


def chosen(row: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """The asked fields of a row, and those KoboToolbox always adds."""
    return {key: row[key] for key in (*fields, *ALWAYS) if key in row}
