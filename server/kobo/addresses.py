"""The subset of KoboToolbox's API v2 that this server speaks, as one table of addresses.

Unmodified KoboToolbox clients can list forms and read data; `sync` publishes and pulls. Shapes are
those KoboToolbox's own code was seen to answer; where that fails with a page of HTML, this server
says what is wrong.
"""

from __future__ import annotations

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.answers import Refusal, api, api_xml, json_answer
from server.house import base_url, house_of
from server.kobo.assets import asset, asset_list
from server.kobo.changes import delete_bulk, row, status, statuses
from server.kobo.data import data
from server.kobo.downloads import asset_xls, asset_xml, attachment, attachment_by_question, row_xml
from server.kobo.files import file, file_content, files
from server.kobo.history import history, history_actions
from server.kobo.publishing import deployment, drafted, import_status, imported
from server.people.accounts import mint_token
from server.people.audit import Action, log
from server.people.rights import Right
from server.times import utc_now

__all__ = ["routes"]

V2 = "/api/v2"
ASSET = f"{V2}/assets/{{uid}}"


async def token(request: Request) -> Response:
    """GET /token/: Basic sign-in mints a new token; a token is told back."""
    house = house_of(request)
    visitor = await house.doorkeeper.api_visitor(request)
    if visitor is None:
        raise Refusal(
            401,
            "Authentication credentials were not provided.",
            {"WWW-Authenticate": 'Basic realm="watphon", charset="UTF-8"'},
        )
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise Refusal(403, "A token is not made for a page of another site.")
    scheme, _, sent = request.headers["authorization"].partition(" ")
    if scheme.lower() == "token":
        return json_answer({"token": sent.strip()})

    def mint(connection: Connection) -> str:
        log(connection, who=visitor.name, action=Action.TOKEN_MADE, what=visitor.name)
        return mint_token(connection, visitor.name, now=utc_now())

    minted = await house.inbox.run(mint)
    return json_answer({"token": minted}, headers={"Cache-Control": "no-store"})


async def me(request: Request) -> Response:
    """GET /me/: who the credentials belong to."""
    visitor = await house_of(request).doorkeeper.api_visitor(request)
    if visitor is None:
        raise Refusal(401, "Authentication credentials were not provided.")
    return json_answer(
        {
            "username": visitor.name,
            "first_name": "",
            "last_name": "",
            "email": "",
            "is_superuser": visitor.may(Right.MANAGE),
            "server_time": utc_now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "projects_url": f"{base_url(request)}/{visitor.name}",
            # Ours alone: the data API has an ETag over a form's whole state.
            "extra_details": {"watphon": {"etag": "form state"}},
        }
    )


async def gone(request: Request) -> Response:
    """Everything of API v1."""
    raise Refusal(410, f"API v1 is gone. Use {base_url(request)}{V2}/assets/ instead.")


def routes() -> list[Route]:
    """The addresses; the more particular before the more general."""
    return [
        Route("/token/", api(token)),
        Route("/me/", api(me)),
        Route(f"{V2}/assets/", api(asset_list), methods=["GET"]),
        Route(f"{V2}/assets/", api(drafted), methods=["POST"]),
        Route(f"{V2}/assets.json", api(asset_list)),
        Route(f"{ASSET}.json", api(asset)),
        Route(f"{ASSET}.xml", api_xml(asset_xml)),
        Route(f"{ASSET}.xls", api(asset_xls)),
        Route(f"{ASSET}/", api(asset), methods=["GET", "PATCH", "DELETE"]),
        Route(f"{V2}/imports/", api(imported), methods=["POST"]),
        Route(f"{V2}/imports/{{uid}}/", api(import_status)),
        Route(f"{ASSET}/deployment/", api(deployment), methods=["GET", "POST", "PATCH"]),
        Route(f"{ASSET}/files/", api(files), methods=["GET", "POST"]),
        Route(f"{ASSET}/files/{{file}}/", api(file), methods=["GET", "DELETE"]),
        Route(f"{ASSET}/files/{{file}}/content/", api(file_content)),
        Route(f"{ASSET}/data/", api(data)),
        Route(f"{ASSET}/data.json", api(data)),
        Route(f"{ASSET}/data/bulk/", api(delete_bulk), methods=["DELETE"]),
        Route(f"{ASSET}/data/validation_statuses/", api(statuses), methods=["PATCH", "DELETE"]),
        Route(f"{ASSET}/data/{{row}}.xml", api_xml(row_xml)),
        Route(f"{ASSET}/data/{{row}}/", api(row), methods=["GET", "DELETE"]),
        Route(
            f"{ASSET}/data/{{row}}/validation_status/",
            api(status),
            methods=["GET", "PATCH", "DELETE"],
        ),
        Route(f"{ASSET}/data/{{row}}/attachments/", api(attachment_by_question)),
        Route(f"{ASSET}/data/{{row}}/attachments/{{file}}/", api(attachment)),
        Route(f"{ASSET}/data/{{row}}/attachments/{{file}}/{{size}}/", api(attachment)),
        Route(f"{ASSET}/history/", api(history)),
        Route(f"{ASSET}/history/actions/", api(history_actions)),
        Route("/api/v1/{rest:path}", api(gone)),
        Route("/assets/{rest:path}", api(gone)),
        Route("/imports/{rest:path}", api(gone)),
        Route("/environment/", api(gone)),
    ]
