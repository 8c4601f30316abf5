"""HTTP/1.1 as it goes over the wire: whole messages, and a kept line to a server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import IO

__all__ = ["Said", "Upstream", "read"]


@dataclass(frozen=True, slots=True)
class Said:
    """A request's or an answer's first line, its headers, and its body."""

    first: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        return next((value for known, value in self.headers if known.lower() == name), "")

    def head(self) -> bytes:
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        return f"{self.first}\r\n{lines}\r\n".encode("latin-1")


class Upstream:
    """A kept line to the real server, opened when it is first needed."""

    def __init__(self, address: tuple[str | None, int | None]) -> None:
        self.address = (address[0] or "127.0.0.1", address[1] or 80)
        self.line: socket.socket | None = None

    def ask(self, request: Said) -> Said:
        """Its answer; raises `OSError` when it is not there."""
        for _ in range(2):  # it may have hung up on a line that was idle
            if self.line is None:
                self.line = socket.create_connection(self.address, timeout=30)
                self.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.coming = self.line.makefile("rb")
            with suppress(OSError):
                self.line.sendall(request.head() + request.body)
                bare = request.first.startswith("HEAD ")
                if (answer := read(self.coming, bare=bare)) is not None:
                    if answer.header("connection").lower() == "close":
                        self.close()
                    return answer
            self.close()
        raise ConnectionError("the server behind the proxy hung up")

    def close(self) -> None:
        if self.line is not None:
            self.coming.close()
            self.line.close()
            self.line = None


def read(coming: IO[bytes], *, bare: bool = False) -> Said | None:
    """A whole request or answer from a line; None when it is at its end. `bare`: it has no body."""
    lines = iter(coming.readline, b"")
    first = next(lines, b"").decode("latin-1").rstrip("\r\n")
    if not first:
        return None
    headers = []
    for line in lines:
        if line in (b"\r\n", b"\n"):
            break
        name, _, value = line.decode("latin-1").partition(":")
        headers.append((name, value.strip()))
    said = Said(first, tuple(headers), b"")
    if bare:
        return said
    if said.header("transfer-encoding").lower() == "chunked":
        return replace(said, body=b"".join(chunks(coming)))
    return replace(said, body=coming.read(int(said.header("content-length") or 0)))


def chunks(coming: IO[bytes]) -> Iterator[bytes]:
    while size := int(coming.readline(), 16):
        yield coming.read(size)
        coming.readline()
    coming.readline()
