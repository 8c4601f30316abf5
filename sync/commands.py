"""Commands that talk to a form server: publish, pull, simulate."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated

import typer

from forms import simulate as simulator
from forms.console import Advance, out, stage
from forms.instance import to_xml
from forms.place import DataOption, FolderOption, Place, place_of
from forms.problems import Problem, ServerProblem, UsageProblem
from forms.programme import Programme
from sync.backend import Deployed, Published, PullResult
from sync.kobo import Kobo
from sync.mirror import Mirror
from sync.phone import Item, Listed, Phone, Sent, send_all
from sync.publish import publish as publish_all
from sync.pull import pull as pull_all
from sync.tables import write_tables

__all__ = ["app", "publish_programme", "pull_data", "simulate_season"]

app = typer.Typer()

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="WATPHON_URL",
        metavar="URL",
        help="Form server.  [default: backend.url of programme.toml]",
    ),
]

PHONES = 8
"""Phones that send side by side in a simulation."""


def backend_of(programme: Programme, url: str | None) -> Kobo:
    """The programme's server, signed in; the token comes from WATPHON_TOKEN alone."""
    token = os.environ.get("WATPHON_TOKEN", "")
    if not token:
        raise UsageProblem.at(
            "WATPHON_TOKEN",
            "is not set: no server lets us in without a token",
            "export WATPHON_TOKEN=…  (`watphon serve` prints one at its first start; on KoboToolbox "
            "it is under Account settings → Security)",
        )
    return Kobo(url or programme.backend.url, token)


@app.command()
def publish(
    ctx: typer.Context, folder: FolderOption = None, data: DataOption = None, url: UrlOption = None
) -> None:
    """Send forms and their lists to the server; what has not changed is not sent."""
    programme = place_of(ctx, folder, data).programme()
    publish_programme(programme, backend_of(programme, url))


def publish_programme(programme: Programme, backend: Kobo) -> list[Published]:
    """Publish and say for each form what was done."""
    backend.check()
    with stage("publish") as progress:
        done = publish_all(programme, backend, progress)
    for form in done:
        out.print(f"  {form.form_id:<18} {form.action:<10} {form.uid}  version {form.version}")
    return done


@app.command()
def pull(
    ctx: typer.Context, folder: FolderOption = None, data: DataOption = None, url: UrlOption = None
) -> None:
    """Bring the local copy up to date, prove that it is complete, and make the tables.

    Exit code 1 when what lies here is not what lies on the server.
    """
    place = place_of(ctx, folder, data)
    programme = place.programme()
    results = pull_data(programme, backend_of(programme, url), place)
    if open_forms := [result for result in results if not result.complete]:
        raise ServerProblem.at(
            ", ".join(result.form_id for result in open_forms),
            "the local copy is not complete yet (see above)",
            "run `watphon pull` again",
        )


def pull_data(programme: Programme, backend: Kobo, place: Place) -> list[PullResult]:
    """Pull, print the proof form by form, write the tables."""
    backend.check()
    with Mirror(place.mirror) as mirror:
        with stage("pull") as progress:
            results = pull_all(programme, backend, mirror, progress)
        for result in results:
            verdict = "complete" if result.complete else "; ".join(result.differs)
            out.print(
                f"  {result.form_id:<18} server {result.server_count:>7,} = local "
                f"{result.local_count:>7,}  new {result.new:,}, changed {result.changed:,}, "
                f"withdrawn {result.withdrawn:,}: {verdict}"
                if result.complete
                else f"  {result.form_id:<18} {verdict}",
                markup=False,
            )
        with stage("tables") as progress:
            summary = write_tables(programme, mirror, place.tables, progress)
    for finding in summary.findings:
        out.print(f"  {finding.severity}: {finding}", markup=False)
    return results


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
    simulate_season(programme, backend_of(programme, url), place, seed=seed, people=people)


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
