"""A PostgreSQL of the tests' own: a fresh cluster in a temporary folder, reached by its socket only.

It begins with the first question and ends with the process. Nothing of it survives, so it need not
wait for the disk: the promise that a 201 is on disk is PostgreSQL's own to keep, and the tests of
ours kill the server, not the database.
"""

from __future__ import annotations

import atexit
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections import OrderedDict
from functools import cache
from pathlib import Path

import pytest
from needs import needs

__all__ = [
    "PROGRAMS",
    "Cluster",
    "cluster",
    "needs_postgres",
    "on_postgres",
    "only_sqlite",
    "placed",
]

MOST_KEPT = 40
"""Databases (8 MB each) that stay while the tests run; older ones are dropped."""


def programs() -> Path | None:
    """The folder with PostgreSQL's programs: Debian keeps them out of the PATH."""
    known = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[4]))
    found = shutil.which("initdb")
    return known[-1].parent if known else Path(found).parent if found else None


PROGRAMS = programs()
needs_postgres = needs(PROGRAMS, "postgresql")
on_postgres = os.environ.get("WATPHON_TEST_DATABASE") == "postgresql"
"""Whether every server of the tests keeps its state in PostgreSQL."""
only_sqlite = pytest.mark.skipif(on_postgres, reason="about the SQLite file")


class Cluster:
    """A running PostgreSQL; `start` and `stop` may be called again and again."""

    def __init__(self, access: str = "") -> None:
        """`access`: lines of pg_hba.conf that come before letting everybody in by the socket."""
        assert PROGRAMS is not None, "PostgreSQL is not installed"
        self.programs = PROGRAMS
        self.folder = Path(tempfile.mkdtemp(prefix="watphon-pg-"))
        # the server refuses to be root
        self.account = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            shutil.chown(self.folder, self.account)
        words = ("-A", "trust", "-U", "watphon", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        self.run("initdb", "-D", str(self.folder / "data"), *words)
        if access:
            rules = self.folder / "data" / "pg_hba.conf"
            rules.write_text(f"{access}\n{rules.read_text()}")
        self.start()

    def run(self, program: str, *words: str) -> str:
        """Run one of PostgreSQL's programs; what it printed."""
        done = subprocess.run(
            [str(self.programs / program), *words],
            user=self.account if os.geteuid() == 0 else None,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = (
            f"-k {self.folder} -c listen_addresses= -c fsync=off -c full_page_writes=off "
            "-c max_connections=200 -c shared_buffers=64MB -c logging_collector=off"
        )
        log = str(self.folder / "log")
        self.run(
            "pg_ctl", "-D", str(self.folder / "data"), "-w", "-o", settings, "-l", log, "start"
        )

    def stop(self, mode: str = "fast") -> None:
        """Stop it; `immediate` is as a power cut."""
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-m", mode, "stop")

    def sql(self, words: str, database: str = "postgres") -> str:
        """Run a statement; its rows, columns parted by `|`."""
        here = ("-h", str(self.folder), "-U", "watphon", "-d", database)
        return self.run("psql", *here, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", words)

    def fresh(self) -> str:
        """The address of a new, empty database."""
        name = f"watphon_{secrets.token_hex(6)}"
        self.sql(f"CREATE DATABASE {name}")
        return f"postgresql://watphon@/{name}?host={self.folder}"

    def drop(self, address: str) -> None:
        name = address.rpartition("@/")[2].partition("?")[0]
        self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def end(self) -> None:
        """Stop it and remove everything."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)


@cache
def cluster() -> Cluster:
    """The cluster of this process."""
    made = Cluster()
    atexit.register(made.end)
    return made


known: OrderedDict[Path, str] = OrderedDict()


def placed(data: Path) -> Path:
    """The same data folder; where the tests run on PostgreSQL, it remembers a fresh database there,
    as a folder does whose server was once told its address."""
    if on_postgres and data not in known:
        known[data] = cluster().fresh()
        remembered = data / "server" / "database"
        remembered.parent.mkdir(parents=True, exist_ok=True)
        remembered.write_text(known[data], "utf-8")
        while len(known) > MOST_KEPT:
            cluster().drop(known.popitem(last=False)[1])
    return data
