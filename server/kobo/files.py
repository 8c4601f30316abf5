"""KoboToolbox API v2: a form's media files. They reach phones at a deployment."""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
from typing import Any

import orjson
from sqlalchemy import Connection, delete, insert, select
from starlette.requests import Request
from starlette.responses import Response

from server.answers import Refusal, json_answer, saved_file
from server.house import House, base_url, house_of
from server.state.blobs import Staged
from server.state.schema import assets, media
from server.state.store import new_uid
from server.times import iso
from server.uploads import BASE64_LIMIT, Upload, decoded, file_name, read_json, read_upload

__all__ = ["file", "file_content", "file_json", "files"]

ALLOWED = ("text/csv", "application/xml", "application/zip", "application/geo+json")
ENDINGS = {
    ".csv": "text/csv",
    ".xml": "application/xml",
    ".geojson": "application/geo+json",
    ".zip": "application/zip",
}
WRONG_TYPE = (
    "Only `image`, `audio`, `video`, `text/csv`, `application/xml`, `application/zip`, "
    "`application/geo+json` MIME types are allowed"
)


def file_json(row: Any, asset_uid: str, owner: str, base: str) -> dict[str, Any]:
    """A media file as KoboToolbox shows it."""
    asset_url = f"{base}/api/v2/assets/{asset_uid}/"
    url = f"{asset_url}files/{row.uid}/"
    return {
        "uid": row.uid,
        "url": url,
        "asset": asset_url,
        "user": f"{base}/api/v2/users/{owner}/",
        "user__username": owner,
        "file_type": "form_media",
        "description": row.description,
        "date_created": row.created_at,
        "content": f"{url}content/",
        "metadata": {"hash": f"md5:{row.md5}", "filename": row.name, "mimetype": row.media_type},
    }


async def files(request: Request) -> Response:
    """GET and POST assets/{uid}/files/."""
    house = house_of(request)
    await house.manager(request)
    uid, base = request.path_params["uid"], base_url(request)

    def read() -> tuple[Any, list[Any]]:
        with house.store.read() as connection:
            found = asset_row(connection, uid)
            query = select(media).where(media.c.asset_id == found.id).order_by(media.c.id)
            return found, list(connection.execute(query))

    found, rows = await asyncio.to_thread(read)
    if request.method == "GET":
        results = [file_json(row, uid, found.owner, base) for row in rows]
        if request.query_params.get("file_type", "form_media") != "form_media":
            results = []
        return json_answer(
            {"count": len(results), "next": None, "previous": None, "results": results}
        )
    row = await added(request, house, uid)
    return json_answer(file_json(row, uid, found.owner, base), 201)


async def added(request: Request, house: House, uid: str) -> Any:
    """Take one file, as a multipart part `content` or as JSON with `base64Encoded`."""
    upload = Upload()
    try:
        if request.headers.get("content-type", "").startswith("multipart/"):
            upload = await read_upload(request, house.blobs)
            given: dict[str, Any] = {
                name: value.decode("utf-8", "replace") for name, value in upload.fields.items()
            }
            staged = next((staged for part, staged in upload.files if part == "content"), None)
        else:
            given = await read_json(request, BASE64_LIMIT)
            staged = None
        metadata = metadata_of(given)
        if given.get("file_type") != "form_media":
            raise Refusal(400, {"file_type": ["Only form_media files are taken."]})
        if staged is None and isinstance(given.get("base64Encoded"), str):
            staged = await asyncio.to_thread(
                stage, house, decoded(given["base64Encoded"], "base64Encoded"), metadata
            )
            upload.files.append(("content", staged))
        if staged is None:
            raise Refusal(400, {"content": ["No files have been submitted"]})
        kind = media_type(staged)
        if not (kind in ALLOWED or kind.startswith(("image/", "audio/", "video/"))):
            raise Refusal(400, {"content": [WRONG_TYPE]})
        md5 = await asyncio.to_thread(md5_of, staged)
        return await house.inbox.run(
            lambda connection: store(connection, house, uid, staged, kind, md5, given), [staged]
        )
    finally:
        upload.discard()


def metadata_of(given: dict[str, Any]) -> dict[str, Any]:
    """The `metadata` field, an object or its JSON text; it must name the file."""
    metadata = given.get("metadata")
    if isinstance(metadata, str):
        try:
            metadata = orjson.loads(metadata)
        except orjson.JSONDecodeError:
            metadata = None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("filename"), str):
        raise Refusal(400, {"metadata": ['A JSON object with "filename" is required.']})
    return metadata


def stage(house: House, content: bytes, metadata: dict[str, Any]) -> Staged:
    staging = house.blobs.stage(file_name(metadata["filename"]), "")
    try:
        staging.write(content)
        return staging.finish()
    except BaseException:
        staging.discard()
        raise


def media_type(staged: Staged) -> str:
    """A file's type by its name; what the sender says (often "Excel" for a CSV) comes second."""
    ending = staged.path.with_name(staged.name).suffix.lower()
    known = ENDINGS.get(ending) or mimetypes.guess_type(staged.name)[0]
    return known or staged.media_type.partition(";")[0].strip().lower()


def md5_of(staged: Staged) -> str:
    """The hash manifests are compared by."""
    with staged.path.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def store(
    connection: Connection,
    house: House,
    uid: str,
    staged: Staged,
    kind: str,
    md5: str,
    given: dict[str, Any],
) -> Any:
    """Add the file's row and put its content in place."""
    pk = asset_row(connection, uid).id
    named = select(media.c.id).where(media.c.asset_id == pk, media.c.name == staged.name)
    if connection.execute(named).first():
        raise Refusal(400, {"content": ["File already exists"]})
    row = {
        "uid": new_uid("af"),
        "asset_id": pk,
        "name": staged.name,
        "description": str(given.get("description") or "default")[:255],
        "media_type": kind,
        "digest": staged.digest,
        "md5": md5,
        "created_at": iso(),
    }
    house.blobs.place(staged)
    house.blobs.sync()
    connection.execute(insert(media), row)
    return connection.execute(select(media).where(media.c.uid == row["uid"])).one()


async def file(request: Request) -> Response:
    """GET and DELETE assets/{uid}/files/{file}/."""
    house = house_of(request)
    await house.manager(request)
    uid = request.path_params["uid"]
    found, row = await asyncio.to_thread(file_row, house, uid, request.path_params["file"])
    if request.method == "DELETE":
        await house.inbox.run(
            lambda connection: connection.execute(delete(media).where(media.c.id == row.id))
        )
        await house.inbox.forget([row.digest])
        return Response(status_code=204)
    return json_answer(file_json(row, uid, found.owner, base_url(request)))


async def file_content(request: Request) -> Response:
    """GET assets/{uid}/files/{file}/content/."""
    house = house_of(request)
    await house.manager(request)
    _, row = await asyncio.to_thread(
        file_row, house, request.path_params["uid"], request.path_params["file"]
    )
    path = await asyncio.to_thread(house.blobs.path, row.digest)
    return saved_file(request, path, row.name, row.media_type)


def asset_row(connection: Connection, uid: str) -> Any:
    """Number and owner of an asset; raises `Refusal` 404."""
    query = select(assets.c.id, assets.c.owner).where(assets.c.uid == uid)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise Refusal(404, "Not found.")
    return row


def file_row(house: House, uid: str, file_uid: str) -> tuple[Any, Any]:
    """An asset and one of its files; raises `Refusal` 404."""
    with house.store.read() as connection:
        found = asset_row(connection, uid)
        row = connection.execute(
            select(media).where(media.c.asset_id == found.id, media.c.uid == file_uid)
        ).one_or_none()
    if row is None:
        raise Refusal(404, "Not found.")
    return found, row
