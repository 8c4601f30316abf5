"""Coming in and going out: the pages /signin, /signout and /password.

Whoever signs in gets a new session each time: a cookie that somebody planted before is worthless. A
second, long-lived cookie lets nobody in; it only tells this browser from those of people who guess.
After a wrong password the page says the same for a name that is there and one that is not.
"""

from __future__ import annotations

import asyncio
import re
import secrets

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from forms.problems import Problem
from forms.words import mark
from server.answers import Refusal
from server.house import house_of
from server.pages.render import browser, page, see_other
from server.people import accounts, familiar, passwords, sessions
from server.people.audit import Action, log
from server.people.familiar import DEVICE_COOKIE
from server.people.origin import refuse_unsafe
from server.people.sessions import FORM_COOKIE, cookie_of, drop_cookie, give_cookie, tell_who
from server.times import utc_now

__all__ = ["local_path", "routes"]

LOCAL = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")


def local_path(asked: str) -> str:
    """An address of this server to go on to; whatever could lead elsewhere becomes the start page."""
    return asked if LOCAL.fullmatch(asked) and len(asked) <= 1000 else "/"


def sign_in_page(
    request: Request,
    follow: str,
    *,
    status: int = 200,
    name: str = "",
    problem: str = "",
    wait: int = 0,
) -> Response:
    """The page with the form; the first time it comes with the cookie that belongs to the form."""
    secret = cookie_of(request, FORM_COOKIE) or secrets.token_urlsafe(32)
    request.state.csrf = sessions.form_token(secret)
    answer = page(
        request,
        "signin.html",
        status=status,
        headers={"Retry-After": str(wait)} if wait else None,
        follow=follow,
        name=name,
        problem=problem,
        wait=wait,
        signed_out=bool(request.query_params.get("out")),
    )
    give_cookie(request, answer, secret, FORM_COOKIE)
    return answer


async def sign_in(request: Request) -> Response:
    """GET and POST /signin, optionally ?next=PATH."""
    house = house_of(request)
    door = house.doorkeeper
    refuse_unsafe(request)
    if request.method != "POST":
        return sign_in_page(request, local_path(request.query_params.get("next", "/")))
    fields = await door.form(request, FORM_COOKIE)
    name, password = str(fields.get("name", "")).strip(), str(fields.get("password", ""))
    follow = local_path(str(fields.get("next", "/")))
    try:
        account = await door.verified(request, name, password)
    except Refusal as refusal:
        if refusal.status == 429:
            wait = int(refusal.headers["Retry-After"])
            return sign_in_page(request, follow, status=429, name=name, wait=wait)
        if refusal.status != 401:
            raise
        return sign_in_page(
            request,
            follow,
            status=401,
            name=name,
            problem=mark("The name or the password is wrong."),
        )
    earlier, now = cookie_of(request), utc_now()
    known = cookie_of(request, DEVICE_COOKIE)

    def begin(connection: Connection) -> tuple[str, str]:
        if earlier:
            sessions.end(connection, earlier)
        log(connection, who=account.name, action=Action.SIGNED_IN, now=now)
        device = familiar.cookie_with(connection, account.id, known)
        return sessions.begin(connection, account, now=now), device

    secret, device = await house.inbox.run(begin)
    answer = see_other(follow)
    give_cookie(request, answer, secret)
    give_cookie(request, answer, device, DEVICE_COOKIE, kept=familiar.KEPT)
    tell_who(request, answer, account.name)
    drop_cookie(request, answer, FORM_COOKIE)
    return answer


async def sign_out(request: Request) -> Response:
    """POST /signout: the session is over, for everyone who has its cookie; with `everywhere`, all
    sessions of the account are."""
    house = house_of(request)
    visitor = await house.doorkeeper.page_visitor(request)
    fields = await house.doorkeeper.form(request)
    secret = cookie_of(request)

    def end(connection: Connection) -> None:
        sessions.end(connection, secret)
        if fields.get("everywhere"):
            account = accounts.known_account(connection, visitor.name)
            accounts.end_sessions(connection, account.id)
        log(connection, who=visitor.name, action=Action.SIGNED_OUT)

    await house.inbox.run(end)
    house.doorkeeper.forget_session(secret)
    answer = see_other("/signin?out=1")
    drop_cookie(request, answer)
    tell_who(request, answer, None)
    return answer


async def password(request: Request) -> Response:
    """GET and POST /password: change one's own; every other session of the account ends, and with
    `end_tokens` its tokens do."""
    house = house_of(request)
    door = house.doorkeeper
    visitor = await door.page_visitor(request)
    refuse_unsafe(request)

    def count() -> int:
        with house.store.read() as connection:
            return accounts.tokens_of(connection, visitor.name)

    tokens = await asyncio.to_thread(count)
    if request.method != "POST":
        return page(request, "password.html", problem="", wait=0, tokens=tokens)
    fields = await door.form(request)
    old, new, again = (str(fields.get(key, "")) for key in ("old", "new", "again"))
    problem = passwords.weakness(visitor.name, new)
    if new != again:
        problem = mark("The two new passwords differ.")
    elif new == old:
        problem = mark("The new password is the old one.")
    if problem:
        return page(request, "password.html", status=422, problem=problem, wait=0, tokens=tokens)
    try:
        account = await door.verified(request, visitor.name, old)
    except Refusal as refusal:
        if refusal.status not in (401, 429):
            raise
        wait = int(refusal.headers.get("Retry-After", 0))
        said = "" if wait else mark("The old password is wrong.")
        status = 429 if wait else 422
        headers = {"Retry-After": str(wait)} if wait else None
        return page(
            request,
            "password.html",
            status=status,
            headers=headers,
            problem=said,
            wait=wait,
            tokens=tokens,
        )
    now, end_tokens = utc_now(), bool(fields.get("end_tokens"))
    known = cookie_of(request, DEVICE_COOKIE)

    def change(connection: Connection) -> tuple[str, str]:
        who = account.name
        accounts.set_password(connection, who, new, end_tokens=end_tokens)
        log(connection, who=who, action=Action.PASSWORD_CHANGED, what=who, now=now)
        if end_tokens:
            log(connection, who=who, action=Action.TOKENS_REVOKED, what=who, now=now)
        device = familiar.cookie_with(connection, account.id, known)
        return sessions.begin(connection, account, now=now), device

    earlier = cookie_of(request)
    try:
        secret, device = await house.inbox.run(change)
    except Problem as problem_found:
        said = problem_found.findings[0].what
        return page(request, "password.html", status=422, problem=said, wait=0, tokens=tokens)
    door.forget_session(earlier)
    door.forget_visitors()
    answer = see_other("/me?changed=password")
    give_cookie(request, answer, secret)
    give_cookie(request, answer, device, DEVICE_COOKIE, kept=familiar.KEPT)
    return answer


def routes() -> list[Route]:
    """The addresses of coming in and going out."""
    return [
        Route("/signin", browser(sign_in), methods=["GET", "POST"]),
        Route("/signout", browser(sign_out), methods=["POST"]),
        Route("/password", browser(password), methods=["GET", "POST"]),
    ]
