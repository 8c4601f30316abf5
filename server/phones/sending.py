"""Sending forms and lists to phones: compressed, and not at all what the phone has already.

Collect fetches the list and every manifest every quarter of an hour, on the data its owner pays for.
Whoever says which version it has (`If-None-Match`) is told 304; whoever reads gzip (Collect's HTTP
client does by itself) gets an eighth of the bytes. The hashes in lists and manifests are those of
the plain content.
"""

from __future__ import annotations

import asyncio
import gzip
import re
from collections import OrderedDict

from starlette.requests import Request
from starlette.responses import Response

from server.answers import saved_file, saving
from server.house import House
from server.phones.scope import Offered

__all__ = ["XML", "media", "sent", "takes_gzip"]

XML = "text/xml; charset=utf-8"
"""Collect refuses a list of another type: that is how it notices a hotel's sign-in page."""

PACKED = ("text/csv", "text/xml", "text/plain", "application/xml", "application/json")
PACKED_ENDS = (".csv", ".xml", ".json", ".geojson", ".svg", ".txt")
PACKED_BYTES = 4_000_000
"""A larger file goes out plain, read from the disk piece by piece."""

SMALL = 500
KEPT_BYTES = 8_000_000


def takes_gzip(request: Request) -> bool:
    """Whether the caller reads gzip (RFC 9110, Accept-Encoding; `gzip;q=0` says no)."""
    for part in request.headers.get("accept-encoding", "").lower().split(","):
        name, _, weight = part.strip().partition(";")
        if name.strip() in ("gzip", "*"):
            return not re.fullmatch(r"q=0(\.0*)?", weight.strip())
    return False


def known(request: Request, tag: str) -> bool:
    """Whether the caller says that it has this version; weakly compared, so gzip or not is one."""
    told = request.headers.get("if-none-match", "")
    return told.strip() == "*" or tag in re.findall(r'"([^"]*?)(?:-z)?"', told)


def head(tag: str, packed: bool) -> dict[str, str]:
    return {"ETag": f'"{tag}{"-z" if packed else ""}"', "Vary": "Accept-Encoding"}


class Packed:
    """Compressed contents by their tag; the last few megabytes of them."""

    def __init__(self) -> None:
        self.kept: OrderedDict[str, bytes] = OrderedDict()
        self.bytes = 0

    async def of(self, tag: str, content: bytes) -> bytes:
        """A content compressed; large ones in a thread of their own."""
        if tag in self.kept:
            self.kept.move_to_end(tag)
            return self.kept[tag]
        pack = lambda: gzip.compress(content, 6, mtime=0)  # noqa: E731
        made = pack() if len(content) < 20_000 else await asyncio.to_thread(pack)
        if tag not in self.kept:
            self.kept[tag] = made
            self.bytes += len(made)
        while self.bytes > KEPT_BYTES:
            self.bytes -= len(self.kept.popitem(last=False)[1])
        return made


packed = Packed()


async def sent(
    request: Request,
    content: bytes,
    tag: str,
    media_type: str = XML,
    headers: dict[str, str] | None = None,
) -> Response:
    """A content whose MD5 or SHA-256 is `tag`: 304 where the caller has it, else it, compressed."""
    pack = takes_gzip(request) and len(content) > SMALL
    more = {**(headers or {}), **head(tag, pack)}
    if known(request, tag):
        return Response(status_code=304, headers=head(tag, pack))
    if pack:
        content = await packed.of(tag, content)
        more["Content-Encoding"] = "gzip"
    return Response(content, headers=more, media_type=media_type)


async def media(request: Request, house: House, file: Offered) -> Response:
    """A form's file: what compresses well compressed, the rest from the disk, also in pieces
    (`Range`)."""
    path = await asyncio.to_thread(house.blobs.path, file.digest)
    readable = file.media_type.partition(";")[0] in PACKED or file.name.lower().endswith(
        PACKED_ENDS
    )
    tag = file.md5
    if file.content is not None:
        content = file.content
    elif "range" in request.headers:
        return saved_file(request, path, file.name, file.media_type)
    elif readable and (await asyncio.to_thread(path.stat)).st_size <= PACKED_BYTES:
        tag = file.digest
        if known(request, tag):
            return Response(status_code=304, headers=head(tag, takes_gzip(request)))
        content = await asyncio.to_thread(path.read_bytes)
    else:
        return saved_file(request, path, file.name, file.media_type)
    return await sent(request, content, tag, file.media_type, saving(file.name))
