"""Where an account signed in before: its guessers from elsewhere do not hold it up there.

A browser gets a signed cookie that names the account by its number, as OWASP's device cookies do
(https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies). A phone that
signs in by Basic has no cookie: of its address a keyed hash is noted for 30 days. The key to both is
the account's own, stands in the table `settings`, and is thrown away with the password and when the
account is disabled: what was signed with it is worthless from then on.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from server.people import lockout
from server.state.schema import failures, settings
from server.times import moment

__all__ = ["DEVICE_COOKIE", "KEPT", "cookie_with", "counted", "forget_all", "note_address"]

DEVICE_COOKIE = "watphon-device"
KEPT = timedelta(days=400)
"""Browsers keep no cookie longer (RFC 6265bis)."""
NOTED = timedelta(days=30)
MOST = 5
"""Accounts that one browser's cookie knows: an office has one computer for several people."""


def counted(
    connection: Connection, account_id: int | None, name: str, *, address: str, cookie: str
) -> tuple[str, ...]:
    """What a failure now would be counted under, and whose waits hold the caller up.

    That is the browser alone, where its cookie is the account's; the account at this address, and
    the address, where it signed in from there; else the name as typed, and the address.
    `account_id` is None where the name is no account that may sign in.
    """
    from_here = lockout.of_address(address)
    key = key_of(connection, account_id) if account_id is not None else b""
    if key:
        if nonce := nonce_in(cookie, f"{account_id}", key):
            return (f"device {hashlib.sha256(nonce.encode()).hexdigest()[:32]}",)
        place = place_of(account_id, from_here, key)
        noted = select(failures.c.name).where(failures.c.name == f"known {place}")
        if connection.execute(noted).first():
            return (f"place {place}", from_here)
    return (lockout.of_account(name), from_here)


def cookie_with(connection: Connection, account_id: int, cookie: str) -> str:
    """The cookie's new text: this account first, and the others that it named before."""
    key, nonce = own_key(connection, account_id), secrets.token_urlsafe(12)
    mine = f"{account_id}~{nonce}~{signature(f'{account_id}', nonce, key)}"
    others = [one for one in cookie.split("|") if one.count("~") == 2 and len(one) < 100]
    others = [one for one in others if one.partition("~")[0] != f"{account_id}"]
    return "|".join([mine, *others][:MOST])


def note_address(connection: Connection, account_id: int, address: str, *, now: datetime) -> None:
    """Remember that the account signed in from an address."""
    here = lockout.of_address(address)
    if here == lockout.NOWHERE:
        return
    name = f"known {place_of(account_id, here, own_key(connection, account_id))}"
    # beside the counts because it goes away with them; its count stays 0
    until = moment(now + NOTED)
    again = update(failures).where(failures.c.name == name).values(locked_until=until)
    if not connection.execute(again).rowcount:
        connection.execute(insert(failures), {"name": name, "count": 0, "locked_until": until})


def forget_all(connection: Connection, account_id: int) -> None:
    """Make all cookies and notes of an account worthless."""
    connection.execute(delete(settings).where(settings.c.name == name_of(account_id)))


def name_of(account_id: int) -> str:
    return f"sign-in key of account {account_id}"


def key_of(connection: Connection, account_id: int) -> bytes:
    """The account's key; empty where it did not sign in since it has its password."""
    found = connection.execute(
        select(settings.c.value).where(settings.c.name == name_of(account_id))
    ).scalar_one_or_none()
    return bytes.fromhex(found) if found else b""


def own_key(connection: Connection, account_id: int) -> bytes:
    """The account's key, made where there is none. Writers take turns, so it is made once."""
    if key := key_of(connection, account_id):
        return key
    key = secrets.token_bytes(32)
    connection.execute(insert(settings), {"name": name_of(account_id), "value": key.hex()})
    return key


def nonce_in(cookie: str, account: str, key: bytes) -> str:
    """The browser's number where the cookie names the account and is ours; else empty."""
    for one in cookie.split("|")[:MOST]:
        named, _, rest = one.partition("~")
        nonce, _, signed = rest.partition("~")
        if named == account and hmac.compare_digest(
            signature(account, nonce, key).encode(), signed.encode()
        ):
            return nonce
    return ""


def signature(account: str, nonce: str, key: bytes) -> str:
    """What only the server can write behind a number (keyed BLAKE2, RFC 7693)."""
    words = f"{account}~{nonce}".encode()
    made = hashlib.blake2b(words, key=key, person=b"watphon device", digest_size=24)
    return base64.urlsafe_b64encode(made.digest()).decode()


def place_of(account_id: int | None, address: str, key: bytes) -> str:
    """What stands for an account at an address: nobody can read the address from it."""
    words = f"{account_id} {address}".encode()
    return hashlib.blake2b(words, key=key, person=b"watphon place", digest_size=16).hexdigest()
