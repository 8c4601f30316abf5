"""A blank form, filled in as a phone would.

Recipes name their answers by question; `Blank` puts each at its place in the form, leaves out what the
form does not ask, and answers what nobody's recipe knows but the form requires. Codes come from the
form's own choice lists.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cache, cached_property
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from forms.model import SIMULATED, Attachment, Form, Question, Record, Submission
from forms.programme import FormSpec, Programme

__all__ = ["Blank", "choose", "instance_id", "scale", "several", "stamp"]

EXCLUSIVE = "none"
"""In every form's lists: an answer that goes with no other."""

SPECIAL = (EXCLUSIVE, "na", "other")
INSTANCE_NAME = re.compile(r"'([^']*)'|\$\{([^}]+)\}")


def instance_id(seed: int, *key: str) -> str:
    """An id shaped like a random UUID (RFC 9562, version 4), the same for the same seed and key.

    Hashing a key instead of drawing keeps every id in place when faults are added to a season.
    """
    whole = "\x1f".join((str(seed), *key)).encode()
    text = hashlib.blake2b(whole, digest_size=16).hexdigest()
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


def stamp(day: date, seconds: float, zone: ZoneInfo) -> str:
    """`day` plus seconds since midnight as a phone writes it: `2021-03-11T08:41:12.345+07:00`."""
    whole = min(max(int(seconds * 1000), 0), 86_399_999)
    minutes, rest = divmod(whole, 60_000)
    spoken, offset = at_noon(day, zone)
    return (
        f"{spoken}T{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}{offset}"
    )


@cache
def at_noon(day: date, zone: ZoneInfo) -> tuple[str, str]:
    """A day in ISO 8601, and its offset from UTC."""
    offset = datetime.combine(day, time(12), zone).strftime("%z")
    return day.isoformat(), f"{offset[:3]}:{offset[3:]}"


def choose(
    codes: Sequence[str], weights: Mapping[str, float], u: NDArray[np.float64]
) -> NDArray[np.int64]:
    """An index into `codes` for each uniform number; codes without a weight are never chosen.

    When `weights` names none of the codes, all but the special ones are equally likely.
    """
    share = np.array([weights.get(code, 0.0) for code in codes], dtype=float)
    if not share.sum():
        share = np.array([code not in SPECIAL or len(codes) == 1 for code in codes], dtype=float)
    if not share.sum():
        share = np.ones(len(codes))
    edges = np.cumsum(share) / share.sum()
    return np.minimum(np.searchsorted(edges, u, side="right"), len(codes) - 1)


def several(
    codes: Sequence[str],
    weights: Mapping[str, float],
    rng: np.random.Generator,
    size: int,
    *,
    most: int = 3,
    none: float = 0.0,
) -> list[str]:
    """`size` answers to a select_multiple: 1 to `most` codes in the list's order, or `none` alone."""
    free = [code for code in codes if code != EXCLUSIVE]
    share = np.array([weights.get(code, 0.0) for code in free])
    if not share.sum():
        share = np.ones(len(free))
    # the largest of u^(1/w) are a weighted sample without replacement (Efraimidis & Spirakis 2006)
    with np.errstate(divide="ignore"):
        keys = np.log(rng.random((size, len(free)))) / share
    rank = np.argsort(np.argsort(-keys, axis=1), axis=1)
    count = np.minimum(rng.integers(1, most + 1, size), int((share > 0).sum()))
    taken = rank < count[:, None]
    alone = (rng.random(size) < none) if EXCLUSIVE in codes else np.zeros(size, dtype=bool)
    return [
        EXCLUSIVE if single else " ".join(c for c, yes in zip(free, row, strict=True) if yes)
        for single, row in zip(alone.tolist(), taken.tolist(), strict=True)
    ]


def scale(codes: Iterable[str]) -> list[int]:
    """The marks among the codes of a rating, lowest first; 0 (not applicable) is none."""
    return sorted(int(code) for code in codes if code.isdecimal() and int(code) > 0)


def is_scale(codes: Sequence[str]) -> bool:
    """Whether codes are the marks of a rating: 1 to 3 or more, and perhaps 0 or “na”."""
    marks = scale(codes)
    rest = [code for code in codes if code not in ("0", "na") and not code.isdecimal()]
    return not rest and 3 <= len(marks) <= 10 and marks == list(range(1, len(marks) + 1))


@dataclass(frozen=True)
class Blank:
    """One form of a programme, ready to be filled in by question name."""

    programme: Programme
    form_id: str
    seed: int

    @cached_property
    def form(self) -> Form:
        return self.programme.form(self.form_id)

    @cached_property
    def spec(self) -> FormSpec:
        return self.programme.forms[self.form_id]

    @cached_property
    def paths(self) -> Mapping[str, str]:
        """Path of each question by name."""
        return {name: question.path for name, question in self.form.by_name.items()}

    @cached_property
    def musts(self) -> Mapping[str, tuple[Question, ...]]:
        """By repeat: questions that are always asked and always need an answer."""
        found: dict[str, list[Question]] = {"": [], **{path: [] for path in self.form.repeats}}
        for question in self.form.questions:
            if question.is_group or question.required.strip().lower() not in (
                "yes",
                "true",
                "true()",
            ):
                continue
            if self.always(question):
                found[question.repeat].append(question)
        return {repeat: tuple(questions) for repeat, questions in found.items()}

    def always(self, question: Question) -> bool:
        """Whether a question is asked in every turn of its repeat, or in every instance."""
        steps = question.path.split("/")
        around = ("/".join(steps[:depth]) for depth in range(1, len(steps) + 1))
        return not any(
            self.form.by_path[path].relevant for path in around if len(path) > len(question.repeat)
        )

    @cached_property
    def of_type(self) -> Mapping[str, str]:
        """Name of the first question of each type."""
        named: dict[str, str] = {}
        for question in self.form.questions:
            named.setdefault(question.type, question.name)
        return named

    @cached_property
    def naming(self) -> tuple[tuple[str, str], ...]:
        """The pieces of instance_name: (text, "") or ("", question)."""
        return tuple(INSTANCE_NAME.findall(self.form.settings.get("instance_name", "")))

    def asks(self, name: str) -> bool:
        """Whether the form has a question of this name."""
        return name in self.paths

    def codes(self, name: str) -> tuple[str, ...]:
        """Codes a question offers, in order; of a file, the values of its `name` column."""
        question = self.form.by_name.get(name)
        if question is None or not question.list_name:
            return ()
        if question.list_name in self.form.choices:
            return tuple(choice.name for choice in self.form.choices[question.list_name])
        return tuple(row["name"] for row in self.rows(name))

    def pick(self, name: str, *preferred: str) -> str:
        """The first preferred code that the question offers, else its first code."""
        codes = self.codes(name)
        return next((code for code in preferred if code in codes), codes[0] if codes else "")

    def rows(self, name: str) -> list[dict[str, str]]:
        """Rows of the CSV a select_one_from_file question chooses from; none when it is not there."""
        question = self.form.by_name.get(name)
        path = self.programme.folder / question.list_name if question else None
        if path is None or path.suffix != ".csv" or not path.is_file():
            return []
        return list(csv.DictReader(path.read_text("utf-8-sig").splitlines()))

    def ratings(self, but: Iterable[str] = (), *, conditional: bool = False) -> tuple[str, ...]:
        """Questions outside repeats that are answered by a mark from 1 upwards, `but` left out.

        Those that are not always asked come along only when `conditional`.
        """
        left = frozenset(but)
        return tuple(
            question.name
            for question in self.form.answerable()
            if question.type == "select_one"
            and question.name not in left
            and is_scale(self.codes(question.name))
            and (conditional or self.always(question))
        )

    def optional_texts(self, texts: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """Free texts outside repeats that may be left empty, that are always asked, and have phrases."""
        return tuple(
            question.name
            for question in self.form.answerable()
            if question.type == "text"
            and not question.required
            and self.always(question)
            and texts.get(question.name)
        )

    def moments(
        self, day: date, seconds: float, lasting: float, zone: ZoneInfo, device: str, user: str
    ) -> dict[str, str]:
        """What the phone itself fills in: start, end, today, deviceid, username."""
        said = {
            "start": stamp(day, seconds, zone),
            "end": stamp(day, seconds + lasting, zone),
            "today": day.isoformat(),
            "deviceid": f"{SIMULATED}{device}",
            "username": user,
        }
        return {self.of_type[kind]: text for kind, text in said.items() if kind in self.of_type}

    def record(
        self,
        named: Mapping[str, str],
        repeats: Mapping[str, Iterable[Mapping[str, str]]] | None = None,
        *,
        repeat: str = "",
    ) -> Record:
        """The record of answers given by question name; `repeats` gives turns by the repeat's name."""
        paths = self.paths
        answers = {
            paths[name]: value for name, value in named.items() if value != "" and name in paths
        }
        for question in self.musts[repeat]:
            if question.path not in answers:
                answers[question.path] = self.anything(question, named)
        turns = {
            paths[name]: tuple(self.record(turn, repeat=paths[name]) for turn in given)
            for name, given in (repeats or {}).items()
            if name in paths
        }
        return Record(answers, {path: records for path, records in turns.items() if records})

    def anything(self, question: Question, named: Mapping[str, str]) -> str:
        """A plausible answer to a question that no recipe knows."""
        if question.list_name:
            codes = [code for code in self.codes(question.name) if code not in SPECIAL]
            codes = codes or list(self.codes(question.name))
            turn = int(instance_id(self.seed, question.path, *map(str, named.values()))[:8], 16)
            return codes[turn % len(codes)] if codes else ""
        if question.type in ("integer", "decimal", "range"):
            return "1"
        if question.type in ("date", "datetime", "today"):
            return named.get("today", f"{self.programme.fiscal_year_be - 543}-01-01")
        return "ไม่มี"

    def submission(
        self,
        key: str,
        named: Mapping[str, str],
        repeats: Mapping[str, Iterable[Mapping[str, str]]] | None = None,
        *,
        attachments: tuple[Attachment, ...] = (),
    ) -> Submission:
        """The instance with these answers; `key` makes its id and must be unique in the form."""
        own = instance_id(self.seed, self.form_id, key)
        return Submission(
            form_id=self.form_id,
            version=self.form.version,
            root_id=own,
            instance_id=own,
            record=self.record(named, repeats),
            instance_name="".join(
                text or named.get(question, "") for text, question in self.naming
            ).strip(),
            attachments=attachments,
        )
