"""Values as people type them, brought to one spelling: digits, dates, money, participant codes.

One place for each rule: Thai digits are digits, a year above 2400 is a Buddhist year, a baht has 100
satang, a participant code carries its check digit. Nothing here guesses: what cannot be read raises
`ValueError` with the reason, and the caller says where (`parse_day`, for the command line, says it).
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal, InvalidOperation

from forms.problems import UsageProblem

__all__ = [
    "BUDDHIST_OFFSET",
    "add_months",
    "arabic_digits",
    "check_digit",
    "is_participant_code",
    "iso_date",
    "parse_day",
    "participant_code",
    "satang",
    "thai_id",
]

BUDDHIST_OFFSET = 543
"""B.E. = C.E. + 543 (in Thailand since 1 January B.E. 2484)."""

BUDDHIST_FROM = 2400
"""A four-digit year from here on can only be Buddhist in this programme's lifetime."""

THAI_DIGITS = str.maketrans("๐๑๒๓๔๕๖๗๘๙", "0123456789")
ISO = re.compile(r"^(\d{4})-(\d{2})-(\d{2})$")


def arabic_digits(text: str) -> str:
    """`๒๕๖๔` → `2564`; all else is kept."""
    return text if text.isascii() else text.translate(THAI_DIGITS)


def iso_date(text: str) -> date:
    """A C.E. date written `YYYY-MM-DD`; raises `ValueError` saying what to write instead."""
    match = ISO.match(arabic_digits(text.strip()))
    if not match:
        raise ValueError(f"{text!r} is not a date; write it as 2021-04-19 (C.E., year-month-day)")
    year, month, day = (int(part) for part in match.groups())
    if year >= BUDDHIST_FROM:
        raise ValueError(
            f"{text!r} is a Buddhist year where a C.E. year is meant; "
            f"write {year - BUDDHIST_OFFSET}-{month:02}-{day:02}"
        )
    try:
        return date(year, month, day)
    except ValueError as error:
        raise ValueError(f"{text!r} is no day of the calendar") from error


def parse_day(text: str, option: str) -> date:
    """A day given on the command line, C.E. or B.E. (2564-04-19 is 2021-04-19).

    Raises `UsageProblem` naming the option.
    """
    year, _, rest = arabic_digits(text.strip()).partition("-")
    if year.isdigit() and int(year) >= BUDDHIST_FROM:
        text = f"{int(year) - BUDDHIST_OFFSET:04}-{rest}"
    try:
        return iso_date(text)
    except ValueError as error:
        raise UsageProblem.at(option, str(error), f"for example {option} 2021-04-19") from error


def add_months(day: date, months: int) -> date:
    """The same day `months` calendar months later, or that month's last day where it is shorter."""
    years, month = divmod(day.month - 1 + months, 12)
    following = date(day.year + years + (month == 11), (month + 1) % 12 + 1, 1)
    last = date.fromordinal(following.toordinal() - 1).day
    return date(day.year + years, month + 1, min(day.day, last))


def satang(text: str) -> int:
    """An amount in baht (`1,240,000.50`) as whole satang; raises `ValueError`."""
    try:
        amount = Decimal(arabic_digits(text.strip()).replace(",", "")) * 100
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is not an amount in baht") from error
    if not amount.is_finite() or amount != amount.to_integral_value():
        raise ValueError(f"{text!r} is not an amount in whole satang")
    return int(amount)


def check_digit(first_nine: str) -> str:
    """The tenth digit of a participant code: weights 3, 1, 3 … as in EAN (GS1 General Specifications)."""
    total = 3 * sum(map(int, first_nine[::2])) + sum(map(int, first_nine[1::2]))
    return str(-total % 10)


def participant_code(province: str, fiscal_year_be: int, number: int) -> str:
    """PPYYNNNNNC: province, last two digits of the Buddhist fiscal year, number, check digit."""
    first_nine = f"{province}{fiscal_year_be % 100:02}{number:05}"
    return first_nine + check_digit(first_nine)


def is_participant_code(text: str) -> bool:
    """Whether `text` is ten digits whose check digit is right."""
    plain = len(text) == 10 and text.isascii() and text.isdigit()
    return plain and check_digit(text[:9]) == text[9]


def thai_id(first_twelve: str) -> str:
    """A 13-digit national number from its first twelve: check digit (11 - Σ weights 13…2 mod 11) mod 10."""
    total = sum(
        int(digit) * weight for digit, weight in zip(first_twelve, range(13, 1, -1), strict=True)
    )
    return first_twelve + str((11 - total % 11) % 10)
