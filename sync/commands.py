"""Commands that bring forms out and submissions in: publish, pull, simulate.

Those that look at submissions and write back are in `sync.commands_rows`, joined here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from time import sleep as pause
from typing import Annotated, Literal

import typer

from forms import simulate as simulator
from forms.console import Advance, err, out, stage
from forms.instance import to_xml
from forms.place import DataOption, FolderOption, Place, place_of
from forms.problems import Finding, Problem, ServerProblem, UsageProblem
from forms.programme import Programme
from forms.values import parse_day
from sync import commands_rows
from sync.attachments import fetch_files
from sync.backend import Backend, Deployed, Published, PullResult
from sync.connect import UrlOption, backend_of
from sync.kobo import Kobo
from sync.mirror import Mirror
from sync.phone import Item, Listed, Phone, Sent, send_all
from sync.publish import plan
from sync.publish import publish as publish_all
from sync.pull import USUAL, Wanted, verdict
from sync.pull import pull as pull_all

__all__ = ["app", "publish_programme", "pull_data", "simulate_season"]

app = typer.Typer()
app.add_typer(commands_rows.app)

PHONES = 8
"""Phones that send side by side in a simulation."""

SWEEP_EVERY = 600.0
"""Seconds between two sweeps of `pull --watch` on a server that cannot say that nothing changed."""

Attachments = Literal["plain", "all", "none"]


@app.command()
def publish(
    ctx: typer.Context,
    folder: FolderOption = None,
    data: DataOption = None,
    url: UrlOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; send nothing.")
    ] = False,
) -> None:
    """Send forms and their lists to the server; what has not changed is not sent."""
    place = place_of(ctx, folder, data)
    programme = place.programme()
    backend = backend_of(programme, url)
    if dry_run:
        planned = plan(programme, backend, place.published)
        for form_id, steps in planned.items():
            told = "; ".join(step.what for step in steps) or "nothing to do"
            out.print(f"  {form_id:<18} {told}", markup=False)
        return
    publish_programme(programme, backend, place.published)


def publish_programme(
    programme: Programme, backend: Backend, record: Path | None = None
) -> list[Published]:
    """Publish and say for each form what was done; `record` notes it."""
    backend.check()
    with stage("publish") as progress:
        done = publish_all(programme, backend, progress, record)
    for form in done:
        out.print(
            f"  {form.form_id:<18} {form.action:<10} {form.uid}  version {form.version}",
            markup=False,
        )
    notes: dict[str, list[str]] = {}
    for form in done:
        for note in form.notes:
            notes.setdefault(note, []).append(form.form_id)
    for note, forms in notes.items():
        out.print(f"  note: {', '.join(forms)}: {note}", markup=False)
    return done


@app.command()
def pull(
    ctx: typer.Context,
    folder: FolderOption = None,
    data: DataOption = None,
    url: UrlOption = None,
    form: Annotated[
        list[str] | None,
        typer.Option("--form", metavar="FORM", help="Only this form (repeatable)."),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Read every row again, whatever seems unchanged.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="YYYY-MM-DD",
            help="Only rows sent or changed since that day (UTC); quick, but proves nothing.",
        ),
    ] = None,
    watch: Annotated[
        float | None,
        typer.Option("--watch", min=1, metavar="SECONDS", help="Go on pulling, so often."),
    ] = None,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, help="With --watch: stop after so many.", hidden=True)
    ] = 10**9,
    attachments: Annotated[
        str,
        typer.Option(
            "--attachments",
            metavar="plain|all|none",
            help="Photos and files to bring: those that are not personal, all, or none.",
        ),
    ] = "plain",
) -> None:
    """Bring the local copy up to date, prove that it is complete, and make the tables.

    Exit code 1 when what lies here is not what lies on the server.
    """
    place = place_of(ctx, folder, data)
    programme = place.programme()
    backend = backend_of(programme, url)
    wanted = Wanted(full=full, since=f"{parse_day(since, '--since')}T00:00:00Z" if since else "")
    if full and since:
        raise UsageProblem.at("--full, --since", "exclude each other", "give one of them")
    forms = checked_forms(programme, form)
    files = checked_attachments(attachments)
    if watch:
        keep_pulling(programme, backend, place, forms, wanted, files, watch, rounds)
        return
    results = pull_data(programme, backend, place, forms=forms, wanted=wanted, attachments=files)
    if open_forms := [result for result in results if result.differs and result.proven]:
        raise ServerProblem.at(
            ", ".join(result.form_id for result in open_forms),
            "the local copy is not complete yet (see above)",
            "run `watphon pull` again",
        )


def checked_forms(programme: Programme, named: Sequence[str] | None) -> tuple[str, ...] | None:
    """The forms to pull; raises `UsageProblem` for one the programme does not have."""
    for form_id in named or ():
        if form_id not in programme.forms:
            raise UsageProblem.at(
                f"--form {form_id}",
                "is no form of the programme",
                f"its forms are {', '.join(programme.forms)}",
            )
    return tuple(named) if named else None


def checked_attachments(word: str) -> Attachments:
    match word:
        case "plain" | "all" | "none":
            return word
    raise UsageProblem.at(f"--attachments {word}", "is not known", "say plain, all or none")


def pull_data(
    programme: Programme,
    backend: Backend,
    place: Place,
    *,
    forms: Sequence[str] | None = None,
    wanted: Wanted = USUAL,
    attachments: Attachments = "plain",
) -> list[PullResult]:
    """Pull, print the proof form by form, bring files, write the tables."""
    backend.check()
    with Mirror(place.mirror) as mirror:
        with stage("pull") as progress:
            results = pull_all(programme, backend, mirror, progress, forms, wanted)
        for result in results:
            out.print(f"  {result.form_id:<18} {verdict(result)}", markup=False)
        if attachments != "none":
            bring_files(programme, backend, mirror, place, results, everything=attachments == "all")
        findings = bring_tables(programme, mirror, place)
    for finding in findings:
        out.print(f"  {finding.severity}: {finding}", markup=False)
    return results


def bring_tables(programme: Programme, mirror: Mirror, place: Place) -> tuple[Finding, ...]:
    """Make the tables anew when rows or programme files changed; gives what was found making them."""
    digest = hashlib.sha256(f"{version('watphon')} {mirror.states()}".encode())
    for name, path in programme.files().items():
        digest.update(f"\n{name} ".encode() + hashlib.sha256(path.read_bytes()).digest())
    made_of, told = digest.hexdigest(), place.tables / "tables.json"
    if mirror.made_of(str(place.tables.resolve())) == made_of and told.is_file():
        return tuple(Finding(**entry) for entry in json.loads(told.read_text("utf-8"))["findings"])
    from sync.tables import write_tables  # pyarrow takes a third of a second to load

    with stage("tables") as progress:
        summary = write_tables(programme, mirror, place.tables, progress)
    mirror.note_made(str(place.tables.resolve()), made_of)
    return summary.findings


def bring_files(
    programme: Programme,
    backend: Backend,
    mirror: Mirror,
    place: Place,
    results: Sequence[PullResult],
    *,
    everything: bool,
) -> None:
    """Download the files of what was pulled, and say what came and what stayed there."""
    with stage("files") as progress:
        for result in results:

            def may_fetch(question: str, form_id: str = result.form_id) -> bool:
                name = question.rpartition("/")[2]
                personal = programme.dictionary.get((form_id, name))
                return everything or (personal is not None and personal.may_be_tabled)

            done = fetch_files(
                result.form_id, backend, mirror, place.attachments, progress, may_fetch=may_fetch
            )
            if done.files or done.findings:
                out.print(
                    f"  {result.form_id:<18} {done.files:,} files, {done.size / 1e6:,.1f} MB",
                    markup=False,
                )
            for finding in done.findings:
                out.print(f"  {finding.severity}: {finding}", markup=False)


def keep_pulling(
    programme: Programme,
    backend: Backend,
    place: Place,
    forms: Sequence[str] | None,
    wanted: Wanted,
    attachments: Attachments,
    seconds: float,
    rounds: int,
) -> None:
    """Pull again and again; a server that is away is told and asked again the next time.

    Between two sweeps a round only reads new rows and compares counts; when they differ it sweeps.
    """
    swept = -SWEEP_EVERY
    for number in range(rounds):
        if number:
            pause(seconds)
        sweep = monotonic() - swept >= SWEEP_EVERY
        try:
            results = pull_data(
                programme,
                backend,
                place,
                forms=forms,
                wanted=replace(wanted, sweep=sweep, full=wanted.full and not number),
                attachments=attachments,
            )
        except ServerProblem as problem:
            for finding in problem.findings:
                err.print(f"{finding.severity}: {finding}", markup=False)
            continue
        if sweep:
            swept = monotonic()
        elif any(result.differs for result in results):
            swept = -SWEEP_EVERY


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
