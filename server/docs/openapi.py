"""`/api/docs`: the API described for people, and for programs as an OpenAPI 3.1 document.

https://spec.openapis.org/oas/v3.1.0.html . Both are made of `server.docs.operations`, and open to
everybody: they tell how to ask, not what is here.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.answers import api
from server.docs.operations import OPERATIONS, Operation, words_of
from server.docs.shapes import SCHEMAS, Shape
from server.pages.render import browser, page

__all__ = ["document", "routes"]

PARAMETERS = {
    "uid": "uid of the form (of the import, in /imports/)",
    "row": "`_id`, or any uuid the submission ever had",
    "file": "uid of the file",
    "size": "large, medium or small",
}
REFUSALS = {
    400: "the request cannot be read, or what it asks is not known here; the answer says why",
    401: "no credentials, or wrong ones",
    403: "known, but not allowed",
    404: "not there, or not for this visitor",
    405: "not possible in this state",
    409: "the form has been changed meanwhile; ask for its present version",
    413: "larger than the server takes",
    415: "a body of another content type",
    416: "a range the file does not have",
    429: "too many failed sign-ins; `Retry-After` says when to try again",
    503: "too many others are waiting; `Retry-After` says when to ask again",
}


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "watphon form server",
            "version": "2",
            "description": "A documented subset of KoboToolbox's API v2. "
            "Sign in by the header Authorization: Token …, or by Basic over HTTPS or on this machine.",
        },
        "security": [{"token": []}, {"basic": []}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`Token ` and 40 hex digits",
                },
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
    }


def described(operation: Operation) -> dict[str, Any]:
    """An operation in OpenAPI's words."""
    made: dict[str, Any] = {
        **words_of(operation),
        "operationId": operation_id(operation),
        "parameters": [
            *(
                parameter(name, "path", {"type": "string"}, PARAMETERS[name])
                for name in re.findall(r"{(\w+)}", operation.path)
            ),
            *(parameter(name, "query", shape, words) for name, shape, words in operation.query),
        ],
        "responses": {str(operation.status): good(operation)}
        | {str(status): refusal(operation, status) for status in refusals(operation)},
    }
    if operation.bodies:
        made["requestBody"] = {
            "required": True,
            "content": {kind: {"schema": shape} for kind, shape in operation.bodies.items()},
        }
    return made


def operation_id(operation: Operation) -> str:
    """A name for code generators: `get_assets_uid_data`."""
    return "_".join([operation.method, *re.findall(r"[a-z_]+", operation.path.split("v2/")[-1])])


def parameter(name: str, place: str, shape: Shape, words: str) -> dict[str, Any]:
    made = {"name": name, "in": place, "schema": shape, "description": words}
    return {**made, "required": True} if place == "path" else made


def good(operation: Operation) -> dict[str, Any]:
    if operation.answer is None:
        return {"description": "done"}
    kind, shape = operation.answer
    return {"description": "the answer", "content": {kind: {"schema": shape}}}


def refusals(operation: Operation) -> list[int]:
    """Statuses other than the good one that a caller must expect."""
    return sorted({400, 401, 404, *operation.refusals})


def refusal(operation: Operation, status: int) -> dict[str, Any]:
    """A refusal comes in JSON, or in XML where the answer itself would be XML."""
    shape = {"schema": {"$ref": "#/components/schemas/Refusal"}}
    in_xml = operation.answer is not None and operation.answer[0] == "application/xml"
    content = {"application/xml": {}} if in_xml else {"application/json": shape}
    return {"description": REFUSALS[status], "content": content}


async def openapi(request: Request) -> Response:
    """GET /api/docs/openapi.json."""
    return Response(orjson.dumps(document()), media_type="application/json")


async def docs(request: Request) -> Response:
    """GET /api/docs: the same for people."""
    return page(
        request,
        "api_docs.html",
        document=document(),
        operations=OPERATIONS,
        schema_of=schema_text,
    )


def schema_text(shape: Shape) -> str:
    """A schema as people read it; one told by its name is looked up."""
    name = str(shape.get("$ref", "")).rpartition("/")[2]
    return orjson.dumps(SCHEMAS.get(name, shape), option=orjson.OPT_INDENT_2).decode()


def routes() -> list[Route]:
    """The documentation's addresses."""
    return [Route("/api/docs", browser(docs)), Route("/api/docs/openapi.json", api(openapi))]
