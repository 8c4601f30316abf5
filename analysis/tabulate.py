"""The tables of an evaluation: what reports print and draw, ready made, so that they compute nothing."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis import counts, perception, records
from analysis.cells import hidden
from analysis.effectiveness import gain_of, mean_points
from analysis.efficiency import spent_on_training, trained_by_province
from analysis.estimate import Estimate
from analysis.gains import normalized_gain_by_course
from analysis.indicators import Measured
from analysis.progress import within_months, within_share
from analysis.season import Season
from forms.tables import Disbursement

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
        "gain_by_module": module_rows(season, measured),
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


def learning(season: Season, part: pd.DataFrame, maximum: float, gain: Estimate) -> Row:
    """Numbers of one cell of a learning table; a hidden cell has none."""
    shown = gain.status not in ("suppressed", "refused")
    return {
        "courses": int(part["course"].nunique()) if shown else None,
        "n": gain.n if shown else None,
        "pre": mean_points(part, maximum, "pre") if shown else None,
        "post": mean_points(part, maximum, "post") if shown else None,
        "gain": gain.value,
        "low": gain.low,
        "high": gain.high,
        "status": gain.status,
        "reason": gain.reason,
    }


def gain_rows(season: Season, column: str, cells: Any = None, *, name: str = "") -> list[Row]:
    """One row a cell of `column`: n, courses, pre, post, gain with interval."""
    frame = season.pairs
    keys = list(cells) if cells is not None else sorted(frame[column].dropna().unique())
    parts = {str(key): frame[frame[column] == key] for key in keys}
    gains = hidden(season, {key: gain_of(season, part) for key, part in parts.items()})
    return [
        {name or column: key, **learning(season, parts[key], season.max_points, gain)}
        for key, gain in gains.items()
    ]


def labels(season: Season, question: str, code: str) -> Row:
    """Thai and English words of a choice of the registration form."""
    form = season.programme.form(season.programme.form_of("registration"))
    for choice in form.choices.get(form.by_name[question].list_name, ()):
        if choice.name == code:
            return {
                "label_th": choice.labels.get("th", code),
                "label_en": choice.labels.get("en", code),
            }
    return {"label_th": code, "label_en": code}


def module_rows(season: Season, measured: dict[str, Measured]) -> list[Row]:
    """One row a module, with the gain where it was taught and where it was not."""
    programme = season.programme
    worth = {
        module.code: sum(item.weight for item in programme.items if item.module == module.code)
        for module in programme.modules
    }
    units = {course.code: set(course.units) for course in programme.courses}
    rows: list[Row] = []
    for module in programme.modules:
        frame = season.modules.get(module.code)
        if frame is None:
            continue
        taught = frame["course"].map(lambda code, of=set(module.units): bool(units[code] & of))
        gain = gain_of(season, frame, worth[module.code])
        rows.append(
            {
                "module": module.code,
                "th": module.th,
                "en": module.en,
                "items": sum(item.module == module.code for item in programme.items),
                **learning(season, frame, worth[module.code], gain),
                "taught": gain_of(season, frame[taught.astype(bool)], worth[module.code]).value,
                "untaught": gain_of(season, frame[~taught.astype(bool)], worth[module.code]).value,
            }
        )
    return rows


def course_rows(season: Season) -> list[Row]:
    """One row a course with pairs: hidden under the limit."""
    frame, maximum = season.pairs, season.max_points
    parts = {str(code): part for code, part in frame.groupby("course", sort=True)}
    gains = hidden(season, {code: gain_of(season, part) for code, part in parts.items()})
    rows: list[Row] = []
    for course in season.programme.courses:
        if course.code not in gains:
            continue
        gain = gains[course.code]
        normalized = normalized_gain_by_course(parts[course.code], maximum)
        rows.append(
            {
                "course": course.code,
                "label": course.label,
                "province": course.province,
                **learning(season, parts[course.code], maximum, gain),
                "normalized_gain": float(normalized.iloc[0])
                if gain.known and not normalized.empty
                else None,
            }
        )
    return rows


def likert_rows(season: Season, measured: dict[str, Measured]) -> list[Row]:
    """One row a statement, and one a scale (item null) with the composite."""
    rule = season.programme.rules.likert_bands
    headlines = {"relevance": "REL-1", "efficiency": "EFF-5", "effectiveness": "EFT-6"}
    rows: list[Row] = []
    for scale, spec in season.programme.scales.items():
        indicator = headlines.get(scale, "")
        form = season.programme.form(spec.form)
        frame = counts.item_values(season.cohort, spec)
        by_item = {row["item"]: row for row in perception.item_rows(frame, rule)}
        for item in spec.items:
            if item in by_item:
                words = form.by_name[item].labels
                rows.append(
                    {
                        "scale": scale,
                        "indicator": indicator,
                        "th": words.get("th", item),
                        "en": words.get("en", item),
                        **by_item[item],
                    }
                )
        rows.append(composite_row(season, scale, indicator, measured))
    return rows


def composite_row(season: Season, scale: str, indicator: str, measured: dict[str, Measured]) -> Row:
    """The composite of a scale as a row of the table of means."""
    rule = season.programme.rules.likert_bands
    given = season.scores(scale)
    found = measured.get(indicator)
    estimate = found.main if found else Estimate(None, "score 1-5", 0, status="refused")
    n = given.frame["n"].astype(float)
    spread = None
    if n.sum() > 1:
        mean = float((given.values * n).sum() / n.sum())
        spread = float((((given.values - mean) ** 2 * n).sum() / (n.sum() - 1)) ** 0.5)
    return {
        "scale": scale,
        "indicator": indicator,
        "item": None,
        "th": None,
        "en": None,
        "n": estimate.n,
        "mean": estimate.value,
        "sd": spread if estimate.known else None,
        "band": perception.band(perception.exact_mean(given), rule) if estimate.known else None,
        "bands_in_interval": perception.bands_crossed(estimate, rule),
        "counts": None,
        "not_taught": 0,
    }


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
            "remaining": sum(row.approved - row.instalment1 for row in chosen) / 100,
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
    project_of = {row.province: row for row in programme.disbursements}
    rows: list[Row] = []
    for province, target in programme.targets.items():
        project = project_of.get(province)
        approved = project.approved / 100 if project else None
        cost = spent.get(project.project, 0) / 100 if project else 0
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
    limit = programme.rules.suppress_below
    for row in rows:
        if 0 < row["registered"] < limit:
            row |= dict.fromkeys(
                ("registered", "trained", "paired", "share_of_target", "cost_per_trained")
            )
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
                kept = int(
                    records.latest(season.programme, season.tables, form_id, season.as_of)
                    .count()
                    .execute()
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
