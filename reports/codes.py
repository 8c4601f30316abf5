"""What the codes of an evaluation mean, as sentences marked for translation.

Reasons for leaving records out, reasons for giving no number, lights, notes on the founding
document, units and measures. A new code needs one line here and one in each catalogue.
"""

from __future__ import annotations

from forms.words import mark

__all__ = [
    "EXCLUSIONS",
    "FINDINGS",
    "LIGHT_REASONS",
    "LIGHT_WORDS",
    "MEASURES",
    "MONEY_SHARES",
    "PLACES",
    "REASONS",
    "SEED_NOTES",
    "SEE_ROWS",
    "TRIMMED",
    "UNITS",
]

EXCLUSIONS = {
    "after_as_of": mark("recorded after the as-of date"),
    "bad_check_digit": mark("participant code fails its check digit"),
    "not_registered": mark("participant code was never registered"),
    "duplicate_identical": mark("identical repeat of a record"),
    "superseded": mark(
        "another record of the same person and course, or of the same activity, counts instead"
    ),
    "two_people_one_code": mark("two different people under one code; both set aside"),
    "no_pre": mark("no valid pre-test"),
    "no_post": mark("no valid post-test"),
    "no_course": mark("no course given"),
    "unknown_course": mark("course is not in the course list"),
    "too_few_answers": mark("too few questions answered"),
    "anonymous": mark("answered anonymously"),
    "not_taught": mark("topic not taught in that course"),
    "item_missing": mark("question left empty"),
    "no_event_date": mark("no date of the event"),
    "course_below_limit": mark("courses too small to be shown"),
    "no_change_at_limit": mark("no change at the lowest or highest score"),
}

REASONS = {
    "n_below_2": mark("fewer than two persons"),
    "zero_variance": mark("all values are equal, so no interval can be given"),
    "fewer_than_5_courses": mark("fewer than five courses: the value is for this group only"),
    "n_below_limit": mark("the group is smaller than the limit for showing figures"),
    "n_below_indicative_limit": mark("indicative only: a small group"),
    "would_reveal_another_cell": mark("hidden so that another hidden group cannot be worked out"),
    "interval_holds_zero": mark("the interval of the gain includes zero"),
    "no_room_to_learn": mark("everyone already had the highest score"),
    "no_untaught_module": mark("every course taught every module, so there is no comparison"),
    "undefined": mark("the figure is not defined for these answers"),
    "nobody_trained": mark("nobody has both a registration and a post-test"),
    "no_value_functions_declared": mark("no rule for scoring was declared"),
    "weight_present_below_0.8": mark(
        "the indicators at hand carry less than 80 % of the weight, so no score is given"
    ),
    "not_built": mark("this indicator is not yet built"),
    "no_rows": mark("no record answers this question yet"),
    "no_data": mark("no record answers this question yet"),
    "no_target": mark("no target was declared"),
    "no_target_declared": mark("no target was declared"),
    "no_spending_recorded": mark("no spending was reported"),
}

LIGHT_WORDS = {
    "green": mark("Meets the target"),
    "amber": mark("Near the target"),
    "red": mark("Misses the target"),
    "not_assessed": mark("Not assessed"),
    "descriptive": mark("Described only"),
    "no_target": mark("No target"),
    "no_limits": mark("Not judged"),
    "refused": mark("Not computed"),
    "no_data": mark("No data"),
    "not_built": mark("Not yet built"),
    "suppressed": mark("Hidden: small group"),
}
LIGHT_REASONS = {
    "meets_green": mark("the value reaches the green limit"),
    "between": mark("the value lies between the amber and the green limit"),
    "below_amber": mark("the value does not reach the amber limit"),
    "met": mark("the interval lies above 0 and the value reaches the minimum declared beforehand"),
    "not_met": mark("the value does not reach the minimum declared beforehand"),
    "not_assessed": mark(
        "the interval holds both no change and the minimum declared beforehand, or there is none"
    ),
    "descriptive": mark("the figure describes; it is not judged"),
    "no_target": mark("no target was declared, so the figure is not judged"),
    "no_limits": mark("a target is declared, but no limits for green and amber"),
    "refused": mark("the rules do not allow a figure to be given"),
    "no_data": mark("no record answers this question yet"),
    "not_built": mark("this indicator is not yet built"),
}

SEED_NOTES = {
    "targets_sum": mark(
        "The targets by province add up to {sum} persons, the document states {stated}: "
        "a difference of {difference}. Both bases are shown."
    ),
    "tambons_stated": mark(
        "The number of tambons is given as {values} in different places of the document. "
        "Both are kept."
    ),
    "transfers_after_half_year": mark(
        "The document says that money reached all provinces within two quarters, but {n} of the "
        "first transfers were made in the second half of the fiscal year."
    ),
    "second_instalment_not_recorded": mark(
        "No transfer of the second instalment is recorded for {n} of {of} projects."
    ),
    "second_instalment_is_remainder": mark(
        "The document says 70 and 30 per cent; in {n} of {of} projects the second instalment is "
        "simply what remains."
    ),
    "plan_per_head_range": mark(
        "The plan per person runs from {low} to {high} baht between provinces; no rule for it is "
        "stated."
    ),
}

FINDINGS = {
    "buddhist_year": (
        mark("years of the Buddhist Era where the form means C.E. were converted (minus 543)"),
        mark("check the calendar setting of the phones that sent them"),
    ),
    "untypable": (
        mark("values of the wrong type are left empty in the tables"),
        mark("correct these records on the server and pull again"),
    ),
    "not_in_form": (
        mark("answers to questions the workbook does not have stay out of the tables"),
        mark("they are kept in the mirror; put the questions back to see them"),
    ),
    "not_in_dictionary": (
        mark("questions without a personal-data class stay out of the tables"),
        mark("give each a row in the data dictionary"),
    ),
}
"""Findings of the data tables: what was found and what to do about it."""

SEE_ROWS = mark("see exclusions.csv for the rows")
"""What to do about records that were left out."""

UNITS = {
    "score 1-5": mark("score 1–5"),
    "%": mark("per cent"),
    "persons": mark("persons"),
    "baht/person": mark("baht per person"),
    "baht/point": mark("baht per point"),
    "baht/plan": mark("baht per plan"),
    "points (0-100)": mark("points of 100"),
    "points on 1-5": mark("points on 1–5"),
    "0-1": mark("share 0–1"),
    "ratio": mark("ratio"),
    "flags": mark("flags"),
    "days": mark("days"),
    "projects": mark("projects"),
    "courses": mark("courses"),
    "SD": mark("standard deviations"),
    "percentage points": mark("percentage points"),
    "baht": mark("baht"),
}
PLACES = {
    "%": 1,
    "count": 0,
    "persons": 0,
    "points (0-100)": 1,
    "flags": 0,
    "percentage points": 1,
    "projects": 0,
    "courses": 0,
}
TRIMMED = frozenset({"days"})
"""Units written with the decimals a number has, not with a fixed count of them."""
MONEY_SHARES = frozenset({"PRO-3", "EFF-8"})
"""Shares of money are printed with two decimals, as the programme's own documents print them."""

MEASURES = {
    "overall": mark("overall"),
    "province_clustered": mark("interval by provinces (sensitivity)"),
    "approved": mark("projects approved"),
    "recorded": mark("projects recorded in CODI-PM"),
    "approved_share": mark("approved share of the budget frame"),
    "median_days": mark("median days from approval to transfer"),
    "min_days": mark("fewest days"),
    "max_days": mark("most days"),
    "of_planned_to_date": mark("of the places planned in courses held so far"),
    "taught_minus_untaught": mark("gain on modules taught minus gain on modules not taught"),
    "pre_share": mark("share before the course"),
    "pooled": mark("pooled"),
    "pre_mean": mark("mean before the course"),
    "post_mean": mark("mean after the course"),
    "hodges_lehmann": mark("Hodges–Lehmann shift (sensitivity)"),
    "wilcoxon_p": mark("Wilcoxon signed-rank test, p (sensitivity)"),
    "d_av": mark("effect size d_av"),
    "quartile_1": mark("first quartile of courses"),
    "quartile_3": mark("third quartile of courses"),
    "normalized_change": mark("mean normalised change"),
    "change": mark("change of the share"),
    "taught": mark("modules taught"),
    "untaught": mark("modules not taught"),
    "spent": mark("spent"),
    "persons": mark("persons registered"),
    "disbursed": mark("disbursed"),
    "courses_held": mark("courses held"),
}
