"""A scanner that is none of ours, and what Collect makes of what it reads."""

from __future__ import annotations

import base64
import io
import re
import zlib
from typing import Any

import orjson
import zxingcpp
from PIL import Image

__all__ = ["codes", "read", "settings_in"]

PICTURE = re.compile(r'src="data:image/png;base64,([^"]+)"')


def read(picture: bytes) -> str:
    """What a scanner that is none of ours reads in a picture."""
    (found,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(picture)))
    return found.text


def codes(html: str) -> list[str]:
    """What the codes of a page hold."""
    return [read(base64.b64decode(found)) for found in PICTURE.findall(html)]


def settings_in(text: str) -> dict[str, Any]:
    """The settings in a code, unpacked as Collect's `CompressionUtils.decompress` does."""
    return orjson.loads(zlib.decompress(base64.b64decode(text)))
