"""Charts with everything a reader needs around them: claim, what, unit, n, as-of date, source.

Each function turns one table of the evaluation into a `Picture`, drawn twice, for a phone and for a
desk or paper; it answers `None` where the table has nothing to draw, and the page says so in words.
Rows with hidden numbers stay in the chart as words. Nothing is computed: rows are sorted, numbers
written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from reports.charts import NARROW, WIDE, Budget, Opinion, Pair, bullet, dumbbell, likert
from reports.phrases import Voice, evidence, interval
from reports.snapshot import (
    Reading,
    headline,
    label,
    mapping,
    measure,
    number,
    province_name,
    reading,
    table,
)
from reports.thai import BANDS, DASH, is_number

__all__ = ["Picture", "budget_picture", "gain_picture", "opinion_picture", "place"]


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart: `claim` is its headline, `caption` says what, unit, period, n and date."""

    claim: str
    caption: str
    source: str
    drawings: tuple[Markup, Markup]
    notes: tuple[str, ...] = ()


def drawn(draw: Callable[..., str], rows: Any, **words: Any) -> tuple[Markup, Markup]:
    """The wide and the narrow drawing of a chart; the charts escape what they are given."""
    return Markup(draw(rows, width=WIDE, **words)), Markup(draw(rows, width=NARROW, **words))


def source(evaluation: Mapping[str, Any], forms: str, speak: Voice) -> str:
    """Where a chart's numbers come from."""
    return speak.say(
        "Source: {forms}; watphon {version}, data as of {date}",
        forms=forms,
        version=evaluation.get("version") or DASH,
        date=speak.local.date(evaluation.get("as_of")),
    )


def gain_pair(row: Mapping[str, Any], name: str, speak: Voice) -> Pair:
    """One row of a gain table as a pair of marks."""
    say, local = speak.say, speak.local
    known = all(is_number(row.get(field)) for field in ("pre", "post", "gain"))
    if not known or row.get("status") in ("suppressed", "refused"):
        hidden = row.get("status") == "suppressed"
        note = say("hidden: too few persons") if hidden else say("not enough data")
        return Pair(name, None, None, "", "", note, "hidden")
    found = reading({"value": row["gain"], **row})
    limits = interval(found, speak, unit="points (0-100)")
    parts = [local.number(row["gain"], 1, signed=True)]
    if limits:
        parts.append(f"({limits})")
    n = say("n = {n}", n=local.number(row.get("n")))
    unclear = not found.has_interval or (found.low or 0) <= 0 <= (found.high or 0)
    return Pair(
        name,
        row["pre"],
        row["post"],
        local.number(row["pre"], 1),
        local.number(row["post"], 1),
        f"{' '.join(parts)} · {n}",
        "unclear" if unclear else "clear",
    )


def gain_picture(evaluation: Mapping[str, Any], speak: Voice) -> Picture | None:
    """Scores before and after by province, the largest gain first."""
    say, local = speak.say, speak.local
    rows = table(evaluation, "gain_by_province")
    shown = [row for row in rows if is_number(row.get("gain"))]
    if not shown:
        return None
    ordered = sorted(
        rows,
        key=lambda row: (
            not is_number(row.get("gain")),
            -row["gain"] if is_number(row.get("gain")) else 0,
            str(row.get("province")),
        ),
    )
    pairs = [
        gain_pair(row, province_name(evaluation, row.get("province"), speak.language), speak)
        for row in ordered
    ]
    overall = measure(evaluation, "EFT-1", "overall")
    before, after = (measure(evaluation, "EFT-1", name) for name in ("pre_mean", "post_mean"))
    if overall.known and before.known and after.known and len(rows) > 1:
        everyone = {
            "pre": before.value,
            "post": after.value,
            "gain": overall.value,
            "low": overall.low,
            "high": overall.high,
            "n": overall.n,
        }
        whole = [gain_pair(everyone, say("All provinces"), speak)]
    else:
        whole = []
    clear = [
        pair for pair in pairs if pair.tone == "clear" and (pair.after or 0) > (pair.before or 0)
    ]
    if len(clear) == len(rows) > 1:
        claim = say("Scores after the course are higher than before in every province")
    elif len(rows) == 1:
        claim = say("Scores before and after the course in one province")
    elif not clear:
        claim = say("Scores before and after the course; no province shows a clear difference")
    else:
        claim = say(
            "Scores are clearly higher after the course in {clear} of {all} provinces",
            clear=local.number(len(clear)),
            all=local.number(len(rows)),
        )
    what = say("Mean score before and after, points of 100, by province")
    caption = captioned(evaluation, what, overall, speak, unit="points (0-100)")
    return Picture(
        claim,
        caption,
        source(evaluation, say("paired pre-tests and post-tests"), speak),
        drawn(
            dumbbell,
            [*whole, *pairs],
            title=claim,
            description=caption,
            names=(
                say("before the course"),
                say("after the course"),
                say("interval holds zero, or no interval"),
            ),
            note_head=say("gain (95 % interval) · persons"),
        ),
        notes=(say("The order is not a ranking: where intervals overlap there is no order."),),
    )


def captioned(
    evaluation: Mapping[str, Any], what: str, found: Reading, speak: Voice, *, unit: str
) -> str:
    """`what`, then fiscal year, n and date."""
    year = mapping(evaluation.get("programme")).get("fiscal_year_be")
    plain = Reading(n=found.n)
    counted = "" if found.n is not None else speak.say("n beside each row")
    return speak.say(
        "{what}; fiscal year {year}; {evidence}",
        what=what,
        year=speak.local.fiscal_year(year),
        evidence=evidence(plain, speak, as_of=evaluation.get("as_of"), unit=unit, counted=counted),
    )


def place(row: Mapping[str, Any], speak: Voice) -> str:
    """The province of a budget row; the regional project has none."""
    named = label(row, speak.language, "province")
    return named or (speak.say("Regional budget") if row.get("level") == "region" else DASH)


def budget_picture(evaluation: Mapping[str, Any], speak: Voice) -> Picture | None:
    """Approved, first instalment and paid of every project, with the largest share allowed."""
    say, local = speak.say, speak.local
    rows = [row for row in table(evaluation, "budget") if is_number(row.get("approved"))]
    if not rows:
        return None
    rules = mapping(mapping(evaluation.get("programme")).get("rules"))
    share = number(rules.get("first_instalment_max"))
    within = [row for row in rows if row.get("within_share") is True]
    percent = local.number(share * 100) if share is not None else DASH
    bars = [
        Budget(
            f"{local.digits(str(row.get('no') or ''))}. {place(row, speak)}",
            row["approved"],
            row.get("instalment1") if is_number(row.get("instalment1")) else None,
            row.get("disbursed") if is_number(row.get("disbursed")) else None,
            say(
                "{paid} of {approved}",
                paid=local.baht(row.get("disbursed")),
                approved=local.baht(row["approved"]),
            ),
        )
        for row in rows
    ]
    if len(within) == len(rows):
        claim = say(
            "The first instalment stays within {percent} % of the approved budget in all "
            "{n} projects",
            percent=percent,
            n=local.number(len(rows)),
        )
    else:
        claim = say(
            "The first instalment stays within {percent} % of the approved budget in {within} of "
            "{n} projects",
            percent=percent,
            within=local.number(len(within)),
            n=local.number(len(rows)),
        )
    what = say("Approved budget, first instalment and disbursement by project, baht")
    caption = captioned(evaluation, what, Reading(n=len(rows)), speak, unit="count")
    return Picture(
        claim,
        caption,
        source(evaluation, say("disbursement table of the programme"), speak),
        drawn(
            bullet,
            bars,
            title=claim,
            description=caption,
            names=(
                say("approved"),
                say("first instalment"),
                say("disbursed"),
                say("{percent} % of the approved budget", percent=percent),
            ),
            limit=share,
            note_head=say("disbursed of approved, baht"),
        ),
    )


def opinion_picture(evaluation: Mapping[str, Any], scale: str, speak: Voice) -> Picture | None:
    """Answers to the statements of one scale, the highest mean first."""
    say, local = speak.say, speak.local
    rows = [
        row
        for row in table(evaluation, "likert")
        if row.get("scale") == scale
        and row.get("item") is not None
        and is_number(row.get("mean"))
        and isinstance(row.get("counts"), list)
        and len(row["counts"]) == 5
        and all(is_number(count) for count in row["counts"])
    ]
    if not rows:
        return None
    rows.sort(key=lambda row: (-row["mean"], str(row["item"])))
    bars = [
        Opinion(
            label(row, speak.language),
            tuple(row["counts"]),
            tuple(local.number(count) for count in row["counts"]),  # type: ignore[arg-type]
            say(
                "{mean} · {band} · n = {n}",
                mean=local.number(row["mean"], 2),
                band=local.band(row.get("band")),
                n=local.number(row.get("n")),
            ),
        )
        for row in rows
    ]
    whole = headline(evaluation, str(rows[0].get("indicator") or ""))
    claim = say(
        "Rated highest: “{best}”; lowest: “{worst}”",
        best=bars[0].label,
        worst=bars[-1].label,
    )
    if len(bars) == 1:
        claim = bars[0].label
    what = say("Number of answers at each of five levels, by statement; opinions, not test results")
    caption = captioned(evaluation, what, whole, speak, unit="score 1-5")
    bands = BANDS[speak.language]
    return Picture(
        claim,
        caption,
        source(evaluation, say("post-course evaluation"), speak),
        drawn(
            likert,
            bars,
            title=claim,
            description=caption,
            names=tuple(f"{level} {bands[level]}" for level in range(1, 6)),
        ),
    )
