"""Fifty power cuts under thirty-two phones: what was acknowledged is stored, every time, once.

    python bench/torture.py [--kills 50] [--phones 32] [--stored 0] [--seed N]

The server is ended by SIGKILL at a moment nobody chose, started again, and everything it has is
compared with what the phones were told: every acknowledged submission is there, with its photograph
to the byte where it had one (a quarter of them); none is there twice; what was not acknowledged is
there whole or not at all. Phones send again what was not answered. With `--stored 1000000` a
million rows are there from the beginning, and each start must take less than two seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
import sqlite3
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from million import fill
from phones import PHOTO, Form, Phone, Place, load, percentile, post, publish

__all__ = ["Toll", "torture"]


@dataclass(slots=True)
class Toll:
    """What a torture has shown; `faults` are broken promises."""

    kills: int = 0
    acknowledged: int = 0
    again: int = 0
    """Submissions that had been stored, but not acknowledged, before a kill (202 at the resend)."""
    with_photo: int = 0
    starts: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Crowd:
    """Phones that send without rest; what they were told stays known over all kills."""

    def __init__(self, form: Form, rng: random.Random) -> None:
        self.form = form
        self.rng = rng
        self.told: dict[str, bool] = {}
        self.unsure: list[tuple[str, bool]] = []
        self.again = 0
        self.sending = True
        self.refused: Counter[int] = Counter()

    def next_one(self) -> tuple[str, bool]:
        """What was sent without an answer comes first, then something new."""
        if self.unsure:
            return self.unsure.pop()
        return str(uuid.UUID(int=self.rng.getrandbits(128))), self.rng.random() < 0.25

    async def phone(self, port: int) -> None:
        """One phone until the line breaks."""
        present: tuple[str, bool] | None = None

        def next_post() -> bytes | None:
            nonlocal present
            if not self.sending:
                return None
            present = self.next_one()
            return post(self.form, present[0], photo=present[1])

        def answered(status: int, _: float) -> None:
            nonlocal present
            assert present is not None
            if status in (201, 202):
                self.told[present[0]] = present[1]
                self.again += status == 202
            else:
                self.refused[status] += 1
                self.unsure.append(present)
            present = None

        loop = asyncio.get_running_loop()
        try:
            _, protocol = await loop.create_connection(
                lambda: Phone(next_post, answered), "127.0.0.1", port
            )
        except OSError:
            return
        await protocol.over
        if present is not None:
            self.unsure.append(present)


def stored(place: Place, asset: str) -> Iterator[tuple[str, str, str]]:
    """Instance id, photograph's digest (or empty) and JSON row's file list of each stored row."""
    base = sqlite3.connect(f"file:{place.data}/server/server.sqlite3?mode=ro", uri=True)
    try:
        yield from base.execute(
            "SELECT s.root_id, COALESCE(a.digest, ''), s.attachments FROM submissions s"
            " JOIN assets f ON f.id = s.asset_id AND f.uid = ?"
            " JOIN documents d ON d.id = s.document_id"
            " LEFT JOIN attachments a ON a.submission_id = s.id WHERE s.submitter = ?",
            (asset, "bench"),
        )
    finally:
        base.close()


def compare(place: Place, crowd: Crowd, known_before: int, toll: Toll) -> None:
    """Hold what is stored against what was told; every difference is a fault."""
    found: Counter[str] = Counter()
    digests: dict[str, str] = {}
    files = place.data / "server" / "files"
    for one, digest, _ in stored(place, crowd.form.uid):
        found[one] += 1
        digests[one] = digest
    twice = [one for one, times in found.items() if times > 1]
    missing = [one for one in crowd.told if one not in found]
    if twice:
        toll.faults.append(f"{len(twice)} rows are there twice")
    if missing:
        toll.faults.append(f"{len(missing)} acknowledged submissions are missing")
    for one, photo in crowd.told.items():
        if not photo or one not in digests:
            continue
        wanted = PHOTO + one.encode()
        path = files / "contents" / hashlib.sha256(wanted).hexdigest()
        if digests[one] != path.name or not path.exists() or path.read_bytes() != wanted:
            toll.faults.append(f"the photograph of an acknowledged submission is missing: {one}")
    if list((files / "incoming").iterdir()) and not crowd.sending:
        toll.faults.append("a half upload stayed")
    base = sqlite3.connect(f"file:{place.data}/server/server.sqlite3?mode=ro", uri=True)
    (count,) = base.execute(
        "SELECT submission_count FROM assets WHERE uid = ?", (crowd.form.uid,)
    ).fetchone()
    (rows,) = base.execute("SELECT count(*) FROM submissions").fetchone()
    base.close()
    if count != rows:
        toll.faults.append(f"the form counts {count}, {rows} are there")
    if len(found) + known_before != rows and known_before:
        toll.faults.append("rows from the beginning are missing")


async def rounds(
    place: Place, crowd: Crowd, kills: int, phones: int, toll: Toll, before: int
) -> None:
    """Send, kill, start, compare; at the end let everything arrive."""
    loop = asyncio.get_running_loop()
    for _ in range(kills):
        crowd.sending = True
        line = [asyncio.ensure_future(crowd.phone(int(place.port))) for _ in range(phones)]
        # after as many answers as chance says, and then at any moment of the next one
        wanted, late = len(crowd.told) + crowd.rng.randint(20, 600), time.monotonic() + 3
        while len(crowd.told) < wanted and time.monotonic() < late:
            await asyncio.sleep(0.005)
        await asyncio.sleep(crowd.rng.uniform(0, 0.02))
        place.process.kill()
        await asyncio.gather(*line)
        crowd.sending = False
        place.end()
        toll.kills += 1
        toll.starts.append(await loop.run_in_executor(None, place.start))
        await loop.run_in_executor(None, compare, place, crowd, before, toll)
        if toll.faults:
            return
    while crowd.unsure:  # what was never answered, sent once more
        crowd.sending = True
        line = [asyncio.ensure_future(crowd.phone(int(place.port))) for _ in range(phones)]
        await asyncio.sleep(0.2)
        crowd.sending = False
        await asyncio.gather(*line)
    compare(place, crowd, before, toll)


def torture(
    folder: Path, *, kills: int, phones: int = 32, stored_before: int = 0, seed: int | None = None
) -> Toll:
    """Run it in an empty folder."""
    toll = Toll()
    place = Place(folder)
    place.start()
    loop = uvloop.new_event_loop()
    try:
        form = publish(place)
        if stored_before:
            loop.run_until_complete(load(place, form, 1, 1))
            place.stop()
            fill(folder, form.uid, stored_before, submitter="filled")
            place.start()
        crowd = Crowd(form, random.Random(seed))
        # the one row that was the pattern belongs to the phones' key, and is known
        crowd.told.update({one: False for one, *_ in stored(place, form.uid)})
        loop.run_until_complete(rounds(place, crowd, kills, phones, toll, stored_before))
    finally:
        place.stop()
        loop.close()
    toll.acknowledged = len(crowd.told)
    toll.with_photo = sum(crowd.told.values())
    toll.again = crowd.again
    if set(crowd.refused) - {503}:
        toll.faults.append(f"refused: {dict(crowd.refused)}")
    return toll


def main() -> int:
    """Run once; 1 when a promise was broken or a start took too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--phones", type=int, default=32)
    parser.add_argument("--stored", type=int, default=0, help="rows that are there before")
    parser.add_argument("--seed", type=int, default=None)
    asked = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        toll = torture(
            Path(folder),
            kills=asked.kills,
            phones=asked.phones,
            stored_before=asked.stored,
            seed=asked.seed,
        )
    starts = sorted(toll.starts)
    print(f"{'kills under ' + str(asked.phones) + ' phones':<36}{toll.kills:>10}")
    print(f"{'rows stored before':<36}{asked.stored:>10,}")
    print(f"{'acknowledged, all of them stored':<36}{toll.acknowledged:>10,}")
    print(f"{'  with a photograph, to the byte':<36}{toll.with_photo:>10,}")
    print(f"{'  stored, but answered after a kill':<36}{toll.again:>10,}")
    print(f"{'start, middle':<36}{percentile(starts, 0.5):>10.2f} s")
    print(f"{'start, slowest':<36}{starts[-1]:>10.2f} s")
    print(f"{'in all':<36}{time.perf_counter() - began:>10.0f} s")
    for fault in toll.faults:
        print(f"BROKEN: {fault}")
    return 1 if toll.faults or starts[-1] >= 2 else 0


if __name__ == "__main__":
    sys.exit(main())
