"""POST /submission: read an instance document, render its row, hand both to the inbox.

The document is kept as it came; what cannot be read is refused with a reason and leaves nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from forms.instance import Envelope, envelope, from_xml, parse_xml, to_kobo
from forms.model import Form, Submission
from forms.problems import Problem
from server.answers import Refusal, openrosa
from server.board.places import Places
from server.house import House, house_of, phone_url
from server.people.rights import Right, Visitor
from server.phones.large import aside, refuse_heavy, refuse_winding
from server.phones.scope import note_outside, refuse_form
from server.state.catalogue import Deployed
from server.state.filing import normal_name
from server.state.settle import Arrival, Place
from server.uploads import Upload, file_name, read_upload
from server.web.devices import told, told_device

__all__ = ["submission_head", "submission_post"]

DOCUMENT = "xml_submission_file"
IN_MEMORY = frozenset({DOCUMENT})
SPLICED = (
    "_id",
    "_uuid",
    "meta/rootUuid",
    "_attachments",
    "_submission_time",
    "_date_modified",
    "_submitted_by",
    "_validation_status",
)
"""Keys of a row that only storing decides; they are put in when the row is read."""
NO_FORM = (
    "There is no form with this id on the server. Ask the office; keep the record on the phone. "
    "/ ไม่มีแบบนี้บนเซิร์ฟเวอร์ โปรดแจ้งสำนักงาน และเก็บข้อมูลไว้ในโทรศัพท์ก่อน"
)
MAY_NOT_CORRECT = (
    "A record that was sent cannot be corrected with this key or account; ask the office. "
    "/ กุญแจหรือบัญชีนี้แก้ไขข้อมูลที่ส่งแล้วไม่ได้ โปรดแจ้งสำนักงาน"
)
INSTANCE_ID = re.compile(r"""[^\s"'\\<>&\x00-\x1f\x7f]{1,200}""")

METADATA = (
    '\n    <submissionMetadata xmlns="http://www.opendatakit.org/xforms" id="{uid}"'
    ' instanceID="uuid:{instance_id}" submissionDate="{submitted}" isComplete="true"'
    ' markedAsCompleteDate="{now}"/>'
)


async def submission_head(request: Request) -> Response:
    """HEAD /submission: may I send, where to, and how much at once."""
    visitor = await house_of(request).doorkeeper.phone_visitor(request)
    told(request, visitor, told_device(request), sent=False)
    return Response(status_code=204, headers={"Location": f"{phone_url(request)}/submission"})


async def submission_post(request: Request) -> Response:
    """POST /submission: take one submission; 201 once it is on disk."""
    house = house_of(request)
    visitor = await house.doorkeeper.phone_visitor(request)
    upload = await read_upload(request, house.blobs, in_memory=IN_MEMORY)
    try:
        return await taken(request, house, visitor, upload)
    finally:
        upload.discard()


async def taken(request: Request, house: House, visitor: Visitor, upload: Upload) -> Response:
    """Read, render and store an uploaded submission."""
    document = upload.fields.get(DOCUMENT)
    if document is None:
        raise Refusal(400, f"There is no {DOCUMENT} part in the request.")
    root = await aside(len(document), parsed, document)
    about = envelope(root)
    deployed = await house.catalogue.current(about.form_id, about.deployment_uuid, about.version)
    if deployed is None:
        raise Refusal(404, NO_FORM)
    refuse_form(visitor, deployed.form_id)
    if about.deprecated_id and not visitor.may(Right.CORRECT):
        raise Refusal(403, MAY_NOT_CORRECT)
    if not about.instance_id:
        raise Refusal(400, "Instance ID is required")
    if not all(INSTANCE_ID.fullmatch(i) for i in (about.instance_id, about.deprecated_id or "-")):
        raise Refusal(400, "instanceID or deprecatedID is not a URI of at most 200 characters")
    form = house.catalogue.known_form(deployed, about.version)
    if form is None:
        form = await asyncio.to_thread(house.catalogue.parse, deployed, about.version)
    mentioned: dict[str, str] = {}
    if upload.files or about.deprecated_id:
        mentioned = await aside(len(document), lambda: dict(mentions(root)))
    files = tuple(staged for _, staged in upload.files if normal_name(staged.name) in mentioned)
    device = told_device(request)
    body, place = await aside(
        len(document), rendered, root, about, form, deployed, house.places, device
    )
    receipt = await house.inbox.take(
        Arrival(
            asset_id=deployed.asset_id,
            instance_id=about.instance_id,
            deprecated_id=about.deprecated_id,
            digest=hashlib.sha256(document).digest(),
            xml=document,
            body=body,
            submitter=visitor.name,
            files=files,
            references=mentioned,
            place=place,
            provinces=visitor.provinces,
        )
    )
    if receipt.status in (201, 202):
        told(request, visitor, device, sent=True)
    more = ""
    if receipt.status == 201:
        if place.province and not visitor.sees_province(place.province):
            await note_outside(house, visitor, deployed.form_id, about.instance_id, place.province)
        more = METADATA.format(
            uid=deployed.uid,
            instance_id=about.instance_id,
            submitted=f"{receipt.submitted_at}+00:00",
            now=datetime.now(UTC).isoformat(),
        )
    location = {"Location": f"{phone_url(request)}/submission"}
    return openrosa(receipt.words, receipt.status, location, more)


def parsed(document: bytes) -> Any:
    """The root element of a document; raises `Refusal` 400, or 413 for what is beyond measure."""
    refuse_heavy(document)
    try:
        root = parse_xml(document)
    except Problem as problem:
        raise Refusal(400, f"Improperly formatted XML: {problem.findings[0].what}.") from problem
    refuse_winding(root, len(document))
    return root


def rendered(
    root: Any, about: Envelope, form: Form, deployed: Deployed, places: Places, device: str
) -> tuple[bytes, Place]:
    """The JSON row of a submission, without the keys that storing decides, and where it is from."""
    submission = from_xml(root, form, about)
    row = to_kobo(submission)
    for key in SPLICED:
        row.pop(key, None)
    row["formhub/uuid"] = deployed.deployment_uuid
    row["_xform_id_string"] = deployed.uid
    row["_status"] = "submitted_via_web"
    row["_geolocation"] = geolocation(submission, form)
    place = places.of(deployed.form_id, form, submission.record.answers, device)
    return orjson.dumps(row), place


def geolocation(submission: Submission, form: Form) -> list[float | None]:
    """Latitude and longitude of the form's first place outside repeats, as KoboToolbox gives it."""
    for question in form.questions:
        if question.type == "geopoint" and not question.repeat:
            parts = submission.record.answers.get(question.path, "").split()
            try:
                return [float(parts[0]), float(parts[1])]
            except (ValueError, IndexError):
                break
    return [None, None]


def mentions(root: Any) -> Iterator[tuple[str, str]]:
    """Every short answer (it may name a file) of a parsed document with its question's path.

    Turns of a repeat are numbered from 1 where there are several: `tree[2]/photo`.
    """
    stack: list[tuple[Any, str]] = [(root, "")]
    while stack:
        element, path = stack.pop()
        seen: dict[str, int] = {}
        names = Counter(
            child.tag.rpartition("}")[2] for child in element if isinstance(child.tag, str)
        )
        for child in element:
            if not isinstance(child.tag, str):
                continue
            name = child.tag.rpartition("}")[2]
            seen[name] = seen.get(name, 0) + 1
            step = f"{name}[{seen[name]}]" if names[name] > 1 else name
            stack.append((child, f"{path}/{step}" if path else step))
        if not len(element) and element.text and len(element.text) <= 1000:
            yield normal_name(file_name(element.text)), path
