"""One asset of the KoboToolbox dialect: its versions, rights, rows, files and history.

A row is made from the instance document by rules of its own, not by the house's codec, so that both
can be held against the recordings (052 → 073, 286 → 287, 113 → 114).
"""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from lxml import etree
from recorded import recording
from small_kobo import ALWAYS, SmallKobo

from forms.xlsform import to_xform

if TYPE_CHECKING:
    from kobo_dialect import KoboDialect

__all__ = ["Asset", "Reply", "body_of", "page_of", "parts_of", "shaped"]

LABELS = {"approved": "Approved", "not_approved": "Not Approved", "on_hold": "On Hold"}
NO_MEDIA = re.compile(r"[^\w.]+")


@dataclass(slots=True)
class Reply:
    """An answer: JSON unless it is bytes."""

    status: int
    body: Any = None
    kind: str = "application/json"
    headers: dict[str, str] | None = None

    def bytes(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return b"" if self.body is None else orjson.dumps(self.body)


@functools.cache
def template(number: int) -> str:
    """A recorded body as text: the asset's own object, of a list the first entry."""
    found = recording(number)["response_body"]
    found = found["results"][0] if number in (182, 287) else found
    return json.dumps({k: v for k, v in found.items() if k != "asset" or number != 16})


def shaped(number: int, url: str, uid: str, own: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded body with addresses of this server, this asset's uid, and values of its own."""
    text = template(number).replace("http://kobo.example", url)
    for theirs in ("a4AMDX2ozJ2zAhanaYrmG5", "ahkZCk2mKrmE7e9FJoNHi2"):
        text = text.replace(theirs, uid or theirs)
    return {**json.loads(text), **own}


def page_of(entries: Sequence[Any], query: Mapping[str, str]) -> dict[str, Any]:
    """A page by `start` and `limit`."""
    start = int(query.get("start", "0"))
    page = list(entries[start : start + int(query.get("limit", "100"))])
    more = "more" if start + len(page) < len(entries) else None
    return {"count": len(entries), "next": more, "previous": None, "results": page}


def body_of(body: bytes, kind: str) -> dict[str, str]:
    """The fields of a form-encoded or multipart body; of JSON none (295)."""
    from urllib.parse import parse_qs

    if kind.startswith("application/x-www-form-urlencoded"):
        return {name: values[-1] for name, values in parse_qs(body.decode()).items()}
    return parts_of(body, kind)[0] if kind.startswith("multipart/") else {}


def parts_of(body: bytes, kind: str) -> tuple[dict[str, str], list[tuple[str, bytes, str]]]:
    """Fields and files (name, content, media type) of a multipart body."""
    fields: dict[str, str] = {}
    files: list[tuple[str, bytes, str]] = []
    boundary = b"--" + kind.rpartition("boundary=")[2].strip('"').encode()
    for piece in body.split(boundary)[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        text, content = head.decode(), content.removesuffix(b"\r\n")
        name = re.search(r'name="([^"]*)"', text)
        file = re.search(r'filename="([^"]*)"', text)
        media_type = re.search(r"Content-Type: (\S+)", text)
        if name and name[1] == "xml_submission_file":
            fields["xml"] = content.decode()
        elif name and file:
            files.append((file[1], content, media_type[1] if media_type else ""))
        elif name:
            fields[name[1]] = content.decode()
    return fields, files


@dataclass(slots=True)
class Version:
    """One version of an asset, and whether it was ever deployed."""

    uid: str
    book: bytes
    made: str
    deployed: str = ""


@dataclass(slots=True)
class Push:
    """What phones are offered: form, version string, media by name with their md5."""

    xform: str = ""
    version: str = ""
    media: dict[str, str] = field(default_factory=dict)


class Asset(SmallKobo):
    """An asset; `rows` are SmallKobo's, their documents and files lie beside them."""

    def __init__(
        self, kobo: KoboDialect, uid: str, name: str, settings: Mapping[str, Any], pk: int
    ) -> None:
        super().__init__("", uid)
        self.kobo, self.name, self.pk = kobo, name, pk
        self.ids = kobo.row_ids
        self.settings = {"sector": {}, "country": [], "description": "", **settings}
        self.asset_type = "survey"
        self.versions = [Version(kobo.uid("v"), b"", kobo.now())]
        self.active = self.deployed = False
        self.deployed_version_id = ""
        self.sharing: dict[str, Any] = {}
        self.files: dict[str, dict[str, Any]] = {}
        self.contents: dict[str, bytes] = {}
        self.rights: dict[str, dict[str, Any]] = {}
        self.pairs: dict[str, dict[str, Any]] = {}
        self.offered = Push()
        self.coming: tuple[int, dict[str, str]] | None = None
        self.offers = 0
        self.documents: dict[int, list[bytes]] = {}
        self.history: list[dict[str, Any]] = []
        self.grant("me_office", "manage_asset")

    # ── versions and deployment ──────────────────────────────────────────────────────────────────

    @property
    def version_id(self) -> str:
        return self.versions[-1].uid

    @property
    def xform(self) -> str:
        return self.offered.xform

    def imported(self, book: bytes) -> None:
        """The same file again is a new version, too (280-284)."""
        self.versions.append(Version(self.kobo.uid("v"), book, self.kobo.now()))

    def deploy(self) -> None:
        """Offer the latest version to phones; its media follow some polls later (028 → 033)."""
        number = sum(bool(v.deployed) for v in self.versions[:-1]) + 1
        version = self.kobo.now(f"{number} ({{}} {{}})")
        xform, _ = to_xform(self.versions[-1].book, form_id=self.uid, version=version)
        self.versions[-1].deployed = self.kobo.now()
        self.offered = Push(xform, version, self.offered.media)
        self.deployed, self.deployed_version_id = True, self.version_id
        media = {
            str(one["metadata"]["filename"]): str(one["metadata"]["hash"])
            for one in self.files.values()
        }
        self.coming = (self.kobo.lag, media)
        self.offers += 1

    def polled(self) -> None:
        """A phone looked at the manifest: what was pushed comes nearer."""
        if self.coming:
            left, media = self.coming
            self.coming = (left - 1, media) if left else None
            if not left:
                self.offered.media = media

    def told(self) -> dict[str, Any]:
        """What differs from the recorded asset."""
        status = "draft" if not self.deployed else "deployed" if self.active else "archived"
        return {
            "name": self.name,
            "asset_type": self.asset_type,
            "settings": self.settings,
            "version_id": self.version_id,
            "deployed_version_id": self.deployed_version_id or None,
            "has_deployment": self.deployed,
            "deployment_status": status,
            "deployment__active": self.active,
            "deployment__submission_count": len(self.rows),
            "data_sharing": self.sharing,
        }

    def versions_json(self) -> dict[str, Any]:
        shown = [v for v in reversed(self.versions) if v.deployed]
        entries = [
            {
                "uid": v.uid,
                "url": f"{self.kobo.url}/api/v2/assets/{self.uid}/versions/{v.uid}/",
                "content_hash": hashlib.sha1(v.book, usedforsecurity=False).hexdigest(),
                "date_deployed": v.deployed,
                "date_modified": v.made,
                "version_number": str(n),
            }
            for n, v in zip(range(len(shown), 0, -1), shown, strict=True)
        ]
        return page_of(entries, {})

    # ── who may what ─────────────────────────────────────────────────────────────────────────────

    def grant(self, name: str, right: str, partial: Any = None) -> dict[str, Any]:
        for one in self.rights.values():
            if (one["user"], one["permission"]) == self.named(name, right):
                one |= {"partial_permissions": partial} if partial else {}
                return one
        uid = self.kobo.uid("p")
        user, permission = self.named(name, right)
        self.rights[uid] = {
            "url": f"{self.kobo.url}/api/v2/assets/{self.uid}/permission-assignments/{uid}/",
            "user": user,
            "permission": permission,
            **({"partial_permissions": partial} if partial else {}),
            "label": right.replace("_", " ").capitalize(),
        }
        return self.rights[uid]

    def named(self, name: str, right: str) -> tuple[str, str]:
        base = f"{self.kobo.url}/api/v2"
        return f"{base}/users/{name}/", f"{base}/permissions/{right}/"

    def seen_by(self, user: str) -> bool:
        return user == "me_office" or any(
            one["user"].endswith(f"/{user}/") and "add_submissions" not in one["permission"]
            for one in self.rights.values()
        )

    def may_read_all(self, user: str) -> bool:
        right = self.named(user, "view_submissions")
        return user == "me_office" or any(
            (one["user"], one["permission"]) == right for one in self.rights.values()
        )

    def filters_of(self, user: str) -> list[Mapping[str, str]] | None:
        """The filters under which a user may read rows; None: not at all."""
        if self.may_read_all(user):
            return [{}]
        for one in self.rights.values():
            if one["user"].endswith(f"/{user}/") and "partial_permissions" in one:
                return list(one["partial_permissions"][0]["filters"])
        return None

    # ── rows ─────────────────────────────────────────────────────────────────────────────────────

    def data_answer(
        self, method: str, more: Sequence[str], query: dict[str, str], body: bytes, user: str
    ) -> Reply:
        """data/ and what is below it (073, 088-136)."""
        filters = self.filters_of(user)
        if filters is None:
            return Reply(404, {"detail": "Not found."})
        if not self.deployed:
            return Reply(400, {"detail": "The specified asset has not been deployed"})
        match [method, *more]:
            case ["GET"]:
                return Reply(*self.data({**query, "filters": orjson.dumps(filters).decode()}))
            case ["PATCH", "validation_statuses"]:
                given = orjson.loads(body)["payload"]
                for row_id in given["submission_ids"]:
                    self.review(row_id, given["validation_status.uid"][len("validation_status_") :])
                told = f"{len(given['submission_ids'])} submissions have been updated"
                return Reply(200, {"detail": told})
            case [_, name, *rest] if int(name.partition(".")[0]) in self.rows:
                return self.of_row(method, name, rest, body)
        return Reply(404, {"detail": "Not found."})

    def of_row(self, method: str, name: str, rest: Sequence[str], body: bytes) -> Reply:
        row_id = int(name.partition(".")[0])
        row = self.rows[row_id]
        match [method, *rest]:
            case ["GET"] if name.endswith(".xml"):
                if row_id not in self.documents:  # a phantom (274)
                    return Reply(404, b"<root><detail>Not found.</detail></root>", "application/xml")
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
        return Reply(404, {"detail": "Not found."})

    def data(self, query: dict[str, str]) -> tuple[int, object]:
        """A page of rows; what the recordings refuse is refused (089, 090, 100)."""
        if not query.get("limit", "1").isdigit() or query.get("limit") == "0":
            return 400, {"limit": ["A positive integer is expected"]}
        try:
            wanted = orjson.loads(query.get("query", "{}"))
        except ValueError:
            return 400, {"detail": "Invalid JSON"}
        filters = orjson.loads(query.get("filters", "[{}]"))
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
        return 200, {"count": len(rows), "next": more, "previous": None, "results": page}

    def review(self, row_id: int, status: str) -> None:
        super().review(row_id, status)
        row = self.rows[row_id]
        row["_validation_status"]["label"] = LABELS[status]
        self.happened("modify-submission", row, status=LABELS[status])

    def delete(self, row_id: int) -> None:
        self.happened("delete-submission", self.rows[row_id])
        self.documents.pop(row_id, None)
        super().delete(row_id)

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
        since = re.search(r'date_created__gt:"([^"]*)"', q)
        return [
            one
            for one in self.history
            if (not actions or one["action"] in actions)
            and (not since or one["date_created"].rstrip("Z") > since[1].rstrip("Z"))
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
        answers = dict(answers_of(root, "", self.repeats))
        meta = {k: v for k, v in answers.items() if k.startswith("meta/")}
        geo = next((answers[p] for p in self.binds("geopoint") if answers.get(p)), "")
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
            for place in places_of(root, "", self.binds("binary"), self.repeats, name):
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
            "filename": f"{folder}/{NO_MEDIA.sub('_', name)}",
            "mimetype": kinds.get(name.rpartition(".")[2], "image/png"),
        }

    # ── what the form says ───────────────────────────────────────────────────────────────────────

    def binds(self, kind: str) -> list[str]:
        """The paths of a data type in the deployed form."""
        found = etree.fromstring(self.xform.encode()).iter("{*}bind")
        return [
            str(bind.get("nodeset")).split("/", 2)[2]
            for bind in found
            if bind.get("type", "") == kind and str(bind.get("nodeset")).count("/") > 1
        ]

    @property
    def repeats(self) -> set[str]:
        found = etree.fromstring(self.xform.encode()).iter("{*}repeat")
        return {str(one.get("nodeset")).split("/", 2)[2] for one in found}


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


def answers_of(
    element: etree._Element, around: str, repeats: set[str]
) -> Iterator[tuple[str, Any]]:
    """Flat answers: full paths as keys, repeats as lists, the unanswered left out."""
    turns: dict[str, list[dict[str, Any]]] = {}
    for child in element.iterchildren("*"):
        name = etree.QName(child).localname
        path = f"{around}/{name}" if around else name
        if path in repeats:
            if path not in turns:
                turns[path] = []
                yield path, turns[path]
            turns[path].append(dict(answers_of(child, path, repeats)))
        elif len(child):
            yield from answers_of(child, path, repeats)
        elif child.text:
            yield path, child.text


def places_of(
    element: etree._Element, around: str, files: Sequence[str], repeats: set[str], name: str
) -> Iterator[str]:
    """Where a file's name answers a question, with the turn of each repeat (287)."""
    seen: dict[str, int] = {}
    for child in element.iterchildren("*"):
        tag = etree.QName(child).localname
        seen[tag] = seen.get(tag, 0) + 1
        place = f"{around}/{tag}" if around else tag
        plain = re.sub(r"\[\d+\]", "", place)
        if plain in repeats:
            place += f"[{seen[tag]}]"
        if len(child):
            yield from places_of(child, place, files, repeats, name)
        elif child.text == name and plain in files:
            yield place
