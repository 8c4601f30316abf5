"""Which server a command talks to, and as whom: programme.toml says where, the environment who.

WATPHON_TOKEN                      KoboToolbox, the embedded server; or a session token of Central
WATPHON_EMAIL, WATPHON_PASSWORD    ODK Central
"""

from __future__ import annotations

import os
import re
from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer

from forms.problems import UsageProblem
from forms.programme import Programme
from sync.backend import Backend
from sync.central import Central
from sync.kobo import Kobo

__all__ = ["UrlOption", "backend_of", "foreign"]

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="WATPHON_URL",
        metavar="URL",
        help="Form server.  [default: backend.url of programme.toml]",
    ),
]

CENTRAL_FORM = re.compile(r"/projects/(?P<project>\d+)/forms/(?P<form>[^/]+)")
FORM_NAME = re.compile(r"[A-Za-z0-9_-]+|\d+/[^/]+")
"""It becomes part of an address: a KoboToolbox uid, or `PROJECT/FORM` of ODK Central."""

KOBO_FORM = re.compile(r"/(?:assets|forms)/(?P<uid>a[A-Za-z0-9]{20,})")


def backend_of(programme: Programme, url: str | None) -> Backend:
    """The programme's server, with who we are; raises `UsageProblem` when nothing says it."""
    address = url or programme.backend.url
    if programme.backend.kind == "central":
        return central(address, programme.backend.project)
    return Kobo(address, token())


def foreign(url: str, name: str) -> tuple[Backend, str]:
    """Any form of any server: `name` is an asset's uid, or `PROJECT/FORM` of ODK Central.

    `url` may be the address of the form's page. Raises `UsageProblem` when it names no form.
    """
    parts = urlsplit(url)
    page = f"{parts.path}#{parts.fragment}"
    if found := CENTRAL_FORM.search(page):
        name = name or f"{found['project']}/{unquote(found['form'])}"
    elif found := KOBO_FORM.search(page):
        name = name or found["uid"]
    if not FORM_NAME.fullmatch(name):
        raise UsageProblem.at(
            f"UID {name}".strip(),
            "is no name of a form" if name else "is missing: which form?",
            "give a KoboToolbox project's uid (a…), or PROJECT/FORM of ODK Central (3/visit)",
        )
    if "/" in name:
        return central(f"{parts.scheme}://{parts.netloc}", ""), name
    return Kobo(
        f"{parts.scheme}://{parts.netloc}" if KOBO_FORM.search(page) else url, token()
    ), name


def central(url: str, project: str) -> Central:
    """An ODK Central server, signed in by e-mail and password or by a session token."""
    email, password = os.environ.get("WATPHON_EMAIL", ""), os.environ.get("WATPHON_PASSWORD", "")
    session = os.environ.get("WATPHON_TOKEN", "")
    if not session and not (email and password):
        raise UsageProblem.at(
            "WATPHON_EMAIL, WATPHON_PASSWORD",
            "are not set: ODK Central lets nobody in without them",
            "export both, of an account that may manage (or for fetch, view) the project",
        )
    base = url.removesuffix("/").removesuffix("/v1")
    if email and password:
        return Central(base, email=email, password=password, project=project)
    return Central(base, token=session, project=project)


def token() -> str:
    """The KoboToolbox token; it comes from the environment alone."""
    found = os.environ.get("WATPHON_TOKEN", "")
    if not found:
        raise UsageProblem.at(
            "WATPHON_TOKEN",
            "is not set: no server lets us in without a token",
            "export WATPHON_TOKEN=…  (`watphon serve` prints one at its first start; on KoboToolbox "
            "it is under Account settings → Security)",
        )
    return found
