"""The engine that does the relational work: Ibis over DuckDB on the Parquet tables.

Only this file, `cohort` and `counts` know the engine; they hand small pandas frames to everything else.
Results are ordered before they leave, and what is added up is integers, so equal input gives equal
output whatever the number of threads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import ibis
import pandas as pd

from forms.problems import Problem

__all__ = ["Expression", "Rows", "Tables", "fetch", "number", "open_tables"]

Rows: TypeAlias = Any
"""A table of the engine. Ibis knows its columns' types only at run time: its annotations give every
column as a bare `Column` without operators, so static checking ends here."""

Expression: TypeAlias = Any
"""A column or a value of the engine, for the same reason."""


def fetch(rows: Rows) -> pd.DataFrame:
    """The rows as a frame; what leaves the engine is small and ordered."""
    return rows.execute()


def number(expression: Expression) -> int:
    """One whole number."""
    return int(expression.execute())


@dataclass(frozen=True)
class Tables:
    """The typed tables of one pull: `summary` is tables.json, `table(name)` an Ibis table."""

    folder: Path
    connection: Any
    summary: Mapping[str, Any]

    def table(self, name: str) -> Rows:
        """The table of a form (`mne_pretest`) or of a repeat (`mne_cipp.problem`).

        Raises `Problem` when the file is missing.
        """
        path = self.folder / f"{name}.parquet"
        if not path.is_file():
            raise Problem.at(
                str(path), "the table is missing", "run `watphon pull` first", code="table_missing"
            )
        return self.connection.read_parquet(path)

    def keep(self, name: str, rows: Rows) -> Rows:
        """`rows` computed once and held by the engine under `name`, for everything that follows."""
        return self.connection.create_table(name, rows, temp=True, overwrite=True)


def open_tables(folder: Path) -> Tables:
    """The tables in `folder`; raises `Problem` when nothing has been pulled yet."""
    listing = folder / "tables.json"
    if not listing.is_file():
        raise Problem.at(
            str(folder),
            "there are no tables here: nothing has been pulled yet",
            "run `watphon pull` first",
            code="table_missing",
        )
    return Tables(folder, ibis.duckdb.connect(), json.loads(listing.read_text("utf-8")))
