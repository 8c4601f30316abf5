"""File contents by content hash: photographs, audit logs, CSV media.

A file is written under a temporary name, reaches the disk (fsync), and only then gets its name,
which is its SHA-256. Names that people or phones gave never touch the file system. Whoever places
or removes a content does so in the writer's turn, so that the two cannot meet. Where contents stand
in an object store, `server.state.objects` takes this one's place.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

__all__ = ["Blobs", "Staged", "Staging", "sync_folder"]

PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Staged:
    """An uploaded file that waits for its row: safe on disk, not yet in its place."""

    name: str
    media_type: str
    path: Path
    digest: str
    size: int


class Staging:
    """One upload being written: bytes come, then `finish`, or `discard` at any time."""

    def __init__(self, path: Path, name: str, media_type: str) -> None:
        self.path = path
        self.name = name
        self.media_type = media_type
        self.size = 0
        self.hash = hashlib.sha256()
        self.file: BinaryIO = path.open("xb")

    def write(self, chunk: bytes) -> None:
        """Append; raises `OSError` when the disk takes no more."""
        self.file.write(chunk)
        self.hash.update(chunk)
        self.size += len(chunk)

    def finish(self) -> Staged:
        """Bring the bytes to the disk; slow (fsync), so not for the event loop."""
        self.file.flush()
        os.fsync(self.file.fileno())
        return self.close()

    async def finished(self) -> Staged:
        """`finish` with only the waiting for the disk outside the event loop."""
        self.file.flush()
        await asyncio.get_running_loop().run_in_executor(None, os.fsync, self.file.fileno())
        return self.close()

    def close(self) -> Staged:
        self.file.close()
        return Staged(self.name, self.media_type, self.path, self.hash.hexdigest(), self.size)

    def discard(self) -> None:
        """Forget the upload."""
        with contextlib.suppress(OSError):
            self.file.close()
        self.path.unlink(missing_ok=True)


class Blobs:
    """`contents/` by hash, and `incoming/` for what is being uploaded.

    The contents stand in one folder: a batch of uploads then costs one fsync of a folder, and
    today's file systems find a name among a million as fast as among ten.
    """

    elsewhere = False
    """Whether contents stand outside of this machine's folder."""
    address = ""
    """The address of what is elsewhere."""

    def __init__(self, folder: Path, worker: str = "") -> None:
        self.folder = folder
        self.contents = folder / "contents"
        self.incoming = folder / "incoming"
        self.worker = worker
        self.touched = False

    def prepare(self) -> None:
        """Make the folders; drop what a stopped server left half uploaded."""
        self.make_folders()
        self.drop_incoming("")

    def make_folders(self) -> None:
        """Make the folders, where they are not there."""
        self.contents.mkdir(parents=True, exist_ok=True)
        self.incoming.mkdir(exist_ok=True)
        sync_folder(self.folder)
        sync_folder(self.contents)

    def drop_incoming(self, worker: str) -> None:
        """Drop what one worker, or (without a name) any, left half uploaded."""
        for left in self.incoming.glob(f"{worker}*"):
            left.unlink(missing_ok=True)

    def stage(self, name: str, media_type: str) -> Staging:
        """Begin an upload."""
        return Staging(self.incoming / (self.worker + secrets.token_hex(16)), name, media_type)

    async def bring(self, files: Sequence[Staged]) -> None:
        """Bring staged files to where contents stand, before their rows are written: nothing to do
        where that is this folder."""

    def path(self, digest: str) -> Path:
        """Where the content with this hash stands on this machine."""
        return self.contents / digest

    def place(self, staged: Staged) -> bool:
        """Give a staged file its name; whether it was not there before. Durable after `sync`."""
        target = self.path(staged.digest)
        if target.exists():
            staged.path.unlink(missing_ok=True)
            return False
        staged.path.rename(target)
        self.touched = True
        return True

    def take_back(self, staged: Staged) -> None:
        """Undo `place` for a content that was not there before."""
        self.path(staged.digest).rename(staged.path)

    def sync(self) -> None:
        """Bring the names given since the last call to the disk; call before the rows commit."""
        if self.touched:
            sync_folder(self.contents)
            self.touched = False

    def remove(self, digest: str) -> None:
        """Delete a content nobody refers to any more."""
        self.path(digest).unlink(missing_ok=True)

    def read(self, digest: str) -> Iterator[bytes]:
        """A content piece by piece; raises `FileNotFoundError` for one that is not there."""
        with self.path(digest).open("rb") as file:
            while chunk := file.read(PIECE):
                yield chunk

    def newer_than(self, digest: str, when: datetime) -> bool:
        """Whether the content was stored after that moment, where rows may come after contents."""
        return False


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk, where the system lets folders be opened."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
