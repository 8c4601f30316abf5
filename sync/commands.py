"""Commands that bring forms out and submissions in: publish, pull.

Those that look at submissions and write back are in `sync.commands_rows`, the simulation is in
`sync.commands_simulate`; all are joined here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from time import sleep as pause
from typing import Annotated, Literal

import typer

from forms.console import err, out, stage
from forms.place import DataOption, FolderOption, Place, place_of
from forms.problems import Finding, ServerProblem, UsageProblem
from forms.programme import Programme
from forms.values import parse_day
from sync import commands_rows, commands_simulate
from sync.attachments import fetch_files
from sync.backend import Backend, Published, PullResult
from sync.connect import UrlOption, backend_of
from sync.mirror import Mirror
from sync.publish import plan
from sync.publish import publish as publish_all
from sync.pull import USUAL, Wanted, verdict
from sync.pull import pull as pull_all

__all__ = ["app", "publish_programme", "pull_data"]

app = typer.Typer()
app.add_typer(commands_simulate.app)
app.add_typer(commands_rows.app)

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
