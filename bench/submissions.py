"""How many submissions a second reach the disk, empty and with a million stored, and how fast they
come out again.

    python bench/submissions.py [--seconds 8] [--stored 1000000]

Starts the real server on a temporary folder and lets 1, 8 and 32 phones send what `phones.py`
tells; then the same 32 on a server that holds a million; then reads 50,000 rows in pages of 1,000.
Checks that stored = acknowledged. The limit of the disk is measured in the same run: durable
commits of one row each, without any server. Loopback only; ends by itself.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import requests
import uvloop
from million import fill
from phones import Form, Place, load, percentile, publish, stored_ids

RECORDED = {1: (126, 26), 8: (175, 90), 32: (235, 200)}
"""ODK Central 2026.1 on such a machine, recorded elsewhere: submissions/s and p99 in ms."""
RECORDED_MILLION, RECORDED_MEMORY = 23, 400


def run(place: Place, form: Form, seconds: float, connections: int) -> tuple[float, set[str]]:
    """Send for about so many seconds, print what was seen; the rate, and what was acknowledged."""
    loop = uvloop.new_event_loop()
    few = 200 * min(connections, 8)
    tried, _, _, first = loop.run_until_complete(load(place, form, few, connections))
    count = max(few, int(few / tried * seconds))
    used = place.processor()
    took, each, answers, acknowledged = loop.run_until_complete(
        load(place, form, count, connections)
    )
    loop.close()
    used = (place.processor() - used) / count
    if answers != {201: count}:
        print(f"   answers that are not 201: {dict(answers)}")
    rate = count / took
    known, slow = RECORDED[connections]
    print(
        f"{connections:>3} phones {rate:>9,.0f} /s   p50 {percentile(each, 0.5) * 1e3:6.1f} ms"
        f"   p99 {percentile(each, 0.99) * 1e3:6.1f} ms   slowest {each[-1] * 1e3:6.1f} ms"
        f"   processor {used * 1e6:4.0f} µs each"
        f"   | Central, recorded elsewhere: {known}/s, p99 {slow} ms: {rate / known:.1f} times"
    )
    return rate, first | acknowledged


def commits_per_second(folder: Path) -> float:
    """The disk's limit: durable commits of one 825-byte row, one after another, in one second.

    A server that commits each submission by itself cannot be faster than this.
    """
    base = sqlite3.connect(folder / "limit.sqlite3", isolation_level=None)
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("PRAGMA synchronous = FULL")
    base.execute("CREATE TABLE row(xml BLOB)")
    done, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < 1:
        base.execute("INSERT INTO row VALUES (?)", (b"x" * 825,))
        done += 1
    base.close()
    return done


def pull(place: Place, form: Form, rows: int) -> float:
    """Whole rows by keyset on `_id` in pages of 1,000, as sync does; rows a second."""
    session, last, found = requests.Session(), 0, 0
    session.headers.update(place.headers)
    began = time.perf_counter()
    while found < rows:
        params = {
            "query": json.dumps({"_id": {"$gt": last}}),
            "sort": '{"_id":1}',
            "limit": "1000",
        }
        address = f"{place.url}/api/v2/assets/{form.uid}/data/"
        page = json.loads(session.get(address, params=params, timeout=60).content)["results"]
        if not page:
            break
        last = page[-1]["_id"]
        found += len(page)
    return found / (time.perf_counter() - began)


def main() -> int:
    """Run once; 1 when something acknowledged is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8, help="of each of the runs")
    parser.add_argument("--stored", type=int, default=1_000_000, help="rows of the full server")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    place = Place(folder / "data")
    try:
        place.start()
        form, known = publish(place), set[str]()
        print(f"{'one commit each, no server':<28}{commits_per_second(folder):>9,.0f} /s")
        rates: dict[int, float] = {}
        for connections in (1, 8, 32):
            rates[connections], acknowledged = run(place, form, asked.seconds, connections)
            known |= acknowledged
        memory = place.peak_memory()
        same = set(stored_ids(place, form)) == known
        print(f"{'acknowledged = stored':<28}{'yes' if same else 'NO':>9}   {len(known):,}")
        print(f"{'server memory, at most':<28}{memory:>9.0f} MB   | Central {RECORDED_MEMORY} MB")
        if not asked.stored:
            return 0 if same else 1
        place.stop()
        filled = fill(folder / "data", form.uid, asked.stored)
        print(f"\n{asked.stored:,} more stored (in {filled:.0f} s, by the database)")
        print(f"{'start':<28}{place.start():>9.2f} s")
        full, acknowledged = run(place, form, asked.seconds, 32)
        share = full / rates[32]
        print(f"{'of the empty server':<28}{share:>9.2f}   | Central {RECORDED_MILLION}/s in all")
        count = requests.get(
            f"{place.url}/api/v2/assets/{form.uid}/data/?limit=1", headers=place.headers, timeout=60
        ).json()["count"]
        same = same and count == asked.stored + len(known) + len(acknowledged)
        print(f"{'count':<28}{'agrees' if same else 'DIFFERS':>9}   {count:,}")
        print(f"{'data/, 50,000 whole rows':<28}{pull(place, form, 50_000):>9,.0f} rows/s")
        print(f"{'server memory, at most':<28}{place.peak_memory():>9.0f} MB")
        return 0 if same else 1
    finally:
        place.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
