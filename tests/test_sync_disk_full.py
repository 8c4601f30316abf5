"""A disk that is full: said with the file and what to do, nothing half-written, the next pull goes on."""

from __future__ import annotations

import os
import resource
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import watphon
from pull_worker import FORM, Order, Worker, working
from small_disk import grow, small_disk
from small_kobo import TOKEN, Kept, SmallKobo, running
from undisturbed import PHOTO, Watched, standing

from forms.programme import shipped

WORDS = ("disk_full: ", "no space is left on the disk", "free some space and run the same command")


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with working() as running_worker:
        yield running_worker


@pytest.fixture
def kobo() -> Iterator[SmallKobo]:
    with running(SmallKobo(f"watphon:north2564/{FORM} sha256:00")) as server:
        yield server


def filled(kobo: SmallKobo, rows: int, size: int) -> None:
    for number in range(rows):
        root_id = str(uuid.UUID(int=number * 7919**9 % (1 << 128)))
        kobo.insert(root_id, {"role": "leader", "g_name/remark": "x" * size})


def complete(kobo: SmallKobo, worker: Worker, order: Order) -> None:
    """With room, the pull ends, and the mirror holds what the server has."""
    done = worker.do(order)
    assert (done.code, done.said) == (0, "complete")
    assert Watched(Path(order.mirror)).look() == standing(kobo.rows.values())


def stays_sound(kobo: SmallKobo, path: Path) -> int:
    """What is in the mirror was on the server; gives how many rows that are."""
    watched = Watched(path)
    watched.sound({root_id: {row} for root_id, row in standing(kobo.rows.values()).items()})
    return len(watched.look())


def told(said: str, where: Path) -> None:
    """The message names a file under `where`, and a remedy."""
    assert all(word in said for word in (*WORDS, str(where))), said


@pytest.mark.parametrize("limit", [40_000, 1_000_000, 1_500_000, 2_000_000])
def test_rows_that_do_not_fit(kobo: SmallKobo, worker: Worker, tmp_path: Path, limit: int) -> None:
    """RLIMIT_FSIZE, from before the first row to near the last: exit code 1, and words."""
    filled(kobo, 1000, 2000)
    order = Order(kobo.url, str(tmp_path / "mirror.sqlite3"), page=50)
    done = worker.do(Order(kobo.url, order.mirror, page=50, limit=limit))
    assert done.code == 1
    told(done.said, tmp_path)
    if limit > 40_000:
        assert 0 < stays_sound(kobo, tmp_path / "mirror.sqlite3") < 1000
    complete(kobo, worker, order)


def test_photos_that_do_not_fit(kobo: SmallKobo, worker: Worker, tmp_path: Path) -> None:
    """The rows are kept, and the next run goes on with the photo from where it stopped."""
    content = os.urandom(300_000)
    path = kobo.attach(kobo.insert("root-0", {PHOTO: "a.png"}), PHOTO, "a.png", Kept(content))
    order = Order(kobo.url, str(tmp_path / "mirror.sqlite3"), files=str(tmp_path / "files"))
    complete(kobo, worker, Order(kobo.url, order.mirror))
    done = worker.do(Order(kobo.url, order.mirror, files=order.files, limit=120_000))
    assert done.code == 1
    told(done.said, tmp_path / "files")
    assert stays_sound(kobo, tmp_path / "mirror.sqlite3") == 1
    (part,) = (tmp_path / "files" / "incoming").glob("*.part")
    assert content.startswith(part.read_bytes())
    complete(kobo, worker, order)
    assert kobo.requests.count(path) == 2
    (file,) = (tmp_path / "files").glob("*/*.png")
    assert file.read_bytes() == content


def test_tables_that_do_not_fit(kobo: SmallKobo, worker: Worker, tmp_path: Path) -> None:
    """The old tables still stand, to the byte, even when they had been left beside their place."""
    tables = tmp_path / "tables"
    order = Order(kobo.url, str(tmp_path / "mirror.sqlite3"), page=1000, tables=str(tables))
    filled(kobo, 10, 10)
    complete(kobo, worker, order)
    before = {file.name: file.read_bytes() for file in tables.iterdir()}
    filled(kobo, 6000, 10)
    complete(kobo, worker, Order(kobo.url, order.mirror, page=1000))
    tight = Order(kobo.url, order.mirror, page=1000, tables=order.tables, limit=60_000)
    for left_beside in (False, True):
        if left_beside:
            tables.rename(tmp_path / "tables.old")
        done = worker.do(tight)
        assert done.code == 1
        told(done.said, tables)
        assert {file.name: file.read_bytes() for file in tables.iterdir()} == before
        assert not (tmp_path / "tables.new").exists()
    complete(kobo, worker, order)
    assert {file.name: file.read_bytes() for file in tables.iterdir()} != before


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1.5 MB in memory."""
    with small_disk(tmp_path / "small", "1500k") as folder:
        yield folder


def test_a_disk_that_is_really_full(kobo: SmallKobo, worker: Worker, tmpfs: Path) -> None:
    """ENOSPC rather than a limit: the same, and with room the pull goes on."""
    filled(kobo, 1500, 2000)
    order = Order(kobo.url, str(tmpfs / "mirror.sqlite3"), page=50, tables=str(tmpfs / "tables"))
    for _ in range(2):  # trying again without room does no harm
        done = worker.do(order)
        assert done.code == 1
        told(done.said, tmpfs)
    grow(tmpfs, "30m")
    assert 0 < stays_sound(kobo, tmpfs / "mirror.sqlite3") < 1500
    complete(kobo, worker, order)


def test_the_command_ends_with_1_and_says_what_to_do(kobo: SmallKobo, tmp_path: Path) -> None:
    """`watphon pull` on a full disk: one finding, no traceback, and afterwards it finishes."""
    filled(kobo, 1000, 2000)

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    command = ("-C", str(shipped()), "--data", str(tmp_path), "pull", "--form", FORM)
    env = {"WATPHON_TOKEN": TOKEN, "WATPHON_URL": kobo.url}
    done = watphon(*command, before=full, env=env)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1
    assert "Traceback" not in said
    assert "mirror.sqlite3" in said.replace(" ", "")
    assert "free some space and run the same command again" in said
    assert watphon(*command, env=env).returncode == 0
    assert Watched(tmp_path / "mirror.sqlite3").look() == standing(kobo.rows.values())
