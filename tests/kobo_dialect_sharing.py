"""Files, rights and links of an asset of the KoboToolbox dialect."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import orjson
from kobo_dialect_answers import NOT_FOUND, PAGE_500, Reply, page_of, parts_of, shaped
from kobo_dialect_assets import Asset

if TYPE_CHECKING:
    from kobo_dialect import KoboDialect

__all__ = ["USERS", "add_file", "paired", "rights"]

USERS = {"me_office", "outsider", "enum1", "enum2", "AnonymousUser"}
"""Accounts that are there."""


def add_file(kobo: KoboDialect, asset: Asset, body: bytes, kind: str) -> Reply:
    """POST files/ (018-024)."""
    fields, files = parts_of(body, kind)
    if "metadata" not in fields:
        return PAGE_500
    if not files:
        return Reply(400, {"content": ["No files have been submitted"]})
    name, content, media_type = files[0]
    if not media_type.startswith(("image/", "text/csv", "application/xml")):
        return Reply(400, {"content": ["Only `image`, … MIME types are allowed"]})
    if any(one["metadata"]["filename"] == name for one in asset.files.values()):
        return Reply(400, {"content": ["File already exists"]})
    uid = kobo.uid("af")
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    metadata = {"filename": name, "hash": f"md5:{digest}", "mimetype": media_type}
    own = {"uid": uid, "date_created": kobo.now(), "metadata": metadata}
    made = shaped(18, kobo.url, asset.uid, own)
    for key in ("url", "content"):
        made[key] = made[key].replace("afnYDweZu4WEVVe2iT25VGx", uid)
    asset.files[uid] = made
    asset.contents[digest] = content
    return Reply(201, made)


def rights(kobo: KoboDialect, asset: Asset, method: str, uid: list[str], body: bytes) -> Reply:
    """034-036, 214, 219; what a partial permission says comes back as in 220."""
    if method == "GET":
        return Reply(200, list(asset.rights.values()))
    if method == "DELETE":
        return Reply(204) if asset.rights.pop(uid[0], None) else NOT_FOUND
    given = orjson.loads(body)
    name, right = (given[key].rstrip("/").rpartition("/")[2] for key in ("user", "permission"))
    if name not in USERS:
        return Reply(400, {"user": ["Invalid hyperlink - Object does not exist."]})
    made = asset.grant(name, right, given.get("partial_permissions"))
    if right == "partial_submissions":  # the server adds its companion (220)
        asset.grant(name, "view_asset")
    return Reply(201, made)


def paired(kobo: KoboDialect, asset: Asset, method: str, uid: list[str], body: bytes) -> Reply:
    """239, 241-243, 248."""
    if method == "GET":
        return Reply(200, page_of(list(asset.pairs.values()), {}))
    if method == "DELETE":
        return Reply(204) if asset.pairs.pop(uid[0], None) else NOT_FOUND
    given = orjson.loads(body)
    known = asset.pairs[uid[0]] if uid else {}
    source = kobo.assets[(given.get("source") or known["source"]).strip("/").split("/")[-1]]
    if not source.sharing.get("enabled"):
        words = f"Data sharing for `{source.uid}` is not enabled"
        return Reply(400, {"source": [words]})
    legal = source.sharing.get("fields") or []
    if legal and not {*given["fields"]} <= {*legal}:
        choices = ",".join(f"`{one}`" for one in legal)
        words = f"Some fields are invalid, choices are: {choices}"
        return Reply(400, {"fields": [words]})
    if uid:
        known["fields"] = given["fields"]
        return Reply(200, known)
    new = kobo.uid("pd")
    asset.pairs[new] = {
        "source": f"{kobo.url}/api/v2/assets/{source.uid}/",
        "source__name": source.name,
        "fields": given["fields"],
        "filename": f"{given['filename']}.xml",
        "url": f"{kobo.url}/api/v2/assets/{asset.uid}/paired-data/{new}/",
    }
    # Just made, its source is not told (241).
    return Reply(201, {**asset.pairs[new], "source": None, "source__name": None})
