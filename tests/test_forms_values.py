"""Values as people type them."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forms.values import (
    add_months,
    arabic_digits,
    is_participant_code,
    iso_date,
    participant_code,
    satang,
    thai_id,
)


def test_participant_code_of_the_instruments() -> None:
    """The codes printed in the instruments (participants.csv) pass; one digit off does not."""
    assert participant_code("50", 2564, 1) == "5064000010"
    assert participant_code("50", 2564, 17) == "5064000171"
    assert is_participant_code("5164000019")
    assert not is_participant_code("5064000172")


@given(st.integers(0, 99999), st.integers(0, 9), st.integers(1, 9))
def test_every_single_wrong_digit_is_caught(number: int, place: int, shift: int) -> None:
    """EAN's promise: no single mistyped digit passes the check."""
    code = participant_code("57", 2564, number)
    wrong = str((int(code[place]) + shift) % 10)
    assert not is_participant_code(code[:place] + wrong + code[place + 1 :])


def test_thai_id() -> None:
    """1234567890121 is the published example of a valid Thai number."""
    assert thai_id("123456789012") == "1234567890121"


def test_dates_say_what_to_write() -> None:
    """A Buddhist year where a C.E. one is meant is refused with the C.E. date named."""
    assert iso_date("๒๐๒๑-๐๔-๑๙") == date(2021, 4, 19)
    with pytest.raises(ValueError, match="write 2021-04-19"):
        iso_date("2564-04-19")
    with pytest.raises(ValueError, match="no day of the calendar"):
        iso_date("2021-02-29")
    with pytest.raises(ValueError, match="write it as"):
        iso_date("19/4/64")


def test_money_is_whole_satang() -> None:
    """Amounts are exact; a third of a satang is refused."""
    assert satang("1,240,000.50") == 124_000_050
    assert satang("๑๒") == 1200
    with pytest.raises(ValueError, match="whole satang"):
        satang("0.001")
    with pytest.raises(ValueError, match="not an amount"):
        satang("สิบ")


def test_calendar_months() -> None:
    """Three months after 30 November is the last day of February."""
    assert add_months(date(2020, 11, 30), 3) == date(2021, 2, 28)
    assert add_months(date(2021, 1, 4), 3) == date(2021, 4, 4)
    assert add_months(date(2021, 12, 31), 0) == date(2021, 12, 31)


@given(st.text())
def test_arabic_digits_changes_thai_digits_alone(text: str) -> None:
    """No other character is touched."""
    changed = arabic_digits(text)
    assert len(changed) == len(text)
    assert all(a == b or a in "๐๑๒๓๔๕๖๗๘๙" for a, b in zip(text, changed, strict=True))
