"""The start page, one's own account, and the reports: what a person who signed in sees first.

The start page offers what the visitor's rights open and nothing else. Reports are the files that
`watphon report` left in `DATA/reports`; each reading is noted in the audit trail.
"""

from __future__ import annotations

import asyncio
import gzip
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from forms.days import written_day
from forms.place import Place
from forms.words import mark
from server.answers import Refusal, saving
from server.house import house_of
from server.pages.render import browser, language_of, page
from server.people.accounts import tokens_of
from server.people.audit import Action, log
from server.people.rights import Right, Visitor

__all__ = ["DOORS", "REPORT_POLICY", "ROLE_WORDS", "Door", "routes"]

ROLE_WORDS = {
    "admin": mark("Admin: changes forms, people, keys and data"),
    "province": mark("Province team: reads and checks the data of its own provinces"),
    "facilitator": mark("Facilitator: sends forms and sees who is missing in own provinces"),
    "evaluator": mark("Evaluator: reads answers without the persons' identities"),
    "manager": mark("Manager: reads reports and sees provinces against their targets"),
}

REPORT_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""A report carries its style, fonts and drawings inside and needs no script; whatever else a file in
that folder holds cannot act in the name of the one who reads it."""

FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*\.(html|pdf|docx|xlsx|txt)")
DAY = re.compile(r"\d{4}-\d\d-\d\d")
TITLES = {
    "report.th.html": mark("Evaluation report in Thai"),
    "report.en.html": mark("Evaluation report in English"),
}
"""What the files that everybody looks for are called on the page; others keep their names."""
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".pdf": "application/pdf",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Door:
    """A place to go to, for whoever has one of the rights."""

    path: str
    title: str
    about: str
    rights: frozenset[Right]

    def opens_for(self, visitor: Visitor) -> bool:
        """Whether the visitor has one of the rights."""
        return any(visitor.may(right) for right in self.rights)


DOORS = (
    Door(
        "/board",
        mark("Board"),
        mark("What has arrived, and who is still missing"),
        frozenset({Right.NAMES, Right.TOTALS}),
    ),
    Door(
        "/f/",
        mark("Fill in a form"),
        mark("In this browser, also without a network"),
        frozenset({Right.SUBMIT}),
    ),
    Door(
        "/keys",
        mark("Phones and keys"),
        mark("Set up a phone by QR code, take a key back"),
        frozenset({Right.KEYS}),
    ),
    Door(
        "/posters",
        mark("Posters"),
        mark("A QR code for the wall that opens a form"),
        frozenset({Right.KEYS}),
    ),
    Door(
        "/badges",
        mark("Badges"),
        mark("Participant codes as QR codes, to print before a course"),
        frozenset({Right.KEYS}),
    ),
    Door("/reports", mark("Reports"), mark("The evaluation, to read"), frozenset({Right.REPORTS})),
    Door(
        "/api/docs",
        mark("Data for programs"),
        mark("The API, for analysis and for other software"),
        frozenset({Right.ROWS, Right.ANSWERS}),
    ),
    Door(
        "/people",
        mark("People"),
        mark("Accounts, roles and provinces"),
        frozenset({Right.MANAGE}),
    ),
    Door(
        "/audit",
        mark("Audit trail"),
        mark("Who did what on this server"),
        frozenset({Right.MANAGE}),
    ),
)
"""What the start page offers, in its order."""


async def start(request: Request) -> Response:
    """GET /: what one can do here."""
    visitor = await house_of(request).doorkeeper.page_visitor(request)
    return page(request, "start.html", doors=[d for d in DOORS if d.opens_for(visitor)])


async def me(request: Request) -> Response:
    """GET /me: one's own account."""
    house = house_of(request)
    visitor = await house.doorkeeper.page_visitor(request)

    def count() -> int:
        with house.store.read() as connection:
            return tokens_of(connection, visitor.name)

    return page(
        request,
        "me.html",
        role_words=ROLE_WORDS,
        changed=request.query_params.get("changed") == "password",
        tokens=await asyncio.to_thread(count),
    )


def reports_folder(request: Request) -> Path:
    """Where `watphon report` writes."""
    data = house_of(request).store.folder.parent
    return Place(data, data).reports


@dataclass(frozen=True, slots=True)
class Report:
    """A file to read: `path` below /reports/, `day` of the evaluation (`""`: the latest)."""

    path: str
    name: str
    day: str
    written: datetime


def reports_in(folder: Path) -> list[Report]:
    """The reports of a folder: the latest first, then those of single days, the newest first."""
    days = [path for path in folder.glob("*") if DAY.fullmatch(path.name) and path.is_dir()]
    found: list[Report] = []
    for place in (folder, *sorted(days, reverse=True)):
        day = "" if place == folder else place.name
        # Thai, the language of most readers, before English
        for file in sorted(place.glob("*"), key=lambda path: (path.suffix, ".en." in path.name)):
            if FILE.fullmatch(file.name) and file.is_file():
                written = datetime.fromtimestamp(file.stat().st_mtime, UTC)
                found.append(Report(f"{day}/{file.name}".lstrip("/"), file.name, day, written))
    return found


async def reports(request: Request) -> Response:
    """GET /reports: the files there are."""
    await house_of(request).doorkeeper.page_visitor(request, Right.REPORTS)
    found = await asyncio.to_thread(reports_in, reports_folder(request))
    language = language_of(request)
    groups = [
        (written_day(date.fromisoformat(day), language) if day else "", list(files))
        for day, files in groupby(found, key=lambda one: one.day)
    ]
    return page(request, "reports.html", groups=groups, titles=TITLES)


async def report(request: Request) -> Response:
    """GET /reports/{name} and /reports/{day}/{name}: one file; HTML is shown, others are saved."""
    house = house_of(request)
    visitor = await house.doorkeeper.page_visitor(request, Right.REPORTS)
    name, day = request.path_params["name"], request.path_params.get("day", "")
    file = reports_folder(request) / day / name
    if not FILE.fullmatch(name) or (day and not DAY.fullmatch(day)) or not file.is_file():
        raise Refusal(
            404, mark("There is no such report. It may have been replaced: see the list.")
        )
    if request.method == "GET":
        told = f"{day}/{name}".lstrip("/")
        await house.inbox.run(
            lambda connection: log(
                connection, who=visitor.name, action=Action.REPORT_READ, what=told
            )
        )
    headers = {"Content-Security-Policy": REPORT_POLICY, "Cache-Control": "no-store"}
    if file.suffix == ".html" and "gzip" in request.headers.get("accept-encoding", ""):
        packed = await asyncio.to_thread(lambda: gzip.compress(file.read_bytes(), 6))
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return Response(packed, headers=headers, media_type=TYPES[".html"])
    if file.suffix != ".html":
        headers |= saving(name)
    return FileResponse(file, media_type=TYPES[file.suffix], headers=headers)


def routes() -> list[Route]:
    """The start page, one's account, the reports."""
    return [
        Route("/", browser(start)),
        Route("/me", browser(me)),
        Route("/reports", browser(reports)),
        Route("/reports/{name}", browser(report)),
        Route("/reports/{day}/{name}", browser(report)),
    ]
