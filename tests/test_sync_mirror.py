"""The mirror file: all or nothing, on a full disk too, and never silently another file."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import orjson
import pytest
from small_kobo import TOKEN, SmallKobo, running

from forms.problems import Problem
from forms.programme import load, shipped
from sync.backend import Ledger, Mark, Row, quiet
from sync.kobo import Kobo
from sync.ledger import compare
from sync.mirror import Mirror, Saved
from sync.pull import pull

FORM = "mne_registration"


def row(row_id: int, root: str, *, uuid: str = "", validation: str = "") -> Row:
    return Row(
        root_id=root,
        row_id=row_id,
        uuid=uuid or root,
        mark=f"{uuid or root}|{validation}",
        submitted_at="2026-11-23T13:01:42",
        validation=validation,
        payload=orjson.dumps({"_id": row_id, "a": uuid}),
    )


def test_cursor_and_rows_are_one_transaction(tmp_path: Path) -> None:
    """When a row cannot be stored, neither its page nor the cursor after it is."""
    with Mirror(tmp_path / "m.sqlite3") as mirror:
        assert mirror.bind(FORM, "a1") == ""
        assert mirror.save(FORM, [row(1, "r1")], cursor="1") == Saved(1, 0)
        bad = Row("r3", 3, "u", "m", "t", "", payload=None)  # type: ignore[arg-type]
        with pytest.raises(Problem):
            mirror.save(FORM, [row(2, "r2"), bad], cursor="3")
        assert mirror.bind(FORM, "a1") == "1"
        assert mirror.count(FORM) == 1


def test_versions_are_kept_in_order(tmp_path: Path) -> None:
    """Each edit and each review adds what was there before; saving the same again adds nothing."""
    with Mirror(tmp_path / "m.sqlite3") as mirror:
        mirror.bind(FORM, "a1")
        mirror.save(FORM, [row(1, "r1")])
        assert mirror.save(FORM, [row(1, "r1", uuid="u2")], settle=True) == Saved(0, 1)
        assert mirror.save(FORM, [row(1, "r1", uuid="u2")], settle=True) == Saved(0, 0)
        mirror.save(FORM, [row(1, "r1", uuid="u2", validation="approved")], settle=True)
        assert [orjson.loads(p)["a"] for p in mirror.history(FORM, "r1")] == ["", "u2"]


def test_of_two_rows_the_highest_stands_unless_the_ledger_says_otherwise(tmp_path: Path) -> None:
    """A phantom row never replaces the real one; the ledger can."""
    with Mirror(tmp_path / "m.sqlite3") as mirror:
        mirror.bind(FORM, "a1")
        mirror.save(FORM, [row(9, "r1"), row(2, "r1")])
        both = (Mark(2, "r1", "r1|"), Mark(9, "r1", "r1|"))
        found = compare(FORM, [Ledger(both, 0, "9")], mirror, quiet)
        assert (found.rows, found.submissions, found.unsettled, found.gone) == (2, 1, (), ())
        found = compare(FORM, [Ledger(both[:1], 0, "2")], mirror, quiet)
        assert [mark.row_id for mark in found.unsettled] == [2]


def test_a_file_that_is_no_mirror_is_left_alone(tmp_path: Path) -> None:
    """A damaged file, another schema, a missing right: said in words, nothing overwritten."""
    other = tmp_path / "notes.sqlite3"
    other.write_bytes(b"these are not the rows you are looking for" * 100)
    with pytest.raises(Problem) as caught:
        Mirror(other)
    assert caught.value.findings[0].code == "mirror_broken"
    later = tmp_path / "later.sqlite3"
    with sqlite3.connect(later) as base:
        base.execute("PRAGMA user_version = 99")
    base.close()
    with pytest.raises(Problem) as caught:
        Mirror(later)
    assert caught.value.findings[0].code == "mirror_version"
    with pytest.raises(Problem):
        Mirror(tmp_path / "notes.sqlite3" / "mirror.sqlite3")


def test_two_writers_do_not_mix(tmp_path: Path) -> None:
    """The second one is told to wait."""
    with Mirror(tmp_path / "m.sqlite3") as mirror, Mirror(tmp_path / "m.sqlite3") as second:
        mirror.bind(FORM, "a1")
        second.base.execute("PRAGMA busy_timeout = 50")
        mirror.base.execute("BEGIN IMMEDIATE")
        with pytest.raises(Problem) as caught:
            second.save(FORM, [row(1, "r1")])
        mirror.base.execute("ROLLBACK")
        assert caught.value.findings[0].code == "mirror_busy"
        second.save(FORM, [row(1, "r1")])
        assert mirror.count(FORM) == 1


PULL = """
import resource, sys
from pathlib import Path
from forms.problems import Problem
from forms.programme import load, shipped
from sync.kobo import Kobo
from sync.ledger import compare
from sync.mirror import Mirror
from sync.pull import pull

limit, die_at = int(sys.argv[3]), int(sys.argv[4])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
left = iter(range(die_at))

def progress(what, done, total):
    if die_at and next(left, None) is None:
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)

try:
    with Mirror(Path(sys.argv[2])) as mirror:
        backend = Kobo(sys.argv[1], "0123456789abcdef0123456789abcdef01234567", page=50)
        (result,) = pull(load(shipped()), backend, mirror, progress, forms=["mne_registration"])
except Problem as problem:
    print(problem.findings[0].code)
    sys.exit(1)
print("complete" if result.complete else "differs")
"""


def run_pull(url: str, path: Path, *, limit: int = 0, die_at: int = 0) -> tuple[int, str]:
    """A pull in a process of its own: exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PULL), url, str(path), str(limit), str(die_at)],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout.strip() or done.stderr


def test_a_full_disk_stops_the_pull_and_the_next_one_finishes(tmp_path: Path) -> None:
    """RLIMIT_FSIZE cuts the file off: one clear finding, no broken file, then all rows."""
    kobo = SmallKobo(f"watphon:north2564/{FORM} sha256:00")
    for n in range(1200):
        kobo.insert(f"root-{n}", {"g_name/remark": "x" * 2000})
    path = tmp_path / "mirror.sqlite3"
    with running(kobo):
        assert run_pull(kobo.url, path, limit=1_600_000) == (1, "disk_full")
        with Mirror(path) as mirror:
            assert 0 < mirror.count(FORM) < 1200
        assert run_pull(kobo.url, path) == (0, "complete")
    with Mirror(path) as mirror:
        assert mirror.count(FORM) == 1200


def test_a_killed_pull_leaves_a_mirror_that_goes_on(tmp_path: Path) -> None:
    """SIGKILL, not an exception: the file opens, and the next pull ends where a calm one ends."""
    kobo = SmallKobo(f"watphon:north2564/{FORM} sha256:00")
    for n in range(600):
        kobo.insert(f"root-{n}", {"n": str(n)})
    with running(kobo):
        for step in (3, 5):
            code, _ = run_pull(kobo.url, tmp_path / "killed.sqlite3", die_at=step)
            assert code == -signal.SIGKILL
        assert run_pull(kobo.url, tmp_path / "killed.sqlite3") == (0, "complete")
        with Mirror(tmp_path / "calm.sqlite3") as mirror:
            pull(load(shipped()), Kobo(kobo.url, TOKEN, page=50), mirror, forms=[FORM])
            calm = list(mirror.stored(FORM))
    with Mirror(tmp_path / "killed.sqlite3") as mirror:
        assert list(mirror.stored(FORM)) == calm
