"""Small SVG drawings of what an evaluation says: pure functions from rows to text.

Every drawing fits its width without two texts overlapping, whatever the length of a label: labels
stand beside the marks on a wide drawing and above them on a narrow one (a phone), and are cut with
an ellipsis where even that is too little. Marks differ by shape and lightness, not by hue alone.
Thai is written as whole text elements, so that ำ is drawn as it should be. A drawing knows nothing
of languages or units: the caller hands over finished words; scales are all that is worked out here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from reports.metrics import clipped, text_width
from reports.svg import (
    EDGE,
    INK,
    LINE,
    MUTED,
    SIZE,
    SMALL,
    box,
    dot,
    framed,
    heading_of_row,
    legend,
    line,
    text,
)

__all__ = ["NARROW", "WIDE", "Budget", "Opinion", "Pair", "bullet", "dumbbell", "likert"]

WIDE = 760
"""Width in CSS pixels for a desk or paper; the drawing scales down a little on A4."""
NARROW = 358
"""Width for a phone of 390 px: one unit is one pixel, the smallest text is 12 px."""

TRACK = "#dde5ec"
NAVY, PALE, GREY, MARK = "#17456b", "#9fc0da", "#7a8691", "#b8500b"
LIKERT = ("#a6611a", "#dfc27d", "#e4e7ea", "#80cdc1", "#01705f")
LIKERT_INK = ("#ffffff", INK, INK, INK, "#ffffff")


@dataclass(frozen=True, slots=True)
class Pair:
    """Before and after on one scale of 0 to 100; `note` is written at the end of the row.

    `tone`: clear (the interval leaves out zero), unclear (it holds zero), hidden (no numbers).
    """

    label: str
    before: float | None
    after: float | None
    before_text: str
    after_text: str
    note: str
    tone: Literal["clear", "unclear", "hidden"] = "clear"


@dataclass(frozen=True, slots=True)
class Budget:
    """One project's money in one unit: what was approved, the first instalment, what was paid."""

    label: str
    approved: float
    first: float | None
    paid: float | None
    note: str


@dataclass(frozen=True, slots=True)
class Opinion:
    """One statement: how many people chose 1, 2, 3, 4 and 5."""

    label: str
    counts: tuple[float, float, float, float, float]
    texts: tuple[str, str, str, str, str]
    note: str


def dumbbell(
    rows: Sequence[Pair],
    *,
    width: int,
    title: str,
    description: str,
    names: tuple[str, str, str],
    note_head: str,
) -> str:
    """Before (open mark) and after (full mark) of each row on a scale of 0 to 100.

    `names` are the words for before, after and "interval holds zero"; `note_head` heads the notes.
    """
    narrow = width < 560
    unclear = any(row.tone == "unclear" for row in rows)
    entries = [
        (dot(9, 6, "#ffffff", NAVY), names[0]),
        (dot(9, 6, NAVY, NAVY), names[1]),
        *([(dot(9, 6, GREY, GREY), names[2])] if unclear else []),
    ]
    parts, y = legend(entries, width, 0)
    room = 44.0
    if narrow:
        left, right = room, width - room
    else:
        labels = min(max((text_width(r.label, SIZE) for r in rows), default=0), 220) + 10
        notes = [text_width(r.note, SMALL) for r in rows if r.tone != "hidden"]
        notes.append(text_width(note_head, SMALL))
        left, right = labels + room, width - min(max(notes), 250) - 10 - room
    scale = (right - left) / 100
    head: list[str] = []
    if narrow and note_head:
        head.append(
            text(
                width,
                y + 11,
                clipped(note_head, width, SMALL),
                size=SMALL,
                anchor="end",
                fill=MUTED,
            )
        )
        y += 20
    elif note_head:
        head.append(
            text(
                width, y + 11, clipped(note_head, 250, SMALL), size=SMALL, anchor="end", fill=MUTED
            )
        )
    for tick in range(0, 101, 20):
        head.append(
            text(left + tick * scale, y + 11, str(tick), size=SMALL, anchor="middle", fill=MUTED)
        )
    top = y + 18
    y = top + 4
    body: list[str] = []
    for row in rows:
        if narrow:
            label, y = heading_of_row(row.label, row.note, width, y)
            body += label
            middle = y + 8
            y += 26
        else:
            middle = y + 14
            body.append(text(EDGE, middle + 4.5, clipped(row.label, 220, SIZE)))
            y += 28
        if row.before is None or row.after is None:
            if not narrow:
                body.append(
                    text(
                        left - room,
                        middle + 4.5,
                        clipped(row.note, width - left + room, SMALL),
                        size=SMALL,
                        fill=MUTED,
                    )
                )
            else:
                y -= 22
            continue
        if not narrow:
            body.append(
                text(width, middle + 4.5, clipped(row.note, 250, SMALL), size=SMALL, anchor="end")
            )
        if not narrow:
            body += [
                line(left + tick * scale, middle - 14, left + tick * scale, middle + 14, LINE)
                for tick in range(0, 101, 20)
            ]
        body += pair_marks(row, left, scale, middle)
    return framed([*parts, *head, *body], width, y + 6, title, description)


def pair_marks(row: Pair, left: float, scale: float, middle: float) -> list[str]:
    """The two marks of a row, the bar between them and their numbers outside."""
    assert row.before is not None
    assert row.after is not None
    colour = GREY if row.tone == "unclear" else NAVY
    before, after = (left + min(max(v, 0), 100) * scale for v in (row.before, row.after))
    rising = after >= before
    numbers = (
        text(
            before + (-10 if rising else 10),
            middle + 4.5,
            row.before_text,
            size=SMALL,
            anchor="end" if rising else "start",
            fill=MUTED,
        ),
        text(
            after + (10 if rising else -10),
            middle + 4.5,
            row.after_text,
            size=SMALL,
            anchor="start" if rising else "end",
            bold=True,
        ),
    )
    return [
        line(left, middle, left + 100 * scale, middle, LINE),
        line(before, middle, after, middle, PALE if row.tone == "clear" else LINE, 5),
        dot(before, middle, "#ffffff", colour),
        dot(after, middle, colour, colour),
        *numbers,
    ]


def bullet(
    rows: Sequence[Budget],
    *,
    width: int,
    title: str,
    description: str,
    names: tuple[str, str, str, str],
    limit: float | None,
    note_head: str,
) -> str:
    """Approved money as a pale bar, the first instalment as a frame, what was paid as a full bar.

    `limit` is the largest share of the approved sum the first instalment may have; it is drawn as a
    mark on every bar. `names` are the words for approved, first instalment, paid and the limit.
    """
    narrow = width < 560
    entries = [
        (box(0, 0, 18, 12, TRACK), names[0]),
        (box(0, 1, 17, 10, "none", NAVY), names[1]),
        (box(0, 3, 18, 6, NAVY), names[2]),
    ]
    if limit is not None:
        entries.append((line(9, -1, 9, 13, MARK, 3), names[3]))
    parts, y = legend(entries, width, 0)
    if narrow:
        left, right = 0.0, float(width)
    else:
        labels = max((text_width(row.label, SIZE) for row in rows), default=0)
        notes = max((text_width(row.note, SMALL) for row in rows), default=0)
        left = min(labels, 220) + 12
        right = width - min(max(notes, text_width(note_head, SMALL)), 250) - 14
    parts.append(
        text(width, y + 11, clipped(note_head, width, SMALL), size=SMALL, anchor="end", fill=MUTED)
    )
    y += 20
    scale = (right - left) / max((row.approved for row in rows), default=1)
    for row in rows:
        if narrow:
            label, y = heading_of_row(row.label, row.note, width, y)
            parts += label
            top = y
            y += 24
        else:
            top = y + 5
            parts.append(text(EDGE, top + 13, clipped(row.label, 220, SIZE)))
            parts.append(
                text(width, top + 13, clipped(row.note, 250, SMALL), size=SMALL, anchor="end")
            )
            y += 27
        parts.append(box(left, top, row.approved * scale, 16, TRACK))
        parts.append(box(left, top + 4.5, (row.paid or 0) * scale, 7, NAVY))
        if row.first:
            parts.append(box(left + 0.5, top + 2, row.first * scale - 0.5, 12, "none", NAVY))
        if limit is not None:
            at = left + row.approved * scale * limit
            parts.append(line(at, top - 2, at, top + 18, MARK, 3))
    return framed(parts, width, y + 4, title, description)


def likert(
    rows: Sequence[Opinion],
    *,
    width: int,
    title: str,
    description: str,
    names: tuple[str, str, str, str, str],
) -> str:
    """Answers 1 and 2 to the left of a line through the middle of 3, answers 4 and 5 to its right.

    Bar lengths are shares of a statement's answers, on one scale for all; a number is written into
    its bar where it fits. `names` are the words for 1 to 5.
    """
    entries = [
        (box(0, 0, 18, 12, colour), name) for colour, name in zip(LIKERT, names, strict=True)
    ]
    parts, y = legend(entries, width, 0)
    shares = [[count / (sum(row.counts) or 1) for count in row.counts] for row in rows]
    low = max((s[0] + s[1] + s[2] / 2 for s in shares), default=0.5)
    high = max((s[2] / 2 + s[3] + s[4] for s in shares), default=0.5)
    scale = width / max(low + high, 0.01)
    centre = low * scale
    for row, share in zip(rows, shares, strict=True):
        heading, y = heading_of_row(row.label, row.note, width, y, lines=2)
        parts += heading
        x = centre - (share[0] + share[1] + share[2] / 2) * scale
        for level in range(5):
            length = share[level] * scale
            parts.append(box(x, y, length, 18, LIKERT[level]))
            if row.counts[level] and text_width(row.texts[level], SMALL) + 6 <= length:
                parts.append(
                    text(
                        x + length / 2,
                        y + 13.2,
                        row.texts[level],
                        size=SMALL,
                        anchor="middle",
                        fill=LIKERT_INK[level],
                    )
                )
            x += length
        parts.append(line(centre, y - 3, centre, y, INK, 2))
        parts.append(line(centre, y + 18, centre, y + 21, INK, 2))
        y += 30
    return framed(parts, width, y, title, description)
