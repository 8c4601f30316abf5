"""Commands about single submissions: review, correct, changes, and fetch for any foreign form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo

import typer

from forms.console import out, stage
from forms.csvtable import write_rows
from forms.model import Form
from forms.place import DataOption, FolderOption, Place, place_of
from forms.problems import Problem, ServerProblem, UsageProblem
from forms.programme import Programme
from forms.xform import read_xform
from sync.attachments import fetch_files
from sync.backend import Backend, Deployed, Progress
from sync.connect import UrlOption, backend_of, foreign
from sync.journal import changes as all_changes
from sync.mirror import Mirror
from sync.pull import Wanted, pull_form, source_of, verdict
from sync.review import (
    Correction,
    Verdict,
    correct,
    matching,
    read_corrections,
    read_verdicts,
    review,
    status_of,
)
from sync.storage import storage_problem

__all__ = ["app", "fetch_form"]

app = typer.Typer()

Item = TypeVar("Item", Verdict, Correction)
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be sent; send nothing.")]


@app.command("review")
def review_rows(
    ctx: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(help="CSV: form, root_id, status, comment (or excluded.csv with --set)."),
    ] = None,
    folder: FolderOption = None,
    data: DataOption = None,
    url: UrlOption = None,
    form: Annotated[str | None, typer.Option("--form", help="With --where: of this form.")] = None,
    where: Annotated[
        str | None,
        typer.Option("--where", metavar="SQL", help="Rows of the typed table, as age_years > 100."),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option("--set", metavar="STATUS", help="approved, not_approved, on_hold or none."),
    ] = None,
    reason: Annotated[
        list[str] | None,
        typer.Option("--reason", help="Of a file with a column reason, only these (repeatable)."),
    ] = None,
    comment: Annotated[str, typer.Option("--comment", help="Kept here, beside the row.")] = "",
    dry_run: DryRun = False,
) -> None:
    """Set the validation status of submissions on the server, from a CSV or by a rule."""
    place = place_of(ctx, folder, data)
    programme = place.programme()
    if (file is None) == (where is None):
        raise UsageProblem.at("review", "needs either a CSV file or --where", "give one of them")
    if to is not None and status_of(to) is None:
        raise UsageProblem.at(
            f"--set {to}", "is no status", "approved, not_approved, on_hold, none"
        )
    if file is not None:
        verdicts = read_verdicts(file, programme.forms, status=to or "", reasons=reason or ())
    else:
        verdicts = by_rule(programme, place, form, where or "", to, comment)
    write_back(
        programme,
        backend_of(programme, url),
        place,
        {
            verdict.form_id: [v for v in verdicts if v.form_id == verdict.form_id]
            for verdict in verdicts
        },
        "submissions get another status",
        lambda there, form, rows, backend, mirror, progress: review(
            there.form_id, source_of(there, form), rows, backend, mirror, progress, dry_run=dry_run
        ),
        dry_run=dry_run,
    )


def by_rule(
    programme: Programme, place: Place, form: str | None, rule: str, to: str | None, comment: str
) -> list[Verdict]:
    """Verdicts for the rows a rule names."""
    if form is None or form not in programme.forms or to is None:
        raise UsageProblem.at(
            "--where", "needs --form and --set", f"forms are {', '.join(programme.forms)}"
        )
    told = status_of(to)
    assert told is not None
    roots = matching(place.tables / f"{form}.parquet", rule)
    return [Verdict(form, root, told, comment or rule) for root in roots]


@app.command("correct")
def correct_rows(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV: form, root_id, question, old, new, comment.")],
    folder: FolderOption = None,
    data: DataOption = None,
    url: UrlOption = None,
    dry_run: DryRun = False,
) -> None:
    """Correct answers on the server as edits; the old value stays in the version chain."""
    place = place_of(ctx, folder, data)
    programme = place.programme()
    wanted = read_corrections(file, programme.forms)
    write_back(
        programme,
        backend_of(programme, url),
        place,
        {one.form_id: [c for c in wanted if c.form_id == one.form_id] for one in wanted},
        "submissions are edited",
        lambda there, form, rows, backend, mirror, progress: correct(
            there.form_id, source_of(there, form), rows, backend, mirror, progress, dry_run=dry_run
        ),
        dry_run=dry_run,
    )


def write_back(
    programme: Programme,
    backend: Backend,
    place: Place,
    by_form: Mapping[str, Sequence[Item]],
    told: str,
    write: Callable[[Deployed, Form, Sequence[Item], Backend, Mirror, Progress], int],
    *,
    dry_run: bool,
) -> None:
    """Send what was decided, form by form, and say how many."""
    if not by_form:
        out.print("  nothing to do")
        return
    known = backend.find(programme.id)
    if missing := [form_id for form_id in by_form if form_id not in known]:
        raise ServerProblem.at(
            backend.url, f"does not have {', '.join(missing)}", "publish first (watphon publish)"
        )
    with Mirror(place.mirror) as mirror:
        for form_id, rows in by_form.items():
            with stage(told) as progress:
                form = programme.form(form_id)
                done = write(known[form_id], form, rows, backend, mirror, progress)
            would = "would be: " if dry_run else ""
            out.print(f"  {form_id:<18} {would}{done:,} of {len(rows):,} {told}", markup=False)
    if not dry_run:
        out.print("  run `watphon pull` to renew the tables")


@app.command("changes")
def list_changes(
    ctx: typer.Context,
    folder: FolderOption = None,
    data: DataOption = None,
    form: Annotated[str | None, typer.Option("--form", help="Only this form.")] = None,
    root: Annotated[str | None, typer.Option("--root", help="Only this submission.")] = None,
    personal: Annotated[
        bool, typer.Option("--personal", help="Show personal answers too, instead of “(personal)”.")
    ] = False,
) -> None:
    """Write who changed what in submissions, when, from what to what, into changes.csv."""
    place = place_of(ctx, folder, data)
    programme = place.programme()
    if form and form not in programme.forms:
        raise UsageProblem.at(
            f"--form {form}", "is no form of the programme", f"one of {', '.join(programme.forms)}"
        )
    if not place.mirror.is_file():
        raise Problem.at(str(place.mirror), "is not there", "run `watphon pull` first")
    with Mirror(place.mirror) as mirror, storage_problem(place.changes):
        count = write_rows(
            place.changes,
            (
                "form",
                "root_id",
                "version",
                "question",
                "old",
                "new",
                "who",
                "at",
                "at_is",
                "comment",
            ),
            (
                (
                    c.form_id,
                    c.root_id,
                    c.version,
                    c.question,
                    c.old,
                    c.new,
                    c.who,
                    c.at,
                    "seen by pull" if c.at_is_pull else "server",
                    c.comment,
                )
                for form_id in ([form] if form else programme.forms)
                for c in all_changes(
                    mirror, form_id, may_show=shown(programme, form_id, everything=personal)
                )
                if root in (None, c.root_id)
            ),
        )
    out.print(f"  {count:,} changes: {place.changes}", markup=False)


def shown(programme: Programme, form_id: str, *, everything: bool) -> Callable[[str], bool]:
    """Whether the answers of a question may be told outside the mirror."""

    def may_show(path: str) -> bool:
        personal = programme.dictionary.get((form_id, path.rpartition("/")[2]))
        return everything or (personal is not None and personal.may_be_tabled)

    return may_show


@app.command()
def fetch(
    url: Annotated[str, typer.Argument(help="Server, or the address of the form's page.")],
    uid: Annotated[
        str, typer.Argument(help="KoboToolbox: the project's uid; ODK Central: PROJECT/FORM.")
    ] = "",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Folder.  [default: UID]")
    ] = None,
    files: Annotated[
        bool, typer.Option("--files/--no-files", help="Photos and other attachments, too.")
    ] = True,
    full: Annotated[bool, typer.Option("--full", help="Read every row again.")] = False,
    zone: Annotated[
        str, typer.Option("--time-zone", help="Of moments that name none.")
    ] = "Asia/Bangkok",
) -> None:
    """Tables of any form of any KoboToolbox or ODK Central server, with labels and photos.

    No programme folder is needed. The same call again brings only what is new. The tables hold
    everything the form asks, personal data included.
    """
    backend, name = foreign(url, uid)
    folder = output or Path(name.replace("/", "-"))
    try:
        zone_info = ZoneInfo(zone)
    except (ValueError, OSError) as error:
        raise UsageProblem.at(
            f"--time-zone {zone}", "is not known", "write it as Asia/Bangkok"
        ) from error
    fetch_form(backend, name, folder, files=files, full=full, zone=zone_info)


def fetch_form(
    backend: Backend, uid: str, folder: Path, *, files: bool, full: bool, zone: ZoneInfo
) -> None:
    """Pull one form into `folder`, prove it, and write its tables."""
    from sync.open_tables import write_open_tables  # pyarrow takes a third of a second to load

    backend.check()
    name = uid.rpartition("/")[2]
    form = read_xform(backend.xform(uid), where=f"{backend.url} {uid}")
    there = backend.deployed(uid)
    with Mirror(folder / "mirror.sqlite3") as mirror:
        with stage("fetch") as progress:
            result = pull_form(
                name, source_of(there, form), backend, mirror, progress, Wanted(full=full)
            )
        out.print(f"  {form.title or uid}: {verdict(result)}", markup=False)
        if files:
            with stage("files") as progress:
                done = fetch_files(name, backend, mirror, folder / "attachments", progress)
            out.print(f"  {done.files:,} files, {done.size / 1e6:,.1f} MB", markup=False)
            for finding in done.findings:
                out.print(f"  {finding.severity}: {finding}", markup=False)
        with stage("tables") as progress:
            tables = write_open_tables(
                form, mirror, name, folder, progress, zone=zone, files=folder / "attachments"
            )
    for table, rows in tables.rows.items():
        out.print(f"  {table:<30} {rows:>9,} rows", markup=False)
    for finding in tables.findings:
        out.print(f"  {finding.severity}: {finding}", markup=False)
    out.print(
        f"  {folder / 'tables'}: they hold personal data if the form asks for it", markup=False
    )
    if result.differs:
        raise ServerProblem.at(uid, "; ".join(result.differs), "run the same command again")
