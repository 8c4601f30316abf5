"""Sentences for what an evaluation says in codes, figures with their units, and traffic lights.

Every code of the evaluation has a sentence in each language; a code this file does not know is
shown as it is, never dropped. A light is a colour, a word, a reason and the rule behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forms.words import Words
from reports.codes import (
    EXCLUSIONS,
    FINDINGS,
    LIGHT_REASONS,
    LIGHT_WORDS,
    MEASURES,
    MONEY_SHARES,
    PLACES,
    REASONS,
    SEE_ROWS,
    SEED_NOTES,
    TRIMMED,
    UNITS,
)
from reports.snapshot import Reading, headline, indicator, mapping, status_of
from reports.thai import Local, is_number, rounded
from reports.words import words

__all__ = [
    "Light",
    "Voice",
    "band_of",
    "evidence",
    "exclusions",
    "figure",
    "finding",
    "interval",
    "light_of",
    "limit",
    "measure_name",
    "reason",
    "rule_of",
    "seed_note",
    "unit_name",
    "voice",
]


@dataclass(frozen=True, slots=True)
class Voice:
    """One language: its catalogue (`say`) and its way of writing figures (`local`)."""

    say: Words
    local: Local

    @property
    def language(self) -> str:
        """The language's code."""
        return self.local.language


@dataclass(frozen=True, slots=True)
class Light:
    """A traffic light: `colour` green, amber, red or none, with its word, reason and rule."""

    colour: str
    word: str
    reason: str
    rule: str


def voice(language: str) -> Voice:
    """The voice of a language. Raises `ValueError`, naming the legal ones, if there is none."""
    return Voice(words(language), Local(language))


def plain(code: str) -> str:
    """A code nobody has put into words, made readable."""
    return code.replace("_", " ")


def reason(code: str, speak: Voice) -> str:
    """Why a number is not given."""
    for known in (REASONS, EXCLUSIONS, LIGHT_REASONS):
        if code in known:
            return speak.say(known[code])
    return plain(code)


def exclusions(counts: Mapping[str, Any], speak: Voice) -> list[str]:
    """`reason: count` for every reason with a count, the largest first."""
    known = [(code, count) for code, count in counts.items() if is_number(count) and count > 0]
    return [
        f"{reason(code, speak)}: {speak.local.number(count)}"
        for code, count in sorted(known, key=lambda entry: (-entry[1], entry[0]))
    ]


def places_of(unit: str, key: str = "") -> int:
    """Decimals printed for a unit."""
    return 2 if key in MONEY_SHARES else PLACES.get(unit, 2)


def figure(value: Any, unit: str, speak: Voice, *, key: str = "", level: bool = False) -> str:
    """A number with its unit where the unit is short; a dash if there is no number.

    Points are differences and carry their sign, unless they are a `level` (a mean score).
    """
    places = places_of(unit, key)
    if not is_number(value):
        return speak.local.number(value)
    if unit == "%":
        return speak.say("{value} %", value=speak.local.number(value, places))
    if unit in TRIMMED:
        return limit(value, unit, speak)
    if unit == "p":
        if value < 0.001:
            return speak.say("under {value}", value=speak.local.number(0.001, 3))
        return speak.local.number(value, 3)
    if unit == "baht":
        return speak.local.baht(value)
    signed = unit.startswith(("points", "percentage points")) and not level
    return speak.local.number(value, places, signed=signed)


def limit(value: Any, unit: str, speak: Voice) -> str:
    """A target or limit as it was declared: no decimals it does not have, text as it stands."""
    if not is_number(value):
        return "" if value is None else str(value)
    places = next((at for at in range(3) if rounded(value, at) == rounded(value, 3)), 3)
    text = speak.local.number(value, places)
    return speak.say("{value} %", value=text) if unit == "%" else text


def unit_name(unit: str, speak: Voice) -> str:
    """A unit in words."""
    if unit in ("count", "%", "p", "-1 to 1"):
        return ""
    return speak.say(UNITS[unit]) if unit in UNITS else unit


def measure_name(name: str, speak: Voice) -> str:
    """A measure of an indicator in words; a base is told by its number (`of_sum_12810`)."""
    if name in MEASURES:
        return speak.say(MEASURES[name])
    head, _, tail = name.rpartition("_")
    if tail.isdigit() and head in ("of_sum", "of_stated", "of"):
        base = speak.local.number(int(tail))
        if head == "of_sum":
            return speak.say("of {base}, the sum of the targets by province", base=base)
        if head == "of_stated":
            return speak.say("of {base}, the total the document states", base=base)
        return speak.say("of {base}", base=base)
    return plain(name)


def interval(found: Reading, speak: Voice, *, key: str = "", unit: str = "") -> str:
    """`13.1 to 14.5`; empty if there is no interval."""
    if not found.has_interval:
        return ""
    places = places_of(unit or found.unit, key)
    return speak.say(
        "{low} to {high}",
        low=speak.local.number(found.low, places),
        high=speak.local.number(found.high, places),
    )


def evidence(
    found: Reading, speak: Voice, *, as_of: Any, key: str = "", unit: str = "", counted: str = ""
) -> str:
    """Interval, number of records and date of a figure, for brackets in a sentence.

    `counted` replaces the plain `n = …`.
    """
    parts = []
    if found.has_interval and found.level is not None:
        parts.append(
            speak.say(
                "{level} % interval {interval}",
                level=speak.local.number(found.level * 100),
                interval=interval(found, speak, key=key, unit=unit),
            )
        )
    elif found.known and found.reason == "fewer_than_5_courses":
        parts.append(speak.say("no interval: for this group only"))
    if counted:
        parts.append(counted)
    elif found.n is not None:
        parts.append(speak.say("n = {n}", n=speak.local.number(found.n)))
    parts.append(speak.say("as of {date}", date=speak.local.date(as_of)))
    if found.status == "indicative":
        parts.append(speak.say("indicative only: a small group"))
    return "; ".join(parts)


def light_of(evaluation: Mapping[str, Any], key: str, speak: Voice) -> Light:
    """An indicator's light in words."""
    found = indicator(evaluation, key)
    status = status_of(evaluation, key)
    estimate = headline(evaluation, key)
    code = str(found.get("light_reason") or "")
    colour = str(found.get("light") or "none")
    if code == "no_target" and is_number(found.get("target")):
        code = "no_limits"
    rule = rule_of(found, evaluation, speak)
    if status != "computed":
        why = reason(estimate.reason, speak) if estimate.reason else ""
        return Light(
            "none",
            speak.say(LIGHT_WORDS.get(status, LIGHT_WORDS["no_data"])),
            why or reason(status, speak),
            rule,
        )
    if not estimate.known:
        hidden = "suppressed" if estimate.status == "suppressed" else "refused"
        return Light(
            "none",
            speak.say(LIGHT_WORDS[hidden]),
            reason(estimate.reason or "refused", speak),
            rule,
        )
    word = LIGHT_WORDS.get(colour) or LIGHT_WORDS.get(code) or LIGHT_WORDS["no_target"]
    return Light(
        colour if colour in ("green", "amber", "red") else "none",
        speak.say(word),
        reason(code, speak) if code else "",
        rule,
    )


def rule_of(found: Mapping[str, Any], evaluation: Mapping[str, Any], speak: Voice) -> str:
    """The published rule behind an indicator's light."""
    unit = str(found.get("unit") or "")
    green, amber = found.get("green"), found.get("amber")
    if not is_number(green):
        if found.get("light_reason") in ("met", "not_met", "not_assessed"):
            target = found.get("target")
            if not is_number(target):
                target = mapping(mapping(evaluation.get("programme")).get("rules")).get(
                    "mid_points"
                )
            return speak.say(
                "met when the interval lies above 0 and the value is at least {target}; not "
                "assessed when the interval holds both 0 and {target}",
                target=speak.local.number(target),
            )
        return ""
    limits = {
        "green": limit(green, unit, speak),
        "amber": limit(amber, unit, speak),
        "target": limit(found.get("target"), unit, speak),
    }
    direction = found.get("direction")
    if direction == "lower":
        return speak.say("green up to {green}, amber up to {amber}, red above it", **limits)
    if direction == "band":
        return speak.say("green inside {target}, amber from {amber}, red outside", **limits)
    if not is_number(amber) or amber == green:
        return speak.say("green from {green}, otherwise red", **limits)
    return speak.say("green from {green}, amber from {amber}, red below it", **limits)


def band_of(row: Mapping[str, Any], speak: Voice) -> str:
    """The level of a mean; where the interval reaches several levels, "between" them."""
    reached = row.get("bands_in_interval")
    if isinstance(reached, list) and len(reached) > 1:
        return speak.say(
            "between {low} and {high}",
            low=speak.local.band(reached[0]),
            high=speak.local.band(reached[-1]),
        )
    return speak.local.band(row.get("band"))


def seed_note(row: Mapping[str, Any], speak: Voice) -> str:
    """One inconsistency of the founding document as a sentence."""
    code = str(row.get("code") or "")
    places = 2 if code == "plan_per_head_range" else 0
    values = {
        name: speak.say(" and ").join(speak.local.number(v) for v in value)
        if isinstance(value, list)
        else speak.local.number(value, places)
        if is_number(value)
        else str(value)
        for name, value in row.items()
        if name != "code" and value is not None
    }
    if code in SEED_NOTES and values:
        try:
            return speak.say(SEED_NOTES[code], **values)
        except KeyError:  # the note lacks a number its sentence needs
            pass
    tail = "; ".join(f"{plain(name)} {value}" for name, value in values.items())
    return f"{plain(code)}: {tail}" if tail else plain(code)


def finding(row: Mapping[str, Any], speak: Voice) -> tuple[str, str]:
    """A finding's sentence and its remedy, in the language where both are catalogued."""
    code = str(row.get("code") or "")
    if code in FINDINGS:
        what, remedy = FINDINGS[code]
        return speak.say(what), speak.say(remedy)
    if code in EXCLUSIONS:
        return speak.say(EXCLUSIONS[code]), speak.say(SEE_ROWS)
    return str(row.get("what") or "") or plain(code), str(row.get("remedy") or "")
