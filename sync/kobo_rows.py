"""A row of KoboToolbox's data API as the mirror keeps it: who it is, whether it changed, its files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from forms.instance import attachments, bare
from sync.backend import Row

__all__ = ["awaited", "mark_of", "root_of", "row_of"]

STATUS_PREFIX = "validation_status_"


def root_of(row: Mapping[str, Any]) -> str:
    """What identifies a submission for ever; rows of before rootUuid existed have their uuid."""
    return bare(row.get("meta/rootUuid")) or bare(row.get("_uuid"))


def mark_of(row: Mapping[str, Any]) -> str:
    """A word that changes with every edit and every review, equal in full and in light rows.

    `_date_modified`, where the server has it (https://github.com/kobotoolbox/kpi/issues/7259), moves
    when a file arrives, too.
    """
    status = row.get("_validation_status")
    review = f"{status.get('uid')}|{status.get('timestamp')}" if status else "|"
    return f"{bare(row.get('_uuid'))}|{review}|{row.get('_date_modified') or ''}"


def row_of(row: Mapping[str, Any], files: frozenset[str] = frozenset()) -> Row:
    """A row with every key the server sent, in its order; `files`: see `Source`."""
    status = row.get("_validation_status")
    listed = tuple(attachments(row)) if row.get("_attachments") else ()
    return Row(
        root_id=root_of(row),
        row_id=int(row["_id"]),
        uuid=bare(row.get("_uuid")),
        mark=mark_of(row),
        submitted_at=str(row.get("_submission_time") or ""),
        validation=str(status.get("uid") or "")[len(STATUS_PREFIX) :] if status else "",
        payload=orjson.dumps(row),
        attachments=listed,
        waiting=bool(files) and not {file.name for file in listed}.issuperset(awaited(row, files)),
    )


def awaited(row: Mapping[str, Any], files: frozenset[str]) -> Iterator[str]:
    """Names of the files that answer questions of `files`, inside repeats too."""
    for path in files:
        if name := row.get(path):
            yield str(name)
    for value in row.values():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            for turn in value:
                if isinstance(turn, dict) and "download_url" not in turn:
                    yield from awaited(turn, files)
