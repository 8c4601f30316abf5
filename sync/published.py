"""What was published from here: which asset of which server a form became, with our own hash.

A form whose marker somebody removed from its description is recognised by this file instead of being
created a second time. Losing the file costs nothing: the markers on the server say the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from sync.backend import Published
from sync.storage import storage_problem

__all__ = ["adopted", "note_published"]


def adopted(path: Path, url: str) -> dict[str, str]:
    """Form id → name on the server at `url`; empty without the file, or when it cannot be read."""
    return {form_id: entry["uid"] for form_id, entry in entries(path, url).items()}


def note_published(path: Path, url: str, form: Published, sha256: str) -> None:
    """Add a form; the file is written beside and takes its place whole."""
    whole = {**read(path), url: {**entries(path, url)}}
    whole[url][form.form_id] = {"uid": form.uid, "sha256": sha256, "version": form.version}
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with storage_problem(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(
            json.dumps(whole, ensure_ascii=False, indent=1, sort_keys=True) + "\n", "utf-8"
        )
        unfinished.replace(path)


def entries(path: Path, url: str) -> dict[str, dict[str, str]]:
    found = read(path).get(url, {})
    return {
        form_id: dict(entry)
        for form_id, entry in found.items()
        if isinstance(entry, Mapping) and isinstance(entry.get("uid"), str)
    }


def read(path: Path) -> dict[str, dict[str, dict[str, str]]]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
