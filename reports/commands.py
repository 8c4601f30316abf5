"""The command that writes reports."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from forms.console import out, stage
from forms.place import DataOption, FolderOption, Place, place_of
from forms.problems import Problem
from forms.values import parse_day
from reports.html import write
from reports.summary import five_lines

__all__ = ["app", "write_reports"]

app = typer.Typer()


@app.command()
def report(
    ctx: typer.Context,
    folder: FolderOption = None,
    data: DataOption = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of", metavar="YYYY-MM-DD", help="Of which evaluation.  [default: the latest]"
        ),
    ] = None,
) -> None:
    """Write the evaluation report in Thai and English, and say it in five lines."""
    place = place_of(ctx, folder, data)
    day = parse_day(as_of, "--as-of") if as_of else None
    paths = write_reports(place, day)
    say(read(place.evaluation(day)), "th")
    for path in paths:
        out.print(f"  {path}", markup=False)


def write_reports(place: Place, as_of: date | None = None) -> list[Path]:
    """Render an evaluation into `data/reports` (of another day: into a folder of that day)."""
    evaluation = read(place.evaluation(as_of))
    folder = place.reports / as_of.isoformat() if as_of else place.reports
    with stage("report") as progress:
        progress("HTML", 0, 0)
        return write(evaluation, folder)


def read(path: Path) -> dict[str, Any]:
    """An evaluation.json; raises `Problem` when there is none or it is broken."""
    try:
        return orjson.loads(path.read_bytes())
    except OSError as error:
        raise Problem.at(
            str(path), f"cannot be read ({error.strerror})", "run `watphon evaluate` first"
        ) from error
    except orjson.JSONDecodeError as error:
        raise Problem.at(
            str(path), f"is not JSON ({error})", "run `watphon evaluate` again"
        ) from error


def say(evaluation: dict[str, Any], language: str) -> None:
    """The five criteria in five lines."""
    for line in five_lines(evaluation, language):
        out.print(f"  {line}", markup=False)
