"""The words of the reports: English in the code and templates, other languages in `locale/`."""

from __future__ import annotations

from pathlib import Path

from forms.words import Words, catalogue, known_languages

__all__ = ["LOCALE", "languages", "words"]

LOCALE = Path(__file__).with_name("locale")


def languages() -> tuple[str, ...]:
    """The languages reports can be written in."""
    return known_languages(LOCALE)


def words(language: str) -> Words:
    """The catalogue of a language. Raises `ValueError`, naming the legal ones, if there is none."""
    return catalogue(LOCALE, language)
