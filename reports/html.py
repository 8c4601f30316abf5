"""The evaluation report as one self-contained HTML page per language.

`render` turns an evaluation into a page that needs nothing else: style, Sarabun fonts and drawings
are inside, there is no script. `write` puts the Thai and the English page into a folder. The same
evaluation gives the same bytes: no clock, no random ids. Whatever an evaluation lacks is said in
words; texts from it are escaped.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import ChainableUndefined, Environment, FileSystemLoader
from markupsafe import Markup

from forms.days import MONTHS
from forms.words import FONTS
from reports import figures, phrases, snapshot, summary, view
from reports.thai import DASH, is_number

__all__ = ["LANGUAGES", "render", "stamp", "write"]

FOLDER = Path(__file__).parent
LANGUAGES = ("th", "en")
SUBSETS = {
    "thai": "U+02D7,U+0303,U+0331,U+0E01-0E5B,U+200C-200D,U+25CC",
    "latin": (
        "U+0000-00FF,U+0131,U+0152-0153,U+02BB-02BC,U+02C6,U+02DA,U+02DC,U+0304,U+0308,U+0329,"
        "U+2000-206F,U+20AC,U+2122,U+2191,U+2193,U+2212,U+2215,U+FEFF,U+FFFD"
    ),
}


def render(evaluation: Mapping[str, Any], *, language: str) -> str:
    """The report in one language (`th` or `en`) as an HTML document.

    Raises `ValueError`, naming the legal ones, for a language without a catalogue.
    """
    speak = phrases.voice(language)
    page = environment().get_template("report.html").render(context(evaluation, speak))
    return kept_together(page)


def write(evaluation: Mapping[str, Any], folder: Path) -> list[Path]:
    """`report.th.html` and `report.en.html` in `folder` (made if absent), each put there whole."""
    pages = {language: render(evaluation, language=language) for language in LANGUAGES}
    folder.mkdir(parents=True, exist_ok=True)
    return [
        put(folder / f"report.{language}.html", page.encode()) for language, page in pages.items()
    ]


def put(path: Path, content: bytes) -> Path:
    """`path` with `content`, replaced in one step: a reader sees the old page or the new one."""
    draft = path.with_name(path.name + ".part")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def stamp(evaluation: Mapping[str, Any]) -> str:
    """The revision stamp: 12 hex digits of SHA-256 over the evaluation's canonical JSON."""
    canonical = json.dumps(
        evaluation, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str
    )
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The template environment: escaping on, missing values empty, None a dash."""
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=ChainableUndefined,
        finalize=lambda value: DASH if value is None else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["css"] = css_string
    return made


@lru_cache(maxsize=1)
def fonts() -> str:
    """The @font-face rules with the bundled Sarabun inside."""
    return "".join(
        f"@font-face{{font-family:Sarabun;font-weight:{weight};font-display:swap;"
        f"src:url(data:font/woff2;base64,{encoded(subset, weight)}) format('woff2');"
        f"unicode-range:{characters}}}\n"
        for weight in (400, 700)
        for subset, characters in SUBSETS.items()
    )


def encoded(subset: str, weight: int) -> str:
    """One bundled font file in base64."""
    path = FONTS / f"sarabun-{subset}-{weight}-normal.woff2"
    return base64.b64encode(path.read_bytes()).decode("ascii")


def css_string(value: Any) -> Markup:
    """`value` as a CSS string literal that can end neither the string nor the style element."""
    safe = "".join(
        character if character.isalnum() or character in " .,:·–()-" or ord(character) > 0x0E00
        else f"\\{ord(character):x} "
        for character in str(value)
    )  # fmt: skip
    return Markup(f'"{safe}"')


def context(evaluation: Mapping[str, Any], speak: phrases.Voice) -> dict[str, Any]:
    """Everything the templates use."""
    programme = snapshot.mapping(evaluation.get("programme"))
    notes = snapshot.table(evaluation, "seed_notes")
    chapters = [
        (key, snapshot.criterion_name(evaluation, key, speak.language))
        for key, _ in snapshot.criterion_codes(evaluation)
    ]
    return {
        "say": speak.say,
        "local": speak.local,
        "language": speak.language,
        "programme": programme,
        "rules": snapshot.mapping(programme.get("rules")),
        "title": localised(programme.get("title"), speak.language)
        or str(programme.get("id") or ""),
        "organisation": localised(programme.get("organisation"), speak.language),
        "as_of": speak.local.date(evaluation.get("as_of")),
        "simulated": bool(evaluation.get("simulated")),
        "version": str(evaluation.get("version") or DASH),
        "stamp": stamp(evaluation),
        "style": Markup((FOLDER / "templates" / "style.css").read_text("utf-8")),
        "fonts": Markup(fonts()),
        "chapters": chapters,
        "lines": summary.criterion_lines(evaluation, speak),
        "decisions": summary.decisions(evaluation, speak),
        "indicators": lambda key="": view.indicator_rows(evaluation, key, speak),
        "indicator": lambda key: view.indicator_row(evaluation, key, speak),
        "criterion_of": lambda key: view.criterion_of(evaluation, key, speak),
        "quality": lambda key="": view.quality_rows(evaluation, key, speak),
        "exclusions": lambda counts: phrases.exclusions(snapshot.mapping(counts), speak),
        "coverage": view.coverage_counts(evaluation, speak),
        "definition": lambda key: definition(programme, key, speak.language),
        "table": lambda name: snapshot.table(evaluation, name),
        "totals": lambda name: snapshot.totals(evaluation, name),
        "place": lambda row: figures.place(row, speak),
        "province": lambda code: snapshot.province_name(evaluation, code, speak.language),
        "label": lambda row, stem="": snapshot.label(row, speak.language, stem),
        "band_of": lambda row: phrases.band_of(row, speak),
        "is_number": is_number,
        "inputs": snapshot.mapping(evaluation.get("inputs")),
        "findings": findings(evaluation, speak),
        "seed_notes": [phrases.seed_note(row, speak) for row in notes],
        "note_numbers": {row.get("code"): row for row in notes},
        "target_bases": lambda: snapshot.target_bases(evaluation),
        "base_name": lambda base: phrases.measure_name(str(base), speak),
        "gain_picture": figures.gain_picture(evaluation, speak),
        "budget_picture": figures.budget_picture(evaluation, speak),
        "opinion_picture": lambda scale: figures.opinion_picture(evaluation, scale, speak),
    }  # fmt: skip


def localised(texts: Any, language: str) -> str:
    """A text held as `{"th": …, "en": …}`."""
    return snapshot.label(snapshot.mapping(texts), language)


def definition(programme: Mapping[str, Any], key: str, language: str) -> str:
    """How the programme defines a criterion."""
    rows = programme.get("criteria")
    for row in rows if isinstance(rows, list) else ():
        if snapshot.mapping(row).get("key") == key:
            return snapshot.label(row, language, "definition")
    return ""


def findings(evaluation: Mapping[str, Any], speak: phrases.Voice) -> list[dict[str, str]]:
    """The evaluation's findings in words, errors first."""
    order = {"error": 0, "warning": 1, "note": 2}
    names = {
        "error": speak.say("Error"),
        "warning": speak.say("Warning"),
        "note": speak.say("Note"),
    }
    rows = evaluation.get("findings")
    found = [snapshot.mapping(row) for row in rows] if isinstance(rows, list) else []
    found.sort(key=lambda row: order.get(str(row.get("severity")), 3))
    return [
        {
            "severity": names.get(str(row.get("severity")), ""),
            "where": str(row.get("where") or ""),
            "what": phrases.finding(row, speak)[0],
            "remedy": phrases.finding(row, speak)[1],
            "count": speak.local.number(row.get("count")),
        }
        for row in found
    ]


MONTH_NAMES = "|".join(re.escape(name) for names in MONTHS.values() for name in names)
COMPOUNDS = (
    "ช่วงความเชื่อมั่น เป้าหมาย ต่ำสุด สูงสุด คิดเป็น ใกล้เคียง แบบทดสอบ ภาคเหนือ ความสามารถ แปลผล "
    "คะแนนเพิ่ม ข้อสรุป เหมาะสม"
)
"""Thai words a browser's dictionary would break in the middle."""
TOGETHER = re.compile(
    r"n = [\d,]+|ร้อยละ [\d,.]+|[+−]?\d[\d,.]* (?:%|บาท|baht)"
    rf"|\d{{1,2}} (?:{MONTH_NAMES}) \d{{4}}|\d[\d,.]* (?:to|ถึง) [−]?\d[\d,.]*\d"
    rf"|{'|'.join(COMPOUNDS.split())}"
)
PIECES = re.compile(r"(<style>.*?</style>|<svg.*?</svg>|<title>.*?</title>|<[^>]*>)", re.DOTALL)


def kept_together(page: str) -> str:
    """`page` with figures and their units, dates and intervals kept on one line each.

    Only text between tags is touched; spaces stay spaces, so that a search finds them.
    """
    pieces = PIECES.split(page)
    pieces[::2] = [
        TOGETHER.sub(lambda found: f'<span class="nw">{found[0]}</span>', piece)
        for piece in pieces[::2]
    ]
    return "".join(pieces)
