"""The columns of an open table: which there are, what each is called, and what is told about it.

Beside a question's own column stand, each when there is something to say: the raw text of answers that
cannot be typed, the four numbers of a place, a 0/1 column for each choice of a select_multiple, the
path of a file. Answers to what this version of the form does not ask come last. A column is called
by the last step of its question's path, by the whole path where two questions share that step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from forms.model import Choice, Form
from sync.columns import ARROW
from sync.layout import named
from sync.open_levels import KEYS, Answer, Level
from sync.open_rows import MOST_UNLISTED

__all__ = ["COORDINATES", "Column", "Words", "choices_of", "columns_of", "is_place"]

Part = Literal["key", "answer", "raw", "place", "choice", "file"]

COORDINATES = ("latitude", "longitude", "altitude", "accuracy")
PLACE = (
    r"^(?P<latitude>\S+)\s+(?P<longitude>\S+)(?:\s+(?P<altitude>\S+)(?:\s+(?P<accuracy>\S+))?)?$"
)
PLACES = frozenset({"geopoint", "start-geopoint", "background-geopoint"})
"""Types whose answer is `lat lon alt accuracy` (https://getodk.github.io/xforms-spec/#data-types)."""

NOT_ASKED = "not in this version of the form"
NOTES: Mapping[str, str] = {
    "_root_id": "says for ever which submission it is; joins the tables",
    "_instance_id": "changes with every edit",
    "_version": "version of the form that was filled in",
    "_submitted_at": "when it reached the server, UTC",
    "_submitted_by": "account that sent it; empty: nobody signed in",
    "_status": "validation status: approved, not_approved, on_hold, or empty",
    "_edited": "whether it was edited after it was sent",
    "_index": "turn of the repeat within the submission, from 1",
    "_parent_index": "the _index of the turn of the outer repeat it lies in",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, the heading that people read, its type, and what it is made of.

    `labels` are the heading's words by language; `detail` is the code of a choice or the name of a
    coordinate.
    """

    name: str
    heading: str
    type: pa.DataType
    part: Part
    answer: Answer | None
    labels: Mapping[str, str]
    detail: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a form: its languages, the default one first, and labels by list and code."""

    languages: tuple[str, ...]
    choices: Mapping[str, Mapping[str, Choice]]

    @classmethod
    def of(cls, form: Form) -> Words:
        """Languages the form names, then others that labels have (`""`: no language)."""
        lists = {name: by_code(choices) for name, choices in form.choices.items()}
        texts = [q.labels for q in form.questions]
        texts += [choice.labels for choices in lists.values() for choice in choices.values()]
        found = dict.fromkeys((*form.languages, *(name for text in texts for name in text)))
        return cls(tuple(found) or ("",), lists)

    def said(self, labels: Mapping[str, str], otherwise: str) -> str:
        """The words in the default language, else in the next that has them, in one line."""
        texts = (" ".join(labels.get(language, "").split()) for language in self.languages)
        return next((text for text in texts if text), otherwise)

    def choice(self, answer: Answer, code: str) -> Choice:
        """A choice of a question; one without labels when the form does not list it."""
        assert answer.question
        return self.choices.get(answer.question.list_name, {}).get(code) or Choice(code, {})

    def of_choices(self, answer: Answer) -> Mapping[str, str]:
        """Label by code of a question's choices; empty where they are not the form's."""
        name = answer.question.list_name if answer.question else ""
        listed = self.choices.get(name, {})
        return {code: self.said(choice.labels, code) for code, choice in listed.items()}


def by_code(choices: Sequence[Choice]) -> dict[str, Choice]:
    """Of choices that share a code (cascades) the first."""
    return {choice.name: choice for choice in reversed(choices)}


def columns_of(level: Level, words: Words) -> tuple[Column, ...]:
    """The columns of a level once all its rows were gathered; names and headings are unique."""
    asked = [a for a in level.answers.values() if a.question and shows(a)]
    strangers = [a for a in level.answers.values() if not a.question and a.filled]
    strangers.sort(key=lambda answer: (added(answer.path), answer.path))
    own = [column.name for column in named([(answer.path, answer.kind) for answer in asked])]
    own += [answer.path for answer in strangers]
    names, headings = Unique(level.keys), Unique(level.keys)
    found = [
        Column(name, name, KEYS[name], "key", None, {}, note=NOTES[name]) for name in level.keys
    ]
    answers = [
        Column(names.new(name), headings.new(*heading(answer, words)), *of_answer(answer))
        for name, answer in zip(own, (*asked, *strangers), strict=True)
    ]
    for column in answers:
        found.append(column)
        assert column.answer
        for part, detail, kind in parts_beside(column.answer):
            end = f"/{detail}" if part == "choice" else f".{detail or part}"
            name = names.new(f"{column.name}{end}")
            head, labels = f"{column.heading}{end}", column.labels
            if part == "choice":
                choice = words.choice(column.answer, detail)
                head = f"{column.heading}/{words.said(choice.labels, detail)}"
                labels = {
                    language: f"{label}/{choice.labels.get(language, detail)}"
                    for language, label in labels.items()
                }
            note = note_of(column.answer, part, detail)
            head = headings.new(head, name)
            found.append(Column(name, head, kind, part, column.answer, labels, detail, note))
    return tuple(found)


def heading(answer: Answer, words: Words) -> tuple[str, str]:
    """What people read above a column, and what tells it from another of those words."""
    labels = answer.question.labels if answer.question else {}
    return words.said(labels, answer.path), answer.path


def of_answer(answer: Answer) -> tuple[pa.DataType, Part, Answer, Mapping[str, str], str, str]:
    """The rest of the column that holds the answers themselves."""
    labels = answer.question.labels if answer.question else {}
    return ARROW[answer.kind], "answer", answer, labels, "", note_of(answer, "answer", "")


class Unique:
    """Names given out once each."""

    def __init__(self, taken: Sequence[str]) -> None:
        self.taken = set(taken)

    def new(self, name: str, path: str = "") -> str:
        """The name; when it is taken with the path in brackets, or with a number."""
        free = name
        if free in self.taken and path and path != name:
            free = name = f"{name} ({path})"
        number = 2
        while free in self.taken:
            free = f"{name}_{number}"
            number += 1
        self.taken.add(free)
        return free


def shows(answer: Answer) -> bool:
    """Whether a question of the form gets a column: one that holds no answer only when it does."""
    assert answer.question
    silent = answer.question.type in ("note", "csv-external", "xml-external")
    return answer.filled or not silent


def added(path: str) -> bool:
    """Whether a phone or a server put it there, rather than a version of the form."""
    return path.startswith(("_", "meta/"))


def is_place(answer: Answer) -> bool:
    """Whether its answers are `lat lon alt accuracy`."""
    return answer.question is not None and answer.question.type in PLACES


def choices_of(answer: Answer) -> tuple[str, ...]:
    """The codes that get a 0/1 column: the form's in its order, then those found besides."""
    if answer.listed is None:
        return ()
    return (*answer.listed, *sorted(list(answer.unlisted)[:MOST_UNLISTED]))


def parts_beside(answer: Answer) -> Iterator[tuple[Part, str, pa.DataType]]:
    """What stands beside the answers of one question: part, coordinate or code, type."""
    if answer.faults.bad:
        yield "raw", "", pa.string()
    for name in COORDINATES if is_place(answer) else ():
        yield "place", name, pa.float64()
    for code in choices_of(answer):
        yield "choice", code, pa.int8()
    if answer.files:
        yield "file", "", pa.string()


def note_of(answer: Answer, part: Part, detail: str) -> str:
    """What a reader of the dictionary has to know about a column."""
    notes = []
    if answer.question is None:
        notes.append("added by the phone or the server" if added(answer.path) else NOT_ASKED)
    match part:
        case "raw":
            notes.append("the text of answers that cannot be typed")
        case "choice":
            notes.append("1 chosen, 0 not chosen, empty: unanswered")
            if detail not in (answer.listed or ()):
                notes.append("not in the list of this version of the form")
        case "place":
            unit = "metres" if detail in ("altitude", "accuracy") else "degrees, WGS 84"
            notes.append(unit)
        case "file":
            notes.append("where the file lies; empty: not downloaded")
        case "answer" if answer.kind == "moment":
            notes.append("UTC")
        case "answer" if answer.listed is not None:
            notes.append("codes of the choices with blanks between")
    return "; ".join(notes)
