"""How numbers, money and dates are written in a report, in Thai and in English.

Thai text carries Buddhist-Era years (`30 กันยายน 2564`), English text Common-Era years
(`30 September 2021`). Rounding is half-up on the decimal digits of the number, never on its binary
value. What is not a finite number is written as a dash; this module never writes "None" or "nan".
It does not know what a number means: units and sentences are `reports.phrases`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from forms.days import BUDDHIST_ERA, written_day

__all__ = ["BANDS", "DASH", "Local", "is_number", "rounded"]

DASH = "–"
MINUS = "−"

BANDS = {
    "th": {5: "มากที่สุด", 4: "มาก", 3: "ปานกลาง", 2: "น้อย", 1: "น้อยที่สุด"},
    "en": {5: "very high", 4: "high", 3: "moderate", 2: "low", 1: "very low"},
}
"""The five levels of the Thai table of means (แปลผล), as the instruments name them."""

THAI_DIGITS = str.maketrans("0123456789", "๐๑๒๓๔๕๖๗๘๙")


def is_number(value: Any) -> bool:
    """Whether a value of the evaluation is a finite number (a truth value is not)."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return False
    return math.isfinite(value)


def rounded(value: float | Decimal, places: int = 0) -> Decimal:
    """`value` rounded half-up (away from zero) to `places` decimals: 2.675 → 2.68, 0.5 → 1."""
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    return exact.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Local:
    """One language's way of writing figures; `thai_digits` writes ๐–๙ in Thai text."""

    language: str
    thai_digits: bool = False

    def digits(self, text: str) -> str:
        """`text` with Thai digits where they were asked for."""
        return text.translate(THAI_DIGITS) if self.thai_digits else text

    def number(self, value: Any, places: int = 0, *, signed: bool = False) -> str:
        """A number with thousands separators and `places` decimals; a dash if there is none.

        `signed` writes the sign of positive numbers too.
        """
        if not is_number(value):
            return DASH
        figure = rounded(value, places)
        sign = MINUS if figure < 0 else "+" if signed and figure > 0 else ""
        return self.digits(f"{sign}{abs(figure):,.{places}f}")

    def baht(self, value: Any) -> str:
        """Baht: whole where the amount is whole, otherwise with two decimals (satang)."""
        if not is_number(value):
            return DASH
        return self.number(value, 0 if rounded(value, 2) % 1 == 0 else 2)

    def year(self, year_ce: int) -> str:
        """The year of the language's era."""
        return self.digits(str(year_ce + BUDDHIST_ERA if self.language == "th" else year_ce))

    def fiscal_year(self, year_be: Any) -> str:
        """A Thai fiscal year, held in B.E.; English text gives both eras."""
        if not is_number(year_be):
            return DASH
        year = int(year_be)
        if self.language == "th":
            return self.digits(str(year))
        return f"{year} B.E. ({year - BUDDHIST_ERA})"

    def date(self, iso: Any, *, short: bool = False) -> str:
        """An ISO date in the language's words and era; text that is no date is given back as it is.

        Examples: `30 กันยายน 2564`, short `30 ก.ย. 2564`; `30 September 2021`, short `30 Sep 2021`.
        """
        if iso is None or iso == "":
            return DASH
        try:
            day = date.fromisoformat(str(iso)[:10])
        except ValueError:
            return str(iso)
        return self.digits(written_day(day, self.language, short=short))

    def band(self, level: Any) -> str:
        """The name of a Likert level 1 to 5; a dash for anything else."""
        if not is_number(level):
            return DASH
        return BANDS[self.language].get(int(level), DASH)
