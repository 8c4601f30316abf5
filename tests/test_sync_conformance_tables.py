"""One submission, three servers, one table: byte for byte, but for what OData is known to read otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conformance import open_bench
from visits import FULL, FULL_FILES, record, tree
from worlds import NAMES

from sync.tables import write_tables

RECORDS = (
    FULL,
    # Years of the Buddhist Era, Thai digits, figures as people write them, lines, an empty turn.
    record(
        who=" บรรทัด 1\nบรรทัด 2 🌾 ",
        sex="m",
        place="51",
        seen="2564-03-10",
        g__age="007",
        g__income="12",
        g__spot="-18.5 98.123456789 0 0",
        team="dev",
        code="0012",
        tree=[tree("", "0"), tree("x")],
    ),
    record(who="ไม่มี"),
)


def tables(
    request: pytest.FixtureRequest, folder: Path, name: str, records: Any
) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """Publish, send, pull and table in one world: the files, and the main table's rows."""
    with open_bench(request, folder, name) as bench:
        bench.publish()
        for one in records:
            bench.world.submit("visit", one, FULL_FILES if one is FULL else ())
        assert bench.pull().complete
        out = folder / f"{name}.tables"
        write_tables(bench.world.programme, bench.mirror, out)
        found = {path.name: path.read_bytes() for path in sorted(out.glob("*.parquet"))}
        return found, pq.read_table(out / "visit.parquet").to_pylist()


def test_the_same_submissions_make_the_same_tables(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """A record of each question type the programme's forms use, and two more: the parquet files of
    the form and of both repeats are equal to the byte from all three servers."""
    made = {name: tables(request, tmp_path, name, RECORDS) for name in NAMES}
    assert set(made["kobo"][0]) == {
        "visit.parquet",
        "visit.tree.parquet",
        "visit.fruit.parquet",
    }
    rows = sorted(made["kobo"][1], key=lambda row: row["who"])
    assert [row["age"] for row in rows] == [7, 45, None]
    for name in NAMES:
        assert made[name][1] == made["kobo"][1], name
        assert made[name][0] == made["kobo"][0], name


def test_what_odata_reads_otherwise(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Text in a number's place, which no phone writes but a server takes: KoboToolbox hands it on and
    the table has none, ODK Central's OData reads what it can of it (`12abc` is 12, 3.7 is 3)."""
    odd = [record(who=str(n), g__age=said) for n, said in enumerate(("12abc", "3.7", "many"))]
    found = {
        name: {row["who"]: row["age"] for row in tables(request, tmp_path, name, odd)[1]}
        for name in NAMES
    }
    assert found["embedded"] == found["kobo"]
    assert found["kobo"] == {"0": None, "1": None, "2": None}
    assert found["central"] == {"0": 12, "1": 3, "2": None}
