"""Publishing to a real server: safe to repeat, safe to stop, and the answer key stays here."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pytest

from forms.instance import to_xml
from forms.model import Record, Submission
from forms.problems import ProgrammeProblem, ServerProblem
from forms.programme import Programme, load, shipped
from sync.kobo import Kobo
from sync.mirror import Mirror
from sync.phone import Phone
from sync.publish import outgoing, publish, workbook_hash
from sync.pull import pull
from sync.tables import write_tables

if TYPE_CHECKING:
    from conftest import RunningServer

KEPT = ("mne_pretest", "mne_cipp")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped programme, to be edited."""
    return Path(shutil.copytree(shipped(), tmp_path / "programme"))


def few(folder: Path) -> Programme:
    """The programme with two of its forms, to keep tests short."""
    whole = load(folder)
    forms = {form_id: whole.forms[form_id] for form_id in KEPT}
    return whole.model_copy(update={"file": whole.file.model_copy(update={"forms": forms})})


def set_cell(path: Path, row: int, column: str, words: str) -> None:
    """Write into one cell of a workbook's survey sheet; `column` is how its head begins."""
    book = openpyxl.load_workbook(path)
    sheet = book["survey"]
    heads = [str(cell.value) for cell in sheet[1]]
    number = next(n for n, head in enumerate(heads, start=1) if head.startswith(column))
    sheet.cell(row, number, words)
    book.save(path)


def relabel(path: Path, words: str) -> None:
    """Change one label of a workbook."""
    set_cell(path, 12, "label", words)


def test_publishing_twice_changes_nothing(running_server: RunningServer, folder: Path) -> None:
    """Created, then unchanged; after one label edit exactly that form gets exactly one new version;
    after one changed row of a CSV its media alone are replaced."""
    server = Kobo(running_server.url, running_server.token)
    programme = few(folder)
    first = publish(programme, server)
    assert [(form.form_id, form.action) for form in first] == [(f, "created") for f in KEPT]
    again = publish(programme, server)
    assert [form.action for form in again] == ["unchanged", "unchanged"]
    assert [(f.uid, f.version) for f in again] == [(f.uid, f.version) for f in first]

    relabel(folder / "mne_cipp.xlsx", "ข้อความใหม่")
    pretest, cipp = publish(few(folder), server)
    assert (pretest.action, cipp.action) == ("unchanged", "replaced")
    assert (pretest.version, cipp.uid) == (first[0].version, first[1].uid)
    assert cipp.version != first[1].version

    with (folder / "projects.csv").open("a", encoding="utf-8") as file:
        file.write("P64-99,โครงการใหม่,New,50\n")
    pretest, cipp = publish(few(folder), server)
    assert (pretest.action, cipp.action) == ("unchanged", "media")
    with Phone(running_server.url, token=running_server.token) as phone:
        (listed,) = phone.forms(cipp.uid)
        xform, media = phone.form(listed)
    assert "ข้อความใหม่".encode() in xform
    assert media["projects.csv"] == (folder / "projects.csv").read_bytes()
    assert {form.action for form in publish(few(folder), server)} == {"unchanged"}


class Stop(BaseException):
    """The publisher was stopped here."""


def test_stopped_publishing_is_finished_by_the_next(
    running_server: RunningServer, folder: Path
) -> None:
    """Stopped at each step in turn: in the end every form is live once, with all its media."""
    server = Kobo(running_server.url, running_server.token)
    programme = few(folder)
    for steps in range(1, 8):
        left = iter(range(steps))

        def progress(what: str, done: int, total: int, left: object = left) -> None:
            if next(left, None) is None:  # type: ignore[call-overload]
                raise Stop

        with pytest.raises(Stop):
            publish(programme, server, progress)
    done = publish(programme, server)
    assert {form.action for form in publish(programme, server)} == {"unchanged"}
    with Phone(running_server.url, token=running_server.token) as phone:
        assert {form.form_id for form in phone.forms()} == {form.uid for form in done}
        for listed in phone.forms():
            assert phone.form(listed)[1]


def test_what_pyxform_refuses_is_told_and_the_others_go_out(
    running_server: RunningServer, folder: Path
) -> None:
    """A workbook with a reference to nowhere: its name and pyxform's words; the other is live."""
    set_cell(folder / "mne_pretest.xlsx", 12, "relevant", "${no_such_question} = 1")
    server = Kobo(running_server.url, running_server.token)
    with pytest.raises(ServerProblem) as caught:
        publish(few(folder), server)
    assert "mne_pretest.xlsx" in str(caught.value)
    assert "no_such_question" in str(caught.value)
    assert server.find("north2564")["mne_cipp"].is_live


def test_the_answer_key_never_leaves(folder: Path) -> None:
    """It is in nothing that is sent; named as a medium, or copied under another name, it is refused
    before anything is sent."""
    programme = load(folder)
    key = (folder / programme.test.key).read_bytes()
    telling = [line for line in key.splitlines()[1:] if line]
    for form_id in programme.forms:
        form = outgoing(programme, form_id)
        assert {medium.name for medium in form.media} == set(programme.forms[form_id].media)
        sent = [medium.content for medium in form.media]
        with zipfile.ZipFile(io.BytesIO(form.workbook)) as archive:
            sent += [archive.read(name) for name in archive.namelist()]
        for content in sent:
            assert b"watphon::" not in content
            assert not any(line in content for line in telling)
    (folder / "innocent.csv").write_bytes(key)
    for name in (programme.test.key, "innocent.csv"):
        spec = programme.forms["mne_cipp"].model_copy(update={"media": (name,)})
        forms = {**programme.forms, "mne_cipp": spec}
        file = programme.file.model_copy(update={"forms": forms})
        with pytest.raises(ProgrammeProblem, match="never leaves"):
            publish(programme.model_copy(update={"file": file}), Kobo("http://127.0.0.1:9", ""))


def test_a_missing_medium_is_named_before_anything_is_sent(folder: Path) -> None:
    """The file, and where it is expected."""
    programme = load(folder)
    (folder / "projects.csv").unlink()
    with pytest.raises(ProgrammeProblem, match=r"projects\.csv"):
        publish(programme, Kobo("http://127.0.0.1:9", ""))


def test_the_hash_is_of_the_cells(folder: Path) -> None:
    """Saved again by a spreadsheet programme without a change, a workbook is the same."""
    path = folder / "mne_cipp.xlsx"
    before = workbook_hash(path.read_bytes())
    openpyxl.load_workbook(path).save(path)
    assert workbook_hash(path.read_bytes()) == before
    relabel(path, "ใหม่")
    assert workbook_hash(path.read_bytes()) != before


def test_from_the_workbook_to_the_tables(
    running_server: RunningServer, folder: Path, tmp_path: Path
) -> None:
    """Publish, send, edit, pull, tables, against the real server: every answer arrives typed, and
    the edit replaces its row."""
    programme = few(folder)
    server = Kobo(running_server.url, running_server.token)
    published = {form.form_id: form for form in publish(programme, server)}
    cipp = published["mne_cipp"]
    form = programme.form("mne_cipp")
    number = form.by_name["prob_no"].path
    project = form.by_name["project_no"].path

    def instance(n: int, uuid: str, deprecated: str = "") -> bytes:
        turns = tuple(Record({number: str(k)}) for k in (1, 2))
        answers = {project: f"P64-0{n}", "today": "2021-03-11"}
        record = Record(answers, {"problem": turns})
        made = Submission(cipp.uid, cipp.version, f"r{n}", uuid, record, deprecated_id=deprecated)
        return to_xml(made, form)

    with Phone(running_server.url, token=running_server.token) as phone:
        for n in range(1, 6):
            assert phone.send(instance(n, f"u{n}")) == "stored"
        assert phone.send(instance(1, "u1")) == "duplicate"
        with Mirror(tmp_path / "mirror.sqlite3") as mirror:
            assert all(result.complete for result in pull(programme, server, mirror))
            assert phone.send(instance(9, "u9", deprecated="u3")) == "stored"
            _, result = pull(programme, server, mirror)
            assert (result.new, result.changed, result.local_count) == (0, 1, 5)
            assert result.complete
            assert len(mirror.history("mne_cipp", "u3")) == 1
            summary = write_tables(programme, mirror, tmp_path / "tables")
    assert summary.forms["mne_cipp"].tables == {
        "mne_cipp.parquet": 5,
        "mne_cipp.problem.parquet": 10,
    }
    import pyarrow.parquet as pq

    rows = pq.read_table(tmp_path / "tables" / "mne_cipp.parquet").to_pylist()
    assert [(row["_root_id"], row["project_no"], row["_edited"]) for row in rows][2] == (
        "u3",
        "P64-09",
        True,
    )


@pytest.mark.parametrize("disguise", [b"\xef\xbb\xbf", b""])
def test_the_key_does_not_leave_in_disguise(tmp_path: Path, disguise: bytes) -> None:
    """Saved again under another name, with a byte order mark or other line ends, the key stays."""
    folder = Path(shutil.copytree(shipped(), tmp_path / "programme"))
    key = (folder / "item_key.csv").read_bytes()
    (folder / "items.csv").write_bytes(disguise + key.replace(b"\n", b"\r\n") + b"\r\n")
    toml = folder / "programme.toml"
    text = toml.read_text("utf-8")
    toml.write_text(text.replace('media = ["courses.csv"]', 'media = ["items.csv"]', 1), "utf-8")
    programme = load(folder)
    with pytest.raises(ProgrammeProblem, match="answer key"):
        outgoing(programme, "mne_course_eval")
