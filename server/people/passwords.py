"""Passwords: which may be chosen, and their argon2id hashes (RFC 9106).

Checking one takes a core for some hundredths of a second and 19 MiB, on purpose; it takes as long
for a name that is not there.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from forms.problems import Problem
from forms.words import mark

__all__ = ["MIN_PASSWORD", "fresh", "hashed", "matches", "outdated", "rehashed", "weakness"]

MIN_PASSWORD = 10
MAX_PASSWORD = 1000

# OWASP's smallest argon2id: 19 MiB once is affordable on a Raspberry Pi, 64 MiB times callers is
# not
hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
NOBODY = hasher.hash(secrets.token_hex(16))
"""Verified against when the name is unknown, so that an answer's time names no accounts."""

COMMON = frozenset(
    Path(__file__).with_name("common_passwords.txt").read_text("utf-8").casefold().split()
)
"""The commonest that are long enough, and those that suggest themselves here."""

DISGUISE = str.maketrans("@$", "as")
PLAIN = re.compile(r"[\s_.@!#$%*-]+")


def weakness(name: str, password: str) -> str:
    """Why a password will not do, as a sentence of the catalogue; `""` if it will."""
    if len(password) < MIN_PASSWORD:
        return mark("The password is too short: use at least 10 characters.")
    if len(password) > MAX_PASSWORD:
        return mark("The password is too long: use at most 1,000 characters.")
    typed = unicodedata.normalize("NFKC", password).casefold().translate(DISGUISE)
    plain = PLAIN.sub("", typed)
    if len(set(plain)) < 4 or plain in COMMON or plain.rstrip("0123456789") in COMMON:
        return mark("This password is one of the first that a stranger tries: choose another.")
    without = plain.replace(PLAIN.sub("", name.casefold()), "")
    if len(without) < MIN_PASSWORD // 2:
        return mark("The password is hardly more than the name: choose another.")
    return ""


def hashed(name: str, password: str) -> str:
    """What is kept of an account's password; raises `Problem` when it will not do."""
    if why := weakness(name, password):
        raise Problem.at(f"user {name}", why, mark("choose another password"), code="password")
    return hasher.hash(password)


def matches(kept: str, password: str) -> bool:
    """Whether it is the password that was hashed; `kept` is `""` where there is none."""
    try:
        return hasher.verify(kept or NOBODY, password[: MAX_PASSWORD + 1]) and bool(kept)
    except (VerificationError, InvalidHashError):
        return False


def outdated(kept: str) -> bool:
    """Whether a hash was made with other parameters than today's."""
    return hasher.check_needs_rehash(kept)


def rehashed(password: str) -> str:
    """The hash, with today's parameters, of a password that was let in already."""
    return hasher.hash(password)


def fresh() -> str:
    """A password nobody has used: 16 letters and digits that are not mistaken for each other."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    parts = ("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))
    return "-".join(parts)
