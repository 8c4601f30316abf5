"""The server's clock, and moments as the text that is stored and told."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["iso", "moment", "stamp", "utc_now"]


def utc_now() -> datetime:
    """The server's clock."""
    return datetime.now(UTC)


def iso() -> str:
    """Now, as KoboToolbox writes moments."""
    return moment(utc_now())


def moment(when: datetime) -> str:
    """An aware time as it is stored: fixed-width UTC, so that text order is time order."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def stamp(microseconds: int) -> str:
    """Microseconds since 1970 as fixed-width UTC text without zone: text order is time order."""
    return (
        datetime.fromtimestamp(microseconds // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        + f".{microseconds % 1_000_000:06d}"
    )
