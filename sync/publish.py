"""Forms to the server: what of a programme leaves the house, and only that.

For each form exactly its workbook (own columns stripped) and the files its `media` line names are
sent. The answer key never is, under whatever name. Running it again on an unchanged programme sends
nothing: the hash covers the cells, not the zip archive around them. A change that would orphan answers
the server holds is refused until renames.csv says where they belong.
"""

from __future__ import annotations

import csv
import hashlib
import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

from forms.model import Form
from forms.orphans import orphans
from forms.problems import Finding, ProgrammeProblem, ServerProblem
from forms.programme import Programme
from forms.sections import FormSpec
from forms.xform import read_xform
from forms.xlsform import deployable, read_sheets, to_xform
from sync.backend import (
    Access,
    Backend,
    Deployed,
    Link,
    Medium,
    Outgoing,
    Progress,
    Published,
    Step,
    quiet,
)
from sync.published import adopted, note_published

__all__ = ["outgoing", "plan", "publish", "workbook_hash"]


def publish(
    programme: Programme, backend: Backend, progress: Progress = quiet, record: Path | None = None
) -> list[Published]:
    """Publish every form of a programme, in the order of programme.toml.

    Everything is read and checked before the first byte is sent. `record` is the file that notes what
    was published. Raises `ProgrammeProblem` for a workbook or medium that must not or cannot leave and
    for a change that would orphan answers, `ServerProblem` with the server's words; a form that the
    server refuses does not keep the others from being published.
    """
    forms, known = prepared(programme, backend, record)
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
        else:
            if record:
                note_published(record, backend.url, done[-1], form.sha256)
        progress(form.form_id, number + 1, len(forms))
    if refused:
        raise ServerProblem(refused)
    return [
        linked(form, published, done, backend) for form, published in zip(forms, done, strict=True)
    ]


def plan(
    programme: Programme, backend: Backend, record: Path | None = None
) -> dict[str, tuple[Step, ...]]:
    """What `publish` would do, by form id; nothing is sent. Raises as `publish` does."""
    forms, known = prepared(programme, backend, record)
    uids = {form_id: there.uid for form_id, there in known.items()}
    return {
        form.form_id: (
            *backend.plan(form, known.get(form.form_id)),
            *(Step("access", told) for told in links_to_make(form, uids, backend)),
        )
        for form in forms
    }


def links_to_make(form: Outgoing, uids: Mapping[str, str], backend: Backend) -> tuple[str, ...]:
    """What would change about a form's links; before its sources are there, all of them."""
    if form.form_id not in uids or any(link.source not in uids for link in form.links):
        return tuple(f"offers rows of {link.source} as {link.name}.xml" for link in form.links)
    return backend.link(uids[form.form_id], form.links, uids, dry_run=True)


def prepared(
    programme: Programme, backend: Backend, record: Path | None
) -> tuple[list[Outgoing], Mapping[str, Deployed]]:
    """The forms as they would leave, and those on the server; refuses what would orphan answers."""
    forms = [outgoing(programme, form_id) for form_id in programme.forms]
    known = backend.find(programme.id, adopted(record, backend.url) if record else {})
    found: list[Finding] = []
    for form in forms:
        there = known.get(form.form_id)
        if there and there.rows and not same_workbook(there, form):
            old = read_xform(backend.xform(there.uid), where=f"{backend.url} {there.uid}")
            # Both as XForms: pyxform adds questions of its own (counts of repeats, “other”).
            made, _ = to_xform(form.workbook, form_id=form.form_id, version="")
            new = read_xform(made.encode(), where=f"{form.form_id}.xlsx")
            renames = programme.renames.get(form.form_id)
            found.extend(orphans(old, new, renames.now if renames else lambda path: path))
    if found:
        raise ProgrammeProblem(found)
    return forms, known


def same_workbook(there: Deployed, form: Outgoing) -> bool:
    """Whether the server has this workbook; some servers keep only the beginning of its hash."""
    return bool(there.sha256) and form.sha256.startswith(there.sha256)


def linked(
    form: Outgoing, published: Published, done: Sequence[Published], backend: Backend
) -> Published:
    """Offer other forms' rows to a form, once all are there; links no longer declared go."""
    if published.action == "created" and not form.links:
        return published
    uids = {one.form_id: one.uid for one in done}
    told = backend.link(published.uid, form.links, uids)
    return Published(
        published.form_id,
        published.uid,
        "access" if told and published.action == "unchanged" else published.action,
        published.version,
        (*published.notes, *told),
    )


def outgoing(programme: Programme, form_id: str) -> Outgoing:
    """One form as it leaves; raises `ProgrammeProblem` when a medium is missing or is the key."""
    workbook = deployable(programme.workbook(form_id))
    spec = programme.forms[form_id]
    return Outgoing(
        programme_id=programme.id,
        form_id=form_id,
        title=programme.form(form_id).title,
        workbook=workbook,
        sha256=workbook_hash(workbook),
        media=tuple(medium(programme, name) for name in spec.media),
        access=access(programme, form_id),
        links=tuple(link(programme, form_id, n) for n in range(len(spec.links))),
    )


def access(programme: Programme, form_id: str) -> Access:
    """Who may do what with a form: whole forms, or the rows of some provinces."""
    wanted, spec = programme.file.access, programme.forms[form_id]
    form = programme.form(form_id)
    readers = {
        name: filters
        for name, codes in wanted.provinces.items()
        if (filters := of_provinces(programme, form, spec, codes))
    }
    return Access(
        facilitators=wanted.facilitators,
        anonymous=form_id in wanted.anonymous,
        readers=readers,
        only=wanted.only,
    )


def of_provinces(
    programme: Programme, form: Form, spec: FormSpec, codes: Sequence[str]
) -> tuple[dict[str, str], ...]:
    """Filters that let through the rows of provinces: by the form's own question, else by course."""
    if spec.province:
        path = form.by_name[spec.province].path
        return tuple({path: code} for code in codes)
    if spec.course:
        path = form.by_name[spec.course].path
        return tuple(
            {path: course.code} for course in programme.courses if course.province in codes
        )
    return ()


def link(programme: Programme, form_id: str, number: int) -> Link:
    """A declared link; raises `ProgrammeProblem` when it names what is not there or is personal."""
    spec = programme.forms[form_id].links[number]
    where = f"programme.toml, forms.{form_id}.links.{spec.name}"
    if spec.form not in programme.forms:
        raise ProgrammeProblem.at(where, f"{spec.form} is no form of the programme", "correct it")
    source = programme.form(spec.form)
    paths = []
    for name in spec.fields:
        question = source.by_path.get(name) or source.by_name.get(name)
        if question is None:
            raise ProgrammeProblem.at(where, f"{spec.form} does not ask {name}", "correct it")
        personal = programme.dictionary.get((spec.form, question.name))
        if personal is None or not personal.may_be_tabled:
            raise ProgrammeProblem.at(
                where,
                f"{name} is personal and would be put on every phone",
                "take it out of the link's fields",
            )
        paths.append(question.path)
    return Link(spec.form, spec.name, tuple(paths))


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
