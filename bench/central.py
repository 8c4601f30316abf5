"""Rows per second out of ODK Central, beside pyodk on the same rows of the same server.

    WATPHON_EMAIL=… WATPHON_PASSWORD=… python bench/central.py URL [ROWS]

For a server of your own: it makes a project there (never touched again), publishes the follow-up form of
the shipped programme, sends ROWS visits (5,000 unless told), and reads them. pyodk fetches the table,
knows neither photos nor earlier versions, and stores nothing; watphon stores every record, sweeps and
proves.
"""

from __future__ import annotations

import importlib
import os
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from forms.instance import to_xml
from forms.model import Record, Submission
from forms.programme import load, shipped
from sync.central import Central
from sync.central_account import form_path
from sync.mirror import Mirror
from sync.publish import outgoing
from sync.pull import pull_form, source_of

FORM = "mne_followup"


def main(url: str, rows: int) -> None:
    programme = load(shipped())
    email, password = os.environ["WATPHON_EMAIL"], os.environ["WATPHON_PASSWORD"]
    server = Central(url, email=email, password=password)
    made = replace(outgoing(programme, FORM), programme_id=f"bench-{uuid.uuid4()}")
    published = server.publish(made, None)
    form = programme.form(FORM)
    rng = random.Random(2564)

    def send(number: int) -> None:
        root = str(uuid.UUID(int=rng.getrandbits(128)))
        answers = {"visit_date": "2021-05-04", "n_met": str(number % 60), "advice": "คำแนะนำ " * 9}
        leaders = {"leader": (Record({"leader/l_pid": "5064000018", "leader/l_apply": "1"}),) * 2}
        instance = Submission(FORM, published.version, root, root, Record(answers, leaders))
        path = f"{form_path(published.uid)}/submissions"
        server.connection.json("POST", path, raw=(to_xml(instance, form), "application/xml"))

    def timed(what: str, read: Callable[[], int]) -> float:
        began = time.perf_counter()
        found = read()
        rate = found / (time.perf_counter() - began)
        print(f"{what:<52} {found:>7,} rows {rate:>9,.0f} rows/s", flush=True)
        return rate

    with ThreadPoolExecutor(8) as phones:
        timed("send (8 at a time, REST)", lambda: len(list(phones.map(send, range(rows)))))
    timed("pyodk, the table alone", lambda: pyodk(url, email, password, published.uid))
    peer = timed("pyodk, with its repeats", lambda: pyodk(url, email, password, published.uid, "*"))
    with tempfile.TemporaryDirectory() as folder, Mirror(Path(folder) / "m.sqlite3") as mirror:

        def pull() -> int:
            source = source_of(server.deployed(published.uid), form)
            result = pull_form(FORM, source, server, mirror)
            assert result.complete, result
            return result.local_count

        ours = timed("watphon, first pull: repeats, stored, swept, proven", pull)
        timed("watphon, nothing new", pull)
    print(f"watphon / pyodk {ours / peer:.1f}")


def pyodk(url: str, email: str, password: str, uid: str, expand: str | None = None) -> int:
    Client = importlib.import_module("pyodk.client").Client  # comes with `pip install .[bench]`
    project, _, form_id = uid.partition("/")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.toml"
        config.write_text(
            f'[central]\nbase_url = "{url}"\nusername = "{email}"\npassword = "{password}"\n'
        )
        client = Client(config_path=str(config), cache_path=str(Path(folder) / "cache.toml"))
        with client:
            table = client.submissions.get_table(
                form_id=form_id, project_id=int(project), expand=expand
            )
        return len(table["value"])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5_000)
