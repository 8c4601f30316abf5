"""How a person is called on the board, and the order of Thai names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from forms.model import Form

__all__ = ["full_name", "thai_order"]

BRACES = re.compile(r"\{([^{}]*)\}")
LEADING = re.compile("([\u0e40-\u0e44])([\u0e01-\u0e2e])")
MARKS = re.compile("[\u0e47-\u0e4e]")
OTHER = "other"
"""The choice after which a further question asks what it is."""
LONGEST = 120


def full_name(pattern: str, form: Form, answers: Mapping[str, str], *, titles: bool = True) -> str:
    """A person's name by the form's pattern (`{title}{first_name} {last_name}`); `""` if none.

    `answers` by the questions' names. Choices are written by their label in the form's first
    language, which is that of the names; without `titles` they are left out, as a list is sorted.
    """

    def said(found: re.Match[str]) -> str:
        answer = answers.get(found[1], "").strip()
        question = form.by_name.get(found[1])
        if question is None or not question.type.startswith("select_one"):
            return answer
        if answer == OTHER or not titles:
            return ""
        choices = form.choices.get(question.list_name, ())
        labels = next((choice.labels for choice in choices if choice.name == answer), {})
        return labels.get(form.languages[0], "") if form.languages else ""

    name = unicodedata.normalize("NFC", " ".join(BRACES.sub(said, pattern).split()))
    return "".join(c for c in name if c.isprintable())[:LONGEST]


def thai_order(text: str) -> tuple[str, str]:
    """A key that sorts as a Thai dictionary: a vowel before a consonant counts after it, tone marks
    only between words that are otherwise equal (Royal Institute Dictionary; `sorted` is wrong)."""
    turned = LEADING.sub(r"\2\1", text)
    marks = "".join(MARKS.findall(turned))
    return MARKS.sub("", turned).casefold(), marks
