"""The words of the reports: English in the code and templates, other languages in catalogues.

A catalogue is `locale/LANGUAGE.po`, read as text when it is first needed (nothing is compiled), so
a further language is one file. A sentence without a translation is shown in English rather than
lost; a test keeps the catalogues complete. Placeholders are `{name}`: percent signs stay plain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from babel.messages.pofile import read_po

__all__ = ["LOCALE", "SOURCE", "Words", "languages", "mark", "words"]

LOCALE = Path(__file__).with_name("locale")
SOURCE = "en"


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


def languages() -> tuple[str, ...]:
    """The languages reports can be written in."""
    return (SOURCE, *sorted(path.stem for path in LOCALE.glob("*.po")))


@lru_cache(maxsize=8)
def words(language: str) -> Words:
    """The catalogue of a language. Raises `ValueError`, naming the legal ones, if there is none."""
    if language not in languages():
        raise ValueError(f"no catalogue for language {language!r}; known: {', '.join(languages())}")
    if language == SOURCE:
        return Words(SOURCE, {})
    with (LOCALE / f"{language}.po").open("rb") as file:
        catalogue = read_po(file, locale=None)
    return Words(
        language,
        {
            message.id: message.string
            for message in catalogue
            if isinstance(message.id, str)
            and isinstance(message.string, str)
            and message.id
            and message.string
            and not message.fuzzy
        },
    )
