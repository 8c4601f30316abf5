"""SIGKILL between any two steps of a pull: the next one ends where an undisturbed one ends.

The pulls that die do so in processes of their own (tests/pull_worker.py): at a call of progress, before
a request, in the middle of a photo, before or inside an SQL statement, between two renames.
"""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from pull_worker import FORM, MOMENT, Order, Step, Worker, only, working
from small_kobo import TOKEN, SmallKobo, running
from undisturbed import HAPPENINGS, ROOTS, Happening, Watched, World, comparable, everything

from forms.programme import Programme
from sync.attachments import fetch_files, files
from sync.kobo import Kobo
from sync.mirror import Mirror
from sync.pull import pull

KILLS = st.one_of(
    st.tuples(st.just("progress"), st.integers(0, 11)),
    st.tuples(st.just("request"), st.integers(0, 11)),
    st.tuples(st.just("piece"), st.integers(0, 2)),
    st.tuples(st.just("statement"), st.integers(0, 40)),
    st.tuples(st.just("instructions"), st.integers(0, 60)),
    st.tuples(st.just("rename"), st.integers(0, 10)),
)


class Killed(RuleBasedStateMachine):
    """Two mirrors of one server: `calm` is pulled undisturbed, `killed` by pulls that may die."""

    kobo: ClassVar[SmallKobo]
    worker: ClassVar[Worker]
    programme: ClassVar[Programme]
    died: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.world = World(self.kobo)
        self.watched = Watched(self.folder / "killed" / "mirror.sqlite3")
        self.calm = self.folder / "calm" / "mirror.sqlite3"
        self.apart = False
        """Whether a pull that died saw something that no calm pull saw."""
        self.open = False
        self.tabled = False

    @initialize(rows=st.integers(1, ROOTS))
    def rows(self, rows: int) -> None:
        for number in range(rows):
            self.world.happen(("insert", number))
            self.world.happen(("file", number))

    @rule(happenings=st.lists(HAPPENINGS, min_size=1, max_size=3))
    def happens(self, happenings: list[Happening]) -> None:
        for happening in happenings:
            self.world.happen(happening)
        self.apart |= self.open

    @rule(kills=st.lists(KILLS, min_size=1, max_size=3), tables=st.booleans())
    def dies_and_dies(self, kills: list[tuple[Step, int]], tables: bool) -> None:
        """Pulls that die one after the other."""
        for kill in kills:
            self.dies(kill, tables)

    @rule(kill=KILLS, tables=st.booleans())
    def dies_and_goes_on(self, kill: tuple[Step, int], tables: bool) -> None:
        """A pull that dies, and one that does not."""
        self.dies(kill, tables)
        self.pulls()

    def dies(self, kill: tuple[Step, int], tables: bool) -> None:
        """A pull that dies at a step leaves a sound file, and whole tables or none."""
        own = self.watched.path.parent
        order = Order(
            self.kobo.url,
            str(self.watched.path),
            kill=kill,
            files=str(own / "files"),
            tables=str(own / "tables") if tables or kill[0] == "rename" else "",
        )
        if kill[0] == "piece":  # somebody deleted the photos: they come again
            shutil.rmtree(own / "files", ignore_errors=True)
        done = self.worker.do(order)
        assert done.code in (0, -signal.SIGKILL), done
        self.died[f"{kill[0]} {'killed' if done.code else 'through'}"] += 1
        self.open = True
        if self.watched.path.exists():
            self.watched.look()
            self.watched.sound(self.world.ever)
        whole_tables(own, self.tabled)
        self.tabled |= not done.code and bool(order.tables)

    @rule()
    def pulls(self) -> None:
        """An undisturbed pull of both; after it both hold the same."""
        for path in (self.watched.path, self.calm):
            undisturbed(self.kobo, self.programme, path)
        self.watched.ends(self.world.standing())
        self.watched.sound(self.world.ever)
        here, there = everything(self.watched.path), everything(self.calm)
        assert comparable(here) == comparable(there)
        if not self.apart:
            for table in ("rows", "versions", "attachments", "log"):
                assert here[table] == there[table]
        self.open = False

    def tables(self) -> None:
        """The tables of both are the same files."""
        for path in (self.watched.path, self.calm):
            order = Order(self.kobo.url, str(path), tables=str(path.parent / "tables"))
            assert self.worker.do(order).said == "complete"
        written = [
            {file.name: file.read_bytes() for file in (path.parent / "tables").iterdir()}
            for path in (self.watched.path, self.calm)
        ]
        if self.apart:  # how many were withdrawn, only who saw them can know
            assert all(found.pop("tables.json") for found in written)
        assert written[0] == written[1]
        left = {entry.name for entry in self.watched.path.parent.iterdir()}
        assert not left & {"tables.new", "tables.old"}

    def teardown(self) -> None:
        try:
            self.pulls()
            self.tables()
        finally:
            shutil.rmtree(self.folder)


def undisturbed(kobo: SmallKobo, programme: Programme, path: Path) -> None:
    """A pull that nothing stops, files included."""
    backend = Kobo(kobo.url, TOKEN)
    with Mirror(path, now=lambda: MOMENT) as mirror:
        (result,) = pull(programme, backend, mirror, forms=[FORM])
        assert result.complete, result.differs
        folder = path.parent / "files"
        fetched = fetch_files(FORM, backend, mirror, folder)
        assert not fetched.findings
        for file in files(mirror, FORM):
            address = file.address.removeprefix("http://kobo.example")
            assert file.path(folder).read_bytes() == kobo.files[address].content
    backend.connection.close()


def whole_tables(folder: Path, there: bool) -> None:
    """Where tables are, they are whole: all that tables.json names, with as many rows.

    A pull that died between two renames leaves them beside; the next one puts them back.
    """
    tables = folder / "tables"
    if not tables.exists():
        tables = folder / "tables.old"
    if not there and not tables.exists():
        return
    told = json.loads((tables / "tables.json").read_text("utf-8"))
    for name, rows in told["forms"][FORM]["tables"].items():
        assert pq.read_metadata(tables / name).num_rows == rows


@pytest.fixture(scope="module")
def kobo() -> Iterator[SmallKobo]:
    server = SmallKobo(f"watphon:north2564/{FORM} sha256:00")
    server.keeps_history = True
    with running(server):
        yield server


EVERY: dict[Step, int] = {
    "progress": 1,
    "request": 1,
    "piece": 1,
    "statement": 1,
    "instructions": 12,
    "rename": 1,
}


MEANWHILE: tuple[Happening, ...] = (
    ("edit", 0),
    ("review", 1),
    ("delete", 2),
    ("insert", 5),
    ("insert", 6),
    ("file", 3),
    ("phantom", 4),
    ("edit", 5),
    ("file", 5),
)


@pytest.mark.parametrize("kind", list(EVERY))
def test_killed_at_every_step(kobo: SmallKobo, tmp_path: Path, kind: Step) -> None:
    """One pull that has everything to do dies at each of its steps in turn: each time the next one
    ends, to the byte, in the mirror, files and tables of a pull that was left alone."""
    programme, world = only(FORM), World(kobo)
    before = tmp_path / "before" / "mirror.sqlite3"
    for number in range(5):
        world.happen(("insert", number))
    world.happen(("file", 1))
    undisturbed(kobo, programme, before)
    for happening in MEANWHILE:
        world.happen(happening)
    calm = shutil.copytree(before.parent, tmp_path / "calm") / before.name
    undisturbed(kobo, programme, calm)
    expected, n = everything(calm), 0
    with working() as worker:
        for n in range(0, 10_000, EVERY[kind]):
            own = shutil.copytree(before.parent, tmp_path / f"{kind}-{n}")
            order = Order(
                kobo.url,
                str(own / before.name),
                kill=(kind, n),
                files=str(own / "files"),
                tables=str(own / "tables"),
            )
            if (code := worker.do(order).code) != 0:
                assert code == -signal.SIGKILL
                undisturbed(kobo, programme, own / before.name)
                whole_tables(own, False)
            assert worker.do(replace(order, kill=None)).said == "complete"
            found = everything(own / before.name)
            for table, rows in expected.items():
                if table != "forms":
                    assert found[table] == rows, f"{table} after {kind} {n}"
            assert {entry.name for entry in own.iterdir()} == {"files", "tables", before.name}
            shutil.rmtree(own)
            if code == 0:
                break
    assert n > 0, "no pull died"


def test_killed_at_any_step(kobo: SmallKobo) -> None:
    """Rows come, change and go, pulls die at any step, one after the other: the mirror opens, is
    sound, and the next pull ends, to the byte, like one that was left alone."""
    with ExitStack() as stack:
        Killed.kobo, Killed.worker = kobo, stack.enter_context(working())
        Killed.programme, Killed.died = only(FORM), Counter()
        run_state_machine_as_test(
            Killed,
            settings=settings(
                max_examples=40,
                stateful_step_count=12,
                deadline=None,
                derandomize=True,
                phases=[Phase.generate],  # a failure is told as it was met, not minutes later
                database=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
            ),
        )
    for step in ("progress", "request", "piece", "statement", "instructions", "rename"):
        assert Killed.died[f"{step} killed"], f"no pull died at a {step}"
