"""The strings of one question, for many submissions at once, as one typed column.

A column is cast whole when every value is plain; only otherwise is it parsed value by value, to the
same result: what a value becomes never depends on what stands beside it. What cannot be typed becomes
null and is counted in `Faults`, with an example that shows its shape and never its content. Nothing
here raises because of data.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute

from forms.values import BUDDHIST_FROM, BUDDHIST_OFFSET, arabic_digits

__all__ = ["ARROW", "NEVER_TABLED", "Faults", "Kind", "kind_of", "shape", "texts", "typed"]

# Its functions are made when it is imported, so no type checker can see them.
pc: Any = pyarrow.compute

Kind = Literal["integer", "decimal", "date", "moment", "choices", "text"]

KINDS: dict[str, Kind] = {
    "integer": "integer",
    "int": "integer",
    "decimal": "decimal",
    "range": "decimal",
    "date": "date",
    "today": "date",
    "start": "moment",
    "end": "moment",
    "datetime": "moment",
    "dateTime": "moment",
    "select_multiple": "choices",
    "select_multiple_from_file": "choices",
}
"""Kind of an XLSForm type; every other type is text."""

NEVER_TABLED = frozenset(
    {
        "image",
        "audio",
        "video",
        "file",
        "audit",
        "note",
        "background-audio",
        "csv-external",
        "xml-external",
        "hidden",
    }
)
"""Types that hold no answer, or a file: they never enter a table."""

ARROW: dict[Kind, pa.DataType] = {
    "integer": pa.int64(),
    "decimal": pa.float64(),
    "date": pa.date32(),
    "moment": pa.timestamp("us", tz="UTC"),
    "choices": pa.list_(pa.string()),
    "text": pa.string(),
}

MOMENT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$"
)
PLAIN: dict[Kind, str] = {
    "integer": r"^-?[0-9]{1,18}$",
    "decimal": r"^-?[0-9]{1,15}(\.[0-9]{1,15})?$",
    "date": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "moment": MOMENT,
}
"""What Arrow casts just as we would; it would also take `0x1f`, `nan` and `inf`."""

FIRST_YEAR = "0002"
"""Arrow knows a year 0 and moments before year 1 in UTC, Python knows neither: all that is refused."""

GROUPED = re.compile(r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$")
NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$")


@dataclass(slots=True)
class Faults:
    """What was found while a column was typed: values that are none, and years that were B.E."""

    bad: int = 0
    example: str = ""
    buddhist: int = 0

    def refuse(self, text: str) -> None:
        self.bad += 1
        self.example = self.example or shape(text)

    def add(self, later: Faults) -> None:
        """Take in what was found in rows that come after these."""
        self.bad += later.bad
        self.example = self.example or later.example
        self.buddhist += later.buddhist


def kind_of(question_type: str) -> Kind:
    """The kind of column an XLSForm question type makes."""
    return KINDS.get(question_type, "text")


def texts(values: Sequence[object]) -> pa.Array:
    """Values of a JSON row as strings. JSON submissions can hold other types (072, 122)."""
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return pa.array([as_text(value) for value in values], pa.string())


def typed(kind: Kind, values: pa.Array, faults: Faults, zone: tzinfo) -> pa.Array:
    """The column of `values` (strings) with the type `ARROW[kind]`, of equal length.

    Values are trimmed and empty ones are null; Thai digits count as digits in numbers and dates; a
    date whose year can only be Buddhist is converted and counted; a moment without an offset is taken
    as `zone`'s.
    """
    if values.null_count == len(values):
        return pa.nulls(len(values), ARROW[kind])
    words = trimmed(values)
    if kind == "text":
        return words
    if kind == "choices":
        return pc.utf8_split_whitespace(words).cast(ARROW[kind])
    if is_plain(kind, words):
        try:
            return words.cast(ARROW[kind])
        except pa.ArrowInvalid:
            # 31 February is plain to look at.
            pass
    return pa.array(parsed(kind, words, faults, zone), ARROW[kind])


def trimmed(values: pa.Array) -> pa.Array:
    words = pc.utf8_trim_whitespace(values)
    empty = pc.equal(words, "")
    if pc.any(empty).as_py():
        words = pc.if_else(empty, pa.scalar(None, pa.string()), words)
    return words


def as_text(value: object) -> str | None:
    if value is None or isinstance(value, dict):
        return None
    if isinstance(value, list):
        return " ".join(str(part) for part in value if not isinstance(part, dict | list))
    return str(value).encode("utf-8", "replace").decode()


def is_plain(kind: Kind, words: pa.Array) -> bool:
    """Whether every value is written as Arrow reads it, and no year is Buddhist or before the first."""
    if not pc.all(pc.match_substring_regex(words, PLAIN[kind])).as_py():
        return False
    if kind in ("date", "moment"):
        within = pc.min_max(words).as_py()
        return within["min"] >= FIRST_YEAR and within["max"] < str(BUDDHIST_FROM)
    return True


def parsed(kind: Kind, words: pa.Array, faults: Faults, zone: tzinfo) -> list[Any]:
    """Value by value; each distinct text is parsed once."""
    parse: Callable[[str], Any] = {
        "integer": whole,
        "decimal": number,
        "date": day,
        "moment": lambda text: moment(text, zone),
    }[kind]
    done: dict[str, tuple[Any, bool]] = {}
    found: list[Any] = []
    for text in words.to_pylist():
        if text is None:
            found.append(None)
            continue
        if text not in done:
            plain = arabic_digits(text)
            western, was_buddhist = plain, False
            if kind in ("date", "moment"):
                western, was_buddhist = without_buddhist_year(plain)
            try:
                done[text] = parse(western), was_buddhist
            except (ValueError, OverflowError):
                done[text] = None, False
        value, was_buddhist = done[text]
        if value is None:
            faults.refuse(text)
        faults.buddhist += was_buddhist
        found.append(value)
    return found


def without_buddhist_year(text: str) -> tuple[str, bool]:
    """`2564-02-14` → `2021-02-14`; before parsing, for 29 February is another year's there."""
    year = text[:4]
    if year.isascii() and year.isdigit() and int(year) >= BUDDHIST_FROM:
        return f"{int(year) - BUDDHIST_OFFSET:04}{text[4:]}", True
    return text, False


def whole(text: str) -> int:
    value = number(text)
    # A float has 53 bits; longer digits are read as they stand.
    exact = int(text) if re.fullmatch(r"[+-]?\d{1,18}", text) else int(value)
    if not value.is_integer() or abs(exact) >= 2**63:
        raise ValueError(text)
    return exact


def number(text: str) -> float:
    if GROUPED.match(text):
        text = text.replace(",", "")
    if not text.isascii() or not NUMBER.match(text):
        raise ValueError(text)
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def day(text: str) -> date:
    found = re.match(r"^(\d{4})-(\d{1,2})-(\d{1,2})(?:$|[T ])", text)
    if not found:
        raise ValueError(text)
    return date(int(found[1]), int(found[2]), int(found[3]))


def moment(text: str, zone: tzinfo) -> datetime:
    found = datetime.fromisoformat(text)
    aware = found if found.tzinfo else found.replace(tzinfo=zone)
    return aware.astimezone(UTC)


def shape(text: str) -> str:
    """How a value looks without what it says: letters `a`, digits `9`, at most 12 characters."""
    signs = []
    for letter in text[:12]:
        category = unicodedata.category(letter)
        if category[0] in "LM":
            signs.append("a")
        elif category[0] == "N":
            signs.append("9")
        else:
            signs.append(letter if letter.isascii() and letter.isprintable() else "?")
    return "".join(signs) + ("…" if len(text) > 12 else "")
