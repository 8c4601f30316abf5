"""The operations of the API, address by address: parameters, bodies, answers, who may call.

`tests/test_server_docs.py` holds this table against the routes, and schemathesis holds the running
server against the document that is made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from server.docs.shapes import Shape, a_list_of, ref

__all__ = ["OPERATIONS", "Operation"]

V2 = "/api/v2"
ASSETS = f"{V2}/assets"
ASSET = f"{ASSETS}/{{uid}}"
FILE = f"{ASSET}/files/{{file}}"
DATA = f"{ASSET}/data"
ROW = f"{DATA}/{{row}}"

JSON = "application/json"
XML = "application/xml"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

MANAGE = "admin"
READ = "admin, province team (rows of its provinces), evaluator (answers without identities)"
WHOLE = "admin, province team (its provinces)"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address.

    `answer` is the content type and schema of the good answer (None: no body); `refusals` are the
    further statuses a caller must expect, beyond 400, 401 and 404.
    """

    method: str
    path: str
    title: str
    who: str
    answer: tuple[str, Shape] | None
    words: str = ""
    status: int = 200
    query: tuple[tuple[str, Shape, str], ...] = ()
    bodies: Mapping[str, Shape] = field(default_factory=dict)
    refusals: tuple[int, ...] = ()


START = ("start", {"type": "integer", "minimum": 0}, "how many to skip")
LIMIT = ("limit", {"type": "integer", "minimum": 1, "maximum": 1000}, "most to tell, 100 if absent")
FORMAT = ("format", {"enum": ["json"]}, "only json")

BINARY: Shape = {"type": "string", "format": "binary"}
TEXT: Shape = {"type": "string"}
ANY: Shape = {"type": "object"}

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "get",
        "/token/",
        "A token for Basic credentials",
        "whoever has an account",
        (JSON, ref("Token")),
        "Basic sign-in (over HTTPS or on this machine) mints a new token; a token is told back.",
        refusals=(429,),
    ),
    Operation("get", "/me/", "Whose credentials these are", "any account", (JSON, ref("Me"))),
    Operation(
        "get",
        f"{ASSETS}/",
        "The forms",
        READ,
        (JSON, a_list_of("Asset")),
        "Without credentials the list is empty, as on KoboToolbox.",
        query=(
            START,
            LIMIT,
            ("q", TEXT, "`field:value` terms with AND, OR, parentheses; plain words: in the name"),
            (
                "ordering",
                {"enum": ["name", "uid", "date_created", "date_modified", "-date_modified"]},
                "-date_modified if absent",
            ),
        ),
    ),
    Operation(
        "get", f"{ASSETS}.json", "The forms", READ, (JSON, a_list_of("Asset")), query=(START, LIMIT)
    ),
    Operation(
        "post",
        f"{ASSETS}/",
        "An empty form",
        MANAGE,
        (JSON, ref("Asset")),
        "Its content comes by an import with this asset as destination.",
        201,
        bodies={JSON: ref("NewAsset")},
        refusals=(415,),
    ),
    Operation(
        "get",
        f"{ASSET}/",
        "A form with its content, files and versions",
        READ,
        (JSON, ref("Asset")),
    ),
    Operation("get", f"{ASSET}.json", "The same", READ, (JSON, ref("Asset"))),
    Operation(
        "patch",
        f"{ASSET}/",
        "Change name or settings",
        MANAGE,
        (JSON, ref("Asset")),
        bodies={JSON: ref("AssetChange")},
        refusals=(415,),
    ),
    Operation("delete", f"{ASSET}/", "Delete a form with all its data", MANAGE, None, status=204),
    Operation("get", f"{ASSET}.xml", "The deployed XForm", READ, (XML, TEXT)),
    Operation("get", f"{ASSET}.xls", "The workbook as imported last", READ, (XLSX, BINARY)),
    Operation(
        "post",
        f"{V2}/imports/",
        "Import a workbook (XLSForm)",
        MANAGE,
        (JSON, ref("Import")),
        "The work goes on behind: ask the import's address until it is complete or error.",
        201,
        bodies={FORM: ref("ImportRequest"), MULTIPART: ref("ImportUpload")},
        refusals=(413, 415, 503),
    ),
    Operation("get", f"{V2}/imports/{{uid}}/", "An import", MANAGE, (JSON, ref("Import"))),
    Operation("get", f"{ASSET}/deployment/", "The deployment", MANAGE, (JSON, ref("Deployment"))),
    Operation(
        "post",
        f"{ASSET}/deployment/",
        "Bring the form to the phones, the first time",
        MANAGE,
        (JSON, ref("Deployment")),
        bodies={JSON: ref("DeploymentChange")},
        refusals=(405, 409, 415),
    ),
    Operation(
        "patch",
        f"{ASSET}/deployment/",
        "Bring a new version, close or open the form",
        MANAGE,
        (JSON, ref("Deployment")),
        bodies={JSON: ref("DeploymentChange")},
        refusals=(405, 409, 415),
    ),
    Operation("get", f"{ASSET}/files/", "Media files of a form", MANAGE, (JSON, a_list_of("File"))),
    Operation(
        "post",
        f"{ASSET}/files/",
        "Add a media file",
        MANAGE,
        (JSON, ref("File")),
        "It reaches the phones at the next deployment.",
        201,
        bodies={JSON: ref("NewFile"), MULTIPART: ref("NewFileUpload")},
        refusals=(413, 415),
    ),
    Operation("get", f"{FILE}/", "A media file's description", MANAGE, (JSON, ref("File"))),
    Operation("delete", f"{FILE}/", "Remove a media file", MANAGE, None, status=204),
    Operation("get", f"{FILE}/content/", "A media file", MANAGE, ("*/*", BINARY), refusals=(416,)),
    Operation(
        "get",
        f"{DATA}/",
        "Submissions",
        READ,
        (JSON, a_list_of("Row")),
        "`query` knows $eq $ne $gt $gte $lt $lte $in $exists on top-level keys, and $and, $or around "
        "them; anything else is refused with the list of what is known.",
        query=(
            START,
            LIMIT,
            FORMAT,
            ("sort", TEXT, '`{"_id": 1}`, also _submission_time and _date_modified; 1 or -1'),
            ("fields", TEXT, 'a JSON list of keys, such as `["_id","_uuid"]`'),
            ("query", TEXT, 'JSON, such as `{"_date_modified":{"$gte":"2021-03-11T00:00:00"}}`'),
        ),
        refusals=(403,),
    ),
    Operation(
        "get", f"{DATA}.json", "Submissions", READ, (JSON, a_list_of("Row")), refusals=(403,)
    ),
    Operation(
        "get",
        f"{ROW}/",
        "A submission, by _id or by any of its uuids",
        READ,
        (JSON, ref("Row")),
        query=(FORMAT,),
        refusals=(403,),
    ),
    Operation("get", f"{ROW}.xml", "Its document as it came", WHOLE, (XML, TEXT), refusals=(403,)),
    Operation("delete", f"{ROW}/", "Delete a submission", MANAGE, None, status=204),
    Operation(
        "delete",
        f"{DATA}/bulk/",
        "Delete submissions, all of them or none",
        MANAGE,
        (JSON, ref("Told")),
        bodies={JSON: ref("Bulk")},
        refusals=(415,),
    ),
    Operation("get", f"{ROW}/validation_status/", "Validation status", READ, (JSON, ref("Status"))),
    Operation(
        "patch",
        f"{ROW}/validation_status/",
        "Set the validation status",
        READ,
        (JSON, ref("Status")),
        bodies={JSON: ref("StatusChange")},
        refusals=(415,),
    ),
    Operation(
        "delete", f"{ROW}/validation_status/", "Take the status away", READ, None, status=204
    ),
    Operation(
        "patch",
        f"{DATA}/validation_statuses/",
        "Set the status of many submissions",
        READ,
        (JSON, ref("Told")),
        bodies={JSON: ref("Bulk")},
        refusals=(415,),
    ),
    Operation(
        "delete",
        f"{DATA}/validation_statuses/",
        "Take the status of many submissions away",
        READ,
        (JSON, ref("Told")),
        bodies={JSON: ref("Bulk")},
        refusals=(415,),
    ),
    Operation(
        "get",
        f"{ROW}/attachments/",
        "The file that answers a question",
        READ,
        ("*/*", BINARY),
        query=(("xpath", TEXT, "path of the question, such as `tree[2]/pic`"),),
        refusals=(403, 416),
    ),
    Operation(
        "get", f"{ROW}/attachments/{{file}}/", "A file", READ, ("*/*", BINARY), refusals=(403, 416)
    ),
    Operation(
        "get",
        f"{ROW}/attachments/{{file}}/{{size}}/",
        "A file; every size gives it as it was sent",
        READ,
        ("*/*", BINARY),
        refusals=(403, 416),
    ),
    Operation(
        "get",
        f"{ASSET}/history/",
        "What happened to submissions, newest first",
        MANAGE,
        (JSON, a_list_of("Change")),
        query=(START, LIMIT, ("q", TEXT, "`action:…`, `date_created__gt:…`, AND, OR")),
        refusals=(403,),
    ),
    Operation(
        "get",
        f"{ASSET}/history/actions/",
        "The actions that are logged",
        MANAGE,
        (JSON, ref("Actions")),
        refusals=(403,),
    ),
)


def words_of(operation: Operation) -> dict[str, Any]:
    """What is said of an operation."""
    more = f"{operation.words}\n\n" if operation.words else ""
    return {"summary": operation.title, "description": f"{more}Who may: {operation.who}."}
