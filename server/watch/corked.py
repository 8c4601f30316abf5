"""An answer's head and body leave in one system call."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["Corked"]

STATUS = b"HTTP/1.1 "


class Corked:
    """A transport that keeps an answer's head until its body comes, so that both leave in one
    system call; that is a tenth of the time a submission takes."""

    __slots__ = ("head", "loop", "transport", "write_")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.transport = transport
        self.loop = loop
        self.write_ = transport.write
        self.head = b""

    def write(self, data: bytes) -> None:
        """Write, or keep a head for the next write; it leaves soon, whatever comes."""
        if self.head:
            data, self.head = self.head + data, b""
            self.write_(data)
        elif data.startswith(STATUS):
            self.head = data
            self.loop.call_soon(self.flush)
        elif data:
            self.write_(data)

    def flush(self) -> None:
        """Let a head go whose body is late."""
        if self.head:
            self.write_(self.head)
            self.head = b""

    def close(self) -> None:
        self.flush()
        self.transport.close()

    def is_closing(self) -> bool:
        return self.transport.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)
