"""The pieces the charts are drawn from: text, lines, boxes, marks, legends, the frame.

Plain presentation attributes only, so that a drawing looks the same in a page, on paper and alone
in a notebook. Content is escaped here, once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from markupsafe import escape

from reports.metrics import clipped, text_width, wrapped

__all__ = ["box", "dot", "framed", "heading_of_row", "legend", "line", "text"]

INK, MUTED, LINE = "#1b2733", "#55626f", "#d5dce3"
FONTS = "Sarabun, 'Noto Sans Thai', 'Leelawadee UI', Tahoma, sans-serif"
SIZE = 13
SMALL = 12
EDGE = 2
"""Where labels start: a mark above a narrow Thai letter reaches a little to its left."""
Anchor = Literal["start", "middle", "end"]


def text(
    x: float,
    y: float,
    content: str,
    *,
    size: float = SIZE,
    anchor: Anchor = "start",
    fill: str = INK,
    bold: bool = False,
) -> str:
    """One text element; its content is escaped."""
    weight = ' font-weight="700"' if bold else ""
    align = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{fill}"{align}{weight}>'
        f"{escape(content)}</text>"
    )


def line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    """A straight line."""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke="{colour}" stroke-width="{width:g}"/>'
    )


def box(x: float, y: float, width: float, height: float, fill: str, stroke: str = "") -> str:
    """A rectangle."""
    edge = f' stroke="{stroke}"' if stroke else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" '
        f'fill="{fill}"{edge}/>'
    )


def dot(x: float, y: float, fill: str, stroke: str) -> str:
    """A round mark."""
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5" fill="{fill}" '
        f'stroke="{stroke}" stroke-width="2"/>'
    )


def framed(parts: Iterable[str], width: int, height: float, title: str, description: str) -> str:
    """The drawing as an image with a name and a description for screen readers."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" '
        f'viewBox="0 0 {width} {height:.0f}" width="{width}" height="{height:.0f}" '
        f'font-family="{FONTS}"><title>{escape(title)}</title><desc>{escape(description)}</desc>'
        f"{''.join(parts)}</svg>"
    )


def legend(entries: Sequence[tuple[str, str]], width: int, y: float) -> tuple[list[str], float]:
    """Marks with their names from the left, on as many lines as needed; also the next free y.

    A mark is drawn in a cell 18 wide and 12 high whose top left corner is (0, 0).
    """
    parts: list[str] = []
    x = 0.0
    for mark, name in entries:
        name = clipped(name, width - 24, SMALL)
        needed = 24 + text_width(name, SMALL)
        if x and x + needed > width:
            x, y = 0.0, y + 20
        parts.append(f'<g transform="translate({x:.1f} {y:.1f})">{mark}</g>')
        parts.append(text(x + 23, y + 10.5, name, size=SMALL, fill=MUTED))
        x += needed + 16
    return parts, y + 24


def heading_of_row(
    label: str, note: str, width: int, y: float, *, lines: int = 1
) -> tuple[list[str], float]:
    """Label at the left and note at the right of one line, on two or more where they do not fit."""
    fits = text_width(label, SIZE, bold=True) + 14 + text_width(note, SMALL) <= width - EDGE
    if fits:
        parts = [text(EDGE, y + 14, label, bold=True)]
        if note:
            parts.append(text(width, y + 14, note, size=SMALL, anchor="end", fill=MUTED))
        return parts, y + 22
    rows = wrapped(label, (width - EDGE) / 1.07, SIZE, lines=lines)
    parts = [text(EDGE, y + 14 + 18 * at, row, bold=True) for at, row in enumerate(rows)]
    y += 18 * len(rows)
    if note:
        parts.append(text(EDGE, y + 13, clipped(note, width - EDGE, SMALL), size=SMALL, fill=MUTED))
        y += 18
    return parts, y + 4
