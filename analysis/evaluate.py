"""An evaluation: one frozen, reproducible snapshot of what the data say as of a day.

`evaluate` runs every registered indicator of the programme and lays the results out as
`evaluation.json` has them. No clock, no random number, no network: the same tables and the same
programme folder give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from analysis import effectiveness, efficiency, outcome, progress, relevance
from analysis.engine import Tables, open_tables
from analysis.indicators import REGISTRY, Measured, light
from analysis.perception import band, bands_crossed, exact_mean
from analysis.records import are_simulated
from analysis.season import Season
from analysis.tabulate import tables as tabulate
from forms.programme import Programme
from forms.tables import IndicatorSpec

__all__ = ["Evaluation", "evaluate", "read_evaluation"]

FAMILIES = (relevance, progress, efficiency, effectiveness, outcome)
"""Importing them registers their indicators."""

PERCEPTION = {"relevance": "REL-1", "efficiency": "EFF-5", "effectiveness": "EFT-6"}
MIN_WEIGHT = 0.8
"""Share of a composite's weight that must be present before it is scored."""


@dataclass(frozen=True)
class Evaluation:
    """The snapshot as plain values (`content`), its bytes, and the rows that were not used."""

    content: Mapping[str, Any]
    excluded: Any

    def to_bytes(self) -> bytes:
        """Canonical JSON: sorted keys, full precision, a line feed at the end."""
        return orjson.dumps(
            self.content,
            option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
        )


def evaluate(
    programme: Programme,
    tables: Path,
    as_of: date,
    *,
    on_step: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Evaluate the typed tables in the folder `tables` as of a day (rows of that day count).

    `on_step` is told what is being worked on. Raises `Problem` when tables are missing.
    """
    opened = open_tables(tables)
    season = Season(programme, opened, as_of)
    on_step("cohort")
    measured: dict[str, Measured] = {}
    for spec in programme.indicators:
        if spec.id in REGISTRY:
            on_step(spec.id)
            measured[spec.id] = REGISTRY[spec.id](season)
    on_step("tables")
    indicators = {
        spec.id: indicator_json(programme, spec, measured.get(spec.id))
        for spec in programme.indicators
    }
    statuses = {identifier: value["status"] for identifier, value in indicators.items()}
    content = {
        "schema": 1,
        "version": version("watphon"),
        "programme": programme_json(programme),
        "as_of": as_of.isoformat(),
        "simulated": are_simulated(programme, opened),
        "inputs": inputs_json(programme, opened),
        "coverage": {
            **{
                status: sum(value == status for value in statuses.values())
                for status in ("computed", "refused", "no_data", "not_built")
            },
            "indicators": statuses,
        },
        "findings": findings(season),
        "criteria": {
            criterion.key: criterion_json(season, criterion.key, indicators, measured)
            for criterion in programme.criteria
        },
        "indicators": indicators,
        "tables": tabulate(season, measured),
    }
    return Evaluation(content, season.cohort.excluded)


def read_evaluation(path: Path) -> dict[str, Any]:
    """An evaluation.json as plain values."""
    return orjson.loads(path.read_bytes())


def indicator_json(
    programme: Programme, spec: IndicatorSpec, found: Measured | None
) -> dict[str, Any]:
    """One indicator as evaluation.json has it."""
    mid = programme.test.mid_points if spec.target.startswith("mid_points") else None
    about = {
        "id": spec.id,
        "criterion": spec.criterion,
        "kind": spec.kind,
        "question_th": spec.question_th,
        "question_en": spec.question_en,
        "formula": spec.formula,
        "unit": spec.unit,
        "direction": "higher" if mid is not None else spec.direction,
        "target": mid if mid is not None else number(spec.target),
        "target_status": spec.target_status,
        "green": spec.green,
        "amber": spec.amber,
    }
    if found is None:
        return about | {
            "status": "not_built",
            "headline": None,
            "measures": {},
            "by": {},
            "light": "none",
            "light_reason": "not_built",
        }
    colour, reason = light(spec, found.main, mid)
    status = "computed" if found.main.known else "refused"
    if not found.main.known and found.main.reason == "no_rows":
        status = "no_data"
    return about | {
        "status": status,
        "headline": found.headline,
        "measures": {name: estimate.to_json() for name, estimate in found.measures.items()},
        "by": {
            name: {cell: estimate.to_json() for cell, estimate in cells.items()}
            for name, cells in found.by.items()
        },
        "light": colour,
        "light_reason": reason,
    }


def number(text: str) -> float | str | None:
    """A target as a number where it is one."""
    try:
        return float(text)
    except ValueError:
        return text or None


def criterion_json(
    season: Season,
    key: str,
    indicators: Mapping[str, Any],
    measured: Mapping[str, Measured],
) -> dict[str, Any]:
    """Performance and perception of a criterion, side by side and never one number.

    The performance score waits for declared value functions: it is refused, and the weight of the
    indicators that could be computed is stated.
    """
    performance = [
        identifier
        for identifier, about in indicators.items()
        if about["criterion"] == key and about["kind"] == "performance"
    ]
    declared = season.programme.file.indicators.weights.get(key) or {}
    weights = {
        identifier: declared.get(identifier, 0.0) if declared else 1 / len(performance)
        for identifier in performance
    }
    present = sum(
        weight
        for identifier, weight in weights.items()
        if indicators[identifier]["status"] == "computed"
    )
    out: dict[str, Any] = {
        "performance": {
            "indicators": performance,
            "weights": weights,
            "weight_present": present,
            "score": None,
            "reason": "weight_present_below_0.8"
            if present < MIN_WEIGHT
            else "no_value_functions_declared",
        }
    }
    identifier = PERCEPTION.get(key, "")
    if identifier in measured and key in season.programme.scales:
        rule = season.programme.rules.likert_bands
        estimate = measured[identifier].main
        out["perception"] = {
            "indicator": identifier,
            "composite": estimate.to_json(),
            "band": band(exact_mean(season.scores(key)), rule) if estimate.known else None,
            "bands_in_interval": bands_crossed(estimate, rule),
        }
    return out


def programme_json(programme: Programme) -> dict[str, Any]:
    """What a report needs to know of the programme."""
    budget, test, rules = programme.budget, programme.test, programme.rules
    return {
        "id": programme.id,
        "title": programme.title.model_dump(),
        "organisation": programme.organisation.model_dump(),
        "fiscal_year_be": programme.fiscal_year_be,
        "time_zone": programme.time_zone,
        "languages": list(programme.languages),
        "provinces": [
            {"code": p.code, "th": p.th, "en": p.en}
            for code in programme.targets
            for p in programme.provinces
            if p.code == code
        ],
        "criteria": [
            {
                "code": c.code,
                "key": c.key,
                "th": c.th,
                "en": c.en,
                "definition_th": c.definition_th,
                "definition_en": c.definition_en,
            }
            for c in programme.criteria
        ],
        "rules": {
            "suppress_below": rules.suppress_below,
            "indicative_below": rules.indicative_below,
            "likert_answered": rules.likert_answered,
            "likert_bands": rules.likert_bands,
            "pass_mark": test.pass_mark,
            "mid_points": test.mid_points,
            "first_instalment_max": budget.first_instalment_max,
            "transfer_within_months": budget.transfer_within_months,
        },
    }


def inputs_json(programme: Programme, opened: Tables) -> dict[str, Any]:
    """What the evaluation rests on: each form's rows and hash, each input file's hash."""
    return {
        "forms": {
            form: {key: about.get(key) for key in ("version", "rows", "sha256")}
            for form, about in opened.summary["forms"].items()
        },
        "files": {
            name: hashlib.sha256(path.read_bytes()).hexdigest()
            for name, path in programme.files().items()
        },
    }


def findings(season: Season) -> list[dict[str, Any]]:
    """What the tables found, then every exclusion by form and reason."""
    found = [dict(finding) for finding in season.tables.summary.get("findings", ())]
    excluded = season.cohort.excluded
    counts = excluded.groupby(["form", "reason"], sort=True).size() if len(excluded) else {}
    for (form, reason), count in dict(counts).items():
        found.append(
            {
                "code": reason,
                "severity": "note" if reason in ("after_as_of", "superseded") else "warning",
                "where": form,
                "what": f"{count} rows are not used: {reason}",
                "remedy": "see excluded.csv for the rows",
                "count": int(count),
            }
        )
    return found
