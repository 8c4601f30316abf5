"""Signing in over HTTP: a session's cookie, `Authorization: Token …`, Basic, or a key in the URL.

Passwords are taken over a safe line only: HTTPS, or this machine itself. A password verified by
Basic is remembered for a minute (as a keyed hash, in memory, for the caller's address), because argon2
is slow on purpose and Basic comes with every request; who has to wait waits all the same. Tokens, keys
and sessions are remembered for a twentieth of a second, which spares a busy sender's look-ups and
still lets a key die at once, also when another process revokes it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.requests import Request

from forms.words import mark
from server.answers import Refusal
from server.people import familiar, lockout, passwords, sessions
from server.people.accounts import (
    Account,
    account_named,
    account_of_token,
    set_hash,
)
from server.people.audit import Action, log
from server.people.keys import key_of_secret
from server.people.memory import Memory
from server.people.origin import address_of, refuse_foreign, safe_line
from server.people.rights import Right, Visitor
from server.state.inbox import Inbox
from server.state.store import Store
from server.times import utc_now
from server.uploads import read_form

__all__ = ["Doorkeeper"]

LONGEST_QUEUE = 100
NOBODY_HERE = mark("Please sign in.")
NOT_YOURS = mark("Your account may not do this. Ask an admin of the server.")
STALE = mark("This page was open for too long. Open it again and send the form there.")
WAITING = (
    "Too many failed sign-ins: wait {seconds} seconds. / "
    "เข้าสู่ระบบไม่สำเร็จหลายครั้งเกินไป โปรดรอ {seconds} วินาที"
)
CROWDED = mark("Too many people are signing in just now. Try again in a moment.")
WRONG = "Invalid username/password."
UNKNOWN_KEY = "This key is not known; ask for a new one. / ไม่รู้จักกุญแจนี้ โปรดขอใหม่"
REVOKED = "This key was taken back; ask for a new one. / กุญแจนี้ถูกยกเลิกแล้ว โปรดขอใหม่"
EXPIRED = "This key has expired; ask for a new one. / กุญแจนี้หมดอายุแล้ว โปรดขอใหม่"
MAY_NOT_SEND = "This account may not fetch forms or send. / บัญชีนี้รับแบบหรือส่งข้อมูลไม่ได้"


class Doorkeeper:
    """Knows visitors by their credentials; remembers them for a moment."""

    def __init__(
        self, store: Store, inbox: Inbox, *, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self.store = store
        self.inbox = inbox
        self.clock = clock
        self.visitors: Memory[Visitor] = Memory(0.05)
        self.passwords: Memory[str] = Memory(60)
        self.salt = secrets.token_bytes(32)
        # each verification takes 19 MiB and a core: two at a time keep the server alive
        self.turns = asyncio.Semaphore(2)
        self.queue = 0

    async def api_visitor(self, request: Request) -> Visitor | None:
        """Who calls the API; None without credentials. Raises `Refusal` 401 for wrong ones."""
        return await self.by_header(request)

    async def phone_visitor(self, request: Request) -> Visitor:
        """Who calls a phone's address: by key in the path, else by header, else (the form in the
        browser, which says `X-OpenRosa-Version`) by session.

        Raises `Refusal` 401, and 403 for who may not send and for a key that opens nothing.
        """
        visitor = None
        key = request.path_params.get("key")
        if key is not None:
            visitor = await self.remembered("key " + self.keyed(key), lambda: self.by_key(key))
            if visitor is None:
                # never 401 here: Collect answers that by asking for a name and a password
                raise Refusal(403, UNKNOWN_KEY)
        elif "authorization" in request.headers:
            visitor = await self.by_header(request)
        elif "x-openrosa-version" in request.headers and sessions.cookie_of(request):
            refuse_foreign(request)
            visitor = await self.by_session(request)
        if visitor is None:
            raise unauthorized("Authentication credentials were not provided.")
        if not visitor.may(Right.SUBMIT):
            raise Refusal(403, MAY_NOT_SEND)
        return visitor

    async def page_visitor(self, request: Request, right: Right | None = None) -> Visitor:
        """Who opened a page, by the session's cookie; `page` then greets and offers sign-out.

        Raises `Refusal`: 401 (which `browser` turns into the way to /signin), 403 without `right`,
        and 403 for a form that another site sent. A handler that changes something must read its
        form by `form`, which checks the token in it.
        """
        visitor = await self.by_session(request)
        if visitor is None:
            raise Refusal(401, NOBODY_HERE)
        request.state.visitor = visitor
        request.state.csrf = sessions.form_token(sessions.cookie_of(request))
        refuse_foreign(request)
        if right is not None and not visitor.may(right):
            raise Refusal(403, NOT_YOURS)
        return visitor

    async def form(self, request: Request, cookie: str = sessions.COOKIE) -> FormData:
        """The fields of a page's form. Raises `Refusal` 403 unless it holds the token that belongs
        to the caller's cookie: then it is a form of ours, opened by the caller."""
        refuse_foreign(request)
        fields = await read_form(request)
        given = fields.get("csrf")
        if not isinstance(given, str) or not sessions.same_token(
            sessions.cookie_of(request, cookie), given
        ):
            raise Refusal(403, STALE)
        return fields

    async def by_header(self, request: Request) -> Visitor | None:
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        kind = scheme.lower()
        if kind == "token":
            token = rest.strip()
            visitor = await self.remembered(
                "token " + self.keyed(token), lambda: self.by_token(token)
            )
            if visitor is None:
                raise unauthorized("Invalid token.")
            return visitor
        if kind == "basic":
            if not safe_line(request):
                raise unauthorized("Basic sign-in is taken over HTTPS only; use a token or a key.")
            # a browser keeps a Basic password and sends it from pages of other sites too
            refuse_foreign(request)
            return await self.by_password(request, rest)
        return None

    async def remembered(self, key: str, find: Callable[[], Visitor | None]) -> Visitor | None:
        visitor = self.visitors.get(key)
        if visitor is None:
            visitor = find() if self.store.quick else await asyncio.to_thread(find)
            if visitor:
                self.visitors.put(key, visitor)
        return visitor

    def by_token(self, token: str) -> Visitor | None:
        with self.store.read() as connection:
            account = account_of_token(connection, token)
        return account.visitor if account else None

    def by_key(self, secret: str) -> Visitor | None:
        with self.store.read() as connection:
            key = key_of_secret(connection, secret)
        if key is None:
            return None
        if key.revoked_at:
            raise Refusal(403, REVOKED)
        if key.expired(self.clock()):
            raise Refusal(403, EXPIRED)
        return key.visitor

    async def by_session(self, request: Request) -> Visitor | None:
        secret = sessions.cookie_of(request)
        if not secret:
            return None
        known = "session " + self.keyed(secret)
        if visitor := self.visitors.get(known):
            return visitor
        now = self.clock()

        def find() -> tuple[Account, bool] | None:
            with self.store.read() as connection:
                return sessions.account_of_session(connection, secret, now=now)

        found = await asyncio.to_thread(find)
        if found is None:
            return None
        account, stale = found
        if stale:
            await self.inbox.run(lambda connection: sessions.touch(connection, secret, now=now))
        self.visitors.put(known, account.visitor)
        return account.visitor

    def forget_session(self, secret: str) -> None:
        """A session that ended in this process is over at once, not a twentieth of a second later."""
        self.visitors.found.pop("session " + self.keyed(secret), None)

    def forget_visitors(self) -> None:
        """A key that was taken back in this process opens nothing from now on."""
        self.visitors.found.clear()

    async def by_password(self, request: Request, encoded: str) -> Visitor:
        try:
            name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            colon = name = password = ""
        if not colon or "\0" in name:
            raise unauthorized("Invalid basic header.")
        proof = self.keyed(f"{address_of(request)}\0{name}\0{password}")
        if known := self.passwords.get(proof):
            # remembered together with the stored hash: a changed password counts at once
            account = await asyncio.to_thread(self.unhindered, request, name)
            if account and not account.disabled_at and account.password == known:
                return account.visitor
        account = await self.verified(request, name, password)
        self.passwords.put(proof, account.password)
        return account.visitor

    async def verified(self, request: Request, name: str, password: str) -> Account:
        """The account that a name and password belong to.

        Raises `Refusal`: 401 where they belong to none, 429 while the caller has to wait after
        failures (`server.people.lockout`), 503 while too many others wait for their turn.
        """
        counted = await asyncio.to_thread(self.counted, request, name)
        await self.refuse_locked(counted)
        if self.queue >= LONGEST_QUEUE:
            raise Refusal(503, CROWDED, {"Retry-After": "5"})
        self.queue += 1
        try:
            return await self.in_turn(name, password, counted, address_of(request))
        finally:
            self.queue -= 1

    async def in_turn(
        self, name: str, password: str, counted: tuple[str, ...], address: str
    ) -> Account:
        async with self.turns:
            # those that came at once with the failures that locked the name have to wait too
            await self.refuse_locked(counted)
            account = await asyncio.to_thread(self.account, name)
            kept = account.password if account and not account.disabled_at else ""
            matches = await asyncio.to_thread(passwords.matches, kept, password)
            now = self.clock()
            if account is None or not matches:

                def failed(connection: Connection) -> None:
                    lockout.failed(connection, counted, now=now)
                    # the name as typed may be a password in the wrong field
                    who = account.name if account else "unknown"
                    log(connection, who=who, action=Action.SIGN_IN_FAILED, now=now)

                await self.inbox.run(failed)
                raise unauthorized(WRONG)

        def signed_in(connection: Connection) -> Account:
            for tried in counted:
                lockout.forget(connection, tried)
            familiar.note_address(connection, account.id, address, now=now)
            if not passwords.outdated(kept):
                return account
            set_hash(connection, account.id, passwords.rehashed(password))
            return account_named(connection, name) or account

        return await self.inbox.run(signed_in)

    def counted(self, request: Request, name: str) -> tuple[str, ...]:
        """What a failure of this caller with this name is counted under."""
        with self.store.read() as connection:
            return counted_under(connection, request, name, account_named(connection, name))

    def unhindered(self, request: Request, name: str) -> Account | None:
        """The account of a name; None where this caller has to wait for it. Otherwise whoever
        guesses at the remembered password would be told when he is right, wait or no wait."""
        with self.store.read() as connection:
            account = account_named(connection, name)
            counted = counted_under(connection, request, name, account)
            wait = lockout.seconds_to_wait(connection, counted, now=self.clock())
        return None if wait else account

    async def refuse_locked(self, counted: tuple[str, ...]) -> None:
        def seconds() -> int:
            with self.store.read() as connection:
                return lockout.seconds_to_wait(connection, counted, now=self.clock())

        if wait := await asyncio.to_thread(seconds):
            raise Refusal(429, WAITING.format(seconds=wait), {"Retry-After": str(wait)})

    def account(self, name: str) -> Account | None:
        with self.store.read() as connection:
            return account_named(connection, name)

    def keyed(self, secret: str) -> str:
        """What stands for a secret in memory."""
        return hashlib.blake2b(secret.encode(), key=self.salt, digest_size=32).hexdigest()


def counted_under(
    connection: Connection, request: Request, name: str, account: Account | None
) -> tuple[str, ...]:
    """`familiar.counted` by what a request tells."""
    return familiar.counted(
        connection,
        account.id if account and not account.disabled_at else None,
        name,
        address=address_of(request),
        cookie=sessions.cookie_of(request, familiar.DEVICE_COOKIE),
    )


def unauthorized(words: str) -> Refusal:
    return Refusal(401, words, {"WWW-Authenticate": 'Basic realm="watphon", charset="UTF-8"'})
