"""Where file contents stand: in the data folder, or behind an address."""

from __future__ import annotations

from server.state.blobs import Blobs
from server.state.objects import object_blobs
from server.state.remembered import asked
from server.state.store import Store

__all__ = ["storage_of"]


def storage_of(store: Store, address: str | None = None, worker: str = "") -> Blobs:
    """The contents that belong to a state: `s3://BUCKET/PREFIX`, or `folder`, its own.

    None asks WATPHON_STORAGE and then what the folder remembers; `worker` names one process of
    several. Raises `Problem` for an address that cannot be used.
    """
    told = asked(store.folder, "storage", address)
    folder = store.folder / "files"
    if told in ("", "folder"):
        return Blobs(folder, worker)
    return object_blobs(told, folder, worker)
