"""Which of the files that came with a submission belong to it: those its answers mention."""

from __future__ import annotations

import mimetypes
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from server.state.blobs import Staged

__all__ = ["listing", "media_type", "normal_name"]


def listing(rows: Iterable[Mapping[Any, Any]], references: Mapping[str, str]) -> str:
    """The files that a document's answers mention, as stored JSON; of one name the newest."""
    listed: dict[str, dict[str, str]] = {}
    for row in rows:
        name = normal_name(row["name"])
        if name in references:
            listed[name] = {
                "uid": row["uid"],
                "name": row["name"],
                "question": references[name],
                "media_type": row["media_type"],
            }
    return orjson.dumps(list(listed.values())).decode()


def normal_name(name: str) -> str:
    """A file name as it is compared: phones differ in how they compose accented letters."""
    return unicodedata.normalize("NFC", name.strip())


def media_type(staged: Staged) -> str:
    """What the phone said the file is, or what its name says when the phone said nothing."""
    if staged.media_type and staged.media_type != "application/octet-stream":
        return staged.media_type[:100]
    return mimetypes.guess_type(staged.name)[0] or "application/octet-stream"
