"""The shapes of the API's answers and bodies, as JSON Schema (OpenAPI 3.1 `components.schemas`).

An object lists the keys a client may count on; KoboToolbox's objects carry more, so none is closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["SCHEMAS", "Shape", "a_list_of", "ref"]

Shape = Mapping[str, Any]

TEXT: Shape = {"type": "string"}
NUMBER: Shape = {"type": "integer"}
FLAG: Shape = {"type": "boolean"}
TEXT_OR_NULL: Shape = {"type": ["string", "null"]}


def ref(name: str) -> Shape:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def an_object(required: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None) -> Shape:
    """An object with these keys; those of `optional` may be absent."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
    }


def a_list_of(name: str) -> Shape:
    """A page of results: how many there are in all, and where the neighbouring pages stand."""
    return an_object(
        {
            "count": NUMBER,
            "next": TEXT_OR_NULL,
            "previous": TEXT_OR_NULL,
            "results": {"type": "array", "items": ref(name)},
        }
    )


SCHEMAS: Mapping[str, Shape] = {
    "Refusal": {
        "description": "What is wrong, under `detail` or under the name of the field it is about.",
        "type": "object",
    },
    "Token": an_object({"token": TEXT}),
    "Me": an_object({"username": TEXT, "is_superuser": FLAG, "server_time": TEXT}),
    "Asset": an_object(
        {
            "uid": TEXT,
            "url": TEXT,
            "name": TEXT,
            "asset_type": TEXT,
            "form_id": TEXT,
            "owner__username": TEXT,
            "settings": {"type": "object"},
            "summary": {"type": "object"},
            "date_created": TEXT,
            "date_modified": TEXT,
            "date_deployed": TEXT_OR_NULL,
            "version_id": TEXT,
            "version_count": NUMBER,
            "has_deployment": FLAG,
            "deployed_version_id": TEXT_OR_NULL,
            "deployment__active": FLAG,
            "deployment__uuid": TEXT_OR_NULL,
            "deployment__submission_count": NUMBER,
            "deployment_status": {"enum": ["draft", "deployed", "archived"]},
        },
        {
            "content": {"type": "object", "description": "survey, choices, settings"},
            "files": {"type": "array", "items": ref("File")},
            "deployed_versions": {"type": "object"},
        },
    ),
    "NewAsset": an_object(
        {"asset_type": {"const": "survey"}}, {"name": TEXT, "settings": {"type": "object"}}
    ),
    "AssetChange": an_object({}, {"name": TEXT, "settings": {"type": "object"}}),
    "Import": an_object(
        {
            "uid": TEXT,
            "status": {"enum": ["processing", "complete", "error"]},
        },
        {"url": TEXT, "messages": {"type": "object"}, "date_created": TEXT},
    ),
    "Deployment": an_object(
        {"backend": TEXT, "active": FLAG, "version_id": TEXT_OR_NULL, "asset": ref("Asset")}
    ),
    "DeploymentChange": an_object({}, {"active": FLAG, "version_id": TEXT}),
    "File": an_object(
        {
            "uid": TEXT,
            "url": TEXT,
            "file_type": {"const": "form_media"},
            "description": TEXT,
            "date_created": TEXT,
            "content": TEXT,
            "metadata": an_object({"hash": TEXT, "filename": TEXT, "mimetype": TEXT}),
        }
    ),
    "Row": {
        **an_object(
            {
                "_id": NUMBER,
                "_uuid": TEXT,
                "meta/rootUuid": TEXT,
                "_validation_status": ref("Status"),
            },
            {
                "_submission_time": TEXT,
                "_date_modified": TEXT,
                "_submitted_by": TEXT_OR_NULL,
                "_attachments": {"type": "array", "items": {"type": "object"}},
                "_geolocation": {"type": "array"},
            },
        ),
        "description": "A submission: beside these keys one per answer, by the question's path; "
        "answers are text, repeats lists of objects.",
    },
    "Status": an_object({}, {"uid": TEXT, "label": TEXT, "by_whom": TEXT, "timestamp": NUMBER}),
    "StatusChange": an_object(
        {
            "validation_status.uid": {
                "enum": [
                    "validation_status_approved",
                    "validation_status_not_approved",
                    "validation_status_on_hold",
                ]
            }
        }
    ),
    "Bulk": an_object(
        {
            "payload": an_object(
                {
                    "submission_ids": {
                        "type": "array",
                        "items": {"type": "integer", "minimum": 0},
                        "minItems": 1,
                        "maxItems": 10_000,
                    }
                },
                {"validation_status.uid": TEXT},
            )
        }
    ),
    "Told": an_object({"detail": TEXT}),
    "Change": an_object(
        {
            "username": TEXT_OR_NULL,
            "action": TEXT,
            "metadata": {"type": "object"},
            "date_created": TEXT,
        }
    ),
    "Actions": an_object({"actions": {"type": "array", "items": TEXT}}),
    "ImportRequest": {
        **an_object(
            {},
            {
                "name": {**TEXT, "description": "a file name; the form's title where it has none"},
                "library": {"enum": ["true", "false"]},
                "destination": {**TEXT, "description": "address of the asset to replace"},
                "base64Encoded": {**TEXT, "description": "the .xlsx as base64 or a data: address"},
            },
        ),
        "description": "A workbook becomes an asset, or replaces one's content.",
    },
    "ImportUpload": an_object(
        {"file": {"type": "string", "format": "binary"}},
        {"name": TEXT, "library": TEXT, "destination": TEXT},
    ),
    "NewFile": an_object(
        {
            "file_type": {"const": "form_media"},
            "metadata": an_object({"filename": TEXT}),
            "base64Encoded": TEXT,
        },
        {"description": TEXT},
    ),
    "NewFileUpload": an_object(
        {
            "file_type": {"const": "form_media"},
            "metadata": {**TEXT, "description": 'JSON: {"filename": "places.csv"}'},
            "content": {"type": "string", "format": "binary"},
        },
        {"description": TEXT},
    ),
}
