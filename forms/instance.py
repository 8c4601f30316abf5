"""One codec for answers: XForm instance XML ↔ `Submission` ↔ KoboToolbox's flat JSON row.

Whatever a phone writes is read back equal from either side: groups, nested repeats, select_multiple,
attachments, edits (`deprecatedID`). XML from the network is parsed without DTD, entities or network
access; a document that needs them is refused. Values are neither typed nor validated here.

Instance documents: https://getodk.github.io/xforms-spec/#instance ,
https://docs.getodk.org/openrosa-metadata/ . The JSON row is the one KoboToolbox's data API answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from forms.model import Attachment, Form, Node, Record, Submission
from forms.problems import InstanceProblem

__all__ = ["Envelope", "envelope", "from_kobo", "from_xml", "parse_xml", "to_kobo", "to_xml"]

NAMESPACES = 'xmlns:jr="http://openrosa.org/javarosa" xmlns:orx="http://openrosa.org/xforms"'
ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters no XML 1.0 document can hold (https://www.w3.org/TR/xml/#charsets)."""

ENVELOPE_KEYS = frozenset(
    {
        "_id",
        "_uuid",
        "_xform_id_string",
        "_attachments",
        "_status",
        "_geolocation",
        "_submission_time",
        "_submitted_by",
        "_validation_status",
        "_date_modified",
        "_supplementalDetails",
        "_tags",
        "_notes",
        "__version__",
        "formhub/uuid",
        "meta/instanceID",
        "meta/instanceName",
        "meta/deprecatedID",
        "meta/rootUuid",
    }
)


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who an instance document says it is; ids without `uuid:`, `""` where absent."""

    form_id: str
    version: str
    instance_id: str
    deprecated_id: str
    deployment_uuid: str
    meta: Mapping[str, str]
    """The whole meta block (`instanceName`, `audit` …) as text."""


def refused(what: str) -> InstanceProblem:
    """The problem of an instance document that cannot be taken."""
    return InstanceProblem.at("instance", what, "send the form again", code="instance_refused")


def parse_xml(data: bytes) -> etree._Element:
    """The root element of an instance document.

    Raises `InstanceProblem` when it is empty, not UTF-8, not well-formed, nested deeper than libxml2
    allows (256), or carries a document type (entities are never expanded, nothing is fetched).
    """
    if not data.strip():
        raise refused("the document is empty")
    if b"\x00" in data:
        raise refused("the document holds a NUL character")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise refused(f"the document is not UTF-8 (byte {error.start})") from error
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise refused("the document declares a document type or entities")
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise refused(f"the document is not well-formed XML ({error.msg})") from error


def local(tag: Any) -> str:
    """An element's name without its namespace."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def bare(identifier: str | None) -> str:
    """`uuid:abc` and `abc` are one id: `abc`."""
    return (identifier or "").strip().removeprefix("uuid:")


def block_of(root: etree._Element, name: str) -> dict[str, str]:
    """What stands in the document's first element of a name (`meta`, `formhub`), as text."""
    block = next(root.iterchildren(f"{{*}}{name}"), ())
    return {local(item.tag): item.text or "" for item in block}


def envelope(root: etree._Element) -> Envelope:
    """Form, version and ids of a parsed instance document."""
    meta = block_of(root, "meta")
    deployment = block_of(root, "formhub").get("uuid", "")
    return Envelope(
        form_id=root.get("id") or local(root.tag),
        version=root.get("version") or "",
        instance_id=bare(meta.get("instanceID")),
        deprecated_id=bare(meta.get("deprecatedID")),
        deployment_uuid=deployment.strip(),
        meta=meta,
    )


def from_xml(data: bytes | etree._Element, form: Form, about: Envelope | None = None) -> Submission:
    """The submission an instance document holds; `root_id` is its own id until a server knows better.

    `form` tells which elements repeat. Elements the form does not know are kept as answers. `about`
    is the document's envelope, where it has been read already.
    Raises `InstanceProblem` as `parse_xml` does.
    """
    root = parse_xml(data) if isinstance(data, bytes) else data
    repeats = frozenset(form.repeats)
    about = about or envelope(root)
    answers: dict[str, str] = {}
    turns: dict[str, list[Record]] = {}
    for child in root:
        name = local(child.tag)
        if name not in ("meta", "formhub", "__version__"):
            read(child, name, repeats, answers, turns)
    for name, value in about.meta.items():
        if name not in ("instanceID", "deprecatedID", "instanceName", "rootUuid") and value.strip():
            answers[f"meta/{name}"] = value
    return Submission(
        form_id=about.form_id,
        version=about.version,
        root_id=about.instance_id,
        instance_id=about.instance_id,
        deprecated_id=about.deprecated_id,
        instance_name=about.meta.get("instanceName", "").strip(),
        record=Record(answers, {path: tuple(records) for path, records in turns.items()}),
    )


def read(
    element: etree._Element,
    path: str,
    repeats: frozenset[str],
    answers: dict[str, str],
    turns: dict[str, list[Record]],
) -> None:
    """Put one element into the record that is being read."""
    if path in repeats:
        inner: dict[str, str] = {}
        deeper: dict[str, list[Record]] = {}
        for child in element:
            read(child, f"{path}/{local(child.tag)}", repeats, inner, deeper)
        turns.setdefault(path, []).append(
            Record(inner, {key: tuple(value) for key, value in deeper.items()})
        )
    elif len(element):
        for child in element:
            read(child, f"{path}/{local(child.tag)}", repeats, answers, turns)
    elif element.text and element.text.strip():
        answers[path] = element.text


def to_xml(submission: Submission, form: Form) -> bytes:
    """The instance document as a phone writes it: every node of the form in order, empty ones too.

    Root element and id are `submission.form_id`. Answers to questions the form does not have are not
    written, as on a phone. Raises `InstanceProblem` for characters XML cannot hold.
    """
    name = submission.form_id
    parts = [
        f"<?xml version='1.0' encoding='UTF-8'?><{name} {NAMESPACES} "
        f"id={quoteattr(name)} version={quoteattr(submission.version)}>"
    ]
    for node in form.tree:
        write(node, submission.record, parts)
    parts.append(f"<meta><instanceID>uuid:{escaped(submission.instance_id)}</instanceID>")
    if submission.deprecated_id:
        parts.append(f"<deprecatedID>uuid:{escaped(submission.deprecated_id)}</deprecatedID>")
    if submission.instance_name:
        parts.append(f"<instanceName>{escaped(submission.instance_name)}</instanceName>")
    if audit := submission.record.answers.get("meta/audit"):
        parts.append(f"<audit>{escaped(audit)}</audit>")
    parts.append(f"</meta></{name}>")
    document = "".join(parts)
    if found := ILLEGAL.search(document):
        raise refused(f"an answer holds the character U+{ord(found[0]):04X}, which XML cannot hold")
    return document.encode()


def escaped(value: str) -> str:
    """Text inside an element; a bare carriage return would come back as a line feed (XML 1.0, 2.11)."""
    return escape(value, {"\r": "&#13;"})


def write(node: Node, record: Record, parts: list[str]) -> None:
    """Append the element(s) of one node of the form."""
    question = node.question
    name = question.name
    if question.type == "begin_repeat":
        for turn in record.repeats.get(question.path, ()):
            parts.append(f"<{name}>")
            for child in node.children:
                write(child, turn, parts)
            parts.append(f"</{name}>")
    elif node.children:
        parts.append(f"<{name}>")
        for child in node.children:
            write(child, record, parts)
        parts.append(f"</{name}>")
    elif value := record.answers.get(question.path):
        parts.append(f"<{name}>{escaped(value)}</{name}>")
    else:
        parts.append(f"<{name}/>")


def to_kobo(submission: Submission) -> dict[str, Any]:
    """The row KoboToolbox's data API gives for a submission; unanswered questions are absent."""
    row: dict[str, Any] = {"_id": submission.row_id}
    row.update(flat(submission.record))
    row["__version__"] = submission.version
    row["meta/instanceID"] = f"uuid:{submission.instance_id}"
    if submission.deprecated_id:
        row["meta/deprecatedID"] = f"uuid:{submission.deprecated_id}"
    if submission.instance_name:
        row["meta/instanceName"] = submission.instance_name
    row |= {
        "_xform_id_string": submission.form_id,
        "_uuid": submission.instance_id,
        "meta/rootUuid": f"uuid:{submission.root_id}",
        "_attachments": [
            {
                "download_url": attachment.url,
                "mimetype": attachment.media_type,
                "media_file_basename": attachment.name,
                "question_xpath": attachment.question,
                "is_deleted": attachment.deleted,
            }
            for attachment in submission.attachments
        ],
        "_submission_time": submission.submitted_at,
        "_submitted_by": submission.submitter or None,
        "_validation_status": (
            {"uid": f"validation_status_{submission.status}"} if submission.status else {}
        ),
    }
    return row


def flat(record: Record) -> dict[str, Any]:
    """A record as KoboToolbox nests it: full paths as keys, repeats as lists of the same."""
    return {
        **record.answers,
        **{path: [flat(turn) for turn in turns] for path, turns in record.repeats.items()},
    }


def from_kobo(row: Mapping[str, Any]) -> Submission:
    """The submission in a row of KoboToolbox's data API (values of any JSON type become text)."""
    status = row.get("_validation_status") or {}
    instance_id = bare(row.get("meta/instanceID") or row.get("_uuid"))
    return Submission(
        form_id=str(row.get("_xform_id_string") or ""),
        version=str(row.get("__version__") or ""),
        root_id=bare(row.get("meta/rootUuid")) or instance_id,
        instance_id=instance_id,
        deprecated_id=bare(row.get("meta/deprecatedID")),
        instance_name=str(row.get("meta/instanceName") or ""),
        record=unflat(row),
        row_id=int(row.get("_id") or 0),
        submitted_at=str(row.get("_submission_time") or ""),
        submitter=str(row.get("_submitted_by") or ""),
        status=str(status.get("uid") or "").removeprefix("validation_status_"),
        attachments=tuple(attachments(row)),
    )


def attachments(row: Mapping[str, Any]) -> Iterator[Attachment]:
    """The attachments a row lists, the deleted ones marked."""
    for item in row.get("_attachments") or ():
        yield Attachment(
            name=item.get("media_file_basename") or item.get("filename", "").rpartition("/")[2],
            question=item.get("question_xpath") or "",
            media_type=item.get("mimetype") or "application/octet-stream",
            url=item.get("download_url") or "",
            deleted=bool(item.get("is_deleted")),
        )


def unflat(row: Mapping[str, Any]) -> Record:
    """The record in a flat row or in one turn of a repeat."""
    answers: dict[str, str] = {}
    repeats: dict[str, tuple[Record, ...]] = {}
    for key, value in row.items():
        if key in ENVELOPE_KEYS or value is None or value == "":
            continue
        if isinstance(value, str):
            answers[key] = value
        elif isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
            repeats[key] = tuple(unflat(turn) for turn in value)
        elif isinstance(value, list):
            answers[key] = " ".join(str(part) for part in value)
        else:
            answers[key] = str(value)
    return Record(answers, repeats)
