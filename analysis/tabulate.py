"""The tables of an evaluation: what reports print and draw, ready made, so that they compute nothing."""

from __future__ import annotations

from typing import Any

from analysis import records
from analysis.engine import number
from analysis.indicators import Measured
from analysis.season import Season
from analysis.table_learning import course_rows, gain_rows, labels, module_rows
from analysis.table_money import (
    budget_row,
    budget_totals,
    input_notes,
    progress_rows,
    target_bases,
)
from analysis.table_opinion import likert_rows

__all__ = ["tables"]

Row = dict[str, Any]


def tables(season: Season, measured: dict[str, Measured]) -> dict[str, Any]:
    """Every table of evaluation.json by name; rows are plain values, numbers at full precision."""
    return {
        "gain_by_province": gain_rows(season, "home", season.programme.targets, name="province"),
        "gain_by_sex": [
            {**row, **labels(season, season.programme.traits.sex, row["sex"])}
            for row in gain_rows(season, "sex")
        ],
        "gain_by_module": module_rows(season),
        "gain_by_course": course_rows(season),
        "likert": likert_rows(season, measured),
        "budget": [budget_row(season, row) for row in season.programme.disbursements],
        "budget_totals": budget_totals(season),
        "progress_by_province": progress_rows(season),
        "target_bases": target_bases(measured),
        "quality": quality_rows(season),
        "pairing": pairing(season),
        "seed_notes": input_notes(season),
    }


def quality_rows(season: Season) -> list[Row]:
    """One row a form: received, cut off by the date, used, excluded by reason."""
    rows: list[Row] = []
    summary = season.tables.summary["forms"]
    for form_id, spec in season.programme.forms.items():
        received, later, undated = records.rows_by(
            season.programme, season.tables, form_id, season.as_of
        )
        left_out = dict(summary.get(form_id, {}).get("left_out", {}))
        if form_id in season.cohort.received:
            excluded = season.cohort.reasons(form_id)
        else:
            excluded = {"after_as_of": later, "no_event_date": undated}
            if spec.record and spec.role != "process":
                kept = number(
                    records.latest(season.programme, season.tables, form_id, season.as_of).count()
                )
                excluded["superseded"] = received - later - undated - kept
        excluded = {k: int(v) for k, v in {**excluded, **left_out}.items() if v}
        form = season.programme.form(form_id)
        rows.append(
            {
                "form": form_id,
                **dict(zip(("title_th", "title_en"), titles(form.title), strict=True)),
                "received": received + sum(left_out.values()),
                "after_as_of": excluded.get("after_as_of", 0),
                "used": received + sum(left_out.values()) - sum(excluded.values()),
                "excluded": dict(sorted(excluded.items())),
            }
        )
    return rows


def titles(title: str) -> tuple[str, str]:
    """`แบบลงทะเบียน | Registration` as its two halves."""
    th, _, en = title.partition("|")
    return th.strip(), (en or th).strip()


def pairing(season: Season) -> Row:
    """How registered enrolments become pairs, and why some tests do not."""
    registered = int(season.enrolments["n"].sum())
    complete = season.enrolments["has_pre"] & season.enrolments["has_post"]
    pairs = int(season.pairs["n"].sum())
    return {
        "registered": registered,
        "complete": int(season.enrolments.loc[complete, "n"].sum()),
        "paired": pairs,
        "share": 100 * pairs / registered if registered else None,
        "excluded": dict(sorted(season.pairing.items())),
    }
