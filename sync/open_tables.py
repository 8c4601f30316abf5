"""Tables of any form out of a mirror: no programme, no data dictionary, nothing left out.

One table for the form and one for each repeat, joined by `_root_id` and `_index`, each as
Parquet, as CSV and as CSV with words instead of codes; beside them a dictionary of the columns and
the choices. All live rows are there, whatever a reviewer said of them: `_status` tells it. What an
older version of the form asked, what a phone or an API added and what cannot be typed is kept as
text. Personal data is not looked for: such tables are for whoever may see the rows as they are.

The same rows and form give the same bytes. The folder `tables` is written beside the old one and takes
its place when it is whole; what else lies around it is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute

from forms.model import Form
from forms.problems import Finding
from sync.backend import Progress, quiet
from sync.mirror import Mirror
from sync.open_cells import made
from sync.open_columns import Column, Words, columns_of
from sync.open_files import TableFiles, file_names, write_choices, write_dictionary
from sync.open_levels import Answer, Level
from sync.open_rows import MOST_UNLISTED, Gathered, Gathering, stored_batches
from sync.storage import storage_problem
from sync.tables import no_collection, remove, replace

__all__ = ["OpenTables", "write_open_tables"]

# Its functions are made when it is imported, so no type checker can see them.
pc: Any = pyarrow.compute


@dataclass(frozen=True, slots=True)
class OpenTables:
    """What was written into `folder`: rows and column names by table, in the order of the form.

    `withdrawn` submissions, gone from the server, stay out; they are counted in `findings` as well.
    """

    folder: Path
    rows: Mapping[str, int]
    columns: Mapping[str, tuple[str, ...]]
    withdrawn: int
    findings: tuple[Finding, ...]


def write_open_tables(
    form: Form,
    mirror: Mirror,
    form_id: str,
    folder: Path,
    progress: Progress = quiet,
    *,
    zone: tzinfo,
    files: Path | None = None,
) -> OpenTables:
    """Write the rows that `mirror` has of `form_id` into `folder`/tables, replacing what was there.

    Files are called `form_id`.parquet, `form_id`.REPEAT.parquet and so on; moments without an offset
    are taken as `zone`'s. `files` is where attachments were downloaded to: their paths are told
    relative to `folder`; without it there are no columns of paths. `progress` is called per batch.
    Raises `Problem` when the disk is full; the old tables then still stand. Data never raises.
    """
    target, fresh = folder / "tables", folder / "tables.new"
    words = Words.of(form)
    rows: dict[str, int] = {}
    with storage_problem(folder), no_collection():
        remove(fresh)
        aside = fresh / "rows"
        aside.mkdir(parents=True)
        try:
            gathered = Gathering(form, aside, zone, files, folder).gather(mirror, form_id, progress)
            tables = [
                (name, level, columns_of(level, words))
                for name, level in zip(
                    file_names(form_id, gathered.levels), gathered.levels, strict=True
                )
            ]
            unread: dict[str, int] = {}
            for name, level, columns in tables:
                with TableFiles(fresh, name, columns, words) as written:
                    for batch in stored_batches(level, aside):
                        arrays = made(level, columns, batch)
                        count_unread(columns, arrays, unread)
                        written.add(arrays)
                        progress(f"{form_id} {name}", written.rows, level.rows)
                rows[name] = written.rows
            named = [(name, columns) for name, _, columns in tables]
            write_dictionary(fresh / "dictionary.csv", named, words)
            write_choices(fresh / "choices.csv", form, words)
            remove(aside)
            replace(fresh, target)
        except BaseException:
            remove(fresh)
            raise
    return OpenTables(
        target,
        rows,
        {name: tuple(column.name for column in columns) for name, columns in named},
        gathered.withdrawn,
        tuple(found(form_id, gathered, unread)),
    )


def count_unread(
    columns: Sequence[Column], arrays: Sequence[pa.Array], unread: dict[str, int]
) -> None:
    """Count, by question path, geopoints of which no latitude and longitude can be read."""
    for n, column in enumerate(columns):
        if column.part == "place" and column.detail == "latitude" and column.answer:
            none = pc.or_(arrays[n].is_null(), arrays[n + 1].is_null())
            count = pc.sum(pc.and_(arrays[n - 1].is_valid(), none)).as_py() or 0
            unread[column.answer.path] = unread.get(column.answer.path, 0) + count


# ── what was found ───────────────────────────────────────────────────────────────────────────────

MEANT = {
    "integer": "whole numbers",
    "decimal": "numbers",
    "date": "dates (year-month-day)",
    "moment": "points in time",
}


def found(form_id: str, gathered: Gathered, unread: Mapping[str, int]) -> Iterator[Finding]:
    """What a reader of the tables should know."""
    if gathered.withdrawn:
        yield Finding(
            "withdrawn",
            "note",
            form_id,
            "submissions that were deleted on the server are not in the tables",
            "they are kept in the mirror",
            gathered.withdrawn,
        )
    for level in gathered.levels:
        for answer in level.answers.values():
            yield from found_in(f"{form_id} {answer.path}", answer)
    for path, count in unread.items():
        if count:
            yield Finding(
                "untypable",
                "warning",
                f"{form_id} {path}",
                "places of which latitude and longitude cannot be read are kept as text only",
                "correct these records on the server and fetch again",
                count,
            )
    yield from strangers(form_id, gathered.levels)
    if gathered.unnamed:
        yield Finding(
            "file_without_answer",
            "note",
            form_id,
            "downloaded files are named by no answer, so no table leads to them",
            "they lie with the other attachments; the mirror knows whose they are",
            gathered.unnamed,
        )


def found_in(where: str, answer: Answer) -> Iterator[Finding]:
    """What was found in the answers to one question."""
    if answer.faults.bad:
        yield Finding(
            "untypable",
            "warning",
            where,
            f"values that are no {MEANT[answer.kind]} are empty in its column and kept as text in "
            f"the column .raw (one looks like {answer.faults.example})",
            "correct these records on the server and fetch again",
            answer.faults.bad,
        )
    if answer.faults.buddhist:
        yield Finding(
            "buddhist_year",
            "warning",
            where,
            "years of the Buddhist Era where the form means C.E. were converted (minus 543)",
            "check the calendar setting of the phones that sent them",
            answer.faults.buddhist,
        )
    if answer.question and len(answer.unlisted) > MOST_UNLISTED:
        yield Finding(
            "many_choices",
            "warning",
            where,
            f"more than {MOST_UNLISTED} choices are not in the form's list: only the first "
            f"{MOST_UNLISTED} have a column of their own",
            "use the column with the codes, which has all of them",
        )


def strangers(form_id: str, levels: Sequence[Level]) -> Iterator[Finding]:
    """Answers and repeats that this version of the form does not have."""
    names = [level.path for level in levels if not level.in_form]
    names += [
        path
        for level in levels
        for path, answer in level.answers.items()
        if level.in_form and not answer.question and not path.startswith(("_", "meta/"))
    ]
    if names:
        names.sort()
        yield Finding(
            "not_in_form",
            "note",
            f"{form_id}: {', '.join(names[:20])}{' …' if len(names) > 20 else ''}",
            "answers to questions this version of the form does not have are kept as text at the end "
            "of the tables, repeats as tables of their own",
            "see the notes in dictionary.csv",
            len(names),
        )
