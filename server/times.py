"""The server's clock, and moments as the text that is stored and told."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["iso", "stamp", "utc_now"]


def utc_now() -> datetime:
    """The server's clock."""
    return datetime.now(UTC)


def iso() -> str:
    """Now, as KoboToolbox writes moments."""
    return utc_now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def stamp(microseconds: int) -> str:
    """Microseconds since 1970 as fixed-width UTC text without zone: text order is time order."""
    return (
        datetime.fromtimestamp(microseconds // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        + f".{microseconds % 1_000_000:06d}"
    )
