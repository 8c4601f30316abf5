"""A row of ODK Central's OData service in the shape every row of the mirror has.

The mirror speaks one dialect, the flat row of KoboToolbox's data API: full question paths as keys,
every answer a text, repeats as lists, unanswered questions absent. What OData changes is undone as far
as it can be: names it had to alter get their own again, GeoJSON becomes `lat lon alt accuracy`.
Numbers are Central's reading of what was typed (`12abc` is 12 there); its CSV and XML keep the text.

OData: https://docs.getodk.org/central-api-odata-endpoints/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

import orjson

from forms.instance import attachments, bare
from sync.backend import Mark, Row, Status

__all__ = [
    "REVIEWS",
    "Schema",
    "asked",
    "central_id",
    "light_mark",
    "mark_of",
    "root_of",
    "row_of",
    "schema_of",
]

REVIEWS: Mapping[str | None, Status] = {
    "approved": "approved",
    "rejected": "not_approved",
    "hasIssues": "on_hold",
}
"""Review state of ODK Central → validation status; `edited` and none are none."""

FOREIGN = "id:"
"""In front of a root id that had no `uuid:` on the server."""


@dataclass(frozen=True, slots=True)
class Schema:
    """One level of a form as OData names it: own path, type, and what is inside."""

    path: str = ""
    type: str = "structure"
    inside: dict[str, Schema] = field(default_factory=dict)


def schema_of(fields: Sequence[Mapping[str, Any]], odata: Sequence[Mapping[str, Any]]) -> Schema:
    """The form's tree from its field list and the same list with OData's names, in one order."""
    root = Schema()
    for own, there in zip(fields, odata, strict=True):
        *around, last = str(there["path"]).strip("/").split("/")
        at = root
        for step in around:
            at = at.inside[step]
        at.inside[last] = Schema(str(own["path"]).strip("/"), str(own["type"]))
    return root


def asked(schema: Schema) -> frozenset[tuple[str, str]]:
    """Path and type of everything a form asks."""
    found = frozenset((node.path, node.type) for node in schema.inside.values())
    return found.union(*(asked(node) for node in schema.inside.values()))


def root_of(instance_id: str) -> str:
    """The root id of a record: its first instance id, without `uuid:`."""
    plain = instance_id.removeprefix("uuid:")
    ours = plain != instance_id and not plain.startswith(FOREIGN)
    return plain if ours else FOREIGN + instance_id


def central_id(root_id: str) -> str:
    """The record's id on the server again."""
    if root_id.startswith(FOREIGN):
        return root_id.removeprefix(FOREIGN)
    return f"uuid:{root_id}"


def mark_of(row: Mapping[str, Any]) -> str:
    """A word that changes with every edit, review and arriving file, equal in full and light rows."""
    s = row["__system"]
    files = f"{s.get('attachmentsPresent')}/{s.get('attachmentsExpected')}"
    return f"{s.get('edits')}|{s.get('updatedAt') or ''}|{s.get('reviewState') or ''}|{files}"


def light_mark(row: Mapping[str, Any]) -> Mark:
    """The light line of a row."""
    return Mark(order_of(row), root_of(row["__id"]), mark_of(row))


def order_of(row: Mapping[str, Any]) -> int:
    """What orders records, which have no number: the submission date in milliseconds."""
    moment = datetime.fromisoformat(row["__system"]["submissionDate"].replace("Z", "+00:00"))
    return round(moment.timestamp() * 1000)


def row_of(
    row: Mapping[str, Any],
    schema: Schema,
    address: str,
    there: Callable[[str], frozenset[str]],
    own: Mapping[str, Any] | None = None,
) -> Row:
    """A full row (`$expand=*`).

    `address` is the path of the form's submissions; `there(id)` asks which files a record has, and is
    called only for records of which some have not arrived. `own` are the answers as the record's
    document has them, where OData does not show all of them.
    """
    system = row["__system"]
    flat: dict[str, Any] = dict(read(row, schema))
    if own is not None:
        flat = {**own, **{path: said for path, said in flat.items() if path.startswith("meta/")}}
    instance_id = bare(flat.get("meta/instanceID") or row["__id"])
    status = REVIEWS.get(system.get("reviewState"), "")
    waiting = (system.get("attachmentsPresent") or 0) < (system.get("attachmentsExpected") or 0)
    named = list(files(flat, schema))
    if waiting and named:
        present = there(row["__id"])
        named = [(question, name) for question, name in named if name in present]
    flat |= {
        "_uuid": instance_id,
        "meta/rootUuid": f"uuid:{root_of(row['__id'])}",
        "_submission_time": system["submissionDate"],
        "_submitted_by": system.get("submitterName"),
        "__version__": system.get("formVersion") or "",
        "_validation_status": {"uid": f"validation_status_{status}"} if status else {},
        "_attachments": [
            {
                "download_url": f"{address}/{quote(row['__id'], safe='')}"
                f"/attachments/{quote(name, safe='')}",
                "media_file_basename": name,
                "question_xpath": question,
                "is_deleted": False,
            }
            for question, name in named
        ],
        # Nothing else says so here: which version it replaced is not in the row.
        **({"meta/deprecatedID": ""} if system.get("edits") else {}),
        "_central": system,
    }
    return Row(
        root_id=root_of(row["__id"]),
        row_id=order_of(row),
        uuid=instance_id,
        mark=mark_of(row),
        submitted_at=system["submissionDate"],
        validation=status,
        payload=orjson.dumps(flat),
        attachments=tuple(attachments(flat)),
        waiting=waiting,
    )


def read(values: Mapping[str, Any], schema: Schema) -> Iterator[tuple[str, Any]]:
    """Answers of one level by full path, groups opened, repeats as lists."""
    for name, value in values.items():
        node = schema.inside.get(name)
        if node is None or value is None:
            continue
        if node.type == "structure":
            yield from read(value, node)
        elif node.type == "repeat":
            yield node.path, [dict(read(turn, node)) for turn in value]
        elif (text := as_text(value)) != "":
            yield node.path, text


def as_text(value: object) -> str:
    """An answer as a phone writes it."""
    if isinstance(value, Mapping):
        return place(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)


def place(shape: Mapping[str, Any]) -> str:
    """GeoJSON as XForms write places: `lat lon alt accuracy`, points of a line joined by `; `.

    https://getodk.github.io/xforms-spec/#data-types (geopoint, geotrace, geoshape)
    """
    found = shape.get("coordinates") or []
    extra = shape.get("properties") or {}
    if shape.get("type") == "Point":
        return point(found, extra.get("accuracy"))
    points = found[0] if shape.get("type") == "Polygon" else found
    known = extra.get("accuracies") or [extra.get("accuracy")] * len(points)
    return "; ".join(point(p, a) for p, a in zip(points, known, strict=False))


def point(coordinates: Sequence[float], accuracy: float | None) -> str:
    lon, lat, *alt = coordinates
    return " ".join(as_text(part) for part in (lat, lon, *(alt or [0]), accuracy or 0))


def files(flat: Mapping[str, Any], schema: Schema) -> Iterator[tuple[str, str]]:
    """Where a file answers a question, with the turn of each repeat (`tree[2]/pic`), and its name."""
    for node in schema.inside.values():
        if node.type == "structure":
            yield from files(flat, node)
        elif node.type == "repeat":
            for n, turn in enumerate(flat.get(node.path) or (), start=1):
                for question, name in files(turn, node):
                    yield f"{node.path}[{n}]{question.removeprefix(node.path)}", name
        elif node.type == "binary" and (name := flat.get(node.path)):
            yield node.path, name
