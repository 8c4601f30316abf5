"""Rows of one asset of the KoboToolbox dialect, with their documents, files and history."""

from __future__ import annotations

import copy
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson
from kobo_dialect_answers import NOT_FOUND, Reply, shaped
from kobo_dialect_documents import answers_of, binds, places_of, repeats_of
from lxml import etree
from recorded import recording
from small_kobo import ALWAYS

if TYPE_CHECKING:
    from kobo_dialect import KoboDialect

__all__ = ["Filters", "Rows"]

LABELS = {"approved": "Approved", "not_approved": "Not Approved", "on_hold": "On Hold"}
ODD = re.compile(r"[^\w.]+")
Filters = Sequence[Mapping[str, str]] | None
"""What a row must hold to be seen, any one of them; None: no row is."""


class Rows:
    """What was sent to an asset; `xform` is the form that is deployed."""

    def __init__(self, kobo: KoboDialect, uid: str) -> None:
        self.kobo, self.uid = kobo, uid
        self.xform = ""
        self.deployed = False
        self.rows: dict[int, dict[str, Any]] = {}
        self.ids = kobo.row_ids
        self.clock = itertools.count(1_795_438_000)
        self.contents: dict[str, bytes] = {}
        self.documents: dict[int, list[bytes]] = {}
        self.history: list[dict[str, Any]] = []

    def data_answer(
        self,
        method: str,
        more: Sequence[str],
        query: Mapping[str, str],
        body: bytes,
        filters: Filters,
    ) -> Reply:
        """data/ and what is below it (073, 088-136), under the `filters` of who asks."""
        if filters is None:
            return NOT_FOUND
        if not self.deployed:
            return Reply(400, {"detail": "The specified asset has not been deployed"})
        match [method, *more]:
            case ["GET"]:
                return self.page(query, filters)
            case ["PATCH", "validation_statuses"]:
                given = orjson.loads(body)["payload"]
                for row_id in given["submission_ids"]:
                    self.review(row_id, given["validation_status.uid"][len("validation_status_") :])
                told = f"{len(given['submission_ids'])} submissions have been updated"
                return Reply(200, {"detail": told})
            case [_, name, *rest] if int(name.partition(".")[0]) in self.rows:
                return self.of_row(method, name, rest, body)
        return NOT_FOUND

    def of_row(self, method: str, name: str, rest: Sequence[str], body: bytes) -> Reply:
        row_id = int(name.partition(".")[0])
        row = self.rows[row_id]
        match [method, *rest]:
            case ["GET"] if name.endswith(".xml"):
                if row_id not in self.documents:  # a phantom (274)
                    return Reply(
                        404, b"<root><detail>Not found.</detail></root>", "application/xml"
                    )
                return Reply(200, self.documents[row_id][-1], "application/xml; charset=utf-8")
            case ["GET"]:
                return Reply(200, row)
            case ["DELETE"]:
                self.delete(row_id)
                return Reply(204)
            case ["PATCH", "validation_status"]:
                status = orjson.loads(body)["validation_status.uid"][len("validation_status_") :]
                self.review(row_id, status)
                return Reply(200, row["_validation_status"])
            case ["DELETE", "validation_status"]:
                row["_validation_status"] = {}
                self.happened("modify-submission", row, status="None")
                return Reply(204)
            case ["GET", "attachments", uid]:
                for one in row["_attachments"]:
                    if one["uid"] == uid and uid in self.contents:
                        return Reply(200, self.contents[uid], one["mimetype"])
        return NOT_FOUND

    def page(self, query: Mapping[str, str], filters: Sequence[Mapping[str, str]]) -> Reply:
        """A page of rows; what the recordings refuse is refused (089, 090, 100)."""
        if not query.get("limit", "1").isdigit() or query.get("limit") == "0":
            return Reply(400, {"limit": ["A positive integer is expected"]})
        try:
            wanted = orjson.loads(query.get("query", "{}"))
        except ValueError:
            return Reply(400, {"detail": "Invalid JSON"})
        rows = [
            row
            for _, row in sorted(self.rows.items())
            if all(fits(row.get(name), test) for name, test in wanted.items())
            and any(all(row.get(k) == v for k, v in one.items()) for one in filters)
        ]
        start, limit = int(query.get("start", "0")), min(int(query.get("limit", "100")), 1000)
        page = copy.deepcopy(rows[start : start + limit])
        if "fields" in query:
            names = {*orjson.loads(query["fields"]), *ALWAYS}
            page = [{k: v for k, v in row.items() if k in names} for row in page]
        more = "more" if start + limit < len(rows) else None
        return Reply(200, {"count": len(rows), "next": more, "previous": None, "results": page})

    def review(self, row_id: int, status: str) -> None:
        """Give a row a status (123)."""
        self.rows[row_id]["_validation_status"] = {
            "timestamp": next(self.clock),
            "uid": f"validation_status_{status}",
            "by_whom": "me_office",
            "label": LABELS[status],
        }
        self.happened("modify-submission", self.rows[row_id], status=LABELS[status])

    def delete(self, row_id: int) -> None:
        """The row is just gone (135)."""
        self.happened("delete-submission", self.rows.pop(row_id))
        self.documents.pop(row_id, None)

    def happened(self, action: str, row: Mapping[str, Any], **more: str) -> None:
        """One line of the project's history (266-268)."""
        entry = recording(266)["response_body"]["results"][0]
        entry |= {"action": action, "date_created": self.kobo.now("{}T{}Z")}
        submission = {"root_uuid": row["meta/rootUuid"].removeprefix("uuid:"), **more}
        entry["metadata"] |= {
            "asset_uid": self.uid,
            "submission": {**submission, "submitted_by": row["_submitted_by"]},
        }
        self.history.insert(0, entry)

    def history_of(self, q: str) -> list[dict[str, Any]]:
        actions = set(re.findall(r"action:([\w-]+)", q))
        since = re.search(r'date_created__gte?:"([^"]*)"', q)
        return [
            one
            for one in self.history
            if (not actions or one["action"] in actions)
            and (
                not since
                or one["date_created"].rstrip("Z") > since[1].rstrip("Z")
                or ("__gte" in q and one["date_created"].rstrip("Z") == since[1].rstrip("Z"))
            )
        ]

    def find_row(self, instance_id: str) -> int:
        """The row whose present version has this instance id; 0 when there is none."""
        found = (i for i, row in self.rows.items() if row["meta/instanceID"] == instance_id)
        return max(found, default=0)

    def keep(self, document: bytes, row_id: int, user: str) -> int:
        """Make the row of a document; of an edit, instead of row `row_id`."""
        old = self.rows.get(row_id, {})
        row_id = row_id or next(self.ids)
        root = etree.fromstring(document)
        answers = dict(answers_of(root, "", repeats_of(self.xform)))
        meta = {k: v for k, v in answers.items() if k.startswith("meta/")}
        geo = next((answers[p] for p in binds(self.xform, "geopoint") if answers.get(p)), "")
        place = [float(part) for part in geo.split()[:2]] or [None, None]
        own = {k: v for k, v in answers.items() if k not in meta}
        self.rows[row_id] = {
            "_id": row_id,
            **own,
            **meta,
            "_xform_id_string": self.uid,
            "_uuid": meta["meta/instanceID"].removeprefix("uuid:"),
            "meta/rootUuid": old.get("meta/rootUuid", meta["meta/instanceID"]),
            "_attachments": [],
            "_status": "submitted_via_web",
            "_geolocation": place,
            "_submission_time": old.get("_submission_time") or self.kobo.now("{}T{}"),
            "_validation_status": old.get("_validation_status", {}),
            "_submitted_by": old.get("_submitted_by", user),
        }
        self.documents.setdefault(row_id, []).append(document)
        self.happened("modify-submission" if old else "add-submission", self.rows[row_id])
        self.attach(row_id, [(o["media_file_basename"], o) for o in old.get("_attachments", ())])
        return row_id

    def attach(self, row_id: int, files: Sequence[tuple[str, dict[str, Any] | bytes]]) -> bool:
        """List files that answer a question of the row; strangers are dropped silently (286, 287)."""
        row, brought = self.rows[row_id], False
        root = etree.fromstring(self.documents[row_id][-1])
        for name, content in files:
            for place in places_of(
                root, "", binds(self.xform, "binary"), repeats_of(self.xform), name
            ):
                if any(one["question_xpath"] == place for one in row["_attachments"]):
                    continue
                entry = content if isinstance(content, dict) else self.entry(row, name, content)
                row["_attachments"].append({**entry, "question_xpath": place})
                brought = True
        return brought

    def entry(self, row: Mapping[str, Any], name: str, content: bytes) -> dict[str, Any]:
        """An attachment's entry as recorded (287)."""
        uid = self.kobo.uid("att")
        made = shaped(287, self.kobo.url, self.uid, {})["_attachments"][0]
        text = json.dumps(made).replace("attrp42a2QdMmuAyyedxFRUK", uid)
        found = json.loads(text.replace("/data/220/", f"/data/{row['_id']}/"))
        folder = found["filename"].rpartition("/")[0]
        self.contents[uid] = content
        kinds = {"jpg": "image/jpeg", "pdf": "application/pdf", "csv": "text/csv"}
        return {
            **found,
            "media_file_basename": name,
            "filename": f"{folder}/{ODD.sub('_', name)}",
            "mimetype": kinds.get(name.rpartition(".")[2], "image/png"),
        }


def fits(value: Any, test: Any) -> bool:
    """Whether a value passes a Mongo test; an unknown operator finds nothing (101, 102)."""
    if not isinstance(test, Mapping):
        return value == test
    known = {
        "$gt": lambda a, b: a is not None and a > b,
        "$gte": lambda a, b: a is not None and a >= b,
        "$lte": lambda a, b: a is not None and a <= b,
        "$in": lambda a, b: a in b,
    }
    return all(name in known and known[name](value, than) for name, than in test.items())
