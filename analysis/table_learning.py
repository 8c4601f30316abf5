"""Tables of learning: gains by province, sex, module and course, with hidden cells hidden."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from analysis.cells import hidden, hidden_within
from analysis.effectiveness import gain_of, mean_points
from analysis.estimate import Estimate
from analysis.gains import normalized_gain_by_course
from analysis.season import Season

__all__ = ["course_rows", "gain_rows", "labels", "module_rows"]

Row = dict[str, Any]


def gain_rows(
    season: Season, column: str, cells: Iterable[str] | None = None, *, name: str = ""
) -> list[Row]:
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


def module_rows(season: Season) -> list[Row]:
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
        taught = frame["course"].map(lambda code, of=set(module.units): bool(units[str(code)] & of))
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
    gains = hidden_within(
        season, {code: gain_of(season, part) for code, part in parts.items()}, season.strata
    )
    normalized = normalized_gain_by_course(frame, maximum).to_dict()
    rows: list[Row] = []
    for course in season.programme.courses:
        if course.code not in gains:
            continue
        gain = gains[course.code]
        rows.append(
            {
                "course": course.code,
                "label": course.label,
                "province": course.province,
                **learning(season, parts[course.code], maximum, gain),
                "normalized_gain": normalized.get(course.code) if gain.known else None,
            }
        )
    return rows


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
