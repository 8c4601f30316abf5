"""Addresses of what stands outside of the data folder, kept inside it without their secrets.

A server or command that is not told the address of its database or contents takes the one that was
told before: it must not begin an empty one beside the full one.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

__all__ = ["asked", "remember"]


def asked(folder: Path, name: str, address: str | None) -> str:
    """An address by what is asked, the environment (WATPHON_NAME), or what the folder remembers;
    empty where nothing tells one."""
    if address is None:
        address = os.environ.get(f"WATPHON_{name.upper()}", "")
    if address:
        return address
    try:
        return (folder / name).read_text("utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def remember(folder: Path, name: str, address: str) -> None:
    """Keep an address that has no secret in it."""
    file, told = folder / name, f"{address}\n"
    if not file.exists() or file.read_text("utf-8") != told:
        fresh = folder / f"{name}.{secrets.token_hex(4)}"
        fresh.write_text(told, "utf-8")
        fresh.replace(file)
