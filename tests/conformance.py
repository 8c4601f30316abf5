"""What the conformance tests stand on: a world, its programme's folder, and a mirror beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from visits import Visits
from world_central import CentralWorld
from world_kobo import EmbeddedWorld, KoboWorld
from worlds import Truth, World

from sync.backend import Backend, Progress, Published, PullResult, Source, Step, quiet
from sync.mirror import Mirror
from sync.publish import plan, publish
from sync.pull import USUAL, Wanted, pull, source_of

__all__ = ["Bench", "open_bench"]


@dataclass(slots=True)
class Bench:
    """A world with a programme; `mirror` and `record` lie in the test's folder."""

    world: World
    visits: Visits
    mirror: Mirror
    record: Path

    @property
    def backend(self) -> Backend:
        return self.world.backend

    def publish(self) -> list[Published]:
        """Publish the programme as it is now; the gate counts from here."""
        self.world.programme = self.visits.load()
        self.world.gate.afresh()
        return publish(self.world.programme, self.backend, record=self.record)

    def plan(self) -> list[Step]:
        """What publishing would do with the forms; the gate counts from here."""
        self.world.programme = self.visits.load()
        self.world.gate.afresh()
        steps = plan(self.world.programme, self.backend, self.record)
        return [step for form in steps.values() for step in form]

    def pull(
        self, wanted: Wanted = USUAL, progress: Progress = quiet, backend: Backend | None = None
    ) -> PullResult:
        """Pull the form `visit`."""
        found = pull(
            self.world.programme,
            backend or self.backend,
            self.mirror,
            progress,
            forms=["visit"],
            wanted=wanted,
        )
        return found[0]

    def source(self) -> Source:
        """Where the rows of `visit` come from."""
        known = self.backend.find(self.world.programme.id)
        return source_of(known["visit"], self.world.programme.form("visit"))

    def live(self) -> Truth:
        """What the mirror says lies on the server."""
        return {
            stored.root_id: (self.row(stored.root_id)["_uuid"], status)
            for stored in self.mirror.stored("visit")
            for status in [stored.validation]
            if not stored.withdrawn
        }  # type: ignore[return-value]  # a mirror's status is one of the four

    def row(self, root_id: str) -> dict[str, Any]:
        """A submission's row as it lies in the mirror."""
        (found,) = [s for s in self.mirror.stored("visit") if s.root_id == root_id]
        return orjson.loads(found.payload)

    def renew(self, name: str) -> None:
        """Go on with a programme of another id, as if on a fresh server."""
        self.visits.programme_id = name
        self.world.move_on(self.visits.load())


@contextmanager
def open_bench(
    request: pytest.FixtureRequest, folder: Path, name: str, *, page: int = 1000
) -> Iterator[Bench]:
    """The bench of one test in the world called `name`; the test's name is the programme's id."""
    test = request.node.originalname.removeprefix("test_")
    visits = Visits(folder / name, test)
    programme = visits.load()

    if name == "central":
        opened: AbstractContextManager[World] = CentralWorld.opened(programme, test, page)
    elif name == "kobo":
        opened = KoboWorld.opened(programme, page)
    else:
        opened = EmbeddedWorld.opened(programme, request.getfixturevalue("module_server"), page)
    with (
        opened as world,
        Mirror(folder / f"{name}.sqlite3", now=lambda: "2026-11-25T03:00:00Z") as mirror,
    ):
        yield Bench(world, visits, mirror, folder / f"{name}.published.json")
