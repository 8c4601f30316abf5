"""Photographs in an object store: acknowledged means stored there, and nothing of it is left behind."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from command import watphon
from object_store import ObjectStore, object_store
from office import PLACES, Office, RunningServer, instance
from sqlalchemy import select, update

from server.state.objects import object_blobs
from server.state.schema import settings
from server.state.store import open_store
from server.state.unused import GRACE, sweep
from server.times import moment, utc_now

PHOTO = b"\x89PNG" + bytes(range(256)) * 400
DIGEST = hashlib.sha256(PHOTO).hexdigest()


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with object_store() as running:
        yield running


@pytest.fixture
def server(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunningServer]:
    """A server whose photographs are in the store."""
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    running = RunningServer(tmp_path / "data", "--storage", store.address)
    running.start()
    yield running
    running.end()


def cache(server: RunningServer) -> Path:
    return server.data / "server" / "files" / "cache"


def sent(office: Office, uid: str, content: bytes = PHOTO) -> str:
    one = str(uuid.uuid4())
    document = instance(uid, one, more="<photo>p.png</photo>")
    assert office.send(document, a=("p.png", content, "image/png")).status_code == 201
    return one


def photo_of(office: Office, uid: str, one: str) -> str:
    (item,) = office.get(f"/api/v2/assets/{uid}/data/{one}/")["_attachments"]
    return item["download_url"]


def test_acknowledged_means_in_the_store(server: RunningServer, store: ObjectStore) -> None:
    """201 for a photograph and for a form's media: both are objects under their hash, byte for byte;
    read again after the local copies have gone, in pieces too, and not sent twice to who has it."""
    office = Office(server.url, server.token)
    uid = office.publish()
    one = sent(office, uid)
    objects = store.objects()
    assert objects[DIGEST] == PHOTO
    assert objects[hashlib.sha256(PLACES).hexdigest()] == PLACES
    for copy in cache(server).iterdir():
        copy.unlink()
    url = photo_of(office, uid, one)
    whole = office.call("GET", url)
    assert (whole.status_code, whole.content) == (200, PHOTO)
    part = office.call("GET", url, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, PHOTO[100:200])
    same = office.call("GET", url, headers={"If-None-Match": whole.headers["ETag"]})
    assert same.status_code == 304
    for copy in cache(server).iterdir():
        copy.unlink()
    listed = office.call("GET", "/formList").text
    manifest = listed.partition("<manifestUrl>")[2].partition("</manifestUrl>")[0]
    media = office.call("GET", manifest).text
    address = media.partition("<downloadUrl>")[2].partition("</downloadUrl>")[0]
    assert office.call("GET", address).content == PLACES


def test_the_address_is_remembered(server: RunningServer, store: ObjectStore) -> None:
    """A restart without --storage still finds the photographs; its keys are nowhere on disk."""
    office = Office(server.url, server.token)
    uid = office.publish()
    one = sent(office, uid)
    server.options = ()
    server.restart()
    for copy in cache(server).iterdir():
        copy.unlink()
    office = Office(server.url, server.token)
    assert office.call("GET", photo_of(office, uid, one)).content == PHOTO
    for file in server.data.rglob("*"):
        if file.is_file():
            assert store.environment["AWS_SECRET_ACCESS_KEY"].encode() not in file.read_bytes()


def test_a_store_that_is_away_means_send_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 and nothing stored while the store does not answer; other submissions go on being taken."""
    with object_store() as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        server = RunningServer(tmp_path / "data", "--storage", store.address)
        server.start()
        try:
            office = Office(server.url, server.token)
            uid = office.publish()
            store.process.kill()
            store.process.wait(10)
            one = str(uuid.uuid4())
            document = instance(uid, one, more="<photo>p.png</photo>")
            answer = office.session.post(
                f"{server.url}/submission",
                files={
                    "xml_submission_file": ("s.xml", document, "text/xml"),
                    "a": ("p.png", PHOTO, "image/png"),
                },
                timeout=60,
            )
            assert answer.status_code == 503
            assert "Send again" in answer.text
            assert office.send(instance(uid, str(uuid.uuid4()))).status_code == 201
            assert office.get(f"/api/v2/assets/{uid}/data/", limit=1)["count"] == 1
            incoming = server.data / "server" / "files" / "incoming"
            assert list(incoming.iterdir()) == []
        finally:
            server.end()


def test_what_is_deleted_leaves_the_store(server: RunningServer, store: ObjectStore) -> None:
    """A photograph whose submission was deleted, and one that came with a refused submission, go when
    no upload of them can be under way any more; one that is named still stays."""
    office = Office(server.url, server.token)
    uid = office.publish()
    kept, gone, refused = (PHOTO + word for word in (b"kept", b"gone", b"refused"))
    sent(office, uid, kept)
    one = sent(office, uid, gone)
    document = instance(uid, one, who="other answers", more="<photo>p.png</photo>")
    assert office.send(document, a=("p.png", refused, "image/png")).status_code == 409
    assert office.call("DELETE", f"/api/v2/assets/{uid}/data/{one}/").status_code == 204
    digests = [hashlib.sha256(one).hexdigest() for one in (kept, gone, refused)]
    assert set(digests) <= store.objects().keys()
    opened = open_store(server.data)
    blobs = object_blobs(store.address, opened.folder / "files")
    with opened.write() as connection:
        noted = connection.execute(
            select(settings.c.name).where(settings.c.name.startswith("unused "))
        ).scalars()
        assert {name.removeprefix("unused ") for name in noted} >= set(digests[1:])
        assert sweep(connection, blobs, utc_now()) == 0
    with opened.write() as connection:
        # as if the grace were over; the objects themselves are too young, so they stay
        old = moment(utc_now() - 2 * GRACE)
        mine = settings.c.name.startswith("unused ")
        connection.execute(update(settings).where(mine).values(value=old))
        assert sweep(connection, blobs, utc_now()) == 0
    later = utc_now() + GRACE + timedelta(minutes=1)
    with opened.write() as connection:
        assert sweep(connection, blobs, later) >= 2
    opened.close()
    assert digests[0] in store.objects()
    assert not set(digests[1:]) & store.objects().keys()


def test_a_changed_object_is_not_served(server: RunningServer, store: ObjectStore) -> None:
    """What comes back is checked against its hash."""
    office = Office(server.url, server.token)
    uid = office.publish()
    content = PHOTO + b"tampered with"
    one = sent(office, uid, content)
    digest = hashlib.sha256(content).hexdigest()
    (cache(server) / digest).unlink()
    store.put(digest, b"something else")
    assert office.call("GET", photo_of(office, uid, one)).status_code == 503
    store.put(digest, content)
    assert office.call("GET", photo_of(office, uid, one)).content == content


def test_a_backup_holds_what_the_store_holds(
    server: RunningServer, store: ObjectStore, tmp_path: Path
) -> None:
    """Backed up from the store and restored into a folder, and the other way round."""
    office = Office(server.url, server.token)
    uid = office.publish()
    content = PHOTO + b"backup"
    sent(office, uid, content)
    digest = hashlib.sha256(content).hexdigest()
    for copy in cache(server).iterdir():
        copy.unlink()
    file, data = tmp_path / "b.tar", tmp_path / "restored"
    done = watphon("backup", str(file), "--data", str(server.data))
    assert done.returncode == 0, done.stderr
    assert list(cache(server).iterdir()) == []
    words = ("--database", "sqlite", "--storage")
    done = watphon("restore", str(file), "--data", str(data), *words, "folder")
    assert done.returncode == 0, done.stderr
    assert (data / "server" / "files" / "contents" / digest).read_bytes() == content
    store.delete(digest)
    other = tmp_path / "other"
    done = watphon("restore", str(file), "--data", str(other), *words, store.address)
    assert done.returncode == 0, done.stderr
    assert store.objects()[digest] == content


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    """In words that say how one is written, and without the keys somebody wrote into it."""
    for address in ("ftp://x/y", "s3://", "s3://key:secret@bucket/x", "folders"):
        done = watphon(
            "restore",
            str(tmp_path / "b.tar"),
            "--storage",
            address,
            "--database",
            "sqlite",
            "--data",
            str(tmp_path / "d"),
        )
        assert done.returncode == 1
        assert "s3://BUCKET/PREFIX" in done.stderr
        assert "secret" not in done.stderr
