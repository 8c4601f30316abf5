"""Reading an evaluation without trusting it to be complete.

An evaluation is the dictionary of `evaluation.json`. Tables may be missing or empty, numbers null,
indicators refused, without data or not yet built: these functions answer with empty values then, so
that everything after them can say so in words. Nothing is computed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reports.thai import is_number

__all__ = [
    "CRITERIA",
    "Reading",
    "courses_with_pairs",
    "criterion_name",
    "headline",
    "indicator",
    "indicator_ids",
    "label",
    "mapping",
    "measure",
    "number",
    "province_name",
    "reading",
    "status_of",
    "table",
    "target_bases",
    "totals",
]

CRITERIA = ("relevance", "progress", "efficiency", "effectiveness", "outcome_and_output")
REGION = "00"
REGION_NAMES = {"th": "ระดับภาค", "en": "Region"}
EMPTY: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Reading:
    """An `Estimate` of the evaluation; every number may be absent (`None`)."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    method: str = ""
    n: float | None = None
    unit: str = ""
    excluded: Mapping[str, Any] = field(default_factory=dict)
    status: str = ""
    reason: str = ""

    @property
    def known(self) -> bool:
        """Whether there is a number to print."""
        return self.value is not None and self.status not in ("suppressed", "refused")

    @property
    def has_interval(self) -> bool:
        """Whether both limits are there."""
        return self.known and self.low is not None and self.high is not None


def mapping(value: Any) -> Mapping[str, Any]:
    """`value` if it is a mapping, otherwise an empty one."""
    return value if isinstance(value, Mapping) else EMPTY


def number(value: Any) -> float | None:
    """`value` if it is a finite number."""
    return value if is_number(value) else None


def reading(estimate: Any) -> Reading:
    """An estimate's fields; an absent or broken estimate reads as one without numbers."""
    found = mapping(estimate)
    return Reading(
        value=number(found.get("value")),
        low=number(found.get("low")),
        high=number(found.get("high")),
        level=number(found.get("level")),
        method=str(found.get("method") or ""),
        n=number(found.get("n")),
        unit=str(found.get("unit") or ""),
        excluded=mapping(found.get("excluded")),
        status=str(found.get("status") or ""),
        reason=str(found.get("reason") or ""),
    )


def table(evaluation: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The rows of one of the evaluation's tables; no rows if it is not there."""
    rows = mapping(evaluation.get("tables")).get(name)
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def totals(evaluation: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """One of the evaluation's tables that is a mapping (`budget_totals`, `pairing`)."""
    return mapping(mapping(evaluation.get("tables")).get(name))


def indicator(evaluation: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """One indicator; empty if the evaluation does not have it."""
    return mapping(mapping(evaluation.get("indicators")).get(key))


def status_of(evaluation: Mapping[str, Any], key: str) -> str:
    """`computed`, `refused`, `no_data` or `not_built`, also where only the coverage names it."""
    listed = mapping(mapping(evaluation.get("coverage")).get("indicators")).get(key)
    return str(indicator(evaluation, key).get("status") or listed or "not_built")


def measure(evaluation: Mapping[str, Any], key: str, name: str) -> Reading:
    """One measure of an indicator that was computed."""
    if status_of(evaluation, key) != "computed":
        return Reading()
    return reading(mapping(indicator(evaluation, key).get("measures")).get(name))


def headline(evaluation: Mapping[str, Any], key: str) -> Reading:
    """The measure an indicator is judged by; its refusal where there is no number."""
    found = indicator(evaluation, key)
    measures = mapping(found.get("measures"))
    return reading(measures.get(str(found.get("headline") or "overall")))


def in_order(key: str) -> tuple[str, int]:
    """Sorting key of indicator ids: PRO-2 before PRO-10."""
    digits = re.sub(r"\D", "", key)
    return key.rpartition("-")[0], int(digits) if digits else 0


def indicator_ids(evaluation: Mapping[str, Any], criterion: str = "") -> list[str]:
    """Ids of all indicators, or those of one criterion, in the order of the indicator table."""
    found = mapping(evaluation.get("indicators"))
    listed = mapping(mapping(evaluation.get("coverage")).get("indicators"))
    codes = {code: key for key, code in criterion_codes(evaluation)}

    def belongs(key: str) -> bool:
        named = mapping(found.get(key)).get("criterion")
        return criterion in ("", named or codes.get(key.rpartition("-")[0]))

    order = [code for _, code in criterion_codes(evaluation)]

    def place(key: str) -> tuple[int, tuple[str, int]]:
        prefix = key.rpartition("-")[0]
        return (order.index(prefix) if prefix in order else len(order), in_order(key))

    return sorted((key for key in {*found, *listed} if belongs(key)), key=place)


def criterion_codes(evaluation: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(key, code) of the criteria in their order, e.g. ("relevance", "REL")."""
    declared = mapping(evaluation.get("programme")).get("criteria")
    if isinstance(declared, list) and declared:
        for row in declared:
            yield str(mapping(row).get("key") or ""), str(mapping(row).get("code") or "")
    else:
        yield from zip(CRITERIA, ("REL", "PRO", "EFF", "EFT", "OUT"), strict=True)


def criterion_name(evaluation: Mapping[str, Any], key: str, language: str) -> str:
    """What the programme calls a criterion; its key if the programme does not say."""
    declared = mapping(evaluation.get("programme")).get("criteria")
    for row in declared if isinstance(declared, list) else ():
        if mapping(row).get("key") == key:
            return label(row, language) or key
    return key.replace("_", " ").capitalize()


def label(row: Mapping[str, Any], language: str, stem: str = "") -> str:
    """A text held per language in `stem_th`, `stem_en` (or `th`, `en`); another one if absent."""
    keys = [f"{stem}_{code}" if stem else code for code in (language, "th", "en")]
    return next((str(row[key]) for key in keys if row.get(key)), "")


def province_name(evaluation: Mapping[str, Any], code: Any, language: str) -> str:
    """A province's name by its code; "00" is the region; an unknown code is shown as it is."""
    provinces = mapping(evaluation.get("programme")).get("provinces")
    for row in provinces if isinstance(provinces, list) else ():
        if str(mapping(row).get("code")) == str(code):
            return label(row, language) or str(code)
    if str(code) == REGION:
        return REGION_NAMES.get(language, REGION_NAMES["en"])
    return str(code if code is not None else "")


def target_bases(evaluation: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(base with its number, that number, share reached in per cent), e.g. (`of_sum_12810`, …).

    The number stands in `target`, or in `n` where a row names its base in full.
    """
    found = []
    for row in table(evaluation, "target_bases"):
        base = str(row.get("base") or "")
        target = number(row.get("target"))
        target = number(row.get("n")) if target is None else target
        if target is not None and not base.endswith(str(int(target))):
            base = f"{base}_{int(target)}"
        found.append((base, target, row.get("value")))
    return found


def courses_with_pairs(evaluation: Mapping[str, Any]) -> int:
    """How many courses stand in the table of gains by course with at least one pair."""
    return sum(row.get("n") != 0 for row in table(evaluation, "gain_by_course"))
