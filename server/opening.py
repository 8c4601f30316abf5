"""What is done once at a start, however many processes then serve, and what each of them opens.

Whoever serves alone, or supervises several workers, holds the data folder's lock, brings the tables
up to date, clears away what a stopped server left half done, and makes the first account. A worker
only opens what is there.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection, update

from forms.problems import Problem
from server.people.accounts import first_admin
from server.state.blobs import Blobs
from server.state.lock import Held, hold
from server.state.remembered import remember
from server.state.schema import imports
from server.state.storage import storage_of
from server.state.store import Store, open_store
from server.state.trouble import StorageLost
from server.times import moment, utc_now

__all__ = ["Opened", "close_interrupted", "open_alone", "open_worker", "worker_name"]

INTERRUPTED = (
    '{"error":"The server stopped during the import. Send the form again.",'
    '"error_type":"Interrupted"}'
)
LONGEST_IMPORT = timedelta(minutes=15)
"""An import that began before is not under way anywhere; it waits its turn behind a few others."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The state of a server: rows, contents, the locks (none in a worker), the worker's name, and the
    token that the very first start made."""

    store: Store
    blobs: Blobs
    held: Held | None = None
    worker: str = ""
    first_token: str | None = None

    @property
    def shared(self) -> bool:
        """Whether other processes may change what this one remembers."""
        return bool(self.worker) or not self.store.database.is_file

    def close(self) -> None:
        """Close it; the folder is free again where the lock was held here."""
        if self.held is not None:
            self.held.release()
        self.store.close()


def open_alone(data: Path, database: str | None = None, storage: str | None = None) -> Opened:
    """The state, for the one process that is in charge of a data folder.

    `database` and `storage` are addresses; None asks the environment. Raises `Problem` when they
    cannot be used or another server uses the folder.
    """
    store = open_store(data, database)
    held: Held | None = None
    try:
        held = hold(store)
        blobs = storage_of(store, storage)
        try:
            blobs.prepare()
        except StorageLost as error:
            raise Problem.at(
                blobs.address,
                f"the storage of contents does not answer ({error})",
                "check the address, AWS_ENDPOINT_URL and the keys",
                code="server_storage",
            ) from error
        if blobs.elsewhere:
            remember(store.folder, "storage", blobs.address)
        with store.write() as connection:
            first_token = first_admin(connection, now=utc_now())
            close_interrupted(connection, others=not held.alone)
    except BaseException:
        if held is not None:
            held.release()
        store.close()
        raise
    return Opened(store, blobs, held, first_token=first_token)


def open_worker(data: Path, database: str, storage: str, name: str) -> Opened:
    """The state, for one of several processes under a supervisor that opened it before."""
    store = open_store(data, database)
    return Opened(store, storage_of(store, storage, name), worker=name)


def worker_name() -> str:
    """A name that tells one worker's unfinished work from everybody else's."""
    return secrets.token_hex(4)


def close_interrupted(connection: Connection, *, worker: str = "", others: bool = False) -> None:
    """End in an error what a stopped server left unfinished, so that nobody polls for ever.

    Of one worker only, where it is named; where servers of `others` may be at work on the same
    database, only what is too old to be under way.
    """
    left = imports.c.status == "processing"
    if worker:
        left &= imports.c.uid.startswith(f"i{worker}")
    elif others:
        left &= imports.c.created_at < moment(utc_now() - LONGEST_IMPORT)
    connection.execute(update(imports).where(left).values(status="error", messages=INTERRUPTED))
