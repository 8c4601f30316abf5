"""The address under which phones reach the server: said at its start, printed in codes to scan."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from forms.problems import Problem

__all__ = ["HOST", "public_address"]

HOST = re.compile(r"[A-Za-z0-9._\-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
"""What a Host header, and the middle of an address, may be."""
VARIABLE = "WATPHON_URL_PUBLIC"


def public_address(asked: str | None) -> str:
    """The address without the slash at its end; None asks WATPHON_URL_PUBLIC, empty is none.

    Raises `Problem` for what phones could not open: it has to be the root of a host.
    """
    if asked is None:
        asked = os.environ.get(VARIABLE, "")
    address = asked.strip().rstrip("/")
    try:
        parts = urlsplit(address)
    except ValueError:
        parts = urlsplit("")
    root = f"{parts.scheme}://{parts.netloc}" == address
    if address and not (
        root and parts.scheme in ("http", "https") and HOST.fullmatch(parts.netloc)
    ):
        raise Problem.at(
            f"public address {asked!r}",
            "is none that phones could open: it is http:// or https:// and a host, without a path",
            "write it as https://survey.example.org (--public-url, WATPHON_URL_PUBLIC)",
            code="public_url",
        )
    return address
