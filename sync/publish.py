"""Forms to the server: what of a programme leaves the house, and only that.

For each form exactly its workbook (own columns stripped) and the files its `media` line names are
sent. The answer key never is, under whatever name. Running it again on an unchanged programme sends
nothing: the hash covers the cells, not the zip archive around them.
"""

from __future__ import annotations

import csv
import hashlib
import mimetypes

import orjson

from forms.problems import Finding, ProgrammeProblem, ServerProblem
from forms.programme import Programme
from forms.xlsform import deployable, read_sheets
from sync.backend import Backend, Medium, Outgoing, Progress, Published, quiet

__all__ = ["outgoing", "publish", "workbook_hash"]


def publish(programme: Programme, backend: Backend, progress: Progress = quiet) -> list[Published]:
    """Publish every form of a programme, in the order of programme.toml.

    Everything is read and checked before the first byte is sent. Raises `ProgrammeProblem` for a
    workbook or medium that must not or cannot leave, `ServerProblem` with the server's words; a form
    that the server refuses does not keep the others from being published.
    """
    forms = [outgoing(programme, form_id) for form_id in programme.forms]
    known = backend.find(programme.id)
    done: list[Published] = []
    refused: list[Finding] = []
    for number, form in enumerate(forms):

        def step(what: str, at: int, of: int, number: int = number) -> None:
            progress(what, number, len(forms))

        step(form.form_id, 0, 0)
        try:
            done.append(backend.publish(form, known.get(form.form_id), step))
        except ServerProblem as problem:
            if not any(f.code in ("import_failed", "deployment_refused") for f in problem.findings):
                raise
            refused.extend(problem.findings)
        progress(form.form_id, number + 1, len(forms))
    if refused:
        raise ServerProblem(refused)
    return done


def outgoing(programme: Programme, form_id: str) -> Outgoing:
    """One form as it leaves; raises `ProgrammeProblem` when a medium is missing or is the key."""
    workbook = deployable(programme.workbook(form_id))
    return Outgoing(
        programme_id=programme.id,
        form_id=form_id,
        title=programme.form(form_id).title,
        workbook=workbook,
        sha256=workbook_hash(workbook),
        media=tuple(medium(programme, name) for name in programme.forms[form_id].media),
    )


def medium(programme: Programme, name: str) -> Medium:
    path = programme.folder / name
    key = programme.folder / programme.test.key
    if path.resolve().parent != programme.folder.resolve():
        raise ProgrammeProblem.at(
            name,
            "lies outside the programme folder and is not sent",
            "put the file beside programme.toml and name it without a folder",
            code="medium_outside",
        )
    try:
        content = path.read_bytes()
        is_key = name == key.name or tells_the_key(content, programme)
    except OSError as error:
        raise ProgrammeProblem.at(
            name,
            f"cannot be read ({error.strerror})",
            "put the file beside programme.toml, or take it out of the form's media line",
            code="medium_missing",
        ) from error
    if is_key or path.resolve() == key.resolve():
        raise ProgrammeProblem.at(
            name,
            "is the answer key: it never leaves this computer",
            "take it out of the form's media line in programme.toml",
            code="key_would_leave",
        )
    return Medium(
        name=name,
        content=content,
        media_type=mimetypes.guess_type(name)[0] or "application/octet-stream",
        md5=hashlib.md5(content, usedforsecurity=False).hexdigest(),
    )


def tells_the_key(content: bytes, programme: Programme) -> bool:
    """Whether a table holds, row by row, the name and the right answer of every item of the key."""
    rows = csv.reader(content.decode("utf-8-sig", "replace").splitlines())
    cells = [{cell.strip() for cell in row} for row in rows]
    return bool(programme.items) and all(
        any({item.name, item.correct} <= row for row in cells) for item in programme.items
    )


def workbook_hash(workbook: bytes) -> str:
    """SHA-256 over the cells of survey, choices and settings; equal for equal cells."""
    cells = {
        name: [sheet.heads, [dict(row) for _, row in sheet.rows]]
        for name, sheet in read_sheets(workbook).items()
    }
    return hashlib.sha256(orjson.dumps(cells, option=orjson.OPT_SORT_KEYS)).hexdigest()
