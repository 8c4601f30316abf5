"""The admin's pages: /people and /audit.

What these pages do, `watphon user` and `watphon audit` do on the server's machine; each change is a
line of the audit trail in the same transaction.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from forms.problems import Problem
from forms.words import mark
from server.answers import Refusal
from server.house import House, house_of
from server.pages.render import browser, page, see_other
from server.people import accounts, passwords
from server.people.accounts import Account
from server.people.audit import Action, entries, log
from server.people.rights import ROLES, Right
from server.people.start import ROLE_WORDS
from server.times import utc_now

__all__ = ["routes"]

LINES = 100
"""Lines of the audit trail on one page."""

DONE = {
    "role": mark("The role is changed."),
    "disable": mark("The account is disabled and signed out everywhere."),
    "enable": mark("The account may come in again."),
    "signout": mark("The account is signed out everywhere."),
    "revoke": mark("All tokens of the account are worthless now."),
    "remove": mark("The account is removed."),
}


def provinces_of(fields: FormData) -> list[str]:
    """Province codes of a form: ticked ones, and those typed between spaces or commas."""
    found = [str(code) for code in fields.getlist("province")]
    found += re.split(r"[\s,;]+", str(fields.get("provinces", "")))
    return [code for code in found if code]


def known_provinces(house: House, language: str) -> list[tuple[str, str]]:
    """Code and name of the programme's provinces; empty where the server has no programme."""
    if house.programme is None:
        return []
    return [(p.code, p.th if language == "th" else p.en) for p in house.programme.provinces]


async def people(request: Request) -> Response:
    """GET /people: the accounts. POST: add one; its one-time password is shown this once."""
    house = house_of(request)
    visitor = await house.doorkeeper.page_visitor(request, Right.MANAGE)
    if request.method != "POST":
        return await people_page(request)
    fields = await house.doorkeeper.form(request)
    name, role = str(fields.get("name", "")).strip(), str(fields.get("role", ""))
    provinces, password, now = provinces_of(fields), passwords.fresh(), utc_now()

    def add(connection: Connection) -> None:
        accounts.add_user(
            connection, name, now=now, role=role, provinces=provinces, password=password
        )
        what = " ".join((f"{name}:", role, *sorted(set(provinces))))
        log(connection, who=visitor.name, action=Action.USER_ADDED, what=what, now=now)

    try:
        await house.inbox.run(add)
    except Problem as problem:
        return await people_page(request, problem=problem, filled=(name, role, provinces))
    return page(request, "password_once.html", name=name, password=password, added=True, tokens=0)


async def people_page(
    request: Request,
    problem: Problem | None = None,
    filled: tuple[str, str, list[str]] = ("", "facilitator", []),
) -> Response:
    """The list and the form to add an account, as it was filled in where it was refused."""
    house = house_of(request)

    def read() -> tuple[Any, ...]:
        with house.store.read() as connection:
            return accounts.list_users(connection), accounts.count_tokens(connection)

    found, tokens = await asyncio.to_thread(read)
    return page(
        request,
        "people.html",
        status=422 if problem else 200,
        accounts=found,
        tokens=tokens,
        roles=ROLES,
        role_words=ROLE_WORDS,
        known_provinces=lambda language: known_provinces(house, language),
        finding=problem.findings[0] if problem else None,
        filled=filled,
        done=DONE.get(request.query_params.get("done", ""), ""),
    )


async def person(request: Request) -> Response:
    """GET /people/{name}: one account. POST: change it; the field `do` says how."""
    house = house_of(request)
    visitor = await house.doorkeeper.page_visitor(request, Right.MANAGE)
    name = request.path_params["name"]
    if request.method != "POST":
        return await person_page(request, name)
    fields = await house.doorkeeper.form(request)
    act = str(fields.get("do", ""))
    password = passwords.fresh() if act == "password" else ""
    change = change_of(act, fields, name, password)

    def run(connection: Connection) -> None:
        action, what = change(connection)
        log(connection, who=visitor.name, action=action, what=what)
        if act == "password" and fields.get("end_tokens"):
            accounts.revoke_tokens(connection, name)
            log(connection, who=visitor.name, action=Action.TOKENS_REVOKED, what=name)

    try:
        await house.inbox.run(run)
    except Problem as problem:
        return await person_page(request, name, problem=problem)
    house.doorkeeper.forget_visitors()
    if password:

        def count() -> int:
            with house.store.read() as connection:
                return accounts.tokens_of(connection, name)

        tokens = await asyncio.to_thread(count)
        return page(
            request, "password_once.html", name=name, password=password, added=False, tokens=tokens
        )
    if act == "remove":
        return see_other("/people?done=remove")
    return see_other(f"/people/{quote(name)}?done={act}")


def change_of(
    act: str, fields: FormData, name: str, password: str
) -> Callable[[Connection], tuple[Action, str]]:
    """The change a form asks for; it gives its line of the audit trail. Raises `Refusal` 400."""

    def run(connection: Connection) -> tuple[Action, str]:
        account = accounts.known_account(connection, name)
        if act == "role":
            role, provinces = str(fields.get("role", "")), provinces_of(fields)
            made = accounts.change_role(connection, name, role, provinces)
            return Action.USER_CHANGED, " ".join((f"{name}:", role, *made.provinces))
        if act == "password":
            accounts.set_password(connection, name, password)
            return Action.PASSWORD_CHANGED, name
        if act == "signout":
            accounts.end_sessions(connection, account.id)
            return Action.SESSIONS_ENDED, name
        if act == "revoke":
            accounts.revoke_tokens(connection, name)
            return Action.TOKENS_REVOKED, name
        if act == "disable":
            accounts.disable_user(connection, name, now=utc_now())
            return Action.USER_DISABLED, name
        if act == "enable":
            accounts.enable_user(connection, name)
            return Action.USER_ENABLED, name
        accounts.remove_user(connection, name)
        return Action.USER_REMOVED, name

    if act not in (*DONE, "password"):
        raise Refusal(400, mark("The form asks for nothing this page can do. Open it again."))
    return run


async def person_page(request: Request, name: str, problem: Problem | None = None) -> Response:
    """One account and what can be done to it."""
    house = house_of(request)

    def read() -> tuple[Account | None, int]:
        with house.store.read() as connection:
            account = accounts.account_named(connection, name)
            count = accounts.count_tokens(connection).get(account.id, 0) if account else 0
            return account, count

    account, tokens = await asyncio.to_thread(read)
    if account is None:
        raise Refusal(404, mark("There is no account of this name. It may have been removed."))
    return page(
        request,
        "person.html",
        status=422 if problem else 200,
        account=account,
        tokens=tokens,
        roles=ROLES,
        role_words=ROLE_WORDS,
        known_provinces=lambda language: known_provinces(house, language),
        finding=problem.findings[0] if problem else None,
        done=DONE.get(request.query_params.get("done", ""), ""),
    )


async def audit(request: Request) -> Response:
    """GET /audit, optionally ?who=, ?action=, ?before= (a line's number): newest first."""
    house = house_of(request)
    await house.doorkeeper.page_visitor(request, Right.MANAGE)
    asked = request.query_params
    who, action = asked.get("who", "").strip(), asked.get("action", "")
    before = asked.get("before", "")
    edge = int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None

    def read() -> Any:
        with house.store.read() as connection:
            return entries(connection, who=who, action=action, before=edge, limit=LINES + 1)

    lines = await asyncio.to_thread(read)
    older = ""
    if len(lines) > LINES:
        lines = lines[:LINES]
        older = "/audit?" + urlencode({"who": who, "action": action, "before": lines[-1].id})
    return page(
        request,
        "audit.html",
        lines=lines,
        who=who,
        action=action,
        actions=[known.value for known in Action],
        older=older,
    )


def routes() -> list[Route]:
    """The admin's pages."""
    return [
        Route("/people", browser(people), methods=["GET", "POST"]),
        Route("/people/{name}", browser(person), methods=["GET", "POST"]),
        Route("/audit", browser(audit)),
    ]
