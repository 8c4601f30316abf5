"""Open tables: any form, nothing left out, and files that a spreadsheet and R read alike."""

from __future__ import annotations

import csv
import datetime as dt
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyxform.xls2xform import convert
from recorded import recording

from forms.model import Form
from forms.xform import read_xform
from sync import attachments, open_rows
from sync.backend import Row
from sync.kobo_rows import row_of
from sync.mirror import Mirror
from sync.open_rows import MOST_UNLISTED
from sync.open_tables import OpenTables, write_open_tables

BANGKOK = ZoneInfo("Asia/Bangkok")
BOM = b"\xef\xbb\xbf"


def of_markdown(table: str) -> Form:
    """A form as a server hands it out."""
    return read_xform(convert(table, file_type=".md", form_name="data").xform.encode())


FARM = of_markdown("""
| survey  |                        |         |                |                 |
|         | type                   | name    | label::ไทย (th) | label::English (en) |
|         | text                   | who     | ชื่อ            | Name            |
|         | integer                | age     | อายุ            | Age             |
|         | begin_group            | g       | กลุ่ม           | Group           |
|         | select_multiple crops  | grows   | พืช             | Crops           |
|         | select_one yesno       | happy   | พอใจ           |                 |
|         | geopoint               | spot    | พิกัด           | Place           |
|         | datetime               | met     |                | Met             |
|         | note                   | thanks  | ขอบคุณ         | Thanks          |
|         | end_group              |         |                |                 |
|         | begin_repeat           | field   | แปลง           | Field           |
|         | decimal                | rai     | ไร่             | Rai             |
|         | begin_repeat           | tree    | ต้นไม้          | Tree            |
|         | text                   | kind    | ชนิด           | Kind            |
|         | image                  | pic     | ภาพ            | Picture         |
|         | end_repeat             |         |                |                 |
|         | end_repeat             |         |                |                 |
| choices |                        |         |                |                 |
|         | list_name              | name    | label::ไทย (th) | label::English (en) |
|         | crops                  | rice    | ข้าว            | Rice            |
|         | crops                  | corn    | ข้าวโพด         | Corn            |
|         | yesno                  | y       | ใช่             | Yes             |
|         | yesno                  | n       | ไม่ใช่           | No              |
""")


def row(n: int, **answers: object) -> Row:
    """A row as the data API gives it."""
    status = answers.pop("status", "")
    return row_of(
        {
            "_id": n,
            **answers,
            "__version__": answers.get("__version__", f"v{n}"),
            "_uuid": f"i{n}",
            "meta/instanceID": f"uuid:i{n}",
            "meta/rootUuid": f"uuid:r{n:03}",
            "_submission_time": f"2026-11-23T13:01:{n % 60:02}",
            "_submitted_by": "enum1",
            "_status": "submitted_via_web",
            "_geolocation": [None, None],
            "_attachments": [],
            "_validation_status": {"uid": f"validation_status_{status}"} if status else {},
        }
    )


def tabled(folder: Path, rows: Sequence[Row], form: Form = FARM, **more: Any) -> OpenTables:
    """The tables of these rows; the mirror is `folder`/mirror.sqlite3."""
    with Mirror(folder / "mirror.sqlite3") as mirror:
        mirror.bind("farm", "a1")
        mirror.save("farm", rows)
        return write_open_tables(form, mirror, "farm", folder, zone=BANGKOK, **more)


def typed(folder: Path, table: str) -> list[dict[str, Any]]:
    """The rows of a Parquet file."""
    return pq.read_table(folder / "tables" / f"{table}.parquet").to_pylist()


def lines(folder: Path, file: str) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    content = (folder / "tables" / f"{file}.csv").read_bytes()
    assert content.startswith(BOM)
    assert b"\r\n" not in content
    table = list(csv.reader(content.decode("utf-8-sig").splitlines(keepends=True), strict=True))
    assert len(set(table[0])) == len(table[0]), "two columns of one name"
    return [dict(zip(table[0], cells, strict=True)) for cells in table[1:]]


def findings(tables: OpenTables) -> dict[str, int]:
    return {finding.code: finding.count for finding in tables.findings}


# ── recorded rows ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", [43, 194])
def test_rows_of_a_real_server(number: int, tmp_path: Path) -> None:
    """073 under the form phones were given (043) and under its second version (194)."""
    form = read_xform(recording(number)["response_body"].encode())
    rows = [row_of(found) for found in recording(73)["response_body"]["results"]]
    tables = tabled(tmp_path, rows, form)
    assert dict(tables.rows) == {"farm": 11, "farm.member": 13, "farm.illness": 16}
    assert tables.findings == ()
    main = typed(tmp_path, "farm")
    assert [found["_root_id"] for found in main] == sorted(r.root_id for r in rows)
    (first,) = (found for found in main if found["hh_code"] == "HH-0001")
    assert first["_version"] == "1 (2026-11-23 13:01:40)"
    assert first["_submitted_at"] == dt.datetime(2026, 11, 23, 13, 1, 42, tzinfo=dt.UTC)
    assert first["start"] == dt.datetime(2026, 11, 20, 2, tzinfo=dt.UTC)
    assert (first["head_age"], first["income"]) == (45, 8500.5)
    assert (first["needs"], first["needs/water"], first["needs/health"]) == ("water food", 1, 0)
    assert (first["gps.latitude"], first["gps.longitude"]) == (18.79, 98.98)
    assert (first["gps.altitude"], first["gps.accuracy"]) == (300, 5)
    assert first["meta/instanceName"] == "HH-0001 1001"
    (worded,) = (f for f in lines(tmp_path, "farm.labels") if f["รหัสครัวเรือน"] == "HH-0001")
    assert (worded["เพศ"], worded["ความต้องการ"]) == ("ชาย", "น้ำ; อาหาร")
    assert (worded["ความต้องการ/น้ำ"], worded["ความต้องการ/สุขภาพ"]) == ("1", "0")
    member = [f for f in typed(tmp_path, "farm.member") if f["_root_id"] == first["_root_id"]]
    assert [(m["_index"], m["m_age"], m["m_school"]) for m in member] == [
        (1, 7, "yes"),
        (2, 17, "no"),
        (3, 80, None),
    ]
    assert {m["_version"] for m in member} == {first["_version"]}


TREES = of_markdown("""
| survey |              |      |       |
|        | type         | name | label |
|        | begin_repeat | tree | Tree  |
|        | text         | sp   | Kind  |
|        | image        | pic  | Photo |
|        | end_repeat   |      |       |
""")


def test_photos_in_repeats(tmp_path: Path) -> None:
    """287: the answer and where its file lies, told from the folder; 294: a deleted photo is gone."""
    (before,), (after,) = (recording(n)["response_body"]["results"] for n in (287, 294))
    tabled(tmp_path, [row_of(before)], TREES)
    assert "pic.file" not in typed(tmp_path, "farm.tree")[0]
    files = tmp_path / "attachments"
    with Mirror(tmp_path / "mirror.sqlite3") as mirror:
        for file, digest in zip(attachments.files(mirror, "farm"), ("ab12", "cd34"), strict=True):
            here = attachments.File(
                file.root_id, file.name, file.question, file.address, file.media_type, digest, 1
            )
            attachments.keep(mirror, "farm", here)
    tables = tabled(tmp_path, [], TREES, files=files)
    assert [(t["sp"], t["pic"], t["pic.file"]) for t in typed(tmp_path, "farm.tree")] == [
        ("ก", "a.png", "attachments/ab/ab12.png"),
        ("ข", "ภาพ 2.png", "attachments/cd/cd34.png"),
    ]
    assert tables.findings == ()
    tabled(tmp_path, [row_of(after)], TREES, files=files)
    assert [(t["pic"], t["pic.file"]) for t in typed(tmp_path, "farm.tree")] == [("a.png", None)]
    assert typed(tmp_path, "farm")[0]["_edited"] is True


def test_files_of_questions_that_are_gone_and_of_none(tmp_path: Path) -> None:
    """A photo an older version asked for keeps its path; a file no answer names is a finding."""
    listed = [
        {"download_url": f"http://k/{name}", "media_file_basename": name, "question_xpath": "old"}
        for name in ("a.png", "b.png")
    ]
    found = row(1, old="a.png", who="a.png")
    found = row_of({**payload(found), "_attachments": listed})
    with Mirror(tmp_path / "mirror.sqlite3") as mirror:
        mirror.bind("farm", "a1")
        mirror.save("farm", [found])
        mirror.base.execute("UPDATE attachments SET sha256 = 'ef56'")
    tables = tabled(tmp_path, [], files=tmp_path / "attachments")
    (got,) = typed(tmp_path, "farm")
    assert (got["old"], got["old.file"]) == ("a.png", "attachments/ef/ef56.png")
    assert "who.file" not in got
    assert findings(tables)["file_without_answer"] == 1


def payload(found: Row) -> dict[str, Any]:
    return orjson.loads(found.payload)


# ── repeats, choices, places ─────────────────────────────────────────────────────────────────────


def test_repeats_join_by_key(tmp_path: Path) -> None:
    """Every turn knows its submission and its outer turn, and carries status and version."""
    trees = [{"field/tree/kind": kind} for kind in "abc"]
    rows = [
        row(
            2,
            status="not_approved",
            field=[
                {"field/rai": "1.5", "field/tree": trees[:2]},
                {"field/rai": "2"},
                {"field/tree": trees[2:]},
            ],
        ),
        row(1, status="approved", field=[{"field/tree": trees[:1]}]),
        row(3, who="nobody's field"),
    ]
    tables = tabled(tmp_path, rows)
    assert dict(tables.rows) == {"farm": 3, "farm.field": 4, "farm.tree": 4}
    assert tables.columns["farm.field"] == ("_root_id", "_index", "_status", "_version", "rai")
    assert [found["_status"] for found in typed(tmp_path, "farm")] == [
        "approved",
        "not_approved",
        "",
    ]
    keys = ("_root_id", "_index", "_parent_index", "_status", "_version", "kind")
    assert [tuple(t[key] for key in keys) for t in typed(tmp_path, "farm.tree")] == [
        ("r001", 1, 1, "approved", "v1", "a"),
        ("r002", 1, 1, "not_approved", "v2", "a"),
        ("r002", 2, 1, "not_approved", "v2", "b"),
        ("r002", 3, 3, "not_approved", "v2", "c"),
    ]
    fields = {(f["_root_id"], f["_index"]): f["rai"] for f in typed(tmp_path, "farm.field")}
    assert fields["r002", 3] is None
    assert fields["r002", 1] == 1.5


def test_a_column_for_each_choice(tmp_path: Path) -> None:
    """1, 0, or null when unanswered; codes the form does not list have columns, too."""
    rows = [
        row(1, **{"g/grows": "corn  rice"}),
        row(2, who="x"),
        row(3, **{"g/grows": "durian corn"}),
    ]
    tabled(tmp_path, rows)
    found = typed(tmp_path, "farm")
    assert [f["grows"] for f in found] == ["corn  rice", None, "durian corn"]
    chosen = [(f["grows/rice"], f["grows/corn"], f["grows/durian"]) for f in found]
    assert chosen == [(1, 1, 0), (None, None, None), (0, 1, 1)]
    worded = lines(tmp_path, "farm.labels")
    assert [w["พืช"] for w in worded] == ["ข้าวโพด; ข้าว", "", "durian; ข้าวโพด"]
    assert worded[2]["พืช/durian"] == "1"
    (durian,) = (d for d in lines(tmp_path, "dictionary") if d["column"] == "grows/durian")
    assert "not in the list" in durian["note"]


def test_too_many_unlisted_choices_are_a_finding(tmp_path: Path) -> None:
    """Codes typed by an API do not make a table of thousands of columns; the text has them all."""
    codes = [f"c{n:04}" for n in range(MOST_UNLISTED + 7)]
    tables = tabled(tmp_path, [row(1, **{"g/grows": " ".join(codes)})])
    (found,) = typed(tmp_path, "farm")
    assert found["grows"] == " ".join(codes)
    assert sum(name.startswith("grows/c0") for name in found) == MOST_UNLISTED
    assert "many_choices" in findings(tables)


def test_places(tmp_path: Path) -> None:
    """Four numbers beside the text; two are enough; what is no place stays as text and is counted."""
    texts = ("18.79 98.98 300 5", "-1.5 98", "1 2 3", "Chiang Mai", "north 98 1 1", "๑๘ ๙๘")
    tables = tabled(tmp_path, [row(n, **{"g/spot": text}) for n, text in enumerate(texts)])
    found = typed(tmp_path, "farm")
    names = ("latitude", "longitude", "altitude", "accuracy")
    assert [tuple(f[f"spot.{name}"] for name in names) for f in found] == [
        (18.79, 98.98, 300, 5),
        (-1.5, 98, None, None),
        (1, 2, 3, None),
        (None, None, None, None),
        (None, 98, 1, 1),
        (18, 98, None, None),
    ]
    assert [f["spot"] for f in found] == list(texts)
    assert findings(tables) == {"untypable": 2}


# ── nothing is lost ──────────────────────────────────────────────────────────────────────────────


def test_answers_of_older_versions_are_kept(tmp_path: Path) -> None:
    """By full path, at the end, inside repeats too; a repeat the form lost is a table of its own."""
    rows = [
        row(1, **{"g/gone": "x", "field": [{"field/gone": "y", "field/rai": "1"}]}),
        row(2, crop=[{"crop/name": "rice"}, {"crop/name": "corn"}], who="z"),
        row(
            3,
            **{"field/rai": "7", "g": "was a question", "_notes": [{"note": "call"}], "nil": None},
        ),
    ]
    tables = tabled(tmp_path, rows)
    assert tables.columns["farm"][-4:] == ("field/rai", "g", "g/gone", "_notes")
    assert tables.columns["farm.field"][-2:] == ("rai", "field/gone")
    assert [f["crop/name"] for f in typed(tmp_path, "farm.crop")] == ["rice", "corn"]
    assert typed(tmp_path, "farm")[2]["_notes"] == '[{"note":"call"}]'
    notes = {(d["table"], d["column"]): d["note"] for d in lines(tmp_path, "dictionary")}
    assert notes["farm", "g/gone"] == notes["farm.field", "field/gone"]
    assert notes["farm.crop", "crop/name"] == "not in this version of the form"
    assert notes["farm", "_notes"] == "added by the phone or the server"
    assert findings(tables) == {"not_in_form": 5}


def test_a_repeat_may_be_called_like_a_list_of_the_server(tmp_path: Path) -> None:
    """A name that begins with `_` is a repeat when the form says so."""
    form = of_markdown("""
| survey |              |          |       |
|        | type         | name     | label |
|        | begin_repeat | _members | Who   |
|        | text         | _status  | State |
|        | end_repeat   |          |       |
""")
    tables = tabled(tmp_path, [row(1, _members=[{"_members/_status": "x"}], _tags=["a"])], form)
    assert [f["_status_2"] for f in typed(tmp_path, "farm._members")] == ["x"]
    assert tables.columns["farm"][-1] == "_tags"


def test_what_cannot_be_typed_stays_beside(tmp_path: Path) -> None:
    """Null where a number should be, its text in .raw, a finding with a count."""
    rows = [
        row(1, age="12", **{"g/met": "2569-11-20T09:00:00.250+07:00"}),
        row(2, age="สิบสอง"),
        row(3, **{"g/met": "2026-11-20T09:00:00"}),
        row(4, age=45, field=[{"field/rai": "2 rai"}]),
    ]
    tables = tabled(tmp_path, rows)
    found = typed(tmp_path, "farm")
    assert [(f["age"], f["age.raw"]) for f in found] == [
        (12, None),
        (None, "สิบสอง"),
        (None, None),
        (45, None),
    ]
    assert "met.raw" not in found[0]
    assert [f["met"] for f in lines(tmp_path, "farm")] == [
        "2026-11-20T02:00:00.25Z",
        "",
        "2026-11-20T02:00:00Z",
        "",
    ]
    assert [f["rai.raw"] for f in typed(tmp_path, "farm.field")] == ["2 rai"]
    assert [(f.code, f.where, f.count) for f in tables.findings] == [
        ("untypable", "farm age", 1),
        ("buddhist_year", "farm g/met", 1),
        ("untypable", "farm field/rai", 1),
    ]


def test_withdrawn_rows_are_counted(tmp_path: Path) -> None:
    """Deleted on the server: not in the tables, and said so."""
    with Mirror(tmp_path / "mirror.sqlite3") as mirror:
        mirror.bind("farm", "a1")
        mirror.save("farm", [row(1), row(2)])
        mirror.base.execute("UPDATE rows SET withdrawn = 1 WHERE root_id = 'r001'")
    tables = tabled(tmp_path, [])
    assert [f["_root_id"] for f in typed(tmp_path, "farm")] == ["r002"]
    assert tables.withdrawn == 1
    assert findings(tables) == {"withdrawn": 1}


PATHS: list[str] = [
    "who",
    "age",
    "g/grows",
    "g/happy",
    "g/spot",
    "g/met",
    "g/thanks",
    "g",
    "field/rai",
    "field/tree/kind",
    "field/tree/pic",
    "old",
    "g/old",
    "a.b",
    "_odd",
    "meta/x",
]
LEAF = st.sampled_from(["text", "text", "number", "words", "object", "nothing"])


def turns(depth: int) -> st.SearchStrategy[dict[str, Any]]:
    """One level of a row; leaves are what kind of value will stand there."""
    leaves = st.dictionaries(st.sampled_from(PATHS), LEAF, max_size=6)
    if not depth:
        return leaves
    repeats = st.dictionaries(
        st.sampled_from(["field", "field/tree", "lost", "who"]),
        st.lists(turns(depth - 1), max_size=3),
        max_size=2,
    )
    return st.tuples(leaves, repeats).map(lambda both: {**both[0], **both[1]})


def filled(level: dict[str, Any], marks: Iterator[int], given: list[str]) -> dict[str, Any]:
    """The level with a value of its own in each leaf; what was given out is noted."""
    found: dict[str, Any] = {}
    for key, kind in level.items():
        mark = 7_000_000 + next(marks)
        if isinstance(kind, list):
            found[key] = [filled(turn, marks, given) for turn in kind]
            continue
        values = {
            "text": f" x{mark} ",
            "number": mark,
            "words": [f"w{mark}", "and"],
            "object": {"inner": mark},
            "nothing": "",
        }
        found[key] = values[kind]
        if kind != "nothing":
            given.append(str(mark))
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(turns(3), max_size=4))
def test_every_answer_stands_in_exactly_one_cell(shapes: list[dict[str, Any]]) -> None:
    """Wherever a row has it and whatever it is: known, unknown, misplaced, untypable, nested."""
    given_out: list[str] = []
    marks = iter(range(10**6))
    rows = [row(n, **filled(shape, marks, given_out)) for n, shape in enumerate(shapes)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables = tabled(folder, rows)
        cells = [
            str(cell)
            for table in tables.rows
            for found in typed(folder, table)
            for column, cell in found.items()
            if cell is not None and column not in ("_root_id", "_instance_id")
        ]
        for table, count in tables.rows.items():
            assert len(lines(folder, table)) == len(lines(folder, f"{table}.labels")) == count
    for mark in given_out:
        assert sum(mark in cell for cell in cells) == 1, mark


# ── words and files ──────────────────────────────────────────────────────────────────────────────


def test_no_cell_runs_in_a_spreadsheet(tmp_path: Path) -> None:
    """Formulas get an apostrophe in CSV alone; markup, quotes and line ends come back as sent."""
    sent = (
        "=1+1",
        "+66812",
        "-5",
        "@x",
        "<script>alert(1)</script>",
        'a "b"\n,ค',
        "\t=1",
        "ก\u0301",
    )
    tabled(tmp_path, [row(n, who=text, **{"=evil": "=1"}) for n, text in enumerate(sent)])
    assert [f["who"] for f in typed(tmp_path, "farm")] == [text.strip() for text in sent]
    for file in ("farm", "farm.labels"):
        found = lines(tmp_path, file)
        whose = "who" if file == "farm" else "ชื่อ"
        assert [f[whose] for f in found[:4]] == ["'=1+1", "'+66812", "'-5", "'@x"]
        assert [f[whose] for f in found[4:]] == [*sent[4:6], "'=1", sent[7]]
        assert found[0]["'=evil"] == "'=1"


def test_labels_that_are_long_alike_or_missing(tmp_path: Path) -> None:
    """Headings are unique; one without label is a path, one without the language takes another's."""
    long = "ยาว " * 300
    form = of_markdown(f"""
| survey  |                  |      |                 |                    |
|         | type             | name | label::ไทย (th)  | label::English (en) | calculation |
|         | begin_group      | a    | ก               | A                  |
|         | text             | name | ชื่อ             | Name               |
|         | end_group        |      |                 |                    |
|         | begin_group      | b    | ข               | B                  |
|         | text             | name | ชื่อ             | Name               |
|         | end_group        |      |                 |                    |
|         | text             | q    | {long}          | Long               |
|         | calculate        | sum  |                 |                    | 1 + 2 |
|         | select_one l     | only |                 | English only       |
|         | select_multiple l | many | ชื่อ            |                    |
| choices |                  |      |                 |                    |
|         | list_name        | name | label::ไทย (th)  | label::English (en) |
|         | l                | 1    | =หนึ่ง            | One                |
|         | l                | 2    |                 | Two                |
""")
    rows = [
        row(1, **{"a/name": "x", "b/name": "y", "q": "z", "sum": "3", "only": "2", "many": "1 2"})
    ]
    tables = tabled(tmp_path, rows, form)
    assert tables.columns["farm"][7:] == (
        "a.name",
        "b.name",
        "q",
        "sum",
        "only",
        "many",
        "many/1",
        "many/2",
    )
    (found,) = lines(tmp_path, "farm.labels")
    assert list(found)[7:] == [
        "ชื่อ",
        "ชื่อ (b/name)",
        " ".join(long.split()),
        "sum",
        "English only",
        "ชื่อ (many)",
        "ชื่อ (many)/=หนึ่ง",
        "ชื่อ (many)/Two",
    ]
    assert (found["English only"], found["ชื่อ (many)"]) == ("Two", "'=หนึ่ง; Two")
    assert [c["label::th"] for c in lines(tmp_path, "choices")] == ["'=หนึ่ง", ""]
    told = {d["column"]: d for d in lines(tmp_path, "dictionary")}
    assert told["many/1"]["label::en"] == ""
    assert told["many/1"]["label::th"] == "ชื่อ/=หนึ่ง"
    assert told["only"]["question"] == "only"
    assert told["only"]["list"] == "l"


def test_a_form_without_languages(tmp_path: Path) -> None:
    """One column of labels, without a language; conditions stand in the dictionary."""
    form = of_markdown("""
| survey  |                   |      |       |          |            |
|         | type              | name | label | required | relevant   |
|         | select_multiple l | q    | Which | yes      |            |
|         | text              | why  | Why   |          | ${q} = 'a' |
| choices |                   |      |       |          |            |
|         | list_name         | name | label |          |            |
|         | l                 | a    | Alpha |          |            |
""")
    tabled(tmp_path, [row(1, q="a")], form)
    assert lines(tmp_path, "choices") == [{"list": "l", "code": "a", "label": "Alpha"}]
    told = {d["column"]: d for d in lines(tmp_path, "dictionary")}
    assert told["q"]["label"] == "Which"
    assert told["q/a"]["label"] == "Which/Alpha"
    assert told["q"]["required"] == "true()"
    assert "'a'" in told["why"]["relevant"]
    assert lines(tmp_path, "farm.labels")[0]["Which"] == "Alpha"


@pytest.mark.parametrize("count", [0, 1])
def test_forms_with_hardly_a_row(count: int, tmp_path: Path) -> None:
    """Every table is there, with its columns and types, if nobody has filled it."""
    tables = tabled(tmp_path, [row(n) for n in range(count)])
    assert dict(tables.rows) == {"farm": count, "farm.field": 0, "farm.tree": 0}
    schema = pq.read_schema(tmp_path / "tables" / "farm.parquet")
    assert schema.names == list(tables.columns["farm"])
    assert [str(schema.field(n).type) for n in ("age", "met", "grows/rice", "spot.latitude")] == [
        "int64",
        "timestamp[us, tz=UTC]",
        "int8",
        "double",
    ]
    for table in tables.rows:
        assert len(lines(tmp_path, table)) == len(lines(tmp_path, f"{table}.labels"))
    assert "thanks" not in tables.columns["farm"]


def test_names_of_files_are_safe_on_windows(tmp_path: Path) -> None:
    """Repeats that differ in case or are called like a device or like our own files; long Thai ids."""
    names = ("aux", "Tree", "tree", "labels", "csv")
    found = {name: [{f"{name}/x": "1"}] for name in names} | {'a:b*"?': [{"x": "1"}]}
    with Mirror(tmp_path / "mirror.sqlite3") as mirror:
        mirror.bind("farm", "a1")
        mirror.save("farm", [row(1, **found)])
        mirror.base.execute("UPDATE rows SET form_id = 'con'")
        tables = write_open_tables(FARM, mirror, "con", tmp_path, zone=BANGKOK)
        again = write_open_tables(FARM, mirror, "แบบ" * 60, tmp_path, zone=BANGKOK)
    assert all(count == 1 for name, count in tables.rows.items() if "field" not in name and count)
    files = [name for table in tables.rows for name in (f"{table}.csv", f"{table}.labels.csv")]
    assert len({name.casefold() for name in files}) == len(files)
    assert not any(set('<>:"/\\|?*') & set(name) or name.startswith("con.") for name in files)
    assert all(len(name.encode()) < 230 for name in again.rows)


def test_equal_rows_make_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the order in which rows came; batches change no row of the CSV."""
    rows = [
        row(n, who=f"w{n}", age="x" if n == 150 else n, **({"late": "y"} if n > 220 else {}))
        for n in range(250)
    ]
    whole: list[dict[str, bytes]] = []
    for name, order, chunk in (("a", rows, 16 << 20), ("b", rows[::-1], 16 << 20), ("c", rows, 1)):
        monkeypatch.setattr(open_rows, "CHUNK", chunk)
        (tmp_path / name).mkdir()
        tabled(tmp_path / name, order)
        tabled(tmp_path / name, [])
        files = sorted((tmp_path / name / "tables").iterdir())
        whole.append({file.name: file.read_bytes() for file in files})
    assert whole[0] == whole[1]
    assert {n: c for n, c in whole[0].items() if n.endswith(".csv")} == {
        n: c for n, c in whole[2].items() if n.endswith(".csv")
    }
    assert pq.read_table(tmp_path / "a/tables/farm.parquet").equals(
        pq.read_table(tmp_path / "c/tables/farm.parquet")
    )


def test_stopped_half_way_the_old_tables_stand(tmp_path: Path) -> None:
    """And nothing else in the folder is touched."""
    (tmp_path / "attachments").mkdir()
    (tmp_path / "attachments" / "a.png").write_bytes(b"x")
    tabled(tmp_path, [row(1)])

    def stop(what: str, done: int, total: int) -> None:
        if what != "farm":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tabled(tmp_path, [row(2)], progress=stop)
    assert len(typed(tmp_path, "farm")) == 1
    assert {path.name for path in tmp_path.iterdir()} == {
        "attachments",
        "mirror.sqlite3",
        "tables",
    }
    tabled(tmp_path, [])
    assert len(typed(tmp_path, "farm")) == 2
    assert (tmp_path / "attachments" / "a.png").read_bytes() == b"x"
