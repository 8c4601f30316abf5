"""Open tables on the disk: three files for each table, the dictionary, the choices, and safe names.

`NAME.parquet` has types, `NAME.csv` the same cells as text, `NAME.labels.csv` words instead of names
and codes. Both CSV files are UTF-8 with a byte order mark, and no spreadsheet runs a cell of them.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from forms.csvtable import harmless, write_rows
from forms.model import Form
from sync.open_cells import as_csv, worded
from sync.open_columns import Column, Words
from sync.open_levels import Level

__all__ = ["TableFiles", "file_names", "write_choices", "write_dictionary"]

ENDINGS = (".parquet", ".csv", ".labels.csv")
OWN = ("dictionary.csv", "choices.csv")

FORBIDDEN = re.compile(r'[\x00-\x1f<>:"/\\|?*]')
DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", re.IGNORECASE)
"""https://learn.microsoft.com/windows/win32/fileio/naming-a-file"""


def file_names(name: str, levels: Sequence[Level]) -> list[str]:
    """The name of each level's files without their ending: safe on Windows and told apart there.

    A repeat is called by the last step of its path, or by the whole path where two share that step.
    """
    last = Counter(level.path.rpartition("/")[2] for level in levels)
    taken = {own.casefold() for own in OWN}
    names: list[str] = []
    for level in levels:
        short = level.path.rpartition("/")[2]
        part = short if last[short] < 2 else level.path.replace("/", ".")
        base = f"{safe(name)}.{safe(part)}" if level.chain else safe(name)
        free, number = base, 2
        while taken & (files := {f"{free}{ending}".casefold() for ending in ENDINGS}):
            free, number = f"{base}_{number}", number + 1
        taken |= files
        names.append(free)
    return names


def safe(name: str) -> str:
    """A name that every file system takes: no reserved signs or names, at most 90 bytes."""
    found = FORBIDDEN.sub("_", name).encode("utf-8", "replace")[:90].decode("utf-8", "ignore")
    found = found.rstrip(" .").lstrip(" ") or "_"
    return f"_{found}" if DEVICES.match(found) else found


class TableFiles:
    """The three files of one table while they are written; a context manager."""

    def __init__(self, folder: Path, name: str, columns: Sequence[Column], words: Words) -> None:
        self.columns = columns
        self.rows = 0
        self.words = {
            n: words.of_choices(column.answer)
            for n, column in enumerate(columns)
            if column.part == "answer" and column.answer and pa.types.is_string(column.type)
        }
        self.schema = pa.schema([(column.name, column.type) for column in columns])
        with ExitStack() as stack:
            path = folder / f"{name}.parquet"
            self.parquet = stack.enter_context(
                pq.ParquetWriter(path, self.schema, compression="zstd", version="2.6")
            )
            names = [column.name for column in columns]
            self.plain = stack.enter_context(csv_file(folder / f"{name}.csv", names))
            heads = [column.heading for column in columns]
            self.said = stack.enter_context(csv_file(folder / f"{name}.labels.csv", heads))
            self.stack = stack.pop_all()

    def add(self, arrays: Sequence[pa.Array]) -> None:
        """Write the next rows: one array for each column."""
        batch = pa.RecordBatch.from_arrays(list(arrays), schema=self.schema)
        self.rows += batch.num_rows
        self.parquet.write_batch(batch)
        plain = [as_csv(column) for column in arrays]
        write_cells(self.plain, plain)
        for n, labels in self.words.items():
            if labels:
                answer = self.columns[n].answer
                assert answer
                assert answer.question
                several = answer.listed is not None or answer.question.type == "rank"
                plain[n] = as_csv(worded(arrays[n], labels, several=several))
        write_cells(self.said, plain)

    def __enter__(self) -> TableFiles:
        return self

    def __exit__(self, *error: object) -> None:
        self.stack.close()


def csv_file(path: Path, heads: Sequence[str]) -> pa.OSFile:
    """A CSV file with its line of heads."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow([harmless(head) for head in heads])
    file = pa.OSFile(str(path), "wb")
    file.write(line.getvalue().encode("utf-8-sig", "replace"))
    return file


def write_cells(file: pa.OSFile, columns: Sequence[pa.Array]) -> None:
    """Add rows to a CSV file; every text is quoted, null is nothing at all."""
    batch = pa.RecordBatch.from_arrays(list(columns), [str(n) for n in range(len(columns))])
    options = pyarrow.csv.WriteOptions(include_header=False)
    pyarrow.csv.write_csv(batch, file, options)


def write_dictionary(
    path: Path, tables: Sequence[tuple[str, Sequence[Column]]], words: Words
) -> None:
    """What each column of each table is: question, type, labels, list, conditions, notes."""

    def lines() -> Iterator[list[str]]:
        for table, columns in tables:
            for column in columns:
                question = column.answer.question if column.answer else None
                yield [
                    table,
                    column.name,
                    column.answer.path if column.answer else "",
                    question.type if question else "",
                    *(column.labels.get(language, "") for language in words.languages),
                    question.list_name if question else "",
                    question.required if question else "",
                    question.relevant if question else "",
                    column.note,
                ]

    heads = ["table", "column", "question", "type", *label_heads(words)]
    write_rows(path, [*heads, "list", "required", "relevant", "note"], lines())


def write_choices(path: Path, form: Form, words: Words) -> None:
    """The choice lists of the form: list, code, label in each language."""
    write_rows(
        path,
        ["list", "code", *label_heads(words)],
        (
            [name, choice.name, *(choice.labels.get(language, "") for language in words.languages)]
            for name, choices in form.choices.items()
            for choice in choices
        ),
    )


def label_heads(words: Words) -> list[str]:
    return [f"label::{language}" if language else "label" for language in words.languages]
