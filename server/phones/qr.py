"""QR codes as pictures: PNG for a phone's screen or a chat, drawn inside a page or a terminal."""

from __future__ import annotations

import base64
import io

import segno

__all__ = ["png", "png_address", "text"]

QUIET = 4
"""Modules of white around a code; scanners need them (ISO/IEC 18004)."""


def code(content: str) -> segno.QRCode:
    """The smallest code that holds the content, as robust as its size allows."""
    return segno.make_qr(content, error="l", boost_error=True)


def png(content: str, *, scale: int = 8) -> bytes:
    """A PNG, `scale` pixels a module; black on white."""
    out = io.BytesIO()
    code(content).save(out, kind="png", scale=scale, border=QUIET)
    return out.getvalue()


def png_address(content: str, *, scale: int = 8) -> str:
    """The PNG as an address (`data:`) that a page shows without asking the server again."""
    return "data:image/png;base64," + base64.b64encode(png(content, scale=scale)).decode()


def text(content: str) -> str:
    """A code in half-block characters, for a dark or bright terminal."""
    out = io.StringIO()
    code(content).terminal(out, border=QUIET, compact=True)
    return out.getvalue()
