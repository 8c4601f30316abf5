"""Days and moments in words, in Thai with the year of the Buddhist Era and in English.

`30 กันยายน 2564` or short `30 ก.ย. 2564`; `30 September 2021` or short `30 Sep 2021`.
"""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

__all__ = ["BUDDHIST_ERA", "MONTHS", "MONTHS_SHORT", "written_day", "written_moment"]

BUDDHIST_ERA = 543
"""Years to add to a year of the Common Era."""

MONTHS = {
    "th": [
        "มกราคม",
        "กุมภาพันธ์",
        "มีนาคม",
        "เมษายน",
        "พฤษภาคม",
        "มิถุนายน",
        "กรกฎาคม",
        "สิงหาคม",
        "กันยายน",
        "ตุลาคม",
        "พฤศจิกายน",
        "ธันวาคม",
    ],
    "en": [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
}
MONTHS_SHORT = {
    "th": [
        "ม.ค.",
        "ก.พ.",
        "มี.ค.",
        "เม.ย.",
        "พ.ค.",
        "มิ.ย.",
        "ก.ค.",
        "ส.ค.",
        "ก.ย.",
        "ต.ค.",
        "พ.ย.",
        "ธ.ค.",
    ],
    "en": ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
}


def written_day(day: date, language: str, *, short: bool = False) -> str:
    """A day in the words and era of a language (`th` or `en`)."""
    names = (MONTHS_SHORT if short else MONTHS)[language]
    year = day.year + BUDDHIST_ERA if language == "th" else day.year
    return f"{day.day} {names[day.month - 1]} {year}"


def written_moment(moment: datetime, language: str, zone: str = "Asia/Bangkok") -> str:
    """An aware moment as day and time of a time zone: `30 ก.ย. 2564 09:05`."""
    local = moment.astimezone(ZoneInfo(zone))
    return f"{written_day(local, language, short=True)} {local:%H:%M}"
