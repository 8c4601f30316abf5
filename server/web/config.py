"""What a form's page must know: where its XForm and lists are, where to send, and by which rules.

The addresses of the XForm and the lists carry the content's hash, so a phone that has one never
fetches it again, and a page never sees the lists of another version.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, select
from starlette.requests import Request

from server.answers import ACCEPTED_LENGTH
from server.house import House
from server.people.rights import Right, Visitor
from server.people.sessions import who
from server.phones.scope import offered
from server.state.schema import deployments
from server.web.finding import Found, base_of

__all__ = ["config_of", "language_of", "summary_of", "who_of"]


def address(request: Request, form: Found, *steps: str) -> str:
    """An address below the form's own, under its form_id where that is what the visitor used."""
    name = request.path_params.get("form", form.form_id)
    path = "/".join(quote(step, safe="") for step in (name, *steps))
    return f"{base_of(request)}/f/{path}"


def summary_of(request: Request, form: Found) -> dict[str, str]:
    """A form in the list of forms."""
    return {
        "id": form.form_id,
        "uid": form.uid,
        "version": form.version,
        "hash": f"md5:{form.md5}",
        "title": form.title,
        "page": address(request, form),
        "config": address(request, form, "config.json"),
    }


def language_of(request: Request) -> str:
    """The language to begin with: the one chosen on another page, else Thai. A phone's own says
    little; many are never set to Thai by people who read nothing else."""
    return "en" if request.cookies.get("lang") == "en" else "th"


def config_of(
    request: Request, connection: Connection, form: Found, visitor: Visitor, house: House
) -> dict[str, Any]:
    """The form's config.json.

    `person` is the path of the question that says who, `prefill` what to answer for a name in the
    address; `anonymous` asks the page to tell nothing of the phone: an evaluation that was opened
    by a link that many have.
    """
    spec = house.programme.forms.get(form.form_id) if house.programme else None
    link = visitor.role == "link"
    return {
        "base": base_of(request),
        "form": {
            "id": form.form_id,
            "uid": form.uid,
            "version": form.version,
            "hash": f"md5:{form.md5}",
            "title": form.title,
        },
        "xform": address(request, form, "xform", f"{form.md5}.xml"),
        "media": {
            file.name: address(request, form, "media", file.md5, file.name)
            for file in offered(house, connection, form.asset_id, visitor)
        },
        "submission": f"{base_of(request)}/submission",
        "person": path_of(connection, form, spec.person) if spec and spec.person else None,
        "prefill": spec.prefill if spec else {},
        "accepts": ACCEPTED_LENGTH,
        "edit": visitor.may(Right.CORRECT),
        "anonymous": link and (spec is None or spec.role == "evaluation"),
        "link": link,
        "who": who_of(request, visitor),
        "user": {} if link else {"username": visitor.name},
        "lang": language_of(request),
    }


def who_of(request: Request, visitor: Visitor) -> str | None:
    """The mark of who is signed in, as the browser knows it by a cookie; None behind a key."""
    return None if "key" in request.path_params else who(visitor.name)


def path_of(connection: Connection, form: Found, question: str) -> str | None:
    """A question's path in the form's XForm, `/data/group/question`."""
    xform = connection.execute(
        select(deployments.c.xform).where(deployments.c.id == form.deployment)
    ).scalar_one()
    found = re.search(rf'<bind\b[^>]*\bnodeset="(/[^"]*/{re.escape(question)})"', xform)
    return found[1] if found else None
