"""Pulling: whatever happens on the server or to the puller, the mirror ends as the server is."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_kobo import TOKEN, SmallKobo, running

from forms.problems import ServerProblem
from forms.programme import Programme, load, shipped
from sync.backend import PullResult
from sync.kobo import Kobo
from sync.mirror import Mirror
from sync.pull import pull

FORM = "mne_registration"


@pytest.fixture(scope="module")
def programme() -> Programme:
    return load(shipped())


@pytest.fixture
def kobo() -> Iterator[SmallKobo]:
    with running(SmallKobo(f"watphon:north2564/{FORM} sha256:00")) as server:
        yield server


def pulled(kobo: SmallKobo, mirror: Mirror, programme: Programme, page: int = 3) -> PullResult:
    (result,) = pull(programme, Kobo(kobo.url, TOKEN, page=page), mirror, forms=[FORM])
    return result


def live(mirror: Mirror) -> dict[str, dict[str, Any]]:
    return {
        stored.root_id: orjson.loads(stored.payload)
        for stored in mirror.stored(FORM)
        if not stored.withdrawn
    }


def on_server(kobo: SmallKobo) -> dict[str, dict[str, Any]]:
    """What an evaluator is promised: per root id the row with the highest `_id`."""
    return {row["meta/rootUuid"][5:]: row for _, row in sorted(kobo.rows.items())}


def test_first_pull_brings_every_row_and_proves_it(
    kobo: SmallKobo, programme: Programme, tmp_path: Path
) -> None:
    """More rows than a page, each verbatim, and the result says complete."""
    for n in range(10):
        kobo.insert(f"root-{n}", {"g_name/sex": "f", "note": "ก ข"})
    with Mirror(tmp_path / "mirror.sqlite3") as mirror:
        result = pulled(kobo, mirror, programme)
        assert (result.new, result.server_count, result.local_count) == (10, 10, 10)
        assert result.complete
        assert live(mirror) == on_server(kobo)


def test_nothing_new_fetches_no_row_again(
    kobo: SmallKobo, programme: Programme, tmp_path: Path
) -> None:
    """A second pull changes nothing and says so."""
    for n in range(4):
        kobo.insert(f"root-{n}", {})
    with Mirror(tmp_path / "mirror.sqlite3") as mirror:
        pulled(kobo, mirror, programme)
        again = pulled(kobo, mirror, programme)
        assert (again.new, again.changed, again.withdrawn, again.complete) == (0, 0, 0, True)


def test_edits_reviews_and_deletions_are_seen(
    kobo: SmallKobo, programme: Programme, tmp_path: Path
) -> None:
    """An edit keeps `_id` (113-116), a review changes nothing but the status (123), a deleted row is
    just gone (135): the sweep sees all three, and the earlier payload stays in the chain."""
    ids = [kobo.insert(f"root-{n}", {"role": "leader"}) for n in range(5)]
    with Mirror(tmp_path / "mirror.sqlite3") as mirror:
        pulled(kobo, mirror, programme)
        kobo.edit(ids[0], "uuid-2", {"role": "member"})
        kobo.review(ids[1], "not_approved")
        kobo.delete(ids[2])
        result = pulled(kobo, mirror, programme)
        assert (result.new, result.changed, result.withdrawn) == (0, 2, 1)
        assert result.complete
        assert live(mirror) == on_server(kobo)
        (before,) = mirror.history(FORM, "root-0")
        assert orjson.loads(before)["role"] == "leader"
        assert {s.validation for s in mirror.stored(FORM)} == {"", "not_approved"}
        assert mirror.count(FORM, withdrawn=True) == 1


def test_resent_deleted_row_is_the_same_submission(
    kobo: SmallKobo, programme: Programme, tmp_path: Path
) -> None:
    """Recordings 137, 138: a phone re-sends what the server deleted and it is back under a new id."""
    first = kobo.insert("root-a", {"role": "leader"})
    with Mirror(tmp_path / "mirror.sqlite3") as mirror:
        pulled(kobo, mirror, programme)
        kobo.delete(first)
        assert pulled(kobo, mirror, programme).withdrawn == 1
        kobo.insert("root-a", {"role": "leader"})
        result = pulled(kobo, mirror, programme)
        assert (result.new, result.local_count, result.complete) == (1, 1, True)
        assert live(mirror) == on_server(kobo)
        assert mirror.history(FORM, "root-a") == ()


def test_phantom_rows_count_once_and_the_highest_id_stands(
    kobo: SmallKobo, programme: Programme, tmp_path: Path
) -> None:
    """Recordings 273-279: two rows of one rootUuid; the lower is a phantom, and may become the one
    that stands when the higher is deleted."""
    kobo.insert("root-a", {"role": "phantom"})
    for n in range(3):
        kobo.insert(f"root-{n}", {})
    second = kobo.insert("root-a", {"role": "real"})
    with Mirror(tmp_path / "mirror.sqlite3") as mirror:
        result = pulled(kobo, mirror, programme)
        assert (result.server_count, result.local_count, result.phantoms) == (5, 4, 1)
        assert result.complete
        assert live(mirror)["root-a"]["role"] == "real"
        assert pulled(kobo, mirror, programme).changed == 0
        kobo.delete(second)
        assert pulled(kobo, mirror, programme).complete
        assert live(mirror)["root-a"]["role"] == "phantom"


def test_rows_that_come_while_we_page_are_found(
    kobo: SmallKobo, programme: Programme, tmp_path: Path
) -> None:
    """Rows inserted, edited and deleted between two pages of one pull are in the mirror after it."""
    ids = [kobo.insert(f"root-{n}", {}) for n in range(8)]
    happened: list[str] = []

    def meddle(what: str, done: int, total: int) -> None:
        if not happened and done == 3:
            happened.append(what)
            kobo.delete(ids[0])
            kobo.edit(ids[1], "uuid-new", {"role": "late"})
            kobo.insert("root-late", {})

    with Mirror(tmp_path / "mirror.sqlite3") as mirror:
        backend = Kobo(kobo.url, TOKEN, page=3)
        (result,) = pull(programme, backend, mirror, meddle, forms=[FORM])
        assert happened
        assert result.complete
        assert live(mirror) == on_server(kobo)


def test_a_repeating_page_stops_the_pull(
    kobo: SmallKobo, programme: Programme, tmp_path: Path
) -> None:
    """Recording 087: a server that ignores paging would be read for ever; it is named instead."""
    for n in range(5):
        kobo.insert(f"root-{n}", {})
    honest = kobo.data
    kobo.data = lambda query: honest({**query, "query": "{}"})
    with Mirror(tmp_path / "mirror.sqlite3") as mirror:
        with pytest.raises(ServerProblem) as caught:
            pulled(kobo, mirror, programme)
        assert caught.value.findings[0].code == "page_repeats"


def test_another_server_starts_its_row_ids_anew(
    kobo: SmallKobo, programme: Programme, tmp_path: Path
) -> None:
    """A form that moved to a new asset: rows that are there again stand, the others are withdrawn."""
    for n in range(5):
        kobo.insert(f"root-{n}", {"role": "old"})
    moved = SmallKobo(kobo.description, uid="aOther")
    moved.insert("root-4", {"role": "old"})
    moved.insert("root-new", {})
    with Mirror(tmp_path / "mirror.sqlite3") as mirror, running(moved):
        pulled(kobo, mirror, programme)
        result = pulled(moved, mirror, programme)
        assert (result.new, result.withdrawn, result.complete) == (1, 4, True)
        assert live(mirror) == on_server(moved)


def test_without_a_token_nothing_looks_like_an_empty_server(
    kobo: SmallKobo, programme: Programme, tmp_path: Path
) -> None:
    """Recording 003: without a token the asset list is empty with 200; 002: a wrong one is 401."""
    kobo.insert("root-0", {})
    with Mirror(tmp_path / "mirror.sqlite3") as mirror:
        for token in ("", "wrong"):
            with pytest.raises(ServerProblem) as caught:
                pull(programme, Kobo(kobo.url, token), mirror, forms=[FORM])
            assert caught.value.findings[0].code == "wrong_token"
            assert "WATPHON_TOKEN" in str(caught.value)


def test_a_form_that_is_not_there_is_not_complete(
    kobo: SmallKobo, programme: Programme, tmp_path: Path
) -> None:
    """What cannot be compared is never called complete."""
    with Mirror(tmp_path / "mirror.sqlite3") as mirror:
        results = pull(programme, Kobo(kobo.url, TOKEN), mirror, forms=[FORM, "mne_cipp"])
        assert [result.complete for result in results] == [True, False]
        with pytest.raises(ServerProblem, match="has none of the forms"):
            pull(programme, Kobo(kobo.url, TOKEN), mirror, forms=["mne_cipp"])


# ── stopped at any step ──────────────────────────────────────────────────────────────────────────


class Killed(BaseException):
    """The puller was stopped here."""


@contextmanager
def stopped_after(steps: int) -> Iterator[Any]:
    """A progress that stops the pull at its n-th call."""
    left = iter(range(steps))

    def progress(what: str, done: int, total: int) -> None:
        if next(left, None) is None:
            raise Killed

    yield progress


def everything(path: Path) -> list[tuple[object, ...]]:
    """All a mirror holds: rows with their tombstones, chains, cursors."""
    with sqlite3.connect(path) as base:
        found = [
            *base.execute("SELECT * FROM rows ORDER BY form_id, root_id"),
            *base.execute("SELECT * FROM versions ORDER BY form_id, root_id, n"),
            *base.execute("SELECT * FROM forms"),
        ]
    base.close()
    return found


ROOTS = [f"root-{n}" for n in range(6)]
STEP = st.one_of(
    st.tuples(st.just("insert"), st.sampled_from(ROOTS)),
    st.tuples(st.just("edit"), st.sampled_from(ROOTS)),
    st.tuples(st.just("review"), st.sampled_from(ROOTS)),
    st.tuples(st.just("delete"), st.sampled_from(ROOTS)),
    st.tuples(st.just("pull"), st.lists(st.integers(0, 9), max_size=3)),
    st.tuples(st.just("broken pull"), st.integers(0, 9)),
)


def happen(kobo: SmallKobo, what: str, root_id: str, n: int) -> None:
    """One thing on the server: a new row (a phantom when the root exists), an edit …"""
    own = [i for i, row in kobo.rows.items() if row["meta/rootUuid"] == f"uuid:{root_id}"]
    if what == "insert":
        kobo.insert(root_id, {"role": str(n)}, uuid=f"{root_id}-{n}")
    elif own and what == "edit":
        kobo.edit(own[-1], f"{root_id}-{n}", {"role": str(n)})
    elif own and what == "review":
        kobo.review(own[-1], "approved")
    elif own and what == "delete":
        kobo.delete(own[-1])


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEP, min_size=1, max_size=14))
def test_stopped_pulls_end_in_the_undisturbed_mirror(
    kobo: SmallKobo, programme: Programme, steps: list[tuple[str, Any]]
) -> None:
    """Pulls stopped between any two steps and repeated end, to the byte, in the mirror of pulls that
    were left alone; pulls broken off while the server moves on end in the same living rows."""
    folder = Path(tempfile.mkdtemp())
    kobo.rows.clear()
    backend = Kobo(kobo.url, TOKEN, page=2)
    paths = [folder / name for name in ("calm", "stopped", "broken")]
    try:
        last: list[tuple[str, Any]] = [("pull", [0, 1])]
        for n, (what, detail) in enumerate(steps + last):
            if what == "pull":
                for path in paths:
                    for stop in detail if path.name == "stopped" else []:
                        broken_off(programme, backend, path, stop)
                    with Mirror(path, now=lambda: "2026-11-23T13:00:00Z") as mirror:
                        (result,) = pull(programme, backend, mirror, forms=[FORM])
                        assert result.complete
                        assert live(mirror) == on_server(kobo)
            elif what == "broken pull":
                broken_off(programme, backend, paths[2], detail)
            else:
                happen(kobo, what, detail, n)
        assert everything(paths[0]) == everything(paths[1])
    finally:
        shutil.rmtree(folder)


def broken_off(programme: Programme, backend: Kobo, path: Path, steps: int) -> None:
    with (
        Mirror(path, now=lambda: "2026-11-23T13:00:00Z") as mirror,
        stopped_after(steps) as progress,
    ):
        try:
            pull(programme, backend, mirror, progress, forms=[FORM])
        except Killed:
            return
