"""The cells of an open table: a batch of a level as the columns of its table, in codes or in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from forms.csvtable import FORMULA, harmless
from sync.columns import ARROW, Faults, typed
from sync.open_columns import COORDINATES, Column, choices_of, is_place
from sync.open_levels import Level

__all__ = ["as_csv", "flags", "made", "places", "worded"]

# Its functions are made when it is imported, so no type checker can see them.
pc: Any = pyarrow.compute

PLACE = (
    r"^(?P<latitude>\S+)\s+(?P<longitude>\S+)(?:\s+(?P<altitude>\S+)(?:\s+(?P<accuracy>\S+))?)?$"
)
"""https://getodk.github.io/xforms-spec/#data-types"""


def made(level: Level, columns: Sequence[Column], batch: pa.RecordBatch) -> list[pa.Array]:
    """The columns of a table for one batch of its level."""
    numbers = {id(answer): n for n, answer in enumerate(level.answers.values())}
    done: dict[int, dict[str, pa.Array]] = {}
    found: list[pa.Array] = []
    for column in columns:
        answer = column.answer
        if answer is None:
            found.append(batch[column.name])
            continue
        number = numbers[id(answer)]
        match column.part:
            case "place" | "choice":
                if number not in done:
                    value = cell(batch, str(number), ARROW[answer.kind])
                    codes = choices_of(answer)
                    done[number] = places(value) if is_place(answer) else flags(value, codes)
                found.append(done[number][column.detail])
            case "answer":
                found.append(cell(batch, str(number), column.type))
            case _:
                found.append(cell(batch, f"{number}.{column.part}", column.type))
    return found


def cell(batch: pa.RecordBatch, name: str, kind: pa.DataType) -> pa.Array:
    """A column of a batch; nulls where the batch is older than the column."""
    place = batch.schema.get_field_index(name)
    return pa.nulls(batch.num_rows, kind) if place < 0 else batch.column(place)


def places(texts: pa.Array) -> dict[str, pa.Array]:
    """Latitude, longitude, altitude and accuracy of geopoints; null what cannot be read."""
    found = pc.extract_regex(texts, PLACE)
    return {
        name: typed("decimal", pc.struct_field(found, name), Faults(), UTC) for name in COORDINATES
    }


def flags(texts: pa.Array, codes: Sequence[str]) -> dict[str, pa.Array]:
    """A 0/1 column for each code of a select_multiple, null where it is unanswered."""
    chosen = pc.utf8_split_whitespace(texts)
    index = pc.index_in(pc.list_flatten(chosen), value_set=pa.array(codes, pa.string()))
    rows = pc.list_parent_indices(chosen).filter(index.is_valid()).to_numpy()
    matrix = np.zeros((len(codes), len(texts)), np.int8)
    matrix[index.drop_null().to_numpy(), rows] = 1
    unanswered = texts.is_null().to_numpy(zero_copy_only=False)
    return {
        code: pa.array(row, pa.int8(), mask=unanswered)
        for code, row in zip(codes, matrix, strict=True)
    }


def worded(codes: pa.Array, labels: Mapping[str, str], *, several: bool) -> pa.Array:
    """Codes as the words of their choices, several with `; ` between; codes without words stay."""
    encoded = codes.dictionary_encode()
    distinct: list[str] = encoded.dictionary.to_pylist()
    said = [
        "; ".join(labels.get(code, code) for code in text.split())
        if several
        else labels.get(text, text)
        for text in distinct
    ]
    return pa.array(said, pa.string()).take(encoded.indices)


def as_csv(column: pa.Array) -> pa.Array:
    """A column as CSV has it: moments in ISO 8601, texts so that no spreadsheet runs them."""
    if pa.types.is_timestamp(column.type):
        text = pc.replace_substring(column.cast(pa.timestamp("us")).cast(pa.string()), " ", "T")
        text = pc.replace_substring_regex(text, r"(\.[0-9]*[1-9])0+$|\.0+$", r"\1")
        return pc.binary_join_element_wise(text, "Z", "")
    if not pa.types.is_string(column.type):
        return column
    first = pc.utf8_slice_codeunits(column, 0, 1)
    runs = pc.fill_null(pc.is_in(first, value_set=pa.array(FORMULA)), False)
    if not pc.any(runs).as_py():
        return column
    safe = pa.array([harmless(text) for text in column.filter(runs).to_pylist()], pa.string())
    return pc.replace_with_mask(column, runs, safe)
