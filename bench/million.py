"""Fill a server's database with a million submissions, as if they had been sent.

    python bench/million.py DATA UID [ROWS]

Writes what intake would have written (`server.state.settle`), in large transactions and without
waiting for the disk: for benches, never for a server that runs. About twenty seconds.
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from phones import document

from server.times import stamp

__all__ = ["fill"]

STEP = 50_000


def fill(data: Path, uid: str, rows: int, *, submitter: str = "bench") -> float:
    """Add rows to the form `uid` of a stopped server that has taken one submission already (its
    rendered row is the pattern); seconds."""
    began = time.perf_counter()
    base = sqlite3.connect(data / "server" / "server.sqlite3", isolation_level=None)
    for pragma in ("synchronous=OFF", "cache_size=-400000", "temp_store=MEMORY"):
        base.execute(f"PRAGMA {pragma}")
    asset, form_id = base.execute("SELECT id, uid FROM assets WHERE uid = ?", (uid,)).fetchone()
    pattern, known = base.execute(
        "SELECT body, instance_id FROM documents WHERE asset_id = ? LIMIT 1", (asset,)
    ).fetchone()
    submission, number, change = base.execute(
        "SELECT submission, document, change FROM clock"
    ).fetchone()
    # in the order of the index on instance ids, which is what makes this quick
    ids = sorted(str(uuid.uuid4()) for _ in range(rows))
    for start in range(0, rows, STEP):
        batch = ids[start : start + STEP]
        base.execute("BEGIN")
        base.executemany(
            "INSERT INTO submissions (id, asset_id, root_id, instance_id, document_id,"
            " submitted_at, modified_at, submitter, status_uid, status, attachments)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, '', '{}', '[]')",
            heads(asset, batch, submission + start, number + start, change + start, submitter),
        )
        base.executemany(
            "INSERT INTO documents (id, asset_id, submission_id, instance_id, digest, received_at,"
            " body, xml) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    number + start + n,
                    asset,
                    submission + start + n,
                    one,
                    hashlib.sha256(one.encode()).digest(),
                    stamp(change + start + n),
                    pattern.replace(known.encode(), one.encode()),
                    document(form_id, one),
                )
                for n, one in enumerate(batch, start=1)
            ),
        )
        base.executemany(
            "INSERT INTO changes (asset_id, at, action, root_id, submitter, who)"
            " VALUES (?, ?, 'add-submission', ?, ?, ?)",
            (
                (asset, stamp(change + start + n), one, submitter, submitter)
                for n, one in enumerate(batch, start=1)
            ),
        )
        base.execute("COMMIT")
    base.execute(
        "UPDATE clock SET submission = submission + ?1, document = document + ?1,"
        " change = change + ?1",
        (rows,),
    )
    base.execute(
        "UPDATE assets SET submission_count = submission_count + ? WHERE id = ?", (rows, asset)
    )
    base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    base.close()
    return time.perf_counter() - began


def heads(
    asset: int, ids: list[str], submission: int, number: int, change: int, submitter: str
) -> Iterator[tuple[Any, ...]]:
    """Rows of the table `submissions`."""
    for n, one in enumerate(ids, start=1):
        at = stamp(change + n)
        yield submission + n, asset, one, one, number + n, at[:19], at, submitter


if __name__ == "__main__":
    wanted = int(sys.argv[3]) if len(sys.argv) > 3 else 1_000_000
    print(f"{wanted:,} rows in {fill(Path(sys.argv[1]), sys.argv[2], wanted):.1f} s")
