"""The settings of ODK Collect and KoboCollect in a code: one scan and a phone has its server.

The code holds JSON, zlib-compressed, in base64, as https://docs.getodk.org/collect-import-export/
says; the keys and values are those of Collect's `client-settings.schema.json`. Settings that are not
named are set to Collect's defaults by the scan. There is no password in it: the key is part of the
server's address.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

import orjson

__all__ = ["packed", "scanned", "settings", "unpacked"]

COLOUR = "#17456b"


def settings(server_url: str, name: str) -> dict[str, Any]:
    """What a phone is set to: the forms of the server, no more and no fewer, asked for every hour;
    records sent by themselves as soon as there is a network, and kept to be looked at and corrected.

    `name` is what the phone calls the project.
    """
    return {
        "general": {
            "server_url": server_url,
            "form_update_mode": "match_exactly",
            "periodic_form_updates_check": "every_one_hour",
            "autosend": "wifi_and_cellular",
            "delete_send": False,
        },
        "admin": {},
        "project": {"name": name, "icon": name[:1].upper(), "color": COLOUR},
    }


def packed(wanted: dict[str, Any]) -> str:
    """Settings as the text of a code."""
    return base64.b64encode(zlib.compress(orjson.dumps(wanted), 9)).decode()


def scanned(server_url: str, name: str) -> str:
    """What the code holds that sets a phone up."""
    return packed(settings(server_url, name))


def unpacked(text: str) -> dict[str, Any]:
    """The settings in the text of a code; raises `ValueError` where it is none."""
    try:
        return orjson.loads(zlib.decompress(base64.b64decode(text, validate=True)))
    except zlib.error as error:
        raise ValueError("the code holds no settings") from error
