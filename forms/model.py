"""What is asked and what was answered: the values every other part of the house speaks in.

`Form`, `Question` and `Choice` describe an XLSForm after parsing; `Record` and `Submission` hold the
answers of one instance. Everything here is frozen. Nothing here knows files, networks or engines.

Answers stay the strings a phone sends (`"45"`, `"2021-03-11"`, `"water food"`), keyed by the full path
of the question (`"g_name/sex"`, `"problem/prob_no"`), inside repeats too, exactly as KoboToolbox keys
them. Typing happens once, when tables are made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

__all__ = [
    "SIMULATED",
    "Attachment",
    "Choice",
    "Form",
    "Node",
    "Personal",
    "Question",
    "Record",
    "Submission",
]

SIMULATED = "simulated:"
"""Device ids of invented submissions begin so, wherever they travel."""


class Personal(StrEnum):
    """Personal-data class of a field, as `data_dictionary.csv` declares it."""

    NONE = "none"
    INDIRECT = "indirect"
    DIRECT = "direct"
    DIRECT_HIGH = "direct_high"
    FREE_TEXT_RISK = "free_text_risk"

    @property
    def may_be_tabled(self) -> bool:
        """Whether the field may leave the mirror for the typed tables."""
        return self in (Personal.NONE, Personal.INDIRECT)


@dataclass(frozen=True, slots=True)
class Choice:
    """One row of the choices sheet: the stored code and its label per language (`{"th": …}`)."""

    name: str
    labels: Mapping[str, str]
    row: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """One row of the survey sheet that holds an answer, a group or a repeat.

    `type` is the XLSForm type without its list (`select_one`, `integer`, `begin_repeat` …);
    `list_name` the choice list or CSV file of a select; `repeat` the path of the innermost repeat
    around it (`""` outside repeats); `row` its row in the workbook, counted from 1.
    """

    path: str
    type: str
    list_name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    required: str = ""
    relevant: str = ""
    repeat: str = ""
    row: int = 0

    @property
    def name(self) -> str:
        """The last step of the path: the name on the survey sheet."""
        return self.path.rpartition("/")[2]

    @property
    def is_group(self) -> bool:
        return self.type in ("begin_group", "begin_repeat")


@dataclass(frozen=True)
class Form:
    """A form: its questions in order (groups and repeats included), its choice lists, its words.

    `languages` are two-letter codes in the order of the workbook's default language first.
    """

    id: str
    version: str
    title: str
    languages: tuple[str, ...]
    questions: tuple[Question, ...]
    choices: Mapping[str, tuple[Choice, ...]]
    settings: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def by_path(self) -> Mapping[str, Question]:
        return {question.path: question for question in self.questions}

    @cached_property
    def by_name(self) -> Mapping[str, Question]:
        """Questions by their last step; of questions that share a name, the first."""
        named: dict[str, Question] = {}
        for question in self.questions:
            named.setdefault(question.name, question)
        return named

    @cached_property
    def device_path(self) -> str:
        """Path of the question that tells the phone's id; `""` where the form has none."""
        return next((q.path for q in self.questions if q.type == "deviceid"), "")

    @cached_property
    def tree(self) -> tuple[Node, ...]:
        """The questions as they nest in an instance document."""
        top: list[Node] = []
        inside: dict[str, list[Node]] = {"": top}
        for question in self.questions:
            parent = inside.get(question.path.rpartition("/")[0])
            if parent is None:  # meta/audit: the codec itself writes the meta block
                continue
            node = Node(question, [])
            parent.append(node)
            if question.is_group:
                inside[question.path] = node.children
        return tuple(top)

    @cached_property
    def repeats(self) -> tuple[str, ...]:
        """Paths of all repeats, outer before inner."""
        return tuple(q.path for q in self.questions if q.type == "begin_repeat")

    def answerable(self, repeat: str = "") -> Iterator[Question]:
        """Questions that can hold an answer directly inside `repeat` (`""`: outside all repeats)."""
        return (q for q in self.questions if not q.is_group and q.repeat == repeat)


@dataclass(frozen=True, slots=True)
class Node:
    """A question at its place in the instance document, with what nests inside it."""

    question: Question
    children: list[Node]


@dataclass(frozen=True, slots=True)
class Record:
    """Answers of one level of an instance: the instance itself or one turn of a repeat.

    `answers` maps full question paths to non-empty strings; `repeats` maps full repeat paths to the
    records of their turns, in order. Unanswered questions are absent.
    """

    answers: Mapping[str, str] = field(default_factory=dict)
    repeats: Mapping[str, tuple[Record, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that belongs to a submission; `name` as the phone sent it, `question` the path asking for it."""

    name: str
    question: str = ""
    media_type: str = "application/octet-stream"
    url: str = ""
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Submission:
    """One instance of a form as it stands now.

    `root_id` identifies it for ever; `instance_id` changes with every edit; both without `uuid:`.
    `deprecated_id` is set on an edit: the instance id it replaces. `submitted_at` is ISO 8601 UTC as
    the server gave it, `status` the validation status (`""`, `approved`, `not_approved`, `on_hold`).
    """

    form_id: str
    version: str
    root_id: str
    instance_id: str
    record: Record
    instance_name: str = ""
    deprecated_id: str = ""
    row_id: int = 0
    submitted_at: str = ""
    submitter: str = ""
    status: str = ""
    attachments: tuple[Attachment, ...] = ()
