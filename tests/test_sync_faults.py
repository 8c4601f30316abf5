"""Pulling over a line that breaks in every way, while the server moves on: nothing lost, nothing twice.

Whatever befalls the pulls before it, an undisturbed pull ends in the mirror of the server as it is.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fault_proxy import FOR_EVER, KINDS, Fault, FaultProxy, between
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_kobo import TOKEN, SmallKobo, running
from undisturbed import FORM, HAPPENINGS, ROOTS, Happening, Watched, World, comparable, everything

from forms.problems import Problem, ServerProblem
from forms.programme import Programme, load, shipped
from sync.http import Connection
from sync.kobo import Kobo
from sync.mirror import Mirror
from sync.pull import Wanted, pull

PAGE = 2
MARKER = f"watphon:north2564/{FORM} sha256:00"
EACH = 500
"""Random schedules."""


@pytest.fixture(scope="module")
def programme() -> Programme:
    return load(shipped())


@pytest.fixture(scope="module")
def kobo() -> Iterator[SmallKobo]:
    server = SmallKobo(MARKER)
    server.keeps_history = True
    with running(server):
        yield server


@pytest.fixture(scope="module")
def proxy(kobo: SmallKobo) -> Iterator[FaultProxy]:
    with between(kobo.url) as line:
        yield line


def through(proxy: FaultProxy, *, tries: int = 3) -> Kobo:
    """A client that waits for nothing: pauses are told to the proxy, silence and drips end soon."""
    line = Connection(
        proxy.url, TOKEN, tries=tries, timeout=0.15, deadline=0.1, pause=0.0, sleep=proxy.waited
    )
    return Kobo(proxy.url, TOKEN, page=PAGE, connection=line, sleep=proxy.waited)


# ── random schedules ─────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Disturbed:
    """A pull, what happens on the server before its n-th request, and what befalls that request.

    With `restless` a row is edited before every request, so that no sweep sees the server at rest.
    `together` pages are saved at a time.
    """

    faults: Mapping[int, Fault]
    meanwhile: Mapping[int, list[Happening]]
    full: bool
    restless: bool
    together: int


NUMBERS = st.integers(0, 17)
FAULTS = st.builds(
    Fault,
    kind=st.sampled_from(KINDS),
    times=st.sampled_from((1, 1, 1, 1, 2, FOR_EVER)),
    at=st.sampled_from((0.0, 0.1, 0.5, 0.9, 0.999)),
)
PULLS = st.builds(
    Disturbed,
    faults=st.dictionaries(NUMBERS, FAULTS, min_size=1, max_size=4),
    meanwhile=st.dictionaries(NUMBERS, st.lists(HAPPENINGS, min_size=1, max_size=2), max_size=3),
    full=st.sampled_from((False,) * 5 + (True,)),
    restless=st.sampled_from((False,) * 9 + (True,)),
    together=st.sampled_from((1, 5)),
)
SCHEDULES = st.tuples(
    st.integers(2, ROOTS), st.lists(HAPPENINGS, max_size=6), st.lists(PULLS, min_size=1, max_size=3)
)


def disturbed(
    one: Disturbed, world: World, proxy: FaultProxy, programme: Programme, watched: Watched
) -> str:
    """Pull with faults; how it ended. It may fail, but in words, and is complete only when it is."""

    def meanwhile(number: int) -> None:
        for happening in one.meanwhile.get(number, ()):
            world.happen(happening)
        if one.restless:
            world.happen(("edit", 0))

    proxy.play(one.faults, meanwhile)
    world.begin()
    backend = through(proxy)
    try:
        with Mirror(watched.path) as mirror, pytest.MonkeyPatch.context() as patch:
            patch.setattr("sync.pull.TOGETHER", one.together)
            (result,) = pull(programme, backend, mirror, forms=[FORM], wanted=Wanted(full=one.full))
    except Problem as problem:
        for finding in problem.findings:
            assert finding.where
            assert finding.what
            assert finding.remedy
        watched.look()
        return f"failed: {problem.findings[0].code}"
    finally:
        backend.connection.close()
    if result.complete:
        watched.agrees(world.during)
        return "complete"
    watched.look()
    assert result.differs
    return "not complete"


def calm(kobo: SmallKobo, programme: Programme, path: Path) -> None:
    """An undisturbed pull, which says complete."""
    backend = Kobo(kobo.url, TOKEN)
    with Mirror(path) as mirror:
        (result,) = pull(programme, backend, mirror, forms=[FORM])
    backend.connection.close()
    assert result.complete, result.differs


def test_500_random_schedules_end_in_the_undisturbed_mirror(
    kobo: SmallKobo, proxy: FaultProxy, programme: Programme
) -> None:
    """Rows come, change and go between any two requests, and any request may fail in any way. No
    pull says complete when it is not; after the last, undisturbed one every live row is here
    verbatim, once, what is gone is a tombstone, no version that was seen is missing, and a fresh
    mirror holds the same."""
    ended: Counter[str] = Counter()
    proxy.met.clear()

    @settings(
        max_examples=EACH,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(schedule=SCHEDULES)
    def end_alike(schedule: tuple[int, list[Happening], list[Disturbed]]) -> None:
        rows, first, pulls = schedule
        folder = Path(tempfile.mkdtemp())
        watched = Watched(folder / "disturbed")
        world = World(kobo)
        try:
            for number in range(rows):
                world.happen(("insert", number))
            for happening in first:
                world.happen(happening)
            for one in pulls:
                ended[disturbed(one, world, proxy, programme, watched)] += 1
            calm(kobo, programme, watched.path)
            watched.ends(world.standing())
            watched.sound(world.ever)
            calm(kobo, programme, folder / "fresh")
            here, fresh = everything(watched.path), everything(folder / "fresh")
            assert comparable(here) == comparable(fresh)
            at, last = cursor(here), cursor(fresh)
            assert last <= at <= world.last_id
        finally:
            shutil.rmtree(folder)

    end_alike()
    assert set(KINDS) == set(proxy.met), "not every kind of fault was met"
    for how in ("complete", "not complete", "failed: wrong_token", "failed: page_repeats"):
        assert ended[how], f"no pull ended so: {how} ({ended})"


# ── single promises ──────────────────────────────────────────────────────────────────────────────


def test_a_token_revoked_half_way(
    kobo: SmallKobo, proxy: FaultProxy, programme: Programme, tmp_path: Path
) -> None:
    """Said at once, with where a token is set; what came before it is kept."""
    world = World(kobo)
    for number in range(6):
        world.happen(("insert", number))
    proxy.play({4: Fault("revoke", times=FOR_EVER)})
    with Mirror(tmp_path / "mirror.sqlite3") as mirror:
        with pytest.raises(ServerProblem, match="WATPHON_TOKEN") as caught:
            pull(programme, through(proxy), mirror, forms=[FORM])
        assert caught.value.findings[0].code == "wrong_token"
        assert 0 < mirror.count(FORM) < 6
    assert len(proxy.asked) <= 6  # asking again with the same token is futile
    calm(kobo, programme, tmp_path / "mirror.sqlite3")


def test_a_server_whose_clock_is_an_hour_off(
    kobo: SmallKobo, proxy: FaultProxy, programme: Programme, tmp_path: Path
) -> None:
    """A date in Retry-After is measured from the server's own now; changes it noted after its clock
    was set back are in the log here, too."""
    world = World(kobo)
    for number in range(3):
        world.happen(("insert", number))
    waits: list[float] = []
    proxy.play({2: Fault("429 with a date")})
    backend = through(proxy)
    backend.connection.sleep = waits.append
    with Mirror(tmp_path / "mirror.sqlite3") as mirror:
        (result,) = pull(programme, backend, mirror, forms=[FORM])
    assert result.complete
    assert waits == [7.0]
    happenings: tuple[Happening, ...] = (("edit", 0), ("clock", 0), ("edit", 1))
    for happening in happenings:
        world.happen(happening)
        calm(kobo, programme, tmp_path / "mirror.sqlite3")
    logged = everything(tmp_path / "mirror.sqlite3")["log"]
    assert {root_id for _, root_id, *_ in logged} == {"root-0", "root-1"}


def cursor(found: dict[str, list[tuple[Any, ...]]]) -> int:
    return int(found["forms"][0][2] or 0)
