"""Files that never change while the server runs: style sheets, scripts, fonts.

`static_url("style.css")` is the file's address with its content's hash, `/static/style.css?v=…`,
which browsers may keep for ever; the same address without the hash (a module that another module
imports) is asked for again each time and answered 304 where it has not changed. What can be
compressed is, once.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from forms.words import FONTS
from server.answers import Refusal, api

__all__ = ["FOLDERS", "routes", "static_url"]

SERVER = Path(__file__).parent.parent

FOLDERS = {
    "fonts": FONTS,
    "web": SERVER / "web" / "static",
    "": SERVER / "pages" / "static",
}
"""First step of the path below /static/, and the folder it stands for."""

PLACED: dict[str, Path] = {
    "web/theme.css": SERVER / "pages/static/theme.css",
    "web/vendor/xforms-engine.js": SERVER / "web/node_modules/xforms-engine.js",
    "web/vendor/jsqr.js": SERVER / "web/node_modules/jsqr/dist/jsQR.js",
}
"""Single files from elsewhere."""

COMMENT = re.compile(rb"^[ \t]*(?:/\*\*(?:(?!\*/)[^\0])*\*/[ \t]*|//.*)\n", re.MULTILINE)
"""A comment in a script that fills whole lines; they are a sixth of what a phone would fetch."""

LICENCE = re.compile(rb"licen[cs]e|copyright", re.IGNORECASE)

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
"""A file of another kind is not served."""

COMPRESSED = (".css", ".js", ".mjs", ".json", ".map", ".svg", ".webmanifest", ".wasm", ".txt")
STEP = re.compile(r"[A-Za-z0-9_@-][A-Za-z0-9_@.-]*")
A_MONTH = "public, max-age=2592000"
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "public, no-cache"


@dataclass(frozen=True, slots=True)
class Kept:
    """A file's content as it is sent; `packed` is empty where compressing gains nothing."""

    body: bytes
    packed: bytes
    version: str
    media_type: str


def located(path: str) -> Path | None:
    """The file below /static/; None where there is none. No step leads out of the folders."""
    steps = path.split("/")
    if not all(STEP.fullmatch(step) for step in steps):
        return None
    if path in PLACED:
        return PLACED[path] if PLACED[path].is_file() else None
    first = steps[0] if steps[0] in FOLDERS else ""
    file = FOLDERS[first].joinpath(*(steps[1:] if first else steps))
    return file if file.suffix in TYPES and file.is_file() else None


def kept(path: Path) -> Kept:
    """A file's content, read again only when the file has changed."""
    about = path.stat()
    return read(path, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=256)
def read(path: Path, _changed: int, _size: int) -> Kept:
    body = path.read_bytes()
    if path.suffix == ".js":
        body = COMMENT.sub(lambda found: found[0] if LICENCE.search(found[0]) else b"", body)
    packed = gzip.compress(body, 9, mtime=0) if path.suffix in COMPRESSED else b""
    return Kept(
        body,
        packed if len(packed) < len(body) else b"",
        hashlib.sha256(body).hexdigest()[:16],
        TYPES[path.suffix],
    )


def static_url(path: str) -> str:
    """The address of a file below /static/ with its content's hash.

    Raises `FileNotFoundError` where there is no such file: a template that names it is wrong.
    """
    file = located(path)
    if file is None:
        raise FileNotFoundError(f"static file {path}")
    return f"/static/{path}?v={kept(file).version}"


async def static(request: Request) -> Response:
    """GET /static/{path}: open to everyone; nothing there tells of anybody."""
    file = located(request.path_params["path"])
    if file is None:
        raise Refusal(404, "Not found.")
    found = await asyncio.to_thread(kept, file)
    packed = bool(found.packed) and "gzip" in request.headers.get("accept-encoding", "")
    named = request.query_params.get("v") == found.version
    tag = f'"{found.version}{"-z" if packed else ""}"'
    # style sheets name fonts without a hash; a font of another shape gets another name
    unnamed = A_MONTH if file.suffix == ".woff2" else ASK_AGAIN
    headers = {
        "ETag": tag,
        "Cache-Control": FOR_EVER if named else unnamed,
        "Vary": "Accept-Encoding",
    }
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if packed:
        headers["Content-Encoding"] = "gzip"
    return Response(
        found.packed if packed else found.body, headers=headers, media_type=found.media_type
    )


def routes() -> list[Route]:
    """The address of every static file."""
    return [Route("/static/{path:path}", api(static))]
