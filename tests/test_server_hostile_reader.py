"""The process that reads strangers' workbooks is told no secret of the server."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest
from office import workbook

from server.kobo import confined

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "secret of the store",
    "AWS_ENDPOINT_URL": "https://objects.example.org",
    "PGPASSWORD": "secret of the database",
    "PGPASSFILE": "/somewhere",
    "WATPHON_DATABASE": "postgresql://watphon:secret@127.0.0.1/watphon",
    "WATPHON_TOKEN": "secret of the server",
}


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_readers_environment_has_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of AWS_…, PG… and WATPHON_… in the server's environment nothing stands in that of the real
    reader, seen by the system, while it reads a workbook and gives its result."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HARMLESS", "seen")
    environments: list[bytes] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            for process in list(confined.running):
                place = Path(f"/proc/{process.pid}")
                try:
                    # before its exec a new process still shows this one's environment
                    if b"server.kobo.confined" in (place / "cmdline").read_bytes():
                        environments.append((place / "environ").read_bytes())
                except (FileNotFoundError, ProcessLookupError):
                    continue
            time.sleep(0.01)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        found = confined.read_apart(workbook(), "small.xlsx")
    finally:
        done.set()
        watcher.join(10)
    assert found.form_id == "small"
    seen = [one for one in environments if one]
    assert seen
    for environment in seen:
        names = {line.partition(b"=")[0].decode() for line in environment.split(b"\0") if line}
        assert "HARMLESS" in names
        assert "PATH" in names
        assert not [name for name in names if name.startswith(("AWS_", "PG", "WATPHON_"))]
        assert not [value for value in SECRETS.values() if value.encode() in environment]
