"""The same faults between the puller and the embedded server, a process of its own.

A smaller schedule than that of tests/test_sync_faults.py: what it adds is a real server's answers
(chunked or not, its own ETag over a form's rows, files with ranges) and what phones really send.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import orjson
import pytest
from fault_proxy import FOR_EVER, KINDS, Fault, FaultProxy, between
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from office import Office, RunningServer, instance
from undisturbed import During, Watched, comparable, everything, standing

from forms.problems import Problem
from sync.attachments import fetch_files, files
from sync.backend import PullResult, Source
from sync.http import Connection
from sync.kobo import Kobo
from sync.mirror import Mirror
from sync.pull import pull_form

FORM = "small"
FILES = frozenset({"photo", "tree/pic"})
WHAT = ("insert", "edit", "review", "delete", "send again", "photo")
HAPPENINGS = st.tuples(st.sampled_from(WHAT), st.integers(0, 3))
FAULTS = st.builds(
    Fault,
    kind=st.sampled_from(KINDS),
    times=st.sampled_from((1, 1, 1, 2, FOR_EVER)),
    at=st.sampled_from((0.0, 0.1, 0.5, 0.999)),
)
NUMBERS = st.integers(0, 10)
PULLS = st.tuples(
    st.dictionaries(NUMBERS, FAULTS, min_size=1, max_size=3),
    st.dictionaries(NUMBERS, HAPPENINGS, max_size=3),
)


class Phones:
    """What phones and the office do with one form: `n`-th submissions of an example, by number."""

    def __init__(self, office: Office, uid: str, example: int) -> None:
        self.office, self.uid, self.example = office, uid, example
        self.path = f"/api/v2/assets/{uid}/data"
        self.last: dict[int, str] = {}
        self.edits = 0
        self.during: During = {}

    def root(self, number: int) -> str:
        return f"{self.example}-{number}"

    def happen(self, happening: tuple[str, int]) -> None:
        """One thing; the server itself refuses what is impossible now."""
        what, number = happening
        root = self.root(number)
        photo = f"<photo>{root}.png</photo>" if number % 2 else ""
        first = instance(self.uid, root, more=photo)
        match what:
            case "insert" | "send again":
                self.office.send(first)
                self.last.setdefault(number, root)
            case "photo" if photo:
                self.office.send(first, **{f"{root}.png": (f"{root}.png", b"x" * 900, "image/png")})
                self.last.setdefault(number, root)
            case "edit" if number in self.last:
                self.edits += 1
                edited, before = f"{root}-{self.edits}", self.last[number]
                document = instance(self.uid, edited, deprecated=before, who=edited, more=photo)
                if self.office.send(document).ok:
                    self.last[number] = edited
            case "review":
                status = {"validation_status.uid": "validation_status_on_hold"}
                self.office.call("PATCH", f"{self.path}/{root}/validation_status/", json=status)
            case "delete":
                if self.office.call("DELETE", f"{self.path}/{root}/").ok:
                    self.last.pop(number, None)

    def begin(self) -> None:
        """From now on `see` notes what each root id stands for."""
        self.during = {self.root(number): set() for number in range(4)}
        self.see()

    def see(self) -> None:
        there = self.standing()
        for root_id, states in self.during.items():
            states.add(there.get(root_id))

    def standing(self) -> dict[str, bytes]:
        return standing(self.office.rows(self.uid))

    def clear(self) -> None:
        for row in self.office.rows(self.uid):
            assert self.office.call("DELETE", f"{self.path}/{row['_id']}/").ok


@pytest.fixture(scope="module")
def proxy(module_server: RunningServer) -> Iterator[FaultProxy]:
    with between(module_server.url) as line:
        yield line


def brought(backend: Kobo, uid: str, path: Path) -> PullResult:
    """A pull and its files."""
    try:
        with Mirror(path) as mirror:
            result = pull_form(FORM, Source(uid, FILES), backend, mirror)
            assert not fetch_files(FORM, backend, mirror, path.with_suffix(".files")).findings
            return result
    finally:
        backend.connection.close()


def test_the_embedded_server_behind_a_line_that_breaks(
    module_server: RunningServer, office: Office, uid: str, proxy: FaultProxy
) -> None:
    """Phones send, the office edits, reviews and deletes, requests fail: nothing says complete that
    is not, and the undisturbed pull at the end, photos included, equals a fresh one."""
    ended: Counter[str] = Counter()
    examples = iter(range(1_000_000))

    def alike(payload: bytes) -> bytes:
        there = payload.replace(proxy.url.encode(), module_server.url.encode())
        return orjson.dumps(orjson.loads(there))

    def calm(path: Path) -> None:
        assert brought(Kobo(module_server.url, module_server.token), uid, path).complete

    @settings(
        max_examples=60,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(first=st.lists(HAPPENINGS, max_size=6), pulls=st.lists(PULLS, min_size=1, max_size=2))
    def end_alike(
        first: list[tuple[str, int]],
        pulls: list[tuple[dict[int, Fault], dict[int, tuple[str, int]]]],
    ) -> None:
        folder = Path(tempfile.mkdtemp())
        phones = Phones(office, uid, next(examples))
        watched = Watched(folder / "disturbed", FORM, alike)
        try:
            for number in range(4):
                phones.happen(("insert", number))
            for happening in first:
                phones.happen(happening)
            for faults, meanwhile in pulls:

                def between_requests(
                    number: int, meanwhile: dict[int, tuple[str, int]] = meanwhile
                ) -> None:
                    if happening := meanwhile.get(number):
                        phones.happen(happening)
                        phones.see()

                phones.begin()
                proxy.play(faults, between_requests)
                result = None
                with suppress(Problem):
                    result = brought(through(proxy, module_server.token), uid, watched.path)
                ended["complete" if result and result.complete else "not"] += 1
                if result and result.complete:
                    watched.agrees(phones.during)
                watched.look()
            calm(watched.path)
            watched.ends(phones.standing())
            calm(folder / "fresh")
            here, fresh = everything(watched.path), everything(folder / "fresh")
            assert stripped(here, alike) == stripped(fresh, alike)
            with Mirror(watched.path) as mirror:
                for file in files(mirror, FORM):
                    assert file.path(folder / "disturbed.files").read_bytes() == b"x" * 900
        finally:
            phones.clear()
            shutil.rmtree(folder)

    end_alike()
    assert ended["complete"] > 10
    assert ended["not"] > 10


def through(proxy: FaultProxy, token: str) -> Kobo:
    line = Connection(
        proxy.url, token, tries=3, timeout=0.3, deadline=0.3, pause=0.0, sleep=proxy.waited
    )
    return Kobo(proxy.url, token, page=2, connection=line)


def stripped(
    found: dict[str, list[tuple[object, ...]]], alike: Callable[[bytes], bytes]
) -> list[tuple[object, ...]]:
    """Rows and files without the address they came by."""
    return [
        tuple(alike(cell) if isinstance(cell, bytes) else cell for cell in row)
        for row in comparable({**found, "attachments": []})
    ]
