"""File contents in an S3-compatible object store, instead of the data folder.

The address is `s3://BUCKET/PREFIX`; endpoint and keys come from the environment (AWS_ENDPOINT_URL,
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION). An upload is staged on the local disk, is in
the store before its row is written, and is only then acknowledged. What is read is fetched once and
kept for a while in `DATA/server/files/cache/`, so that pieces, ETags and broken lines are served as
from the folder; its hash is checked on the way.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from forms.problems import Problem
from server.state.blobs import Blobs, Staged
from server.state.trouble import StorageLost

if TYPE_CHECKING:
    from obstore.store import S3Store

__all__ = ["ObjectBlobs", "object_blobs"]

CACHE_BYTES = 1_000_000_000
CACHE_REST = 600.0
"""Seconds a fetched content stays at least: somebody may be reading it."""
CACHE_LONGEST = 86_400.0
"""Seconds it stays at most without being asked for, so that what was deleted does not linger."""
PATIENCE = timedelta(seconds=20)
"""How long a phone waits for a store that does not answer; then it is told to send again."""


class ObjectBlobs(Blobs):
    """Contents in a bucket; `incoming/` and `cache/` on this machine."""

    elsewhere = True

    def __init__(self, store: S3Store, address: str, folder: Path, worker: str = "") -> None:
        super().__init__(folder, worker)
        self.store = store
        self.address = address
        self.contents = folder / "cache"

    def prepare(self) -> None:
        """Make the folders, and see that the store answers; raises `Problem` when it does not."""
        super().prepare()
        import obstore

        with self.asked():
            obstore.list_with_delimiter(self.store, prefix="watphon-asks-whether-it-may-list")
        self.tidy()

    async def bring(self, files: Sequence[Staged]) -> None:
        """Store files; they are durable when this returns. Raises `StorageLost`."""
        import obstore

        with self.asked():
            await asyncio.gather(
                *(obstore.put_async(self.store, one.digest, one.path) for one in files)
            )

    def place(self, staged: Staged) -> bool:
        """The content is in its place since `bring`; the local copy is kept for readers."""
        with contextlib.suppress(FileNotFoundError):  # placed before, in a batch that failed
            staged.path.replace(self.contents / staged.digest)
        return False

    def sync(self) -> None:
        """Nothing waits: what stands here is a copy."""

    def path(self, digest: str) -> Path:
        """A local copy, fetched where it is not here; slow then. Raises `FileNotFoundError` for what
        is not in the store, and `StorageLost`."""
        here = self.contents / digest
        with contextlib.suppress(FileNotFoundError):
            os.utime(here)
            return here
        import obstore

        fresh = self.incoming / f"{self.worker}{secrets.token_hex(16)}"
        hashed = hashlib.sha256()
        try:
            with self.asked(), fresh.open("xb") as file:
                for chunk in obstore.get(self.store, digest).stream():
                    hashed.update(chunk)
                    file.write(chunk)
            if hashed.hexdigest() != digest:
                raise StorageLost("a content is not what was stored")
            fresh.replace(here)
        finally:
            fresh.unlink(missing_ok=True)
        self.tidy()
        return here

    def read(self, digest: str) -> Iterator[bytes]:
        """A content piece by piece, not kept here."""
        import obstore

        with self.asked():
            for chunk in obstore.get(self.store, digest).stream():
                yield bytes(chunk)

    def tidy(self) -> None:
        """Let copies go that nobody has asked for, or that take too much room."""
        now, room = time.time(), CACHE_BYTES
        found = []
        for file in self.contents.iterdir():
            with contextlib.suppress(FileNotFoundError):
                about = file.stat()
                found.append((about.st_mtime, about.st_size, file))
        for touched, size, file in sorted(found, reverse=True):
            room -= size
            rest = now - touched
            if rest > CACHE_LONGEST or (room < 0 and rest > CACHE_REST):
                file.unlink(missing_ok=True)

    def remove(self, digest: str) -> None:
        """Delete a content nobody refers to any more."""
        import obstore

        (self.contents / digest).unlink(missing_ok=True)
        with self.asked(), contextlib.suppress(FileNotFoundError):
            obstore.delete(self.store, digest)

    def newer_than(self, digest: str, when: datetime) -> bool:
        """Whether the content was stored, or stored again, after that moment."""
        import obstore

        try:
            with self.asked():
                return obstore.head(self.store, digest)["last_modified"] > when
        except FileNotFoundError:
            return False

    @contextlib.contextmanager
    def asked(self) -> Iterator[None]:
        """What the store's client raises, in our words."""
        from obstore.exceptions import BaseError, NotFoundError

        try:
            yield
        except NotFoundError as error:
            raise FileNotFoundError from error
        except BaseError as error:
            # its own words name the bucket and the request; the kind is enough
            raise StorageLost(type(error).__name__) from error


def object_blobs(address: str, folder: Path, worker: str = "") -> ObjectBlobs:
    """The contents at an address; raises `Problem` where it is none, or the client is missing."""
    parts = urlsplit(address)
    if parts.scheme != "s3" or not parts.netloc or "@" in parts.netloc or parts.query:
        raise Problem.at(
            "the storage's address",
            "is none this server knows",
            "write it as s3://BUCKET/PREFIX; endpoint and keys stand in the environment "
            "(AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION)",
            code="server_storage",
        )
    try:
        from obstore.store import S3Store
    except ImportError as error:
        raise Problem.at(
            address,
            "the client for object stores is not installed",
            "install it: pip install 'watphon[s3]'",
            code="server_storage",
        ) from error
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    more: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
    if endpoint.startswith("http://"):
        more["client_options"] = {"allow_http": True}
    store = S3Store(
        parts.netloc,
        prefix=parts.path.strip("/") or None,
        retry_config={"max_retries": 5, "retry_timeout": PATIENCE},
        **more,
    )
    return ObjectBlobs(store, address, folder, worker)
