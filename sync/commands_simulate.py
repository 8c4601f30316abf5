"""The command that invents a season and sends it as phones would."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated

import typer

from forms import simulate as simulator
from forms.console import Advance, out, stage
from forms.instance import to_xml
from forms.place import DataOption, FolderOption, Place, place_of
from forms.problems import Problem, UsageProblem
from forms.programme import Programme
from sync.backend import Deployed
from sync.connect import UrlOption, backend_of
from sync.kobo import Kobo
from sync.phone import Item, Listed, Phone, Sent, send_all

__all__ = ["app", "outgoing", "simulate_season"]

app = typer.Typer()

PHONES = 8
"""Phones that send side by side."""


@app.command()
def simulate(
    ctx: typer.Context,
    folder: FolderOption = None,
    data: DataOption = None,
    url: UrlOption = None,
    people: Annotated[
        int | None, typer.Option(min=1, help="Scale people and courses down to about so many.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same season.")] = 2564,
) -> None:
    """Invent a plausible season and send it as phones would; truth and faults are written beside.

    For trying things out on a server of your own: never on one that holds real data.
    """
    place = place_of(ctx, folder, data)
    programme = place.programme()
    backend = backend_of(programme, url)
    if not isinstance(backend, Kobo):
        raise UsageProblem.at(
            "simulate",
            "sends to KoboToolbox or the embedded server",
            "use watphon serve, or --url of a server of that kind",
        )
    simulate_season(programme, backend, place, seed=seed, people=people)


def simulate_season(
    programme: Programme, backend: Kobo, place: Place, *, seed: int, people: int | None
) -> Sent:
    """Send a season; stopped half-way, the same call again finishes it and doubles nothing."""
    published = backend.find(programme.id)
    with Phone(backend.url, token=backend.token) as phone:
        listed = {form.form_id: form for form in phone.forms()}
    absent = [
        form_id
        for form_id in programme.forms
        if form_id not in published or published[form_id].uid not in listed
    ]
    if absent:
        raise Problem.at(
            backend.url,
            f"does not offer {', '.join(absent)} to phones",
            "run `watphon publish` first",
        )
    with stage("simulate") as progress:
        progress("inventing the season", 0, 0)
        season = simulator.season(programme, seed=seed, people=people)
        simulator.write(season, place.simulation)
        stored = duplicates = 0
        done = counting(progress, sum(season.total.values()))
        for number in season.total:  # edits and resends only after what they refer to has arrived
            sent = send_all(
                lambda: Phone(backend.url, token=backend.token),
                outgoing(programme, season, number, published, listed),
                workers=PHONES,
                on_done=done,
            )
            stored, duplicates = stored + sent.stored, duplicates + sent.duplicate
    out.print(
        f"  {stored:,} submissions stored, {duplicates:,} recognised as already there "
        f"(seed {seed}; truth and ledger in {place.simulation})"
    )
    return Sent(stored, duplicates)


def outgoing(
    programme: Programme,
    season: simulator.Season,
    number: int,
    published: Mapping[str, Deployed],
    listed: Mapping[str, Listed],
) -> Iterator[Item]:
    """Instances as a phone writes them for the version the server offers."""
    for sent in season.submissions():
        if sent.round == number:
            uid = published[sent.form_id].uid
            addressed = replace(sent.submission, form_id=uid, version=listed[uid].version)
            yield sent.form_id, to_xml(addressed, programme.form(sent.form_id)), sent.files


def counting(progress: Advance, total: int) -> Callable[[str, str], None]:
    """Count acknowledged instances onto a progress display."""
    done = 0

    def one(form_id: str, outcome: str) -> None:
        nonlocal done
        done += 1
        progress(form_id, done, total)

    return one
