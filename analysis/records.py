"""Records that are reported again: the latest report of each key counts, months are never added up.

Order is by event date, then root id; the server's clock and row ids play no part.
"""

from __future__ import annotations

from datetime import date

import ibis
import pandas as pd

from analysis.engine import Rows, Tables, fetch
from forms.model import SIMULATED
from forms.programme import Programme

__all__ = ["are_simulated", "latest", "rows_by", "spending"]


def dated(programme: Programme, tables: Tables, form_id: str) -> Rows:
    """A form's rows with `day`, the event date."""
    rows = tables.table(form_id)
    return rows.mutate(day=rows[programme.forms[form_id].event_date].cast("date"))


def rows_by(
    programme: Programme, tables: Tables, form_id: str, as_of: date
) -> tuple[int, int, int]:
    """Rows received, rows after the as-of date, rows without an event date."""
    rows = dated(programme, tables, form_id)
    counts = fetch(
        rows.aggregate(
            received=rows.count(),
            later=(rows.day > ibis.literal(as_of)).fill_null(False).sum(),
            undated=rows.day.isnull().sum(),
        )
    ).fillna(0)
    return int(counts["received"][0]), int(counts["later"][0]), int(counts["undated"][0])


def latest(programme: Programme, tables: Tables, form_id: str, as_of: date) -> Rows:
    """The latest record of each key by the as-of date."""
    rows = dated(programme, tables, form_id)
    rows = rows.filter(rows.day <= ibis.literal(as_of))
    window = ibis.window(
        group_by=list(programme.forms[form_id].record),
        order_by=[rows.day.desc(), rows._root_id.desc()],
    )
    ranked = rows.mutate(rank_=ibis.row_number().over(window))
    return ranked.filter(ranked.rank_ == 0).drop("rank_")


def spending(programme: Programme, tables: Tables, as_of: date) -> pd.DataFrame:
    """Satang spent so far: columns project_no, activity_no, spent, records; whole numbers."""
    form_id = programme.form_of("activity")
    rows = latest(programme, tables, form_id, as_of)
    project, activity = programme.forms[form_id].record[:2]
    satang = (rows.spent_baht * 100).round().cast("int64")
    return fetch(
        rows.group_by(project_no=rows[project], activity_no=rows[activity].cast("string"))
        .aggregate(spent=satang.sum().fill_null(0), records=ibis._.count())
        .order_by(["project_no", "activity_no"])
    )


def are_simulated(programme: Programme, tables: Tables) -> bool:
    """Whether any row says, in its device id, that it was invented by the simulator."""
    for form_id in programme.forms:
        rows = tables.table(form_id)
        for question in programme.form(form_id).questions:
            if question.type == "deviceid" and question.name in rows.columns:
                device = rows[question.name].cast("string")
                if bool(device.startswith(SIMULATED).fill_null(False).any().execute()):
                    return True
    return False
