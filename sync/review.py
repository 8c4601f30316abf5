"""Writing back to the server: validation statuses and corrected answers, with the reason kept here.

Everything is read and checked before anything is sent; each row that was written is fetched again, so
the mirror holds what the server then has, the old value in its version chain and the comment in the
journal. Doing the same again changes nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel

from forms.correction import answer_in, corrected
from forms.csvtable import read_rows
from forms.problems import Finding, InstanceProblem, Problem, UsageProblem
from sync.backend import STATUSES, Backend, Mark, Progress, Source, Status, quiet
from sync.journal import Comment, comment
from sync.mirror import Mirror

__all__ = [
    "Correction",
    "Verdict",
    "correct",
    "matching",
    "read_corrections",
    "read_verdicts",
    "review",
    "status_of",
]

BATCH = 500


@dataclass(frozen=True, slots=True)
class Verdict:
    """A status for one submission, and why."""

    form_id: str
    root_id: str
    status: Status
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Correction:
    """Another answer for one question of one submission; `old`, if told, must stand there now."""

    form_id: str
    root_id: str
    question: str
    new: str
    old: str | None = None
    comment: str = ""


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


class VerdictRow(BaseModel):
    form: str
    root_id: str
    status: str = ""
    comment: str = ""
    reason: str = ""


class CorrectionRow(BaseModel):
    form: str
    root_id: str
    question: str
    new: str
    old: str | None = None
    comment: str = ""


def read_verdicts(
    path: Path, forms: Iterable[str], *, status: str = "", reasons: Sequence[str] = ()
) -> list[Verdict]:
    """Verdicts of a CSV with the columns form, root_id, status, comment.

    `status` is for rows that tell none, as in `excluded.csv`, whose reason becomes the comment;
    `reasons` takes only rows with one of these. Raises `Problem` with every bad row.
    """
    found: list[Finding] = []
    rows = read_rows(VerdictRow, path, found)
    known = set(forms)
    verdicts: dict[tuple[str, str], Verdict] = {}
    for number, row in enumerate(rows, start=2):
        if reasons and row.reason not in reasons:
            continue
        where = f"{path.name}, row {number}"
        told = status_of(row.status or status)
        if told is None:
            found.append(bad(where, f"{row.status or '(no status)'} is no status", LEGAL))
        elif row.form not in known:
            found.append(bad(where, f"{row.form} is no form of the programme", "correct it"))
        elif verdicts.get((row.form, row.root_id), told) != told and (
            verdicts[row.form, row.root_id].status != told
        ):
            found.append(bad(where, f"{row.root_id} stands there twice", "keep one row"))
        else:
            why = row.comment or row.reason
            verdicts[row.form, row.root_id] = Verdict(row.form, row.root_id, told, why)
    stop_at_errors(found)
    return list(verdicts.values())


LEGAL = "write approved, not_approved, on_hold, or none to take a status away"


def status_of(word: str) -> Status | None:
    """The status a word means; None when it is none."""
    plain = word.strip().lower().replace(" ", "_").replace("-", "_")
    if plain == "none":
        return ""
    return next((status for status in STATUSES if status and status == plain), None)


def read_corrections(path: Path, forms: Iterable[str]) -> list[Correction]:
    """Corrections of a CSV with the columns form, root_id, question, old, new, comment."""
    found: list[Finding] = []
    rows = read_rows(CorrectionRow, path, found)
    known = set(forms)
    for number, row in enumerate(rows, start=2):
        if row.form not in known:
            where = f"{path.name}, row {number}"
            found.append(bad(where, f"{row.form} is no form of the programme", "correct it"))
    stop_at_errors(found)
    return [
        Correction(row.form, row.root_id, row.question, row.new, row.old, row.comment)
        for row in rows
    ]


def bad(where: str, what: str, remedy: str) -> Finding:
    return Finding("bad_row", "error", where, what, remedy)


def stop_at_errors(found: Sequence[Finding]) -> None:
    if errors := [finding for finding in found if finding.severity == "error"]:
        raise Problem(errors)


def matching(table: Path, rule: str) -> list[str]:
    """Root ids of a typed table's rows for which `rule`, an SQL condition, is true.

    The condition sees that table alone: no file, no network, no other table
    (https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview). Raises
    `UsageProblem` with the database's words and the columns there are.
    """
    import duckdb  # half a second, and only this needs it
    import pyarrow.parquet as pq

    if not table.is_file():
        raise Problem.at(str(table), "is not there", "run `watphon pull` first")
    answers = pq.read_table(table)
    with duckdb.connect(":memory:") as base:
        base.register("answers", answers)
        base.execute("SET enable_external_access = false; SET lock_configuration = true")
        try:
            (statement,) = base.extract_statements(
                f"SELECT DISTINCT _root_id FROM answers WHERE ({rule}\n) ORDER BY 1"
            )
            return [row[0] for row in base.execute(statement).fetchall()]
        except (duckdb.Error, ValueError) as error:
            words = str(error).splitlines()[0]
            raise UsageProblem.at(
                f"rule {rule}",
                f"is no condition on {table.stem}: {words}",
                f"columns are {', '.join(answers.column_names)}",
            ) from error


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


def review(
    form_id: str,
    source: Source,
    verdicts: Sequence[Verdict],
    backend: Backend,
    mirror: Mirror,
    progress: Progress = quiet,
    *,
    dry_run: bool = False,
) -> int:
    """Give submissions of one form their status on the server; gives how many had another before.

    Raises `Problem` naming every submission the mirror does not hold; then nothing is sent.
    """
    marks = present(form_id, [verdict.root_id for verdict in verdicts], mirror)
    standing = statuses(form_id, mirror)
    wanted = [one for one in verdicts if standing[one.root_id] != one.status]
    if dry_run:
        return len(wanted)
    who = backend.check() if wanted else ""
    done = 0
    for status in STATUSES:
        same = [one for one in wanted if one.status == status]
        for at in range(0, len(same), BATCH):
            batch = same[at : at + BATCH]
            named = [marks[one.root_id] for one in batch]
            backend.review(source.uid, named, status)
            mirror.save(form_id, backend.rows(source, named), settle=True)
            note(mirror, [(one, status or "none") for one in batch], who, "review")
            done += len(batch)
            progress(form_id, done, len(wanted))
    return done


def correct(
    form_id: str,
    source: Source,
    corrections: Sequence[Correction],
    backend: Backend,
    mirror: Mirror,
    progress: Progress = quiet,
    *,
    new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    dry_run: bool = False,
) -> int:
    """Send corrected answers as edits; gives how many submissions were edited.

    Every document is fetched and every old value compared before the first edit is sent. Answers
    that already are what they should be are passed over, so that a run that broke off is repeated.
    """
    by_root: dict[str, list[Correction]] = {}
    for one in corrections:
        by_root.setdefault(one.root_id, []).append(one)
    marks = present(form_id, list(by_root), mirror)
    prepared: list[tuple[str, bytes, list[Correction]]] = []
    found: list[Finding] = []
    for number, (root_id, wanted) in enumerate(by_root.items()):
        document = backend.document(source.uid, marks[root_id])
        open_ones = [one for one in wanted if is_open(document, one, found)]
        if open_ones:
            answers = {one.question: one.new for one in open_ones}
            try:
                prepared.append((root_id, corrected(document, answers, new_id()), open_ones))
            except InstanceProblem as problem:
                found.extend(about(form_id, root_id, problem))
        progress(f"{form_id} reading", number + 1, len(by_root))
    stop_at_errors(found)
    if dry_run:
        return len(prepared)
    who = backend.check() if prepared else ""
    for number, (root_id, document, told) in enumerate(prepared, start=1):
        backend.replace(source.uid, marks[root_id], document)
        mirror.save(form_id, backend.rows(source, [marks[root_id]]), settle=True)
        note(mirror, [(one, one.question) for one in told], who, "edit")
        progress(form_id, number, len(prepared))
    return len(prepared)


def is_open(document: bytes, one: Correction, found: list[Finding]) -> bool:
    """Whether a correction is still to be made; a finding when something else stands there."""
    try:
        standing = answer_in(document, one.question)
    except InstanceProblem as problem:
        found.extend(about(one.form_id, one.root_id, problem))
        return False
    if standing == one.new:
        return False
    if one.old is not None and standing != one.old:
        found.append(
            bad(
                f"{one.form_id} {one.root_id} {one.question}",
                "the server holds another answer than the one to be corrected",
                "pull, look at the record, and write what stands there into the column old",
            )
        )
        return False
    return True


def about(form_id: str, root_id: str, problem: Problem) -> Iterable[Finding]:
    for finding in problem.findings:
        yield replace(finding, where=f"{form_id} {root_id} {finding.where}")


def present(form_id: str, root_ids: Sequence[str], mirror: Mirror) -> Mapping[str, Mark]:
    """The light lines of submissions; raises `Problem` naming those that are not here."""
    marks = mirror.named(form_id, root_ids)
    if missing := [root_id for root_id in root_ids if root_id not in marks]:
        raise Problem(
            Finding(
                "no_such_submission",
                "error",
                f"{form_id}: {', '.join(missing[:10])}{' …' if len(missing) > 10 else ''}",
                "is not among the submissions here",
                "pull first, and check the ids",
                len(missing),
            )
        )
    return marks


def statuses(form_id: str, mirror: Mirror) -> dict[str, str]:
    """The status of every live submission as it lies here."""
    found = mirror.base.execute(
        "SELECT root_id, validation FROM rows WHERE form_id = ? AND NOT withdrawn", (form_id,)
    )
    return dict(found.fetchall())


def note(
    mirror: Mirror, told: Sequence[tuple[Verdict | Correction, str]], who: str, action: str
) -> None:
    """Keep the comments of what was written."""
    now = mirror.now()
    comment(
        mirror,
        [
            Comment(one.form_id, one.root_id, now, who, action, detail, one.comment)
            for one, detail in told
        ],
    )
