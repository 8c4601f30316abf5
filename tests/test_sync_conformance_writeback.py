"""Writing back, the log and the form itself, the same tests over all three backends."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance import Bench, open_bench
from visits import FULL, FULL_FILES, record, tree
from world_kobo import KoboWorld
from worlds import NAMES

from forms.problems import Problem
from forms.xform import read_xform
from sync.attachments import files
from sync.journal import Change, changes, comments
from sync.mirror import Mirror
from sync.review import Correction, Verdict, correct, review


@pytest.fixture(params=NAMES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with open_bench(request, tmp_path, request.param) as found:
        found.publish()
        found.world.gate.afresh()
        yield found


def reviewed(bench: Bench, verdicts: list[Verdict]) -> int:
    return review("visit", bench.source(), verdicts, bench.backend, bench.mirror)


def corrected(bench: Bench, corrections: list[Correction]) -> int:
    """Correct, with ids from the world's counter."""
    return correct(
        "visit",
        bench.source(),
        corrections,
        bench.backend,
        bench.mirror,
        new_id=bench.world.new_id,
    )


def on_server(bench: Bench, folder: Path) -> dict[str, str]:
    """The statuses as somebody else pulls them now."""
    mine = bench.mirror
    with Mirror(folder / "fresh.sqlite3") as bench.mirror:
        assert bench.pull().complete
        found = {root: status for root, (_, status) in bench.live().items()}
    bench.mirror = mine
    (folder / "fresh.sqlite3").unlink()
    return found


def test_several_rows_are_reviewed(bench: Bench, tmp_path: Path) -> None:
    """Each status, and none, which takes one away; here, there and in the journal with the reason.
    The same again changes nothing and sends nothing."""
    roots = [bench.world.submit("visit", record(who=f"คน {n}")) for n in range(5)]
    bench.world.review("visit", roots[3], "approved")
    bench.pull()
    verdicts = [
        Verdict("visit", roots[0], "approved", "ตรวจแล้ว"),
        Verdict("visit", roots[1], "not_approved", "ซ้ำ"),
        Verdict("visit", roots[2], "on_hold", ""),
        Verdict("visit", roots[3], "", "เอาออก"),
    ]
    wanted = {root: one.status for root, one in zip(roots, verdicts, strict=False)}
    wanted[roots[4]] = ""
    assert review("visit", bench.source(), verdicts, bench.backend, bench.mirror, dry_run=True) == 4
    bench.world.gate.afresh()
    assert reviewed(bench, verdicts) == 4
    assert {root: status for root, (_, status) in bench.live().items()} == wanted
    assert on_server(bench, tmp_path) == wanted
    assert {one.comment for one in comments(bench.mirror, "visit")} == {
        "ตรวจแล้ว",
        "ซ้ำ",
        "",
        "เอาออก",
    }
    bench.world.gate.afresh()
    assert reviewed(bench, verdicts) == 0
    assert bench.world.gate.writes == []
    result = bench.pull()
    assert (result.changed, result.complete) == (0, True)


def test_a_correction_keeps_what_stood_there(bench: Bench) -> None:
    """Answers, one inside a repeat by its turn, are corrected as one edit: the old ones stay in the
    chain, files stay with the row, the reason is kept. The same again changes nothing."""
    world = bench.world
    roots = [world.submit("visit", FULL, FULL_FILES), world.submit("visit", record(who="ข"))]
    bench.pull()
    wanted = [
        Correction("visit", roots[0], "who", "มาลี", FULL.answers["who"], "ชื่อผิด"),
        Correction("visit", roots[0], "tree[2]/kind", "ลิ้นจี่", "ลำไย"),
        Correction("visit", roots[0], "tree[1]/fruit[2]/weight", "13"),
        Correction("visit", roots[1], "g/age", "51", ""),
    ]
    assert corrected(bench, wanted) == 2
    row = bench.row(roots[0])
    assert (row["who"], row["tree"][1]["tree/kind"]) == ("มาลี", "ลิ้นจี่")
    assert row["tree"][0]["tree/fruit"][1] == {"tree/fruit/weight": "13"}
    assert bench.row(roots[1])["g/age"] == "51"
    assert len(list(files(bench.mirror, "visit"))) == 4
    (before,) = bench.mirror.history("visit", roots[0])
    assert b"Yai" in before
    told = {(one.question, one.old, one.new, one.comment) for one in changed(bench)}
    assert ("who", FULL.answers["who"], "มาลี", "ชื่อผิด") in told
    assert ("tree[2]/kind", "ลำไย", "ลิ้นจี่", "") in told
    world.gate.afresh()
    assert corrected(bench, wanted) == 0
    assert world.gate.writes == []
    result = bench.pull()
    assert (result.new, result.changed, result.complete) == (0, 0, True)
    assert corrected(bench, [Correction("visit", roots[0], "who", "มาลี ๒", "มาลี")]) == 1
    assert len(bench.mirror.history("visit", roots[0])) == 2


def changed(bench: Bench) -> list[Change]:
    return list(changes(bench.mirror, "visit"))


def test_a_correction_of_something_else_is_refused(bench: Bench) -> None:
    """When another answer stands there, or the place is not in the record, nothing at all is sent."""
    roots = [bench.world.submit("visit", record(who="ก", tree=[tree("มะม่วง")])) for _ in range(2)]
    bench.pull()
    fine = Correction("visit", roots[0], "who", "ค", "ก")
    for bad, word in (
        (Correction("visit", roots[1], "who", "ค", "ไม่ใช่"), "another answer"),
        (Correction("visit", roots[1], "tree[2]/kind", "ค"), "not in this record"),
        (Correction("visit", "no-such-root", "who", "ค"), "not among the submissions"),
    ):
        bench.world.gate.afresh()
        with pytest.raises(Problem, match=word):
            corrected(bench, [fine, bad])
        assert bench.world.gate.writes == []
    assert bench.mirror.history("visit", roots[0]) == ()


def test_an_edit_under_our_hands_is_not_overwritten(bench: Bench) -> None:
    """The phone edits the row after we have read it: the correction is refused in words."""
    root = bench.world.submit("visit", record(who="ก"))
    bench.pull()
    first = len(bench.world.gate.asked)
    bench.world.gate.before(
        1,
        lambda one: one.writes,
        lambda: bench.world.edit("visit", root, record(who="โทรศัพท์")),
    )
    with pytest.raises(Problem):
        corrected(bench, [Correction("visit", root, "who", "สำนักงาน", "ก")])
    assert len(bench.world.gate.asked) > first
    assert bench.pull().complete
    assert bench.row(root)["who"] == "โทรศัพท์"


def test_the_log_says_who(bench: Bench) -> None:
    """Edits, reviews and, where the server tells it of a row that is gone, deletions: by whom, and
    when on the server's clock."""
    world = bench.world
    roots = [world.submit("visit", record(who=f"คน {n}")) for n in range(3)]
    bench.pull()
    world.edit("visit", roots[0], record(who="แก้แล้ว"))
    world.review("visit", roots[1], "on_hold")
    world.delete("visit", roots[2])
    bench.pull()
    told = {one.question: one for one in changed(bench)}
    edit, status, gone = told["who"], told["(status)"], told["(deleted)"]
    phone = "phone visit" if world.name == "central" else world.account
    assert (edit.old, edit.new, edit.who, edit.at_is_pull) == ("คน 0", "แก้แล้ว", phone, False)
    assert (status.new, status.who, status.at_is_pull) == ("on_hold", world.account, False)
    assert edit.at > bench.row(roots[0])["_submission_time"][:19]
    assert gone.who == ("" if world.name == "central" else world.account)


@pytest.mark.parametrize("bench", ["kobo"], indirect=True)
def test_the_log_of_a_second_that_is_not_over(bench: Bench) -> None:
    """KoboToolbox's log knows whole seconds: what happens later in the second of the last line is
    not lost to the next pull."""
    assert isinstance(bench.world, KoboWorld)
    roots = [bench.world.submit("visit", record(who=f"คน {n}")) for n in range(2)]
    bench.pull()
    bench.world.kobo.ticks = itertools.repeat(next(bench.world.kobo.ticks))  # type: ignore[assignment]
    for root in roots:
        bench.world.review("visit", root, "approved")
        bench.pull()
    assert [(one.root_id in roots, one.at_is_pull) for one in changed(bench)] == [(True, False)] * 2


def test_the_form_reads_back(bench: Bench) -> None:
    """The XForm on the server has the workbook's questions, with type, repeat and both labels."""
    mine = bench.world.programme.form("visit")
    uid = bench.backend.find(bench.visits.programme_id)["visit"].uid
    theirs = read_xform(bench.backend.xform(uid))
    # An XForm has its meta questions, the audit, after all others.
    ours = sorted(mine.questions, key=lambda q: q.type == "audit")
    assert [(q.path, q.type, q.repeat, q.labels) for q in theirs.questions] == [
        (q.path, q.type, q.repeat, q.labels) for q in ours
    ]
    assert theirs.title == mine.title
    assert theirs.choices["sex"] == tuple(
        type(choice)(choice.name, choice.labels) for choice in mine.choices["sex"]
    )
    assert bench.backend.deployed(uid).is_live
