"""Publishing, the same tests over the embedded server, KoboToolbox and ODK Central."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance import Bench, open_bench
from visits import FULL, SMALL, SPEC, VISIT, record, relabelled, renamed, without
from worlds import NAMES

from forms.problems import ProgrammeProblem, ServerProblem
from forms.renames import Renames
from forms.sections import AccessSpec
from forms.xform import read_xform
from sync.tables import write_tables

CROP = ("select_one_from_file crops.csv", "crop", "พืช", "Crop", None)


@pytest.fixture(params=NAMES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with open_bench(request, tmp_path, request.param) as found:
        yield found


def labels(bench: Bench) -> dict[str, str]:
    """The Thai labels of the form that phones are offered."""
    uid = bench.backend.find(bench.visits.programme_id)["visit"].uid
    form = read_xform(bench.backend.xform(uid))
    return {question.name: question.labels.get("th", "") for question in form.questions}


def test_published_once_it_stands(bench: Bench) -> None:
    """A new form is created with its list; a second time nothing is planned and nothing is sent."""
    assert [step.action for step in bench.plan()] == ["created", "media"]
    assert bench.world.gate.writes == []
    (made,) = bench.publish()
    assert (made.form_id, made.action, made.notes) == ("visit", "created", ())
    assert bench.world.media("visit") == bench.visits.files
    assert bench.world.versions("visit") == 1
    assert bench.plan() == []
    assert bench.publish() == [type(made)("visit", made.uid, "unchanged", made.version)]
    assert bench.world.gate.writes == []
    assert bench.world.count_forms() == 1


def test_one_label_is_one_version(bench: Bench) -> None:
    """After one changed label exactly one new version of exactly that form is offered."""
    bench.visits.with_plots()
    before = bench.publish()
    bench.visits.surveys["visit"] = relabelled(VISIT, "who", "ชื่อและสกุล")
    assert [step.action for step in bench.plan()] == ["replaced"]
    assert bench.world.gate.writes == []
    visit, plot = bench.publish()
    assert (visit.action, plot.action) == ("replaced", "unchanged")
    assert (visit.uid, plot.version) == (before[0].uid, before[1].version)
    assert visit.version != before[0].version
    assert (bench.world.versions("visit"), bench.world.versions("plot")) == (2, 1)
    assert labels(bench)["who"] == "ชื่อและสกุล"
    assert [form.action for form in bench.publish()] == ["unchanged", "unchanged"]
    assert bench.world.gate.writes == []


def test_a_changed_list_alone_goes_out(bench: Bench) -> None:
    """One more row in a CSV: the list is sent and offered, the workbook is not sent again."""
    bench.publish()
    bench.visits.files["places.csv"] += "52,ลำปาง\n".encode()
    assert [step.action for step in bench.plan()] == ["media"]
    (made,) = bench.publish()
    assert made.action == "media"
    paths = [one.path for one in bench.world.gate.writes]
    assert not any("/imports/" in path or "ignoreWarnings" in path for path in paths)
    assert bench.world.media("visit") == bench.visits.files
    assert bench.world.versions("visit") == 2
    assert bench.plan() == []


def test_a_removed_medium_goes(bench: Bench) -> None:
    """A list that is taken off the media line is no longer on phones; a form that still asks for it
    is told where the server can tell."""
    bench.visits.surveys["visit"] = (*VISIT, CROP)
    bench.visits.files["crops.csv"] = b"name,label\n1,rice\n"
    bench.visits.specs["visit"] = SPEC.model_copy(update={"media": ("places.csv", "crops.csv")})
    bench.publish()
    assert set(bench.world.media("visit")) == {"places.csv", "crops.csv"}
    bench.visits.specs["visit"] = SPEC
    assert [step.action for step in bench.plan()] == ["media"]
    (made,) = bench.publish()
    assert made.action == "media"
    assert set(bench.world.media("visit")) == {"places.csv"}
    if bench.world.name == "central":
        assert "crops.csv" in " ".join(made.notes)
    assert bench.plan() == []


def test_rights_are_given_once_and_taken_away(bench: Bench) -> None:
    """Facilitators and anybody may send, once; under `only` who is no longer named may not. The
    embedded server says that it has no such notion."""
    bench.visits.access = AccessSpec(
        facilitators=("enum1", "enum2"), anonymous=("visit",), only=True
    )
    (made,) = bench.publish()
    if bench.world.name == "embedded":
        assert "no permission assignments" in made.notes[0]
    else:
        assert bench.world.senders("visit") == {"enum1", "enum2", "anybody"}
    assert bench.plan() == []
    assert [form.action for form in bench.publish()] == ["unchanged"]
    assert bench.world.gate.writes == []
    bench.visits.access = AccessSpec(facilitators=("enum1",), only=True)
    steps = bench.plan()
    assert {step.action for step in steps} <= {"access"}
    assert bench.world.gate.writes == []
    (made,) = bench.publish()
    if bench.world.name == "embedded":
        assert (steps, made.action) == ([], "unchanged")
        return
    assert (len(steps), made.action) == (2, "access")
    assert bench.world.senders("visit") == {"enum1"}
    assert bench.plan() == []


def test_readers_see_their_province(bench: Bench) -> None:
    """On KoboToolbox an account reads the rows of its province and is told that it is not the whole;
    elsewhere a note says that there is no such right."""
    bench.visits.access = AccessSpec(provinces={"outsider": ("51",)})
    (made,) = bench.publish()
    if bench.world.name != "kobo":
        assert made.notes
        assert [form.action for form in bench.publish()] == ["unchanged"]
        assert bench.world.gate.writes == []
        return
    roots = [bench.world.submit("visit", record(who="ก", place=code)) for code in ("50", "51")]
    assert bench.plan() == []
    stranger = bench.world.another("stranger")
    result = bench.pull(backend=stranger)
    assert not result.complete
    assert "only some of the rows" in result.differs[0]
    assert set(bench.live()) == {roots[1]}
    assert bench.pull().complete
    assert bench.pull(backend=stranger).withdrawn == 0


def test_forms_are_linked_once(bench: Bench) -> None:
    """On KoboToolbox rows of one form are offered to another, once, and other fields when they
    change; elsewhere a note says what to do instead, and nothing counts as changed."""
    bench.visits.with_plots("who", "place")
    _, plot = bench.publish()
    assert "link" in " ".join(plot.notes) or "offers rows of visit" in " ".join(plot.notes)
    _, again = bench.publish()
    assert again.action == "unchanged"
    assert bench.world.gate.writes == []
    bench.visits.with_plots("who", "sex")
    _, changed = bench.publish()
    if bench.world.name == "kobo":
        assert changed.action == "access"
        assert "visits.xml" in " ".join(changed.notes)
    assert bench.publish()[1].action == "unchanged"


def test_answers_are_not_orphaned(bench: Bench, tmp_path: Path) -> None:
    """With a row on the server a renamed and a removed question are refused before anything is sent;
    with renames.csv both go through, and old and new answers stand in one column."""
    bench.publish()
    old = bench.world.submit("visit", record(who="เก่า", code="1", seen="2021-03-01"))
    bench.visits.surveys["visit"] = without(renamed(VISIT, "who", "name"), "code", "line")
    for act in (bench.plan, bench.publish):
        with pytest.raises(ProgrammeProblem) as caught:
            act()
        assert {finding.code for finding in caught.value.findings} == {"would_orphan"}
        assert "who" in str(caught.value)
        assert bench.world.gate.writes == []
    moved = {"who": "name", "code": "", "line": ""}
    bench.visits.renames = {"visit": Renames(moved)}
    assert [form.action for form in bench.publish()] == ["replaced"]
    new = bench.world.submit("visit", record(name="ใหม่", seen="2021-03-02"))
    assert bench.pull().complete
    write_tables(bench.world.programme, bench.mirror, tmp_path / "tables")
    import pyarrow.parquet as pq

    rows = pq.read_table(tmp_path / "tables" / "visit.parquet").to_pylist()
    assert {row["_root_id"]: row["name"] for row in rows} == {old: "เก่า", new: "ใหม่"}
    assert not {"who", "code"} & rows[0].keys()


def test_without_its_marker_it_is_known_again(bench: Bench) -> None:
    """A colleague removed our marker: published.json says which form it is, and none is made twice."""
    (made,) = bench.publish()
    bench.world.unmark("visit")
    assert bench.plan()
    (again,) = bench.publish()
    assert (again.uid, again.action in ("unchanged", "replaced")) == (made.uid, True)
    assert bench.world.count_forms() == 1
    assert [form.action for form in bench.publish()] == ["unchanged"]
    assert bench.world.gate.writes == []
    bench.record.unlink()
    assert bench.plan() == []


def test_an_archived_form_is_offered_again(bench: Bench) -> None:
    """A colleague closed the form; publishing opens it, as planned, and sends no workbook."""
    bench.publish()
    bench.world.archive("visit")
    assert [step.action for step in bench.plan()] == ["replaced"]
    (made,) = bench.publish()
    assert made.action == "replaced"
    assert not any("/imports/" in one.path for one in bench.world.gate.writes)
    assert bench.world.media("visit") == bench.visits.files
    assert bench.plan() == []


def test_what_is_refused_is_told_and_the_others_go_out(bench: Bench) -> None:
    """A reference to nowhere: the workbook's name and the server's words; the other form is live."""
    bench.visits.with_plots()
    bad = ("calculate", "sum", None, None, "${no_such_question} + 1")
    bench.visits.surveys["visit"] = (*VISIT, bad)
    with pytest.raises(ServerProblem) as caught:
        bench.publish()
    assert "visit.xlsx" in str(caught.value)
    assert "no_such_question" in str(caught.value)
    assert bench.backend.find(bench.visits.programme_id)["plot"].is_live


def test_cut_off_anywhere_it_is_finished_by_the_next(bench: Bench) -> None:
    """The line dies after the k-th request, for every k, of a first publication, of a change, and of
    a list taken away; the same command again ends in one form, offered as it should be, and a third
    time sends nothing."""
    test = bench.visits.programme_id
    survey = (*SMALL, CROP)
    places, crops = bench.visits.files["places.csv"], b"name,label\n1,rice\n"
    changed = b"name,label\n60,Chiang Rai\n"
    stages = (
        (survey, {"places.csv": places, "crops.csv": crops}),
        (relabelled(survey, "who", "ใคร"), {"places.csv": changed, "crops.csv": crops}),
        (relabelled(survey, "who", "ใคร"), {"places.csv": changed}),
    )
    for k in range(1, 60):
        bench.renew(f"{test}-{k}")
        bench.record.unlink(missing_ok=True)
        cut = False
        for asked, files in stages:
            bench.visits.surveys["visit"], bench.visits.files = asked, dict(files)
            bench.visits.specs["visit"] = SPEC.model_copy(update={"media": tuple(files)})
            if publish_cut_off(bench, k):
                cut = True
                bench.publish()
            assert bench.world.media("visit") == files, f"cut after {k}"
            assert labels(bench)["who"] == ("ชื่อ" if asked is survey else "ใคร")
        assert [form.action for form in bench.publish()] == ["unchanged"], f"cut after {k}"
        assert bench.world.gate.writes == []
        assert bench.world.count_forms() == k
        if not cut:
            return
    raise AssertionError("publishing asks for more than sixty things")


def publish_cut_off(bench: Bench, k: int) -> bool:
    """Publish on a line that dies after `k` requests; whether it did."""
    from sync.publish import publish

    programme = bench.visits.load()
    bench.world.gate.afresh()
    bench.world.gate.shut_after = k
    broken = ""
    try:
        publish(programme, bench.backend, record=bench.record)
    except ServerProblem as problem:
        broken = problem.findings[0].code
    bench.world.gate.afresh()
    assert broken in ("", "server_broke_off")
    return bool(broken)


def test_a_submission_to_the_new_version(bench: Bench) -> None:
    """A question that was added while we pull is there in the next row, and the old row stays."""
    bench.publish()
    old = bench.world.submit("visit", FULL)
    assert bench.pull().new == 1
    bench.visits.surveys["visit"] = (*VISIT, ("text", "more", "อื่น ๆ", "More", None))
    made = bench.publish()
    new = bench.world.submit("visit", record(who="ใหม่", more="คำตอบ"))
    result = bench.pull()
    assert (result.new, result.changed, result.complete) == (1, 0, True)
    assert bench.row(new)["more"] == "คำตอบ"
    assert bench.row(old)["who"] == FULL.answers["who"]
    if bench.world.name != "kobo":  # there it is a question of the form, which is not ours
        assert bench.row(new)["__version__"] == made[0].version
