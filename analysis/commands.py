"""The command that evaluates."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from forms.console import out, stage
from forms.place import DataOption, FolderOption, Place, place_of
from forms.problems import Problem
from forms.programme import Programme
from forms.values import parse_day

__all__ = ["app", "evaluate_season", "season_end"]

app = typer.Typer()

AsOfOption = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="YYYY-MM-DD",
        help="Count events up to this day; a Buddhist year is understood.  [default: season's end]",
    ),
]


def season_end(programme: Programme) -> date:
    """30 September of the fiscal year, whose Buddhist number is that of its last day."""
    return date(programme.fiscal_year_be - 543, 9, 30)


@app.command()
def evaluate(
    ctx: typer.Context,
    folder: FolderOption = None,
    data: DataOption = None,
    as_of: AsOfOption = None,
) -> None:
    """Compute indicators and criteria from the tables, as of a day, into evaluation.json."""
    place = place_of(ctx, folder, data)
    programme = place.programme()
    path = evaluate_season(programme, place, parse_day(as_of, "--as-of") if as_of else None)
    out.print(f"  {path}", markup=False)


def evaluate_season(programme: Programme, place: Place, as_of: date | None = None) -> Path:
    """Evaluate as of the season's end or of another day; writes the snapshot and the unused rows."""
    from analysis.evaluate import evaluate as run  # the engine takes a second to load

    with stage("evaluate") as progress:
        result = run(
            programme,
            place.tables,
            as_of or season_end(programme),
            on_step=lambda step: progress(step, 0, 0),
        )
    written = put(place.evaluation(as_of), result.to_bytes())
    put(
        place.excluded(as_of),
        result.excluded.to_csv(index=False, lineterminator="\n").encode(),
    )
    coverage = result.content["coverage"]
    out.print(
        f"  as of {result.content['as_of']}: {coverage['computed']} indicators computed, "
        f"{coverage['refused']} refused, {coverage['no_data']} without data, "
        f"{coverage['not_built']} not yet built"
    )
    return written


def put(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all."""
    unfinished = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise Problem.at(
            str(path), f"cannot be written ({error.strerror})", "free space or choose --data"
        ) from error
    return path
