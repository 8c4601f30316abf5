"""The sentence of each criterion on page one, one function per leading indicator.

Each takes the evaluation and the indicator's figure and gives the number, its interval, n and the
as-of date, the verdict against the declared target and what follows from it. None claims a cause,
ranks provinces, or mixes opinions with measured results.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

from reports.phrases import Voice, band_of, evidence, figure, limit, reason
from reports.snapshot import (
    Reading,
    courses_with_pairs,
    headline,
    indicator,
    indicator_ids,
    label,
    mapping,
    measure,
    status_of,
    table,
    target_bases,
    totals,
)
from reports.thai import is_number

__all__ = ["SENTENCES", "no_figure", "plain_sentence"]


def no_figure(evaluation: Mapping[str, Any], key: str, found: Reading, speak: Voice) -> str:
    """The sentence of a criterion without a number: which kind of absence, and since when."""
    status = status_of(evaluation, key) if key else "no_data"
    say, date = speak.say, speak.local.date(evaluation.get("as_of"))
    if found.status == "suppressed":
        return say(
            "not enough data to show a figure (fewer persons than the limit; as of {date}); "
            "nothing follows from it yet.",
            date=date,
        )
    if status == "not_built":
        return say("not assessed: its indicators are not yet built (as of {date}).", date=date)
    if status == "no_data" or found.reason in ("no_rows", "no_data"):
        return say("no data as of {date}: nothing can be said yet.", date=date)
    return say(
        "not assessed as of {date}: {reason}; no conclusion may be drawn.",
        date=date,
        reason=reason(found.reason or "refused", speak),
    )


def plain_sentence(evaluation: Mapping[str, Any], key: str, found: Reading, speak: Voice) -> str:
    """A sentence for an indicator this file has no words for."""
    row = indicator(evaluation, key)
    return speak.say(
        "{question} {value} ({evidence}); {verdict}.",
        question=label(row, speak.language, "question"),
        value=figure(found.value, str(row.get("unit") or found.unit), speak, key=key),
        evidence=evidence(found, speak, as_of=evaluation.get("as_of"), key=key),
        verdict=verdict(evaluation, key, speak),
    )


def verdict(evaluation: Mapping[str, Any], key: str, speak: Voice) -> str:
    """What the light of an indicator says, as the middle of a sentence."""
    row, say = indicator(evaluation, key), speak.say
    unit = str(row.get("unit") or "")
    green = row.get("green") if is_number(row.get("green")) else row.get("target")
    goal = limit(green, unit, speak)
    code, light = row.get("light_reason"), row.get("light")
    if code == "not_assessed":
        return say("not assessed: the interval holds both no change and the declared minimum")
    if light == "green":
        return say("the target of {target} is met", target=goal)
    if light == "amber":
        return say("short of the target of {target}, but near it", target=goal)
    if light == "red":
        return say("the target of {target} is missed", target=goal)
    return say("no target was declared, so it is not judged")


def opinion(
    evaluation: Mapping[str, Any], key: str, found: Reading, speak: Voice
) -> dict[str, Any]:
    """What the sentences about a scale of opinions have in common."""
    rows = [row for row in table(evaluation, "likert") if row.get("indicator") == key]
    items = [row for row in rows if row.get("item") is not None and is_number(row.get("mean"))]
    whole = next((row for row in rows if row.get("item") is None), {})
    lowest = min(items, key=lambda row: row["mean"], default=None)
    return {
        "value": speak.local.number(found.value, 2),
        "band": band_of(whole, speak),
        "evidence": evidence(
            found, speak, as_of=evaluation.get("as_of"), key=key, unit="score 1-5"
        ),
        "verdict": verdict(evaluation, key, speak),
        "follows": speak.say(
            "improve the lowest statement first, “{statement}” ({mean})",
            statement=label(lowest, speak.language),
            mean=speak.local.number(lowest["mean"], 2),
        )
        if lowest
        else speak.say("see the table of statements"),
    }


def relevance(evaluation: Mapping[str, Any], found: Reading, speak: Voice) -> str:
    """REL-1: how well the content fits, as participants see it."""
    return speak.say(
        "participants rated how well the content fits their area, plans and roles {value} of 5, "
        "“{band}” ({evidence}): {verdict}; {follows}.",
        **opinion(evaluation, "REL-1", found, speak),
    )


def progress(evaluation: Mapping[str, Any], found: Reading, speak: Voice) -> str:
    """PRO-1: people reached against both bases, and the money that moved."""
    say, local = speak.say, speak.local
    bases = target_bases(evaluation)
    stated = next((row for row in bases if row[0].startswith("of_stated")), None)
    summed = next((row for row in bases if row[0].startswith("of_sum")), None)
    parts = [
        say(
            "{value} of the {base} targeted leaders were registered ({evidence})",
            value=figure(found.value, "%", speak),
            base=local.number(summed[1]) if summed else "",
            evidence=evidence(found, speak, as_of=evaluation.get("as_of"), unit="%"),
        )
    ]
    if stated:
        parts.append(
            say(
                "{value} of the {base} the document states",
                value=figure(stated[2], "%", speak),
                base=local.number(stated[1]),
            )
        )
    planned = measure(evaluation, "PRO-1", "of_planned_to_date")
    if planned.known and planned.value != found.value:
        parts.append(
            say(
                "{value} of the places planned in the courses held so far",
                value=figure(planned.value, "%", speak),
            )
        )
    paid = totals(evaluation, "budget_totals").get("all")
    if is_number(mapping(paid).get("disbursed_pct")):
        parts.append(
            say(
                "{share} % of the approved budget was disbursed",
                share=local.number(mapping(paid)["disbursed_pct"], 2),
            )
        )
    row = indicator(evaluation, "PRO-1")
    follows = (
        say("keep to the plan")
        if row.get("light") == "green"
        else say("decide what becomes of the places not filled")
    )
    return say(
        "{facts}: {verdict}; {follows}.",
        facts=reduce(lambda a, b: say("{first}, {second}", first=a, second=b), parts),
        verdict=verdict(evaluation, "PRO-1", speak),
        follows=follows,
    )


def efficiency(evaluation: Mapping[str, Any], found: Reading, speak: Voice) -> str:
    """EFF-5: the organisation as participants rate it, and what a trained leader cost."""
    cost = headline(evaluation, "EFF-1")
    values = opinion(evaluation, "EFF-5", found, speak)
    if status_of(evaluation, "EFF-1") == "computed" and cost.known:
        values["follows"] = speak.say(
            "one trained leader cost {cost} baht (n = {n}), to be compared with the plan by "
            "province before any saving is claimed",
            cost=speak.local.number(cost.value, 2),
            n=speak.local.number(cost.n),
        )
    return speak.say(
        "participants rated the organisation {value} of 5, “{band}” ({evidence}): {verdict}; "
        "{follows}.",
        **values,
    )


def cost_only(evaluation: Mapping[str, Any], found: Reading, speak: Voice) -> str:
    """EFF-1 where nobody rated the organisation."""
    return speak.say(
        "one trained leader cost {cost} baht ({evidence}): {verdict}; compare it with the plan by "
        "province before any saving is claimed.",
        cost=speak.local.number(found.value, 2),
        evidence=evidence(found, speak, as_of=evaluation.get("as_of"), unit="baht/person"),
        verdict=verdict(evaluation, "EFF-1", speak),
    )


def effectiveness(evaluation: Mapping[str, Any], found: Reading, speak: Voice) -> str:
    """EFT-1: the paired gain against the minimum declared beforehand; never a cause."""
    say, local = speak.say, speak.local
    row = indicator(evaluation, "EFT-1")
    courses, n = courses_with_pairs(evaluation), local.number(found.n)
    counted = say("n = {n} pairs", n=n)
    if courses == 1:
        counted = say("n = {n} pairs in one course", n=n)
    elif courses:
        counted = say("n = {n} pairs in {courses} courses", n=n, courses=local.number(courses))
    least = row.get("target")
    if not is_number(least):
        least = mapping(mapping(evaluation.get("programme")).get("rules")).get("mid_points")
    values = {
        "value": local.number(abs(found.value or 0), 1),
        "evidence": evidence(
            found, speak, as_of=evaluation.get("as_of"), unit="points (0-100)", counted=counted
        ),
        "least": local.number(least),
    }
    code = row.get("light_reason")
    if (found.value or 0) < 0:
        return say(
            "scores fell by {value} points of 100 ({evidence}): not the {least} points declared "
            "beforehand; not met, so look into the courses before any more are held.",
            **values,
        )
    if code == "met":
        return say(
            "scores rose by {value} points of 100 ({evidence}): at or above the {least} points "
            "declared beforehand; met, so courses of this kind can go on.",
            **values,
        )
    if code == "not_assessed" and not found.has_interval:
        return say(
            "scores rose by {value} points of 100 ({evidence}): too few courses for an interval; "
            "not assessed, so wait for more pairs.",
            **values,
        )
    if code == "not_assessed":
        return say(
            "scores rose by {value} points of 100 ({evidence}): the interval holds both no change "
            "and the {least} points declared beforehand; not assessed, so wait for more pairs.",
            **values,
        )
    if code == "not_met":
        return say(
            "scores rose by {value} points of 100 ({evidence}): below the {least} points declared "
            "beforehand; not met, so look at content and method before the next courses.",
            **values,
        )
    return say(
        "scores rose by {value} points of 100 ({evidence}); {verdict}.",
        verdict=verdict(evaluation, "EFT-1", speak),
        **values,
    )


def outcome(evaluation: Mapping[str, Any], found: Reading, speak: Voice) -> str:
    """OUT-1: leaders who finished; what they did afterwards needs the other indicators."""
    target = indicator(evaluation, "OUT-1").get("target")
    known = indicator_ids(evaluation, "outcome_and_output")
    open_ones = [each for each in known if status_of(evaluation, each) != "computed"]
    values = {
        "value": speak.local.number(found.value),
        "target": speak.local.number(target),
        "evidence": evidence(found, speak, as_of=evaluation.get("as_of"), unit="persons"),
        "open": speak.local.number(len(open_ones)),
        "all": speak.local.number(len(known)),
    }
    facts = (
        speak.say(
            "{value} leaders registered and sat the post-test, beside a target of {target} "
            "({evidence})",
            **values,
        )
        if is_number(target)
        else speak.say("{value} leaders registered and sat the post-test ({evidence})", **values)
    )
    if open_ones:
        follows = speak.say(
            "{open} of {all} indicators of this criterion have no figure yet, so nothing may be "
            "said of outcomes",
            **values,
        )
    else:
        follows = speak.say("see the chapter for plans, partners and lessons")
    return speak.say("{facts}; {follows}.", facts=facts, follows=follows)


SENTENCES = {
    "REL-1": relevance,
    "PRO-1": progress,
    "EFF-5": efficiency,
    "EFF-1": cost_only,
    "EFT-1": effectiveness,
    "OUT-1": outcome,
}
