"""One table as a Parquet file, and the hash of what it says.

Row groups are cut by rows alone, so equal tables give equal files in whatever batches they come. The
hash is over content, not over the file: neither the version of a library nor how a file is packed
changes it. It covers the questions' names, kinds and typed values, the root ids and the indexes of
repeats, and so changes when any tabled answer does; what is not tabled (personal data, a value that
cannot be typed) and what a server adds (instance id, validation, whether it was edited) is not in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from sync.layout import Table

__all__ = ["TableFile", "sha256_of"]

# Its functions are made when it is imported, so no type checker can see them.
pc: Any = pyarrow.compute

ROW_GROUP = 50_000
SAID_BY_THE_SERVER = frozenset({"_instance_id", "_validation", "_edited"})


class TableFile:
    """A table on its way to the disk. A context manager: the file is whole when it ends well."""

    def __init__(self, path: Path, table: Table) -> None:
        self.path = path
        self.rows = 0
        self.schema = table.schema()
        self.waiting: list[pa.RecordBatch] = []
        self.writer = pq.ParquetWriter(path, self.schema, compression="zstd", version="2.6")
        self.hashed = [name for name in self.schema.names if name not in SAID_BY_THE_SERVER]
        kinds = {column.name: column.kind for column in table.columns}
        said = [f"{name} {kinds.get(name, '')}" for name in self.hashed]
        self.digest = hashlib.sha256("\n".join([table.name, *said]).encode())

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in the next rows; whole row groups are written at once, the rest waits."""
        if not batch.num_rows:
            return  # Else a file would tell rows that were left out from rows that never came.
        self.rows += batch.num_rows
        self.waiting.append(batch)
        while sum(part.num_rows for part in self.waiting) >= ROW_GROUP:
            self.write(ROW_GROUP)

    def write(self, rows: int) -> None:
        whole = pa.Table.from_batches(self.waiting, self.schema)
        group = whole.slice(0, rows).combine_chunks()
        for name in self.hashed:
            hash_column(self.digest, group[name].combine_chunks())
        self.writer.write_table(group, row_group_size=rows)
        self.waiting = whole.slice(rows).to_batches()

    def __enter__(self) -> TableFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and self.waiting:
                self.write(ROW_GROUP)
        finally:
            self.writer.close()


def sha256_of(files: Iterable[TableFile]) -> str:
    """One hash for all tables of a form, in their order."""
    return hashlib.sha256(b"".join(file.digest.digest() for file in files)).hexdigest()


def hash_column(digest: Any, column: pa.Array) -> None:
    """Add the number of rows, which of them are null, and the values of the others in one form."""
    digest.update(len(column).to_bytes(8, "little"))
    digest.update(column.is_valid().to_numpy(zero_copy_only=False).tobytes())
    hash_values(digest, column.drop_null())


def hash_values(digest: Any, values: pa.Array) -> None:
    if pa.types.is_list(values.type):
        digest.update(pc.list_value_length(values).to_numpy().astype("<i4").tobytes())
        hash_values(digest, pc.list_flatten(values))
    elif pa.types.is_string(values.type):
        digest.update(pc.binary_length(values).to_numpy().astype("<i4").tobytes())
        _, offsets, letters = values.buffers()
        if letters is not None and len(values):
            ends = memoryview(offsets).cast("i")
            first, last = ends[values.offset], ends[values.offset + len(values)]
            digest.update(memoryview(letters)[first:last])
    else:
        digest.update(values.to_numpy(zero_copy_only=False).tobytes())
