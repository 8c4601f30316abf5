"""Doors into the phones' addresses, by key, token and password, and what ODK Collect does there."""

from __future__ import annotations

import base64
import uuid
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests
from office import SURVEY, Office, RunningServer, workbook
from visitors import PASSWORD, add_account, in_store, key

from server.people import accounts

__all__ = [
    "DOORS",
    "LIST",
    "MANIFEST",
    "Door",
    "collect_posts",
    "door_of",
    "listed",
    "media_of",
    "message",
]

LIST = "{http://openrosa.org/xforms/xformsList}"
MANIFEST = "{http://openrosa.org/xforms/xformsManifest}"
DOORS = ("key", "token", "basic")

Part = tuple[str, tuple[str, bytes, str]]


@dataclass(frozen=True)
class Door:
    """A way in: what addresses begin with and what every request carries."""

    base: str
    headers: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        """One request, as a phone makes it; no redirect is followed."""
        headers = {"X-OpenRosa-Version": "1.0", **self.headers, **more.pop("headers", {})}
        address = path if path.startswith("http") else self.base + path
        return requests.request(
            method, address, headers=headers, timeout=60, allow_redirects=False, **more
        )

    def send(self, document: bytes, *parts: Part, path: str = "/submission") -> requests.Response:
        """POST an instance and further parts."""
        first = ("xml_submission_file", ("instance.xml", document, "text/xml"))
        return self.call("POST", path, files=[first, *parts])


def door_of(server: RunningServer, way: str, **bounds: Any) -> Door:
    """A way in of `DOORS`; `bounds` are those of a key (`keys.mint_key`)."""
    if way == "key":
        return Door(f"{server.url}/key/{key(server, **bounds)[1]}")
    add_account(server, "sender", "facilitator", ("50", "51"))
    if way == "basic":
        encoded = base64.b64encode(f"sender:{PASSWORD}".encode()).decode()
        return Door(server.url, {"Authorization": f"Basic {encoded}"})

    def mint(connection: Any) -> str:
        return accounts.mint_token(connection, "sender", now=datetime.now(UTC))

    return Door(server.url, {"Authorization": f"Token {in_store(server, mint)}"})


def listed(answer: requests.Response) -> list[dict[str, str]]:
    """The forms of a form list by the names of their elements, as Collect reads it."""
    root = ElementTree.fromstring(answer.content)
    assert root.tag == f"{LIST}xforms"
    return [{child.tag.removeprefix(LIST): child.text or "" for child in form} for form in root]


def media_of(answer: requests.Response) -> list[dict[str, str]]:
    """The files of a manifest."""
    root = ElementTree.fromstring(answer.content)
    assert root.tag == f"{MANIFEST}manifest"
    return [{child.tag.removeprefix(MANIFEST): child.text or "" for child in file} for file in root]


def message(answer: requests.Response) -> str:
    """What Collect shows of an answer: the `message` of its envelope."""
    root = ElementTree.fromstring(answer.content)
    assert root.tag == "{http://openrosa.org/http/response}OpenRosaResponse"
    return root.findtext("{http://openrosa.org/http/response}message") or ""


def collect_posts(
    document: bytes, files: Sequence[tuple[str, bytes, str]], limit: int
) -> Iterator[list[Part]]:
    """The further parts of each POST that Collect makes of a record's files.

    As in its `OkHttpConnection.uploadSubmissionAndFiles`: files go in until the next would make the
    sum of their bytes larger than the server's stated limit, or 101 are in; every POST but the last
    carries a part `*isIncomplete*`.
    """
    at = 0
    while True:
        parts: list[Part] = []
        size = len(document)
        while at < len(files):
            name, content, kind = files[at]
            parts.append((name, (name, content, kind)))
            size += len(content)
            at += 1
            if at < len(files) and (len(parts) > 100 or size + len(files[at][1]) > limit):
                # a field without a file name
                parts.append(("*isIncomplete*", (None, b"yes", "")))  # type: ignore[arg-type]
                break
        yield parts
        if at >= len(files):
            return


@dataclass(frozen=True)
class Place:
    """A server with a form in two versions, a closed one and a draft; and three doors."""

    server: RunningServer
    office: Office
    uid: str
    old_version: str
    version: str
    closed: str
    draft: str
    doors: dict[str, Door]


def furnished(server: RunningServer) -> Place:
    office = Office(server.url, server.token)
    uid = office.publish()
    (first,) = listed(office.call("GET", "/formList"))
    survey = (*SURVEY[:-1], SURVEY[-1], ("text", "more", "อื่น ๆ", "More", None))
    office.import_form(workbook(survey=survey), destination=f"{server.url}/api/v2/assets/{uid}/")
    path = f"/api/v2/assets/{uid}/"
    version_id = office.get(path)["version_id"]
    patched = office.call(
        "PATCH", f"{path}deployment/", json={"active": True, "version_id": version_id}
    )
    assert patched.status_code == 200, patched.text
    (second,) = listed(office.call("GET", "/formList"))
    closed = office.publish()
    done = office.call("PATCH", f"/api/v2/assets/{closed}/deployment/", json={"active": False})
    assert done.status_code == 200
    draft = office.import_form(workbook())
    doors = {kind: door_of(server, kind) for kind in DOORS}
    return Place(server, office, uid, first["version"], second["version"], closed, draft, doors)


def new() -> str:
    return str(uuid.uuid4())


def row(place: Place, instance_id: str) -> dict[str, Any]:
    return place.office.get(f"/api/v2/assets/{place.uid}/data/{instance_id}/")
