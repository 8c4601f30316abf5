"""Pulling, the same tests over the embedded server, KoboToolbox and ODK Central."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance import Bench, open_bench
from gate import Asked
from visits import FULL, FULL_FILES, JPEG, SMALL, record, tree
from world_kobo import KoboWorld
from worlds import NAMES, Truth

from forms.instance import flat
from forms.problems import ServerProblem
from sync.attachments import fetch_files, files
from sync.pull import Wanted

THAI = record(who="ก๊วน ๑๒๓ 🌾\nบรรทัดสอง", sex="m", tree=[tree("ลำไย", "1")])
NONE = record(who="ไม่มี")


@pytest.fixture(params=NAMES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """Published, with pages of two rows."""
    with open_bench(request, tmp_path, request.param, page=2) as found:
        found.publish()
        found.world.gate.afresh()
        yield found


def answers(row: dict[str, Any]) -> dict[str, Any]:
    """The answers of a row, without what the server adds."""
    own = ("meta/instanceID", "meta/rootUuid", "meta/deprecatedID", "formhub/uuid")
    return {k: v for k, v in row.items() if not k.startswith("_") and k not in own}


def test_every_row_as_it_was_sent(bench: Bench) -> None:
    """More rows than a page, each with every answer: nested repeats, Thai, several choices, a place;
    its files are listed with the question they answer. A second pull brings nothing."""
    roots = [bench.world.submit("visit", FULL, FULL_FILES)]
    roots += [bench.world.submit("visit", one) for one in (THAI, NONE)]
    result = bench.pull()
    assert (result.new, result.server_count, result.local_count) == (3, 3, 3)
    assert (result.complete, result.waiting) == (True, 0)
    found = [answers(bench.row(root)) for root in roots]
    if bench.world.name == "central":  # OData gives numbers
        assert found[0].pop("g/income") == "8500.5"
    else:
        assert found[0].pop("g/income") == "8500.50"
    sent = [flat(one) for one in (FULL, THAI, NONE)]
    del sent[0]["g/income"]
    assert found == sent
    assert {(file.name, file.question) for file in files(bench.mirror, "visit")} == {
        ("ภาพ 1.jpg", "photo"),
        ("plan.pdf", "paper"),
        ("m.jpg", "tree[1]/pic"),
        ("audit.csv", "meta/audit"),
    }
    again = bench.pull()
    assert (again.new, again.changed, again.withdrawn, again.complete) == (0, 0, 0, True)


def test_edits_reviews_and_deletions_are_seen(bench: Bench) -> None:
    """One of each: the mirror is as the server is, and what was before stays in the chain."""
    roots = [bench.world.submit("visit", record(who=f"คน {n}")) for n in range(5)]
    assert bench.pull().new == 5
    bench.world.edit("visit", roots[0], record(who="แก้แล้ว"))
    bench.world.review("visit", roots[1], "not_approved")
    bench.world.delete("visit", roots[2])
    result = bench.pull()
    assert (result.new, result.changed, result.withdrawn) == (0, 2, 1)
    assert result.complete
    assert bench.live() == bench.world.truth["visit"]
    assert bench.row(roots[0])["who"] == "แก้แล้ว"
    (before,) = bench.mirror.history("visit", roots[0])
    assert "คน 0".encode() in before
    bench.world.review("visit", roots[1], "")
    assert bench.pull().complete
    assert bench.live() == bench.world.truth["visit"]


def test_what_was_deleted_may_come_back(bench: Bench) -> None:
    """Restored, or sent once more by the phone, it is the same submission and nothing was edited."""
    roots = [bench.world.submit("visit", record(who=f"คน {n}")) for n in range(3)]
    bench.pull()
    bench.world.delete("visit", roots[1])
    assert bench.pull().withdrawn == 1
    bench.world.bring_back("visit", roots[1])
    result = bench.pull()
    assert (result.new, result.changed, result.complete) == (1, 0, True)
    assert bench.live() == bench.world.truth["visit"]
    assert bench.mirror.history("visit", roots[1]) == ()


def test_a_late_file_is_found(bench: Bench) -> None:
    """A row names a photo that the phone sends an hour later: it waits, then the photo is listed."""
    root = bench.world.submit("visit", record(who="ก", photo="a.jpg"))
    assert (bench.pull().waiting, list(files(bench.mirror, "visit"))) == (1, [])
    assert bench.pull().waiting == 1
    bench.world.late_file("visit", root, ("a.jpg", JPEG, "image/jpeg"))
    result = bench.pull()
    assert (result.waiting, result.complete) == (0, True)
    assert [file.name for file in files(bench.mirror, "visit")] == ["a.jpg"]


def test_since_reads_the_newer_rows_only(bench: Bench) -> None:
    """Rows since a moment, not proven to be all; the next whole pull misses none of the others."""
    roots = [bench.world.submit("visit", record(who=f"คน {n}")) for n in range(4)]
    bench.pull()
    moment = bench.row(roots[3])["_submission_time"]
    with bench.mirror.transaction():
        bench.mirror.base.execute("DELETE FROM rows")
        bench.mirror.base.execute("UPDATE forms SET cursor = '', stamp = ''")
    bench.world.edit("visit", roots[1], record(who="แก้"))
    result = bench.pull(Wanted(since=moment))
    assert (result.proven, result.complete) == (False, False)
    found = set(bench.live())
    assert roots[3] in found
    if bench.world.name != "embedded":  # its moments are whole seconds
        assert roots[0] not in found
    assert (roots[1] in found) == (bench.world.name != "kobo")  # it has no modification time
    result = bench.pull()
    assert result.complete
    assert bench.live() == bench.world.truth["visit"]


def test_full_reads_every_row_again(bench: Bench) -> None:
    """What lies here is replaced by what lies there, whatever the marks say; nothing was edited."""
    root = bench.world.submit("visit", THAI)
    bench.world.submit("visit", NONE)
    bench.pull()
    with bench.mirror.transaction():
        bench.mirror.base.execute("UPDATE rows SET payload = X'7B7D'")
    assert bench.pull().changed == 0
    assert bench.row(root) == {}
    result = bench.pull(Wanted(full=True))
    assert (result.changed, result.complete) == (0, True)
    assert bench.row(root)["who"] == THAI.answers["who"]


@pytest.mark.parametrize("bench", ["kobo"], indirect=True)
def test_a_phantom_counts_once(bench: Bench) -> None:
    """Recordings 273-279: a row without a document, and the phone's second sending beside it."""
    assert isinstance(bench.world, KoboWorld)
    root = bench.world.submit("visit", record(who="ก"))
    asset = bench.world.kobo.assets[bench.world.uid("visit")]
    asset.documents.clear()
    bench.world.bring_back("visit", root)
    result = bench.pull()
    assert (result.server_count, result.phantoms, result.local_count) == (2, 1, 1)
    assert result.complete


def test_nothing_happened_is_cheap_where_the_server_says_so(bench: Bench) -> None:
    """ODK Central and the embedded server are asked for their stamp alone and no row is read, light
    or whole; KoboToolbox has none and is swept. After a review, an edit, a deletion it has moved."""
    roots = [bench.world.submit("visit", record(who=f"คน {n}")) for n in range(3)]
    bench.pull()
    bench.world.gate.afresh()
    assert bench.pull().complete
    read = [one for one in bench.world.gate.asked if ".svc/" in one.path or "/data/" in one.path]
    if bench.world.name == "kobo":
        assert any(bench.world.sweeps(one) for one in read)
    else:
        assert [one.method for one in read] == ["HEAD"]
    acts: list[Callable[[], object]] = [
        lambda: bench.world.review("visit", roots[0], "approved"),
        lambda: bench.world.edit("visit", roots[1], record(who="แก้")),
        lambda: bench.world.delete("visit", roots[2]),
    ]
    for act in acts:
        act()
        result = bench.pull()
        assert (result.complete, result.changed + result.withdrawn) == (True, 1)
        assert bench.live() == bench.world.truth["visit"]


def test_what_happens_while_we_look_is_never_hidden(bench: Bench) -> None:
    """Rows deleted, edited and inserted before any request of the sweep: the pull ends as the server
    is, or was when it was read, or says in words that it is not complete; the next one is."""
    bench.visits.surveys["visit"] = SMALL
    bench.publish()
    world = bench.world
    roots = [world.submit("visit", record(who=f"คน {n}")) for n in range(8)]
    bench.pull()
    acts: dict[str, Callable[[str], object]] = {
        "delete": lambda root: world.delete("visit", root),
        "edit": lambda root: world.edit("visit", root, record(who="แก้")),
        "insert": lambda root: world.submit("visit", record(who="มาทีหลัง")),
    }
    for what, act in acts.items():
        for request, place in ((1, 0), (2, -1), (3, 0)):
            stays = roots[3]
            status = "" if world.truth["visit"][stays][1] else "on_hold"
            world.review("visit", stays, status)  # so that there is something to sweep
            root = list(world.truth["visit"])[place]
            before: Truth = dict(world.truth["visit"])
            world.gate.before(request, world.sweeps, lambda root=root, act=act: act(root))
            result = bench.pull()
            case = f"{what} of row {place} before request {request}"
            assert world.gate.acts == [], case
            after = world.truth["visit"]
            assert result.complete == (not result.differs), case
            if result.complete:
                assert bench.live() in ([after] if what == "delete" else [before, after]), case
            assert bench.pull().complete, case
            assert bench.live() == after, case


def test_files_are_brought_once(bench: Bench, tmp_path: Path) -> None:
    """Every file, byte for byte; a second time none is asked for; one that broke off is finished."""
    bench.world.submit("visit", FULL, FULL_FILES)
    bench.pull()
    fetched = fetch_files("visit", bench.backend, bench.mirror, tmp_path / "files")
    assert (fetched.files, fetched.findings) == (4, ())
    found = {f.name: f.path(tmp_path / "files").read_bytes() for f in files(bench.mirror, "visit")}
    assert found == {name: content for name, content, _ in FULL_FILES}
    bench.world.gate.afresh()
    assert fetch_files("visit", bench.backend, bench.mirror, tmp_path / "files").files == 0
    assert bench.world.gate.asked == []

    photo = JPEG * 100
    root = bench.world.submit(
        "visit", record(who="ข", photo="b.jpg"), [("b.jpg", photo, "image/jpeg")]
    )
    bench.pull()
    bench.world.gate.afresh()
    bench.world.gate.clip = ("/attachments/", 333)
    assert fetch_files("visit", bench.backend, bench.mirror, tmp_path / "files").files == 1
    (file,) = [one for one in files(bench.mirror, "visit") if one.root_id == root]
    assert file.path(tmp_path / "files").read_bytes() == photo
    assert len(bench.world.gate.asked) == 2


def test_wrong_credentials_are_named(bench: Bench) -> None:
    """Nobody looks like an empty server: what to set is said, and nothing is stored."""
    bench.world.submit("visit", NONE)
    with pytest.raises(ServerProblem) as caught:
        bench.pull(backend=bench.world.another("wrong"))
    assert caught.value.findings[0].code == "wrong_token"
    assert "WATPHON_" in str(caught.value)
    assert bench.mirror.count("visit") == 0


def test_a_session_that_ends_half_way(bench: Bench) -> None:
    """ODK Central is signed in to again and the pull is whole; a revoked token of the others stops it
    in words, and what was complete by then is kept."""
    for n in range(5):
        bench.world.submit("visit", record(who=f"คน {n}"))

    def reads(asked: Asked) -> bool:
        return "$expand" in asked.path or ("/data/" in asked.path and "fields" not in asked.path)

    bench.world.gate.before(2, reads, bench.world.end_session)
    if bench.world.name == "central":
        result = bench.pull()
        assert (result.new, result.complete) == (5, True)
        return
    with pytest.raises(ServerProblem) as caught:
        bench.pull()
    assert caught.value.findings[0].code == "wrong_token"


def test_a_form_that_is_not_there(bench: Bench) -> None:
    """It is named, with what to do; a programme nobody published is no empty programme."""
    name = "999999/nothing" if bench.world.name == "central" else "aNothing"
    for ask in (bench.backend.xform, bench.backend.deployed):
        with pytest.raises(ServerProblem) as caught:
            ask(name)
        assert caught.value.findings[0].code == "not_there"
    bench.renew(f"{bench.visits.programme_id}-2")
    with pytest.raises(ServerProblem, match="has none of the forms"):
        bench.pull()


@pytest.mark.parametrize("bench", ["kobo", "central"], indirect=True)
def test_an_account_that_sees_nothing(bench: Bench) -> None:
    """It is told so; nothing that lies here is withdrawn."""
    bench.world.submit("visit", NONE)
    bench.pull()
    with pytest.raises(ServerProblem, match="has none of the forms"):
        bench.pull(backend=bench.world.another("stranger"))
    assert bench.live() == bench.world.truth["visit"]
