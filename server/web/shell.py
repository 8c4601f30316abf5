"""The pages of the browser form: two, the same for all forms, visitors and keys.

They hold no data, only the addresses of one build, so the service worker may answer with them when
there is no network. Their language is the reader's choice, made on the phone.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from server.pages.headers import PAGE_POLICY
from server.web.build import WEB, Build, build

__all__ = ["ENTRIES", "HEADERS", "manifest", "shell", "worker"]

ENTRIES = {"form": "app.js", "list": "list.js"}
"""The pages and the module each begins with."""

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": PAGE_POLICY,
    "Permissions-Policy": "camera=(self), geolocation=(self), microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every page; also where the service worker makes the answer. The key stands in the address, so
no address is ever told to another site."""

STYLES = ("theme.css", "style.css", "widgets.css", "list.css")

environment = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@lru_cache(maxsize=4)
def shell(page: str) -> str:
    """The HTML of a page, `form` or `list`."""
    made = build()
    entry = ENTRIES[page]
    return environment.get_template("shell.html").render(
        url=made.url,
        entry=WEB + entry,
        modules=[path for path in made.needed(entry) if path != WEB + entry],
        styles=[WEB + style for style in STYLES if WEB + style in made.files],
        stamp=made.stamp,
    )


def worker(base: str) -> str:
    """The service worker's script for a scope `{base}/f/`: another build makes another script."""
    made = build()
    settings: dict[str, Any] = {
        "stamp": made.stamp,
        "base": base,
        "files": made.hashes() | {"/static/icon.svg": ""},
        "pages": {page: shell(page) for page in ENTRIES},
        "headers": {**HEADERS, "Content-Type": "text/html; charset=utf-8"},
    }
    said = orjson.dumps(settings).decode()
    return f"import {{ work }} from {module(made)};\nwork({said});\n"


def module(made: Build) -> str:
    """The worker's module, as a JavaScript string."""
    return orjson.dumps(made.url(WEB + "worker.js")).decode()


def manifest() -> bytes:
    """The web app manifest: addresses are relative, so one serves every key."""
    made = build()
    return orjson.dumps(
        {
            "name": "watphon วัดผล",
            "short_name": "วัดผล",
            "description": "แบบสำรวจ กรอกได้แม้ไม่มีสัญญาณ / Forms that work without a network",
            "lang": "th",
            "dir": "ltr",
            "start_url": "./",
            "scope": "./",
            "display": "standalone",
            "background_color": "#ffffff",
            "theme_color": "#17456b",
            "icons": [
                {"src": made.url(f"{WEB}icon-{size}.png"), "sizes": f"{size}x{size}",
                 "type": "image/png", "purpose": "any maskable"}
                for size in (192, 512)
            ],
        }
    )  # fmt: skip
