"""Signing in over HTTP: `Authorization: Token …`, Basic on a safe line, or a key in the URL.

Basic is taken over loopback or HTTPS only. A verified password is remembered for a minute (as a
keyed hash, in memory), because argon2 is slow on purpose and Basic comes with every request. Tokens
and keys are remembered for a twentieth of a second, which spares a busy sender's look-ups and still
lets a key die at once, also when another process revokes it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import ipaddress
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from starlette.requests import Request

from server.answers import Refusal
from server.people.accounts import (
    Account,
    account_named,
    account_of_token,
    password_matches,
    phone_of_key,
)
from server.people.rights import Visitor
from server.state.store import Store

__all__ = ["Doorkeeper", "Memory"]

T = TypeVar("T")


class Memory(Generic[T]):
    """A few recent findings, each for a limited time."""

    def __init__(self, seconds: float, size: int = 1024) -> None:
        self.seconds = seconds
        self.size = size
        self.found: OrderedDict[str, tuple[float, T]] = OrderedDict()

    def get(self, key: str) -> T | None:
        entry = self.found.get(key)
        if entry and time.monotonic() - entry[0] < self.seconds:
            return entry[1]
        return None

    def put(self, key: str, value: T) -> None:
        self.found[key] = (time.monotonic(), value)
        self.found.move_to_end(key)
        while len(self.found) > self.size:
            self.found.popitem(last=False)


class Doorkeeper:
    """Knows visitors by their credentials; remembers them for a moment."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.visitors: Memory[Visitor] = Memory(0.05)
        self.passwords: Memory[str] = Memory(60)
        self.salt = secrets.token_bytes(32)
        # each verification takes 19 MiB and a core: two at a time keep the server alive
        self.turns = asyncio.Semaphore(2)

    async def api_visitor(self, request: Request) -> Visitor | None:
        """Who calls the API; None without credentials. Raises `Refusal` 401 for wrong ones."""
        return await self.by_header(request)

    async def phone_visitor(self, request: Request) -> Visitor:
        """Who calls a phone's address: by key in the path, else by header. Raises `Refusal` 401."""
        visitor = None
        key = request.path_params.get("key")
        if key is not None:
            visitor = self.remembered("key " + self.keyed(key), lambda: self.by_key(key))
        else:
            visitor = await self.by_header(request)
        if visitor is None:
            raise unauthorized("Authentication credentials were not provided.")
        return visitor

    async def by_header(self, request: Request) -> Visitor | None:
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        kind = scheme.lower()
        if kind == "token":
            token = rest.strip()
            visitor = self.remembered("token " + self.keyed(token), lambda: self.by_token(token))
            if visitor is None:
                raise unauthorized("Invalid token.")
            return visitor
        if kind == "basic":
            if not safe_line(request):
                raise unauthorized("Basic sign-in is taken over HTTPS only; use a token or a key.")
            return await self.by_password(rest)
        return None

    def remembered(self, key: str, find: Callable[[], Visitor | None]) -> Visitor | None:
        visitor = self.visitors.get(key)
        if visitor is None and (visitor := find()):
            self.visitors.put(key, visitor)
        return visitor

    def by_token(self, token: str) -> Visitor | None:
        with self.store.read() as connection:
            account = account_of_token(connection, token)
        return Visitor(account.name, account.role) if account else None

    def by_key(self, key: str) -> Visitor | None:
        with self.store.read() as connection:
            label = phone_of_key(connection, key)
        return Visitor(label, "phone") if label is not None else None

    async def by_password(self, encoded: str) -> Visitor:
        try:
            name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            colon = name = password = ""
        if not colon:
            raise unauthorized("Invalid basic header.")
        account = await asyncio.to_thread(self.account, name)
        proof = self.keyed(f"{name}\0{password}")
        # remembered together with the stored hash: a changed password counts at once
        if account is None or self.passwords.get(proof) != account.password or not account.password:
            async with self.turns:
                matches = await asyncio.to_thread(password_matches, account, password)
            if not matches or account is None:
                raise unauthorized("Invalid username/password.")
            self.passwords.put(proof, account.password)
        return Visitor(account.name, account.role)

    def account(self, name: str) -> Account | None:
        with self.store.read() as connection:
            return account_named(connection, name)

    def keyed(self, secret: str) -> str:
        """What stands for a secret in memory."""
        return hashlib.blake2b(secret.encode(), key=self.salt, digest_size=32).hexdigest()


def unauthorized(words: str) -> Refusal:
    return Refusal(401, words, {"WWW-Authenticate": 'Basic realm="watphon", charset="UTF-8"'})


def safe_line(request: Request) -> bool:
    """Whether nobody between could read a password: HTTPS, or this machine."""
    if request.url.scheme == "https":
        return True
    try:
        return bool(request.client and ipaddress.ip_address(request.client.host).is_loopback)
    except ValueError:
        return False
