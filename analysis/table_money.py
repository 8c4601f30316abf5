"""Tables of money and people: disbursement, progress by province, and what the inputs disagree on."""

from __future__ import annotations

from typing import Any

from analysis.cells import hidden
from analysis.efficiency import spent_in, spent_on_training, trained_by_province
from analysis.estimate import Estimate
from analysis.indicators import Measured
from analysis.progress import within_months, within_share
from analysis.season import Season
from forms.tables import Disbursement

__all__ = ["budget_row", "budget_totals", "input_notes", "progress_rows", "target_bases"]

Row = dict[str, Any]


def budget_row(season: Season, row: Disbursement) -> Row:
    """One project's line of the disbursement table; amounts in baht."""
    words = {p.code: p for p in season.programme.provinces}.get(row.province)
    came = row.transferred1_on is not None and row.transferred1_on <= season.as_of
    return {
        "no": row.no,
        "project": row.project,
        "province": row.province,
        "level": row.level,
        "province_th": words.th if words else "",
        "province_en": words.en if words else "",
        "meeting_th": row.meeting,
        "project_th": row.title,
        "organisation_th": row.organisation,
        "approved_on": row.approved_on.isoformat(),
        "approved": row.approved / 100,
        "instalment1": row.instalment1 / 100,
        "instalment1_pct": 100 * row.instalment1 / row.approved if row.approved else None,
        "transferred_on": row.transferred1_on.isoformat() if came and row.transferred1_on else None,
        "remaining": (row.approved - row.instalment1) / 100,
        "lag_days": (row.transferred1_on - row.approved_on).days
        if came and row.transferred1_on
        else None,
        "within_months": within_months(season, row),
        "within_share": within_share(season, row),
        "disbursed": row.transferred_by(season.as_of) / 100,
    }


def budget_totals(season: Season) -> dict[str, Row]:
    """Sums over all projects and over each level."""
    rows = season.programme.disbursements

    def sums(chosen: list[Disbursement]) -> Row:
        approved = sum(row.approved for row in chosen)
        disbursed = sum(row.transferred_by(season.as_of) for row in chosen)
        return {
            "projects": len(chosen),
            "approved": approved / 100,
            "instalment1": sum(row.instalment1 for row in chosen) / 100,
            "remaining": (approved - disbursed) / 100,
            "disbursed": disbursed / 100,
            "disbursed_pct": 100 * disbursed / approved if approved else None,
            "remaining_pct": 100 * (approved - disbursed) / approved if approved else None,
        }

    totals = {
        level: sums([r for r in rows if r.level == level]) for level in {r.level for r in rows}
    }
    return {"all": sums(list(rows)), **dict(sorted(totals.items()))}


def progress_rows(season: Season) -> list[Row]:
    """One row a province: target, registered, trained, paired, money."""
    programme = season.programme
    registered = season.persons.groupby("home")["n"].sum()
    paired = season.pairs.groupby("home")["n"].sum()
    trained, spent = trained_by_province(season), spent_on_training(season)
    rows: list[Row] = []
    for province, target in programme.targets.items():
        projects = [row for row in programme.disbursements if row.province == province]
        approved = sum(row.approved for row in projects) / 100 if projects else None
        cost = spent_in(season, province, spent) / 100
        people, done = int(registered.get(province, 0)), trained.get(province, 0)
        rows.append(
            {
                "province": province,
                "target": target,
                "registered": people,
                "trained": done,
                "paired": int(paired.get(province, 0)),
                "share_of_target": 100 * people / target if target else None,
                "approved": approved,
                "spent": cost,
                "cost_per_trained": cost / done if done and cost else None,
                "planned_per_person": approved / target if approved and target else None,
            }
        )
    shown = {
        name: hidden(
            season,
            {row["province"]: Estimate(row[name], "persons", row[name]) for row in rows},
        )
        for name in ("registered", "trained", "paired")
    }
    for row in rows:
        for name, cells in shown.items():
            row[name] = None if cells[row["province"]].value is None else row[name]
        if row["registered"] is None:
            row["share_of_target"] = None
        if row["trained"] is None:
            row["cost_per_trained"] = None
    return rows


def target_bases(measured: dict[str, Measured]) -> list[Row]:
    """The share of persons on each target base."""
    found = measured.get("PRO-1")
    if found is None:
        return []
    rows: list[Row] = []
    for name, estimate in found.measures.items():
        base, _, number = name.rpartition("_")
        if base in ("of_sum", "of_stated"):
            rows.append(
                {"base": base, "target": int(number), "n": estimate.n, "value": estimate.value}
            )
    return rows


def input_notes(season: Season) -> list[Row]:
    """What in the programme's own figures does not agree, found by adding them up again."""
    programme = season.programme
    notes: list[Row] = []
    total, stated = sum(programme.targets.values()), programme.file.targets.persons_stated
    if total != stated:
        notes.append(
            {
                "code": "targets_sum",
                "sum": total,
                "stated": stated,
                "difference": abs(stated - total),
            }
        )
    tambons = programme.file.targets.tambons_stated
    if len(set(tambons)) > 1:
        notes.append({"code": "tambons_stated", "values": list(tambons)})
    start = programme.fiscal_year_be - 544
    rows = programme.disbursements
    late = [
        row
        for row in rows
        if row.transferred1_on and row.transferred1_on.isoformat() >= f"{start + 1}-04-01"
    ]
    if late:
        notes.append({"code": "transfers_after_half_year", "n": len(late), "of": len(rows)})
    unpaid = [row for row in rows if row.transferred2_on is None]
    if unpaid:
        notes.append({"code": "second_instalment_not_recorded", "n": len(unpaid), "of": len(rows)})
    uneven = [row for row in rows if row.instalment1 * 10 != row.approved * 7]
    if uneven:
        notes.append({"code": "second_instalment_is_remainder", "n": len(uneven), "of": len(rows)})
    per_head = [
        row.approved / 100 / programme.targets[row.province]
        for row in rows
        if programme.targets.get(row.province)
    ]
    if per_head:
        notes.append({"code": "plan_per_head_range", "low": min(per_head), "high": max(per_head)})
    return notes
