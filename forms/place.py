"""Where a programme and its data lie on this machine: the one place that names the files.

Data live in `DIR/data/` unless `--data` says otherwise; nothing else in the house knows a file name
of that folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from forms.programme import Programme, load

__all__ = ["DataOption", "FolderOption", "Place", "place_of"]

FolderOption = Annotated[
    Path | None,
    typer.Option("-C", "--programme", metavar="DIR", help="Programme folder.  [default: here]"),
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Data folder.  [default: DIR/data]"),
]


@dataclass(frozen=True, slots=True)
class Place:
    """A programme folder and its data folder."""

    folder: Path
    data: Path

    def programme(self) -> Programme:
        """The checked programme; raises `ProgrammeProblem`."""
        return load(self.folder)

    @property
    def mirror(self) -> Path:
        """Local copy of every submission."""
        return self.data / "mirror.sqlite3"

    @property
    def published(self) -> Path:
        """Which assets of which server the forms became."""
        return self.data / "published.json"

    @property
    def attachments(self) -> Path:
        """Photos and other files of submissions, by content."""
        return self.data / "attachments"

    @property
    def changes(self) -> Path:
        """Who changed what in submissions, as a table."""
        return self.data / "changes.csv"

    @property
    def tables(self) -> Path:
        """Typed tables, without personal fields."""
        return self.data / "tables"

    @property
    def simulation(self) -> Path:
        """Truth and ledger of a simulated season."""
        return self.data / "simulation"

    @property
    def reports(self) -> Path:
        return self.data / "reports"

    def evaluation(self, as_of: date | None = None) -> Path:
        """The evaluation of the season's end, or of another day."""
        name = f"evaluation-{as_of.isoformat()}.json" if as_of else "evaluation.json"
        return self.data / name

    def excluded(self, as_of: date | None = None) -> Path:
        """The rows that evaluation did not use, with the reason."""
        name = f"excluded-{as_of.isoformat()}.csv" if as_of else "excluded.csv"
        return self.data / name


def place_of(ctx: typer.Context, folder: Path | None = None, data: Path | None = None) -> Place:
    """The place a command works in: its own options, else those before the command, else here."""
    root = ctx.find_root().params
    chosen = folder or root.get("folder") or Path()
    return Place(chosen, data or root.get("data") or chosen / "data")
