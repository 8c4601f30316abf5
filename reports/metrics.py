"""How wide a line of text is in Sarabun: what the charts lay themselves out by.

Advance widths were measured once in the bundled regular weight (thousandths of the font size,
rounded up to the next 20, so that an estimate is never short). Thai vowels and tone marks above and
below the line take no width; a character that is not in the table counts as a wide one.
"""

from __future__ import annotations

import unicodedata

__all__ = ["clipped", "text_width", "wrapped"]

GROUPS = {
    200: "'",
    240: "!",
    260: " ,.:;ij|·",
    300: "Ilๅ",
    320: "()[]{}เ°",
    340: "-_f‘’",
    360: '"r',
    380: "tโใ",
    400: "\\`ไ²",
    420: "/s",
    440: "J",
    460: "*?xzง",
    480: "cvy",
    500: "kราำ",
    520: "aeว",
    540: "$Sฐะ–“”",
    560: "0123456789EFLTbdghnopquจธฯ",
    580: "PYZกฉยลสฮแ",
    600: "ABCR^ขดถฤอ฿",
    620: "+<=>KVX~ฃคฅชซฎฏตภมฦศ−×±",
    640: "DGฆนผฝหๆ๏",
    660: "Uทบป๐",
    680: "&HOQwษ๑๔๕๖๘",
    700: "#N๒๓๙",
    720: "ฑพฟฬ",
    740: "…",
    760: "๗",
    780: "๚",
    800: "@M",
    820: "ฌ",
    840: "Wmญฒณ—",
    920: "%",
    1020: "๛",
}
WIDTHS = {character: width for width, characters in GROUPS.items() for character in characters}
UNKNOWN = 900
BOLD = 1.07
"""The bold weight is at most this much wider over a line of mixed text."""

NEVER_FIRST = "ะาำๅๆฯ็่้๊๋์ํ๎ัิีึืฺุู,.)%”’:;"
"""Characters a line or a cut never starts with: they belong to the one before."""


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """The width of `text` at font size `size`, in the same unit; an upper estimate."""
    total = sum(
        0 if unicodedata.combining(character) or character in "ัิีึืฺุู็่้๊๋์ํ๎" else WIDTHS.get(character, UNKNOWN)
        for character in text
    )
    return total * size / 1000 * (BOLD if bold else 1)


def clipped(text: str, width: float, size: float, *, bold: bool = False) -> str:
    """`text`, or as much of it as fits into `width` followed by an ellipsis.

    The cut never falls inside a written Thai cluster (ำ and its consonant stay together).
    """
    if text_width(text, size, bold=bold) <= width:
        return text
    end = len(text)
    while end > 0 and text_width(text[:end].rstrip() + "…", size, bold=bold) > width:
        end -= 1
    while end > 0 and (
        text[end] in NEVER_FIRST or unicodedata.combining(text[end]) or text[end - 1] in "เแโใไ"
    ):
        end -= 1
    return text[:end].rstrip() + "…"


def wrapped(text: str, width: float, size: float, *, lines: int = 2) -> list[str]:
    """`text` broken at spaces into at most `lines` lines of `width`; the last one is clipped."""
    rows = [""]
    for word in text.split():
        longer = f"{rows[-1]} {word}".strip()
        if rows[-1] and len(rows) < lines and text_width(longer, size) > width:
            rows.append(word)
        else:
            rows[-1] = longer
    return [clipped(row, width, size) for row in rows]
