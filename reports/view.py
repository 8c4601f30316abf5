"""What the templates lay out: indicators, data quality and coverage as finished words.

Each function reads one part of an evaluation and gives rows whose every field can be printed; the
templates only place them. Nothing is computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forms.words import mark
from reports.phrases import (
    Light,
    Voice,
    exclusions,
    figure,
    interval,
    light_of,
    limit,
    measure_name,
    reason,
    unit_name,
)
from reports.snapshot import (
    Reading,
    criterion_name,
    headline,
    indicator,
    indicator_ids,
    label,
    mapping,
    reading,
    status_of,
    table,
)
from reports.thai import is_number

__all__ = [
    "IndicatorRow",
    "MeasureRow",
    "QualityRow",
    "coverage_counts",
    "indicator_row",
    "indicator_rows",
    "quality_rows",
]

KINDS = {
    "performance": mark("performance"),
    "perception": mark("opinion"),
    "quality": mark("data quality"),
}
STATUSES = {
    "computed": mark("computed"),
    "refused": mark("not computed"),
    "no_data": mark("no data"),
    "not_built": mark("not yet built"),
}
TARGETS = {
    "seed": mark("from the founding document"),
    "proposed": mark("proposed, to be confirmed"),
    "convention": mark("usual convention"),
}
FORMS = {
    "relevance": ("course_eval", "registration"),
    "progress": ("registration", "pretest", "posttest", "activity"),
    "efficiency": ("course_eval", "activity", "cipp"),
    "effectiveness": ("pretest", "posttest", "course_eval"),
    "outcome_and_output": ("registration", "posttest", "followup", "output", "expertise"),
}
"""Which instruments feed a criterion, by a part of their form id; others: all are shown."""


@dataclass(frozen=True, slots=True)
class MeasureRow:
    """A further measure of an indicator."""

    name: str
    value: str
    interval: str
    n: str


@dataclass(frozen=True, slots=True)
class IndicatorRow:
    """One indicator in words; `value` is empty where there is no number, `why` then says why."""

    key: str
    question: str
    kind: str
    status: str
    status_word: str
    value: str
    unit: str
    headline: str
    interval: str
    n: str
    why: str
    method: str
    target: str
    target_source: str
    light: Light
    exclusions: list[str]
    formula: str
    measures: list[MeasureRow]


@dataclass(frozen=True, slots=True)
class QualityRow:
    """One instrument's records: received, late, used and what was left out by reason."""

    form: str
    title: str
    received: str
    after_as_of: str
    used: str
    exclusions: list[str]


def indicator_rows(
    evaluation: Mapping[str, Any], criterion: str, speak: Voice
) -> list[IndicatorRow]:
    """All indicators of a criterion (every criterion if `criterion` is empty), in order."""
    return [indicator_row(evaluation, key, speak) for key in indicator_ids(evaluation, criterion)]


def indicator_row(evaluation: Mapping[str, Any], key: str, speak: Voice) -> IndicatorRow:
    """One indicator in words."""
    row = indicator(evaluation, key)
    found = headline(evaluation, key)
    status = status_of(evaluation, key)
    unit = str(row.get("unit") or found.unit)
    shown = status == "computed" and found.known
    chosen = str(row.get("headline") or "overall")
    return IndicatorRow(
        key=key,
        question=label(row, speak.language, "question") or key,
        kind=speak.say(KINDS[row["kind"]]) if row.get("kind") in KINDS else "",
        status=status,
        status_word=speak.say(STATUSES.get(status, STATUSES["no_data"])),
        value=figure(found.value, unit, speak, key=key) if shown else "",
        unit=unit_name(unit, speak),
        headline="" if chosen == "overall" else measure_name(chosen, speak),
        interval=interval(found, speak, key=key, unit=unit) if shown else "",
        n=speak.local.number(found.n) if found.n is not None and shown else "",
        why=remark(status, found, speak),
        method=found.method if shown else "",
        target=limit(row.get("target"), unit, speak),
        target_source=speak.say(TARGETS[row["target_status"]])
        if row.get("target_status") in TARGETS and row.get("target") is not None
        else "",
        light=light_of(evaluation, key, speak),
        exclusions=exclusions(found.excluded, speak),
        formula=str(row.get("formula") or ""),
        measures=[
            measure_row(name, value, unit, key, speak)
            for name, value in mapping(row.get("measures")).items()
            if name != chosen and shown
        ],
    )


def remark(status: str, found: Reading, speak: Voice) -> str:
    """Why there is no number, or what to keep in mind about the one there is."""
    if status != "computed":
        return reason(found.reason or status, speak)
    if found.status == "suppressed":
        return reason(found.reason or "n_below_limit", speak)
    if not found.known:
        return reason(found.reason or "refused", speak)
    if found.status == "indicative":
        return speak.say("indicative only: a small group")
    return reason(found.reason, speak) if found.reason else ""


def measure_row(name: str, value: Any, unit: str, key: str, speak: Voice) -> MeasureRow:
    """A further measure, in its own unit where it has one."""
    found = reading(value)
    own = found.unit or unit
    level = name in ("pre_mean", "post_mean")
    written = figure(found.value, own, speak, key=key, level=level) if found.known else ""
    if written and own not in (unit, "%") and unit_name(own, speak):
        written = f"{written} {unit_name(own, speak)}"
    return MeasureRow(
        measure_name(name, speak),
        written or reason(found.reason or "no_data", speak),
        interval(found, speak, key=key, unit=own),
        speak.local.number(found.n) if found.known and found.n is not None else "",
    )


def quality_rows(evaluation: Mapping[str, Any], criterion: str, speak: Voice) -> list[QualityRow]:
    """The instruments a criterion rests on; all of them if none of its own is there."""
    rows = table(evaluation, "quality")
    wanted = FORMS.get(criterion, ())
    chosen = [
        row for row in rows if any(part in str(row.get("form") or "") for part in wanted)
    ] or rows
    return [
        QualityRow(
            str(row.get("form") or ""),
            label(row, speak.language, "title") or str(row.get("form") or ""),
            speak.local.number(row.get("received")),
            speak.local.number(row.get("after_as_of")),
            speak.local.number(row.get("used")),
            exclusions(mapping(row.get("excluded")), speak),
        )
        for row in chosen
    ]


def coverage_counts(evaluation: Mapping[str, Any], speak: Voice) -> list[str]:
    """`18 computed`, `1 not computed` … as the evaluation counts them."""
    counts = mapping(evaluation.get("coverage"))
    return [
        speak.say(
            "{status}: {n}",
            status=speak.say(STATUSES[status]),
            n=speak.local.number(counts[status]),
        )
        for status in STATUSES
        if is_number(counts.get(status))
    ]


def criterion_of(evaluation: Mapping[str, Any], key: str, speak: Voice) -> str:
    """The criterion's name an indicator belongs to."""
    named = indicator(evaluation, key).get("criterion")
    return criterion_name(evaluation, str(named), speak.language) if named else ""
