"""The browser form's files as one build, under addresses that name it: old and new never mix.

A page, everything it imports and everything its service worker keeps come from
`/static/web-STAMP/…`, where STAMP is made of all contents. An answer there never changes, so it may
be kept for ever; after an upgrade the old stamp's addresses are gone and a page that is still open
goes on from what its browser kept. The same files stand below `/static/web/` without a stamp.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from server.pages.static import FOLDERS, PLACED, TYPES, Kept, kept

__all__ = ["ENGINE", "WEB", "Build", "build"]

ENGINE = "web/vendor/xforms-engine.js"
"""What npm brings; without it there is no form in the browser."""

WEB = "web/"
IMPORT = re.compile(r"""^\s*(?:import|export)\b[^'"();]*?['"](\.{1,2}/[^'"]+)['"]""", re.MULTILINE)
LATER = re.compile(r"""\bimport\(\s*['"](\.{1,2}/[^'"]+)['"]\s*\)""")


@dataclass(frozen=True, slots=True)
class Build:
    """Contents by their path below /static/ (`web/app.js`, `fonts/…`), and their common stamp."""

    stamp: str
    files: Mapping[str, Kept]

    @property
    def complete(self) -> bool:
        """Whether the engine is there."""
        return ENGINE in self.files

    def url(self, path: str) -> str:
        """The address of a file: of our own with the stamp, of others (fonts) without."""
        if path.startswith(WEB):
            return f"/static/web-{self.stamp}/{path.removeprefix(WEB)}"
        return f"/static/{path}"

    def hashes(self) -> dict[str, str]:
        """Address and SHA-256 of every file: what a service worker keeps."""
        return {
            self.url(path): hashlib.sha256(file.body).hexdigest()
            for path, file in sorted(self.files.items())
        }

    def needed(self, entry: str) -> list[str]:
        """Modules that a page with this entry (`app.js`) loads before it shows anything.

        They are everything it imports, and what the entry itself imports later.
        """
        start = WEB + entry
        found = self.imported(start)
        for later in LATER.findall(text(self.files[start])):
            found |= self.imported(beside(start, later))
        return sorted(found)

    def imported(self, start: str) -> set[str]:
        """A module and all that it imports, and these import, at once."""
        found: set[str] = set()
        waiting = [start]
        while waiting:
            path = waiting.pop()
            if path in self.files and path not in found:
                found.add(path)
                if path != ENGINE:
                    imports = IMPORT.findall(text(self.files[path]))
                    waiting += [beside(path, one) for one in imports]
        return found


def text(file: Kept) -> str:
    """A module's source."""
    return file.body.decode("utf-8")


def beside(path: str, relative: str) -> str:
    """The path that a relative one means, seen from a file."""
    steps = [*PurePosixPath(path).parent.parts]
    for step in relative.split("/"):
        if step == "..":
            steps.pop()
        elif step != ".":
            steps.append(step)
    return "/".join(steps)


@lru_cache(maxsize=1)
def build() -> Build:
    """The build of this process: read and compressed once, at the first question; 0.2 s."""
    found: dict[str, Kept] = {}
    for first in ("web", "fonts"):
        for file in sorted(FOLDERS[first].rglob("*")):
            if file.is_file() and file.suffix in TYPES:
                found[f"{first}/{file.relative_to(FOLDERS[first]).as_posix()}"] = kept(file)
    for path, file in PLACED.items():
        if file.is_file():
            found[path] = kept(file)
    stamp = hashlib.sha256()
    for path, file in sorted(found.items()):
        stamp.update(f"{path} {hashlib.sha256(file.body).hexdigest()}\n".encode())
    return Build(stamp.hexdigest()[:12], found)
