"""Commands of a programme folder: make one, check one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer

from forms.console import out
from forms.lint import lint
from forms.place import DataOption, FolderOption, place_of
from forms.problems import Problem, UsageProblem
from forms.programme import load, shipped

__all__ = ["app", "copy_programme"]

app = typer.Typer()


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(help="Folder to make.")],
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="DIR", help="Programme to copy.  [default: north2564]"),
    ] = None,
) -> None:
    """Make a programme folder: a copy of the one shipped, to edit and run."""
    copy_programme(folder, source or shipped())
    out.print(f"{folder}: ready. Edit programme.toml, the CSVs and the workbooks, then:")
    out.print(f"  watphon check -C {folder}")


def copy_programme(folder: Path, source: Path) -> None:
    """Copy a programme; raises `UsageProblem` when `folder` already holds something."""
    load(source)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageProblem.at(
            str(folder), "is already there and not empty", "name a folder that does not exist yet"
        )
    folder = folder.resolve()
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}.new")
    try:
        unfinished.mkdir(parents=True)
        for file in sorted(source.iterdir()):
            if file.is_file() and not file.name.startswith("."):
                shutil.copyfile(file, unfinished / file.name)
        if folder.is_dir():
            folder.rmdir()
        unfinished.rename(folder)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise Problem.at(
            str(folder), f"cannot be written ({error.strerror})", "choose another folder"
        ) from error


@app.command()
def check(ctx: typer.Context, folder: FolderOption = None, data: DataOption = None) -> None:
    """Check a programme before it goes to the field; exit code 1 when something must be mended."""
    programme = place_of(ctx, folder, data).programme()
    found = lint(programme)
    if errors := [finding for finding in found if finding.severity == "error"]:
        raise Problem(found if errors else ())
    for finding in found:
        out.print(f"{finding.severity}: {finding}", markup=False)
    out.print(
        f"{programme.id}: {len(programme.forms)} forms, {len(programme.items)} test items, "
        f"{len(programme.courses)} courses, {len(programme.indicators)} indicators; no errors"
    )
