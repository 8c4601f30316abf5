"""Page one: five criteria in five sentences, and what the reader is asked to decide.

Each sentence carries the number, its interval, n and the as-of date, and says what follows from it;
where there is no number it says which kind of absence that is. No sentence claims that the courses
caused a change, ranks provinces, or mixes opinions and measured results into one number. The
sentences know the indicators of the shipped table by id; a criterion whose leading indicator is
unknown is told by the first of its indicators that was computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reports.phrases import Light, Voice, light_of, voice
from reports.sentences import SENTENCES, no_figure, plain_sentence
from reports.snapshot import (
    CRITERIA,
    criterion_codes,
    criterion_name,
    headline,
    indicator,
    indicator_ids,
    mapping,
    measure,
    status_of,
    table,
    totals,
)
from reports.thai import is_number

__all__ = ["CriterionLine", "criterion_lines", "decisions", "five_lines"]

LEADS = {
    "relevance": ("REL-1", "REL-4"),
    "progress": ("PRO-1", "PRO-3"),
    "efficiency": ("EFF-5", "EFF-1"),
    "effectiveness": ("EFT-1", "EFT-6"),
    "outcome_and_output": ("OUT-1",),
}
"""The indicators a criterion's sentence may be built on, the first computed one leading."""


@dataclass(frozen=True, slots=True)
class CriterionLine:
    """One criterion on page one: its name, sentence, light and the indicator that leads it."""

    key: str
    name: str
    sentence: str
    light: Light
    lead: str


def five_lines(evaluation: Mapping[str, Any], language: str) -> list[str]:
    """One line per criterion, `Name: sentence`, for page one and for the terminal.

    Raises `ValueError` for a language without a catalogue.
    """
    speak = voice(language)
    return [
        speak.say("{criterion}: {sentence}", criterion=line.name, sentence=line.sentence)
        for line in criterion_lines(evaluation, speak)
    ]


def criterion_lines(evaluation: Mapping[str, Any], speak: Voice) -> list[CriterionLine]:
    """The five criteria in the programme's order."""
    keys = [key for key, _ in criterion_codes(evaluation)] or list(CRITERIA)
    return [criterion_line(evaluation, key, speak) for key in keys]


def criterion_line(evaluation: Mapping[str, Any], key: str, speak: Voice) -> CriterionLine:
    """One criterion's sentence and light."""
    known = indicator_ids(evaluation, key)
    order = [*LEADS.get(key, ()), *known]
    lead = next(
        (
            each
            for each in order
            if status_of(evaluation, each) == "computed" and headline(evaluation, each).known
        ),
        next((each for each in order if each in known), ""),
    )
    build = SENTENCES.get(lead)
    found = headline(evaluation, lead)
    if not lead or status_of(evaluation, lead) != "computed" or not found.known:
        sentence = no_figure(evaluation, lead, found, speak)
    elif build:
        sentence = build(evaluation, found, speak)
    else:
        sentence = plain_sentence(evaluation, lead, found, speak)
    return CriterionLine(
        key,
        criterion_name(evaluation, key, speak.language),
        sentence,
        light_of(evaluation, lead, speak),
        lead,
    )


def decisions(evaluation: Mapping[str, Any], speak: Voice) -> list[str]:
    """What the reader is asked to decide: proposals by fixed rules, for a person to confirm."""
    say, local = speak.say, speak.local
    asked = []
    code = indicator(evaluation, "EFT-1").get("light_reason")
    learned = measure(evaluation, "EFT-1", "overall")
    if learned.known and code == "met":
        asked.append(say("Whether courses of this kind go on in the next fiscal year."))
    elif learned.known and code == "not_assessed":
        asked.append(say("How more pairs of tests are collected before learning is judged."))
    elif learned.known and code == "not_met":
        asked.append(say("Whether content and method are revised before further courses are held."))
    money = mapping(totals(evaluation, "budget_totals").get("all"))
    if is_number(money.get("remaining")) and money["remaining"] > 0:
        asked.append(
            say(
                "When the remaining {remaining} baht ({share} % of the approved budget) are to be "
                "paid, and against which evidence of work done.",
                remaining=local.baht(money["remaining"]),
                share=local.number(money.get("remaining_pct"), 2),
            )
        )
    below = [
        key
        for key in indicator_ids(evaluation)
        if indicator(evaluation, key).get("light") in ("amber", "red")
    ]
    if below:
        asked.append(
            say("What is done, by whom and until when, about: {ids}.", ids=say(", ").join(below))
        )
    if any(row.get("code") == "targets_sum" for row in table(evaluation, "seed_notes")):
        asked.append(say("Which of the two target totals counts from now on."))
    if (
        measure(evaluation, "PRO-9", "overall").known
        and indicator(evaluation, "PRO-9").get("light") == "red"
    ):
        asked.append(say("How the missing pre-tests and post-tests are collected."))
    return asked or [say("Nothing: there is not enough data to decide on yet.")]
