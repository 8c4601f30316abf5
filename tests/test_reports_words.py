"""The words of the reports: complete catalogues, right dates, right rounding."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from jinja2.ext import extract_from_ast

from reports import codes
from reports.html import environment
from reports.thai import Local, rounded
from reports.words import LOCALE, languages, words

REPORTS = LOCALE.parent
TH, EN = Local("th"), Local("en")


def used_in_python() -> set[str]:
    """Sentences given to `say` or `mark` in the code."""
    found: set[str] = set()
    for path in REPORTS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                first = node.args[0]
                if name in ("say", "mark") and isinstance(first, ast.Constant):
                    found.add(str(first.value))
    return found


def used_in_templates() -> set[str]:
    """Sentences given to `say` in the templates."""
    return {
        str(found[0] if isinstance(found, tuple) else found)
        for path in (REPORTS / "templates").glob("*.html")
        for _, _, found in extract_from_ast(
            environment().parse(path.read_text("utf-8")), gettext_functions=("say",)
        )
    }


def placeholders(sentence: str) -> set[str]:
    """The names in braces."""
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.mark.parametrize("path", sorted(LOCALE.glob("*.po")), ids=lambda path: path.stem)
def test_every_sentence_is_translated_and_none_is_left_over(path: Path) -> None:
    """A catalogue holds just the sentences in use, each translated, placeholders kept."""
    with path.open("rb") as file:
        catalogue = {m.id: m.string for m in read_po(file) if m.id}
    used = used_in_python() | used_in_templates()
    assert used - catalogue.keys() == set()
    assert catalogue.keys() - used == set()
    for sentence, translation in catalogue.items():
        assert translation, sentence
        assert placeholders(str(sentence)) == placeholders(str(translation)), sentence


def test_thai_translations_are_thai() -> None:
    """What is translated into Thai holds Thai letters, unless it is only figures and signs."""
    thai = words("th")
    same = {sentence for sentence in used_in_python() if thai(sentence) == sentence}
    assert all(not any(word.isalpha() and len(word) > 9 for word in s.split()) for s in same), same


def test_a_missing_translation_is_shown_in_english() -> None:
    """Nothing is lost when a catalogue lags behind."""
    assert words("th")("a sentence nobody translated: {n}", n=3) == (
        "a sentence nobody translated: 3"
    )


def test_an_unknown_language_is_refused_by_name() -> None:
    """The message lists the languages there are."""
    assert languages() == ("en", "th")
    with pytest.raises(ValueError, match="known: en, th"):
        words("lo")


@pytest.mark.parametrize("code", sorted({*codes.EXCLUSIONS, *codes.REASONS, *codes.SEED_NOTES}))
def test_every_code_has_a_sentence_in_both_languages(code: str) -> None:
    """Exclusions, refusals and notes are sentences in Thai and in English."""
    sentence = (codes.EXCLUSIONS | codes.REASONS | codes.SEED_NOTES)[code]
    assert words("th")(sentence) != sentence


@pytest.mark.parametrize(
    ("local", "short", "expected"),
    [
        (TH, False, "30 กันยายน 2564"),
        (TH, True, "30 ก.ย. 2564"),
        (EN, False, "30 September 2021"),
        (EN, True, "30 Sep 2021"),
        (Local("th", thai_digits=True), False, "๓๐ กันยายน ๒๕๖๔"),
    ],
)
def test_dates_carry_the_era_of_their_language(local: Local, short: bool, expected: str) -> None:
    """Buddhist Era in Thai, Common Era in English."""
    assert local.date("2021-09-30", short=short) == expected
    assert local.date("2021-09-30T23:59:59+07:00", short=short) == expected


def test_what_is_no_date_or_number_is_a_dash_or_itself() -> None:
    """Never "None", never "nan"."""
    assert TH.date(None) == TH.date("") == "–"
    assert TH.date("เมษายน 2564") == "เมษายน 2564"
    for nothing in (None, float("nan"), float("inf"), "", "12", True):
        assert EN.number(nothing) == EN.baht(nothing) == "–"
    assert EN.band(None) == EN.band(9) == "–"


@pytest.mark.parametrize(
    ("value", "places", "expected"),
    [(0.5, 0, "1"), (2.675, 2, "2.68"), (69.85194360664575, 2, "69.85"), (-0.25, 1, "−0.3"),
     (15635880, 0, "15,635,880"), (4.505, 2, "4.51"), (-0.04, 1, "0.0")],
)  # fmt: skip
def test_rounding_is_half_up_on_the_decimal_digits(
    value: float, places: int, expected: str
) -> None:
    """2.675 is 2.68 although its binary value lies below; a rounded zero has no sign."""
    assert EN.number(value, places) == expected
    assert float(rounded(value, places)) == pytest.approx(value, abs=0.51 * 10**-places)


def test_baht_shows_satang_only_where_there_are_some() -> None:
    """Whole baht stay whole."""
    assert EN.baht(1240000.0) == "1,240,000"
    assert EN.baht(1240000.5) == "1,240,000.50"


def test_fiscal_years_are_told_in_both_eras_in_english() -> None:
    """An English reader sees which year 2564 is."""
    assert TH.fiscal_year(2564) == "2564"
    assert EN.fiscal_year(2564) == "2564 B.E. (2021)"
