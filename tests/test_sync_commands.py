"""The commands an evaluator types: publish, pull, review, correct, changes, fetch, and bad input."""

from __future__ import annotations

import csv
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from office import RunningServer

import watphon
from forms.instance import to_xml
from forms.model import Record, Submission
from forms.programme import Programme, load, shipped
from sync.kobo import Kobo
from sync.phone import Phone

FORM = "mne_followup"
PHOTO = ("ภาพ 1.jpg", b"\xff\xd8 not quite a photo", "image/jpeg")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def programme(tmp_path_factory: pytest.TempPathFactory) -> Programme:
    return load(Path(shutil.copytree(shipped(), tmp_path_factory.mktemp("p") / "programme")))


@pytest.fixture
def run(
    module_server: RunningServer,
    programme: Programme,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run a command on the programme against the server; gives exit code, output and errors."""
    monkeypatch.setenv("WATPHON_TOKEN", module_server.token)
    monkeypatch.setenv("WATPHON_URL", module_server.url)

    def one(command: str, *arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = watphon.main([command, *arguments, "-C", str(programme.folder)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return one


def visit(
    server: RunningServer, programme: Programme, *, photo: bool = False, **answers: str
) -> str:
    """A follow-up visit, sent as a phone sends it; gives its root id."""
    backend = Kobo(server.url, server.token)
    uid = backend.find(programme.id)[FORM].uid
    root = str(uuid.uuid4())
    form = programme.form(FORM)
    record = {"visit_date": "2021-05-04", "today": "2021-05-04", "project_no": "1", **answers}
    if photo:
        record["photo"] = PHOTO[0]
    turns = {"leader": (Record({"leader/l_pid": "5064000018"}),)}
    with Phone(server.url, token=server.token) as phone:
        version = next(listed.version for listed in phone.forms(uid))
        instance = Submission(uid, version, root, root, Record(record, turns))
        phone.send(to_xml(instance, form), (PHOTO,) if photo else ())
    return root


@pytest.fixture
def visits(run: Run, module_server: RunningServer, programme: Programme) -> list[str]:
    """Three visits on the server and in the mirror; the first has a photo."""
    assert run("publish")[0] == 0
    roots = [
        visit(module_server, programme, photo=n == 0, n_met=str(n), advice=f"=คำแนะนำ {n}")
        for n in range(3)
    ]
    code, said, _ = run("pull", "--form", FORM)
    assert code == 0, said
    return roots


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def statuses(programme: Programme) -> dict[str, str]:
    table = pq.read_table(programme.folder / "data/tables/mne_followup.parquet")
    return dict(
        zip(
            table.column("_root_id").to_pylist(),
            table.column("_validation").to_pylist(),
            strict=True,
        )
    )


def write(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines) + "\n", "utf-8-sig")
    return str(path)


def test_a_dry_run_tells_and_sends_nothing(tmp_path: Path, run: Run, programme: Programme) -> None:
    """The plan names every step; after publishing there is nothing to do; after one edit one step."""
    server = RunningServer(tmp_path / "other")
    server.start()
    try:
        here = ("--url", server.url)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("WATPHON_TOKEN", server.token)
            code, said, _ = run("publish", "--dry-run", *here)
            assert code == 0
            assert "create the project" in said
            assert "add courses.csv" in said
            assert Kobo(server.url, server.token).find(programme.id) == {}
            assert run("publish", *here)[0] == 0
            _, said, _ = run("publish", "--dry-run", *here)
            assert said.count("nothing to do") == len(programme.forms)
            places = programme.folder / "tambons.csv"
            before = places.read_bytes()
            try:
                places.write_bytes(before + b'"509999","x","x","50","5001"\n')
                _, said, _ = run("publish", "--dry-run", *here)
            finally:
                places.write_bytes(before)
            assert "replace tambons.csv" in said
            assert "import the changed workbook" not in said
    finally:
        server.end()


def test_a_pull_brings_rows_photos_and_the_proof(
    run: Run, visits: list[str], programme: Programme
) -> None:
    """Counts, `complete`, the photo by its content; the next pull finds nothing to do."""
    stored = list((programme.folder / "data/attachments").glob("??/*.jpg"))
    assert [path.read_bytes() for path in stored] == [PHOTO[1]]
    code, said, _ = run("pull", "--form", FORM)
    assert code == 0
    assert "new 0, changed 0, withdrawn 0: complete" in said
    assert set(visits) <= set(statuses(programme))


def test_a_quick_pull_claims_no_proof(
    run: Run, visits: list[str], module_server: RunningServer, programme: Programme
) -> None:
    """`--since` brings what is new and says that edits and deletions were not looked for."""
    new = visit(module_server, programme)
    code, said, _ = run("pull", "--form", FORM, "--since", "2564-01-01")
    assert code == 0
    assert "new 1" in said
    assert "not looked for" in said
    assert "complete" not in said
    assert new in statuses(programme)
    code, said, _ = run("pull", "--form", FORM, "--full")
    assert "new 0, changed 0, withdrawn 0: complete" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pull", "--form", "nothing"), "is no form of the programme"),
        (("pull", "--since", "soon"), "--since"),
        (("pull", "--full", "--since", "2021-01-01"), "exclude each other"),
        (("pull", "--attachments", "some"), "plain, all or none"),
        (("review",), "either a CSV file or --where"),
        (("review", "--where", "1=1", "--set", "on_hold"), "needs --form and --set"),
        (("review", "--where", "1=1", "--form", FORM, "--set", "maybe"), "is no status"),
        (("changes", "--form", "nothing"), "is no form of the programme"),
    ],
)
def test_a_command_that_cannot_work_is_usage(
    run: Run, arguments: tuple[str, ...], words: str
) -> None:
    """Exit code 2, what is wrong and what to write instead; nothing is sent."""
    code, _, said = run(*arguments)
    assert code == 2
    assert words in said
    assert "Traceback" not in said


def test_statuses_from_a_file_reach_the_server(
    run: Run, visits: list[str], tmp_path: Path, programme: Programme
) -> None:
    """A CSV sets and takes away statuses; the same again changes nothing; the comment stays here."""
    file = write(
        tmp_path / "v.csv",
        "form,root_id,status,comment",
        f"{FORM},{visits[0]},On Hold,วันที่แปลก",
        f"{FORM},{visits[1]},approved,",
    )
    code, said, _ = run("review", file, "--dry-run")
    assert (code, "would be: 2 of 2" in said) == (0, True)
    code, said, _ = run("review", file)
    assert (code, "2 of 2" in said) == (0, True)
    assert "0 of 2" in run("review", file)[1]
    run("pull", "--form", FORM)
    assert [statuses(programme)[root] for root in visits] == ["on_hold", "approved", ""]
    assert run("changes", "--form", FORM, "--root", visits[0])[0] == 0
    (change,) = rows_of(programme.folder / "data/changes.csv")
    assert (change["question"], change["old"], change["new"]) == ("(status)", "", "on_hold")
    assert (change["who"], change["comment"]) == ("admin", "วันที่แปลก")
    file = write(tmp_path / "v.csv", "form,root_id,status", f"{FORM},{visits[0]},none")
    assert "1 of 1" in run("review", file)[1]


def test_excluded_rows_are_put_on_hold(run: Run, visits: list[str], tmp_path: Path) -> None:
    """excluded.csv as it stands: its reasons choose the rows and become the comment."""
    file = write(
        tmp_path / "excluded.csv",
        "form,root_id,reason",
        f"{FORM},{visits[0]},duplicate_person",
        f"{FORM},{visits[1]},superseded",
    )
    said = run("review", file, "--set", "on_hold", "--reason", "duplicate_person")[1]
    assert "1 of 1" in said


def test_every_bad_row_of_a_file_is_told_and_nothing_is_sent(
    run: Run, visits: list[str], tmp_path: Path, programme: Programme
) -> None:
    """Row numbers and remedies together; a submission that is not here is named."""
    file = write(
        tmp_path / "v.csv",
        "form,root_id,status",
        f"{FORM},{visits[0]},maybe",
        f"nothing,{visits[1]},approved",
        f"{FORM},{visits[2]},approved",
    )
    code, _, said = run("review", file)
    assert code == 1
    assert "row 2" in said
    assert "row 3" in said
    file = write(tmp_path / "v.csv", "form,root_id,status", f"{FORM},not-here,approved")
    code, _, said = run("review", file)
    assert (code, "not-here" in said) == (1, True)
    run("pull", "--form", FORM)
    assert statuses(programme)[visits[2]] == ""


def test_a_rule_chooses_rows(run: Run, visits: list[str], programme: Programme) -> None:
    """An SQL condition on the typed table; it can read that table and nothing else."""
    code, said, _ = run(
        "review", "--form", FORM, "--where", "n_met >= 2", "--set", "on_hold", "--comment", "มาก"
    )
    assert code == 0
    run("pull", "--form", FORM)
    assert statuses(programme)[visits[2]] == "on_hold"
    assert statuses(programme)[visits[0]] == ""
    for rule in (
        "nonsense > 1",
        "n_met > (SELECT count(*) FROM read_csv('/etc/passwd'))",
        "true); DROP TABLE answers; --",
    ):
        code, _, said = run("review", "--form", FORM, "--where", rule, "--set", "on_hold")
        assert code == 2, rule
        assert "n_met" in said  # the columns there are


def test_a_correction_is_an_edit_that_keeps_the_old_value(
    run: Run, visits: list[str], tmp_path: Path, programme: Programme
) -> None:
    """Two answers of one submission, one inside a repeat; personal ones are told only when asked."""
    heads = "form,root_id,question,old,new,comment"
    wrong = write(tmp_path / "c.csv", heads, f"{FORM},{visits[1]},n_met,77,5,typo")
    code, _, said = run("correct", wrong)
    assert (code, "another answer than the one to be corrected" in said) == (1, True)
    nowhere = write(tmp_path / "c.csv", heads, f"{FORM},{visits[1]},n_mett,1,5,typo")
    assert "is not in this record" in run("correct", nowhere)[2]
    file = write(
        tmp_path / "c.csv",
        heads,
        f"{FORM},{visits[1]},n_met,1,5,พิมพ์ผิด",
        f"{FORM},{visits[1]},leader[1]/l_pid,5064000018,5064000026,wrong badge",
        f"{FORM},{visits[1]},advice,nothing,=1+1,",
    )
    assert "another answer" in run("correct", file)[2]  # advice is another one, so none is sent
    file = write(tmp_path / "c.csv", *(tmp_path / "c.csv").read_text("utf-8-sig").splitlines()[:3])
    assert "would be: 1 of 2" in run("correct", file, "--dry-run")[1]
    assert "1 of 2" in run("correct", file)[1]
    assert "0 of 2" in run("correct", file)[1]
    code, said, _ = run("pull", "--form", FORM)
    assert "complete" in said
    table = pq.read_table(programme.folder / "data/tables/mne_followup.parquet").to_pylist()
    (row,) = [row for row in table if row["_root_id"] == visits[1]]
    assert (row["n_met"], row["_edited"]) == (5, True)
    run("changes", "--form", FORM, "--root", visits[1])
    found = {row["question"]: row for row in rows_of(programme.folder / "data/changes.csv")}
    assert (found["n_met"]["old"], found["n_met"]["new"]) == ("1", "5")
    assert found["n_met"]["comment"] == "พิมพ์ผิด"
    assert found["leader[1]/l_pid"]["old"] == "5064000018"
    assert {row["who"] for row in found.values()} == {"admin"}


def test_what_changed_is_told_without_personal_answers(
    run: Run, visits: list[str], tmp_path: Path, programme: Programme
) -> None:
    """Free text is told as changed; with --personal it is shown, and no cell is a formula."""
    heads = "form,root_id,question,new"
    file = write(tmp_path / "c.csv", heads, f"{FORM},{visits[0]},advice,+ใหม่")
    assert run("correct", file)[0] == 0
    path = programme.folder / "data/changes.csv"
    run("changes", "--form", FORM, "--root", visits[0])
    assert [(row["old"], row["new"]) for row in rows_of(path)] == [("(personal)", "(personal)")]
    run("changes", "--form", FORM, "--root", visits[0], "--personal")
    assert [(row["old"], row["new"]) for row in rows_of(path)] == [("'=คำแนะนำ 0", "'+ใหม่")]


def test_any_form_becomes_tables_without_a_programme(
    visits: list[str], module_server: RunningServer, programme: Programme, tmp_path: Path, run: Run
) -> None:
    """Tables with labels, repeats and photos; the second call brings nothing again."""
    uid = Kobo(module_server.url, module_server.token).find(programme.id)[FORM].uid
    folder = tmp_path / "survey"
    assert watphon.main(["fetch", module_server.url, uid, "-o", str(folder)]) == 0
    rows = {row["_root_id"]: row for row in rows_of(folder / "tables" / f"{uid}.csv")}
    assert set(visits) <= rows.keys()
    assert rows[visits[0]]["advice"] == "'=คำแนะนำ 0"
    assert (folder / rows[visits[0]]["photo.file"]).read_bytes() == PHOTO[1]
    repeats = rows_of(folder / "tables" / f"{uid}.leader.csv")
    assert {row["l_pid"] for row in repeats} >= {"5064000018"}
    words = rows_of(folder / "tables" / "dictionary.csv")
    assert any(row["question"] == "visit_date" for row in words)
    before = {path: path.read_bytes() for path in (folder / "tables").iterdir()}
    assert watphon.main(["fetch", module_server.url, uid, "-o", str(folder)]) == 0
    assert before == {path: path.read_bytes() for path in (folder / "tables").iterdir()}


def test_a_form_that_cannot_be_fetched_is_told(
    module_server: RunningServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No name, no sign-in, a form that is not there: words, an exit code, no folder."""
    monkeypatch.setenv("WATPHON_TOKEN", module_server.token)
    folder = tmp_path / "x"
    for arguments, code, words in (
        (("fetch", module_server.url), 2, "which form?"),
        (("fetch", module_server.url, "../../me", "-o", str(folder)), 2, "is no name of a form"),
        (("fetch", module_server.url, "a?x=1", "-o", str(folder)), 2, "is no name of a form"),
        (("fetch", module_server.url, "aNone", "-o", str(folder)), 1, "is not there"),
        (("fetch", "http://127.0.0.1:9", "aNone", "-o", str(folder)), 1, "cannot be reached"),
    ):
        assert watphon.main(list(arguments)) == code
        assert words in capsys.readouterr().err
    monkeypatch.setenv("WATPHON_TOKEN", "")
    assert watphon.main(["fetch", module_server.url, "3/visit", "-o", str(folder)]) == 2
    assert "WATPHON_EMAIL" in capsys.readouterr().err
    assert not folder.exists()


def test_watching_goes_on_while_the_server_is_away(
    tmp_path: Path, programme: Programme, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    """A round that cannot reach the server is told; the next one brings what came meanwhile."""
    server = RunningServer(tmp_path / "watched")
    server.start()
    try:
        monkeypatch.setenv("WATPHON_TOKEN", server.token)
        here = ("--url", server.url)
        assert run("publish", *here)[0] == 0
        visit(server, programme)
        pauses: list[float] = []

        def meanwhile(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 1:
                visit(server, programme)
            elif len(pauses) == 2:
                server.stop()
            elif len(pauses) == 3:
                server.start(port=server.url.rpartition(":")[2])

        monkeypatch.setattr("sync.commands.pause", meanwhile)
        options = ("--form", FORM, "--watch", "60", "--rounds", "4", "--data", str(tmp_path / "d"))
        code, said, told = run("pull", *here, *options)
        assert code == 0
        assert "cannot be reached" in told
        assert said.count("new 1") == 2
        assert pauses == [60.0, 60.0, 60.0]
    finally:
        server.end()
