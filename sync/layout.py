"""Which questions of a form stand in which table: one table for the form and one for each repeat.

Only questions whose class in the data dictionary is `none` or `indirect` get a column; a question the
dictionary does not know gets none and is reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from forms.model import Form
from forms.problems import Finding
from sync.columns import ARROW, NEVER_TABLED, Kind, kind_of

if TYPE_CHECKING:
    # The helpers of `sync.ranges` start in half the time without it.
    from forms.programme import Programme

__all__ = ["Column", "Table", "layout"]

ENVELOPE = {
    "_root_id": pa.string(),
    "_instance_id": pa.string(),
    "_validation": pa.string(),
    "_edited": pa.bool_(),
}
REPEAT_ENVELOPE = {"_root_id": pa.string(), "_index": pa.int32()}


@dataclass(frozen=True, slots=True)
class Column:
    """One question in a table."""

    name: str
    path: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Table:
    """One file: the questions directly inside `repeat` (`""`: the form itself).

    `parent` is the repeat around it. `_index` counts the turns of the repeat within a submission
    from 1, over all turns of the parent; `_parent_index` is the `_index` of the parent's turn.
    """

    name: str
    repeat: str
    parent: str
    columns: tuple[Column, ...]

    def schema(self) -> pa.Schema:
        """The columns that say whose row it is, then the questions."""
        fields = dict(REPEAT_ENVELOPE if self.repeat else ENVELOPE)
        if self.parent:
            fields["_parent_index"] = pa.int32()
        fields |= {column.name: ARROW[column.kind] for column in self.columns}
        return pa.schema(list(fields.items()))


def layout(form: Form, programme: Programme) -> tuple[tuple[Table, ...], list[Finding]]:
    """The tables a form makes, and a finding for questions the data dictionary does not class."""
    unknown: list[str] = []
    tables: list[Table] = []
    repeat_names = Counter(path.rpartition("/")[2] for path in form.repeats)
    for repeat in ("", *form.repeats):
        paths: list[tuple[str, Kind]] = []
        for question in form.answerable(repeat):
            if question.type in NEVER_TABLED:
                continue
            personal = programme.dictionary.get((form.id, question.name))
            if personal is None:
                unknown.append(question.path)
            elif personal.may_be_tabled:
                paths.append((question.path, kind_of(question.type)))
        last = repeat.rpartition("/")[2]
        part = last if repeat_names[last] < 2 else repeat.replace("/", ".")
        name = f"{form.id}.{part}" if repeat else form.id
        parent = form.by_path[repeat].repeat if repeat else ""
        tables.append(Table(name, repeat, parent, tuple(named(paths))))
    if not unknown:
        return tuple(tables), []
    finding = Finding(
        "not_in_dictionary",
        "warning",
        f"{form.id}: {', '.join(unknown[:20])}{' …' if len(unknown) > 20 else ''}",
        "questions without a personal-data class stay out of the tables",
        "give each a row in the data dictionary (class none, indirect, direct …)",
        len(unknown),
    )
    return tuple(tables), [finding]


def named(paths: Sequence[tuple[str, Kind]]) -> Iterator[Column]:
    """Columns by the last step of their path; where two share it, by the whole path with dots."""
    taken = Counter(path.rpartition("/")[2] for path, _ in paths)
    taken.update([*ENVELOPE, *REPEAT_ENVELOPE, "_parent_index"])
    for path, kind in paths:
        last = path.rpartition("/")[2]
        yield Column(last if taken[last] < 2 else path.replace("/", "."), path, kind)
