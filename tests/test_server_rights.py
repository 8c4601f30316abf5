"""Who may do what, for every address of the server: a stranger gets nowhere."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from office import SETTINGS, Office, RunningServer, instance, workbook
from starlette.routing import Mount, Route
from visitors import PASSWORD, add_account, in_store, key

from forms.programme import shipped
from server.app import create
from server.people import accounts, keys, sessions

TABLE = """
HEAD   /submission                                          A P F
HEAD   /submission/                                         A P F
POST   /submission                                          A P F
POST   /submission/                                         A P F
GET    /formList                                            A P F
GET    /formList/                                           A P F
GET    /forms/{pk}/form.xml                                 A P F
GET    /forms/{pk}/{number}/form.xml                        A P F
GET    /xformsManifest/{pk}                                 A P F
GET    /xformsMedia/{pk}/{media}                            A P F
HEAD   /key/{key}/submission                                phone link
HEAD   /key/{key}/submission/                               phone link
POST   /key/{key}/submission                                phone link
POST   /key/{key}/submission/                               phone link
GET    /key/{key}/formList                                  phone link
GET    /key/{key}/formList/                                 phone link
GET    /key/{key}/forms/{pk}/form.xml                       phone link
GET    /key/{key}/forms/{pk}/{number}/form.xml              phone link
GET    /key/{key}/xformsManifest/{pk}                       phone link
GET    /key/{key}/xformsMedia/{pk}/{media}                  phone link

GET    /f/                                                  A P F
GET    /f/list.json                                         A P F
GET    /f/sw.js                                             everyone
GET    /f/manifest.webmanifest                              everyone
POST   /f/waiting                                           A P F
GET    /f/{form}                                            A P F
GET    /f/{form}/config.json                                A P F
GET    /f/{form}/xform/{md5}.xml                            A P F
GET    /f/{form}/media/{list_md5}/{list}                    A P F
GET    /f/{form}/sent/{instance}                            A P
GET    /f/{form}/sent/{instance}/submission.xml             A P
GET    /f/{form}/sent/{instance}/files/{photo}              A P
GET    /key/{key}/f/                                        phone link
GET    /key/{key}/f/list.json                               phone link
GET    /key/{key}/f/sw.js                                   everyone
GET    /key/{key}/f/manifest.webmanifest                    everyone
POST   /key/{key}/f/waiting                                 phone link
GET    /key/{key}/f/{form}                                  phone link
GET    /key/{key}/f/{form}/config.json                      phone link
GET    /key/{key}/f/{form}/xform/{md5}.xml                  phone link
GET    /key/{key}/f/{form}/media/{list_md5}/{list}          phone link
GET    /key/{key}/f/{form}/sent/{by_phone}                  phone
GET    /key/{key}/f/{form}/sent/{by_phone}/submission.xml   phone
GET    /key/{key}/f/{form}/sent/{by_phone}/files/{photo}    phone

GET    /token/                                              A P F E M
GET    /me/                                                 A P F E M
GET    /api/v2/assets/                                      A P F E M stranger
GET    /api/v2/assets.json                                  A P F E M stranger
POST   /api/v2/assets/                                      A
GET    /api/v2/assets/{uid}.json                            A P E
GET    /api/v2/assets/{uid}.xml                             A P E
GET    /api/v2/assets/{uid}.xls                             A P E
GET    /api/v2/assets/{uid}/                                A P E
PATCH  /api/v2/assets/{uid}/                                A
POST   /api/v2/imports/                                     A
GET    /api/v2/imports/{import}/                            A
GET    /api/v2/assets/{uid}/deployment/                     A
POST   /api/v2/assets/{uid}/deployment/                     A
PATCH  /api/v2/assets/{uid}/deployment/                     A
GET    /api/v2/assets/{uid}/files/                          A
POST   /api/v2/assets/{uid}/files/                          A
GET    /api/v2/assets/{uid}/files/{file}/                   A
GET    /api/v2/assets/{uid}/files/{file}/content/           A
GET    /api/v2/assets/{uid}/data/                           A P E
GET    /api/v2/assets/{uid}/data.json                       A P E
GET    /api/v2/assets/{uid}/data/{row}.xml                  A P
GET    /api/v2/assets/{uid}/data/{row}/                     A P E
GET    /api/v2/assets/{uid}/data/{row}/validation_status/   A P E
PATCH  /api/v2/assets/{uid}/data/{row}/validation_status/   A P E
DELETE /api/v2/assets/{uid}/data/{row}/validation_status/   A P E
PATCH  /api/v2/assets/{uid}/data/validation_statuses/       A P E
DELETE /api/v2/assets/{uid}/data/validation_statuses/       A P E
GET    /api/v2/assets/{uid}/data/{row}/attachments/         A P
GET    /api/v2/assets/{uid}/data/{row}/attachments/{attachment}/         A P
GET    /api/v2/assets/{uid}/data/{row}/attachments/{attachment}/{size}/  A P
GET    /api/v2/assets/{uid}/history/                        A
GET    /api/v2/assets/{uid}/history/actions/                A
GET    /api/v1/{rest}                                       everyone
GET    /assets/{rest}                                       everyone
GET    /imports/{rest}                                      everyone
GET    /environment/                                        everyone
GET    /api/docs                                            everyone
GET    /api/docs/openapi.json                               everyone

GET    /static/{path}                                       everyone
GET    /static/web-{stamp}/{script}                         everyone
GET    /healthz                                             everyone
GET    /healthz/live                                        everyone
GET    /metrics                                             A

GET    /signin                                              everyone
GET    /                                                    A P F E M
GET    /me                                                  A P F E M
GET    /password                                            A P F E M
POST   /password                                            A P F E M
GET    /reports                                             A P E M
GET    /reports/{report}                                    A P E M
GET    /reports/{day}/{report}                              A P E M
GET    /people                                              A
POST   /people                                              A
GET    /people/{name}                                       A
POST   /people/{name}                                       A
GET    /audit                                               A
GET    /board                                               A P F E M
GET    /board/{course}                                      A P F E M
GET    /keys                                                A P
POST   /keys                                                A P
GET    /posters                                             A P
POST   /posters                                             A P
GET    /badges                                              A P
POST   /badges                                              A P

POST   /keys/{number}                                       A P
POST   /posters/{number}                                    A P
DELETE /api/v2/assets/{uid}/data/bulk/                      A
DELETE /api/v2/assets/{uid}/files/{file}/                   A
DELETE /api/v2/assets/{uid}/data/{row}/                     A
DELETE /api/v2/assets/{uid}/                                A
POST   /signout                                             A P F E M
POST   /signin                                              everyone
"""
"""Method, path, who may. A admin, P province team, F facilitator, E evaluator, M manager; `phone` and
`link` are keys; `stranger` shows nothing;
`everyone` is everyone. What takes things away stands at the end.

A `{name}` is filled from `Place.values`; where a route of ours calls it otherwise (two different things
called `file`, say), `RENAMED` says so.
"""

RENAMED = {
    "/xformsMedia/{pk}/{file}": "/xformsMedia/{pk}/{media}",
    "/key/{key}/xformsMedia/{pk}/{file}": "/key/{key}/xformsMedia/{pk}/{media}",
    "/api/v2/imports/{uid}/": "/api/v2/imports/{import}/",
    "/api/v2/assets/{uid}/data/{row}/attachments/{file}/": (
        "/api/v2/assets/{uid}/data/{row}/attachments/{attachment}/"
    ),
    "/api/v2/assets/{uid}/data/{row}/attachments/{file}/{size}/": (
        "/api/v2/assets/{uid}/data/{row}/attachments/{attachment}/{size}/"
    ),
    "/f/{form}/media/{md5}/{name}": "/f/{form}/media/{list_md5}/{list}",
    "/f/{form}/sent/{instance}/files/{name}": "/f/{form}/sent/{instance}/files/{photo}",
    "/key/{key}/f/{form}/media/{md5}/{name}": "/key/{key}/f/{form}/media/{list_md5}/{list}",
    "/key/{key}/f/{form}/sent/{instance}": "/key/{key}/f/{form}/sent/{by_phone}",
    "/key/{key}/f/{form}/sent/{instance}/submission.xml": (
        "/key/{key}/f/{form}/sent/{by_phone}/submission.xml"
    ),
    "/key/{key}/f/{form}/sent/{instance}/files/{name}": (
        "/key/{key}/f/{form}/sent/{by_phone}/files/{photo}"
    ),
    "/static/web-{stamp}/{path}": "/static/web-{stamp}/{script}",
    "/reports/{name}": "/reports/{report}",
    "/reports/{day}/{name}": "/reports/{day}/{report}",
}

OUTSIDE = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
"""Everybody comes by HTTPS through the proxy: what opens to this machine alone stays shut."""

QUERY = {
    "GET /api/v2/assets/{uid}/data/{row}/attachments/": {"xpath": "photo"},
}
"""Parameters without which an address is not found, whoever asks."""

FIELDS: dict[str, dict[str, str]] = {
    "POST /signin": {"name": "visitor", "password": PASSWORD},
    "POST /people/{name}": {"do": "signout"},
}
"""Fields of a page's form, beside its token; API calls are sent an empty JSON object."""

PAGES = {
    "POST /signin",
    "POST /signout",
    "POST /password",
    "POST /people",
    "POST /people/{name}",
    "POST /keys",
    "POST /keys/{number}",
    "POST /posters",
    "POST /badges",
    "POST /posters/{number}",
}
"""Changes that come from a page's form."""

LETTERS = {"A": "admin", "P": "province", "F": "facilitator", "E": "evaluator", "M": "manager"}
KEYS = ("phone", "link")
NOBODY = ("stranger", "expired", "revoked", "disabled", "signed out", "forged")
IDENTITIES = (*LETTERS.values(), *KEYS, *NOBODY)


@dataclass(frozen=True)
class Line:
    """A line of the table."""

    method: str
    path: str
    who: frozenset[str]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


def lines() -> list[Line]:
    """The table, read."""
    found = []
    for text in TABLE.strip().splitlines():
        if text.strip():
            method, path, *who = text.split()
            everyone = IDENTITIES if who == ["everyone"] else ()
            names = {LETTERS.get(one, one) for one in who if one != "everyone"}
            found.append(Line(method, path, frozenset({*names, *everyone})))
    return found


@dataclass
class Identity:
    """How somebody shows who it is: a cookie for pages, a token for programs, a key in the path."""

    cookie: str = ""
    token: str = ""
    key: str = "no-such-key"


@dataclass
class Place:
    """A running server with one thing of each kind, and everybody who may come."""

    server: RunningServer
    identities: dict[str, Identity]
    values: dict[str, str] = field(default_factory=dict)

    def ask(self, line: Line, who: str) -> requests.Response:
        """One request of the table."""
        identity = self.identities[who]
        values = {**self.values, "key": identity.key}
        path = re.sub(r"\{(\w+)\}", lambda found: values[found[1]], line.path)
        secret = identity.cookie or "a-stranger's-own-secret"
        more: dict[str, Any] = {"json": {}} if line.method != "GET" else {}
        if line.name in PAGES:
            more = {"data": {"csrf": sessions.form_token(secret), **FIELDS.get(line.name, {})}}
        headers = {"X-OpenRosa-Version": "1.0", **OUTSIDE}
        if identity.token:
            headers["Authorization"] = f"Token {identity.token}"
        return requests.request(
            line.method,
            self.server.url + path,
            params=QUERY.get(line.name),
            headers=headers,
            cookies={"__Host-watphon-form": secret, "__Host-watphon": secret},
            allow_redirects=False,
            timeout=30,
            **more,
        )


def everybody(server: RunningServer) -> dict[str, Identity]:
    """An identity of each kind."""
    now = datetime.now(UTC)

    def account(name: str, role: str) -> Identity:
        add_account(server, name, role)

        def ways(connection: Any) -> Identity:
            known = accounts.known_account(connection, name)
            return Identity(
                sessions.begin(connection, known, now=now),
                accounts.mint_token(connection, name, now=now),
            )

        return in_store(server, ways)

    def by_key(label: str, **more: Any) -> Identity:
        _, secret = key(server, label, **more)
        # a key is no token and no session
        return Identity(secret, secret, secret)

    found = {role: account(f"the-{role}", role) for role in LETTERS.values()}
    found |= {kind: by_key(f"the {kind}", kind=kind) for kind in KEYS}
    found["stranger"] = Identity()
    past = now - timedelta(days=2)
    found["expired"] = by_key("the expired", now=past, expires_at=past + timedelta(days=1))
    found["revoked"] = by_key("the revoked")
    found["disabled"] = account("the-disabled", "admin")
    found["signed out"] = account("the-signed-out", "admin")
    found["forged"] = Identity("0" * 43, "0" * 40, "0" * 43)

    def take_back(connection: Any) -> None:
        keys.revoke_key(connection, keys.list_keys(connection)[-1].id, now=now)
        accounts.disable_user(connection, "the-disabled", now=now)
        sessions.end(connection, found["signed out"].cookie)
        accounts.revoke_tokens(connection, "the-signed-out")

    in_store(server, take_back)
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The server with the shipped programme, a form of it, a submission with a photo, reports."""
    data = tmp_path_factory.mktemp("rights") / "data"
    server = RunningServer(data, "--programme", str(shipped()), "--behind-proxy", "127.0.0.1")
    server.start()
    try:
        yield furnished(server, data)
    finally:
        server.end()


def found(pattern: str, text: str) -> str:
    """The first group of a pattern in a text."""
    match = re.search(pattern, text)
    assert match, text
    return match[1]


def furnished(server: RunningServer, data: Path) -> Place:
    """One thing of each kind; the names of `values` are those of the table's parameters."""
    office = Office(server.url, server.token)
    settings = (SETTINGS[0], ("แบบ | Form", "mne_pretest", "2564010101", "ไทย (th)"))
    content = workbook(settings=settings)
    begun = office.begin_import(content)
    ((asset,),) = office.polled(begun)["messages"].values()
    uid = asset["uid"]
    assert office.add_media(uid, "places.csv", b"name,label\n50,x\n").status_code == 201
    office.call("POST", f"/api/v2/assets/{uid}/deployment/", json={"active": True})
    identities = everybody(server)
    by_admin, by_phone = (str(uuid.uuid4()) for _ in range(2))
    for one, path in ((by_admin, ""), (by_phone, f"/key/{identities['phone'].key}")):
        sent = office.send(
            instance(uid, one, more="<photo>a.jpg</photo>"),
            f"{path}/submission",
            **{"a.jpg": ("a.jpg", b"\xff\xd8\xff\xd9", "image/jpeg")},
        )
        assert sent.status_code == 201, sent.text
    row = office.rows(uid)[0]
    (file,) = office.get(f"/api/v2/assets/{uid}/files/")["results"]
    manifest = office.call("GET", "/xformsManifest/1").text
    form_list = office.call("GET", "/formList").text
    shell = requests.get(f"{server.url}/key/{identities['phone'].key}/f/", timeout=30).text
    for folder in (data / "reports", data / "reports" / "2021-04-19"):
        folder.mkdir(parents=True)
        (folder / "report.th.html").write_text("<p>มาลี</p>", "utf-8")
    add_account(server, "visitor")
    # the row lies in the province of the province team
    from sqlalchemy import update

    from server.state.schema import submissions

    in_store(server, lambda c: c.execute(update(submissions).values(province="50")))
    return Place(
        server,
        identities,
        {
            "pk": "1",
            "uid": uid,
            "row": str(row["_id"]),
            "number": "1",
            "form": "mne_pretest",
            "md5": found(r"<hash>md5:(\w+)</hash>", form_list),
            "list": "places.csv",
            "list_md5": found(r"<hash>md5:(\w+)</hash>", manifest),
            "instance": by_admin,
            "by_phone": by_phone,
            "photo": "a.jpg",
            "stamp": found(r"/static/web-(\w+)/", shell),
            "script": found(r"/static/web-\w+/([^\"?]+)", shell),
            "file": file["uid"],
            "media": found(r"/xformsMedia/1/([^<]+)", manifest),
            "attachment": row["_attachments"][0]["uid"],
            "size": "small",
            "import": begun.rstrip("/").rpartition("/")[2],
            "rest": "x",
            "path": "style.css",
            "report": "report.th.html",
            "day": "2021-04-19",
            "name": "visitor",
            "course": "C64-50-01",
        },
    )


def served(routes: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Method and path of every route, as the table writes them."""
    for route in routes:
        if isinstance(route, Mount):
            yield from served(route.routes, prefix + route.path)
        else:
            assert isinstance(route, Route)
            path = re.sub(r":\w+\}", "}", prefix + route.path)
            methods = set(route.methods or ())
            # starlette answers HEAD wherever there is a GET
            for method in sorted(methods - ({"HEAD"} if "GET" in methods else set())):
                yield method, RENAMED.get(path, path)


def test_the_table_knows_every_address(tmp_path: Path) -> None:
    """No route is without its line, and no line without its route."""
    app = create(tmp_path)

    async def open_and_close() -> None:
        async with app.router.lifespan_context(app):
            pass

    asyncio.run(open_and_close())
    routes = {f"{method} {path}" for method, path in served(app.routes)}
    table = {line.name for line in lines()}
    missing = sorted(routes - table)
    assert not missing, (
        "These routes are in no line of TABLE in tests/test_server_rights.py. Add one line each "
        "(`METHOD /path   who may`), a value for each new {parameter} to furnished(), and, for a "
        f"page's form, its name to PAGES: {missing}"
    )
    assert not table - routes, f"no route for these lines of TABLE: {sorted(table - routes)}"


def shut(answer: requests.Response) -> bool:
    """Whether an answer turned the caller away."""
    to_sign_in = re.fullmatch(r"/signin(\?next=.*)?", answer.headers.get("Location", ""))
    return answer.status_code in (401, 403, 404) or bool(to_sign_in)


@pytest.mark.parametrize("line", lines(), ids=lambda line: line.name)
def test_each_address_opens_to_whom_it_should(place: Place, line: Line) -> None:
    """Everyone else is turned away and learns nothing; who may is not."""
    for who in sorted(IDENTITIES, key=lambda who: who in line.who):
        answer = place.ask(line, who)
        said = f"{line.name} by {who}: {answer.status_code} {answer.text[:200]}"
        assert answer.status_code < 500, said
        if who in line.who:
            assert not shut(answer), f"should be open. {said}"
        else:
            assert shut(answer), f"should be shut. {said}"
            assert "มาลี" not in answer.text
        if who in NOBODY and line.method in ("GET", "HEAD"):
            assert "มาลี" not in answer.text, said
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "default-src '" in answer.headers["Content-Security-Policy"]
        assert "max-age" in answer.headers["Strict-Transport-Security"]
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            assert answer.headers["Cache-Control"] == "no-store"
