"""A power cut in the middle of a season: nothing acknowledged is lost, nothing is there twice."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

from conftest import RunningServer

from forms import simulate
from forms.place import Place
from forms.programme import load, shipped
from sync.commands import publish_programme, pull_data
from sync.commands_simulate import outgoing
from sync.kobo import Kobo
from sync.phone import Phone, send_all

KILLS = 3
PEOPLE = 120


def test_server_killed_while_phones_send(running_server: RunningServer, tmp_path: Path) -> None:
    """SIGKILL three times while phones send; they retry by themselves. In the end every instance was
    acknowledged, the server holds exactly the season's rows, none twice, and a pull proves it."""
    programme = load(shipped())
    season = simulate.season(programme, seed=7, people=PEOPLE)
    backend = Kobo(running_server.url, running_server.token)
    publish_programme(programme, backend)
    published = backend.find(programme.id)
    with Phone(running_server.url, token=running_server.token) as phone:
        listed = {form.form_id: form for form in phone.forms()}
    first = list(outgoing(programme, season, 1, published, listed))
    acknowledged = 0
    due = [len(first) * (n + 1) // (KILLS + 2) for n in range(KILLS)]
    hit = threading.Event()

    def count(form_id: str, outcome: str) -> None:
        nonlocal acknowledged
        acknowledged += 1
        if due and acknowledged >= due[0]:
            due.pop(0)
            hit.set()

    def power_cuts() -> None:
        for _ in range(KILLS):
            assert hit.wait(120)
            hit.clear()
            running_server.kill()
            running_server.start(port=running_server.url.rpartition(":")[2])

    cutter = threading.Thread(target=power_cuts)
    cutter.start()
    sent = send_all(
        lambda: Phone(running_server.url, token=running_server.token, patience=120.0),
        first,
        workers=6,
        on_done=count,
    )
    cutter.join(120)
    assert not due, "the server was not killed as often as it should have been"
    assert sent.stored + sent.duplicate == acknowledged == len(first)

    # every acknowledged instance again: the server knows each of them
    again = send_all(
        lambda: Phone(running_server.url, token=running_server.token), first[::5], workers=4
    )
    assert again.stored == 0
    assert again.duplicate == len(first[::5])

    results = pull_data(programme, backend, Place(tmp_path, tmp_path / "local"))
    assert all(result.complete for result in results)
    expected = Counter(form_id for form_id, _, _ in first)
    assert {result.form_id: result.local_count for result in results} == expected
    assert all(result.phantoms == 0 for result in results)


def test_a_stopped_simulation_goes_on(running_server: RunningServer, tmp_path: Path) -> None:
    """Phones that offer everything again, edits included, change nothing: all is known already."""
    programme = load(shipped())
    season = simulate.season(programme, seed=8, people=60)
    backend = Kobo(running_server.url, running_server.token)
    publish_programme(programme, backend)
    published = backend.find(programme.id)
    with Phone(running_server.url, token=running_server.token) as phone:
        listed = {form.form_id: form for form in phone.forms()}

    def send() -> tuple[int, int]:
        stored = duplicates = 0
        for turn in season.total:
            sent = send_all(
                lambda: Phone(running_server.url, token=running_server.token),
                outgoing(programme, season, turn, published, listed),
                workers=4,
            )
            stored, duplicates = stored + sent.stored, duplicates + sent.duplicate
        return stored, duplicates

    stored, _ = send()
    assert stored >= sum(season.rows.values())
    again, known = send()
    assert again == 0
    assert known == sum(season.total.values())
