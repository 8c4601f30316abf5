"""Words in several languages: English in the code and templates, other languages in catalogues.

A folder that speaks has a `locale/` with one `LANGUAGE.po` for each further language, read as text
when it is first needed (nothing is compiled). A sentence without a translation is shown in English
rather than lost; tests keep the catalogues complete. Placeholders are `{name}`: percent signs stay
plain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from babel.messages.pofile import read_po

__all__ = ["FONTS", "SOURCE", "Words", "catalogue", "known_languages", "mark"]

SOURCE = "en"
FONTS = Path(__file__).with_name("fonts")
"""Sarabun (SIL Open Font License), in which every page sets Thai: `sarabun-SUBSET-WEIGHT-normal.woff2`."""


@dataclass(frozen=True, slots=True)
class Words:
    """One language's catalogue; calling it gives a sentence with its placeholders filled."""

    language: str
    messages: Mapping[str, str]

    def __call__(self, msgid: str, /, **values: object) -> str:
        text = self.messages.get(msgid) or msgid
        return text.format_map(values) if values else text


def mark(msgid: str) -> str:
    """`msgid` itself: marks a sentence that is translated where it is used."""
    return msgid


def known_languages(folder: Path) -> tuple[str, ...]:
    """The languages a folder of catalogues knows; English is always among them."""
    return (SOURCE, *sorted(path.stem for path in folder.glob("*.po")))


@lru_cache(maxsize=16)
def catalogue(folder: Path, language: str) -> Words:
    """A language's words. Raises `ValueError`, naming the legal languages, if it is not there."""
    known = known_languages(folder)
    if language not in known:
        raise ValueError(f"no catalogue for language {language!r}; known: {', '.join(known)}")
    if language == SOURCE:
        return Words(SOURCE, {})
    with (folder / f"{language}.po").open("rb") as file:
        read = read_po(file, locale=None)
    return Words(
        language,
        {
            message.id: message.string
            for message in read
            if isinstance(message.id, str)
            and isinstance(message.string, str)
            and message.id
            and message.string
            and not message.fuzzy
        },
    )
