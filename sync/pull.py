"""Submissions from the server: new ones by page, edits and deletions by a sweep, and the proof.

KoboToolbox tells no modification time, so each pull ends with a sweep over the light line of every
row. It finds edits, reviews, deletions and rows that arrived out of order, and it is the proof: only
when the server's count and set of rows equal the mirror's does the result say `complete`. Stopped at
any moment, the next pull ends in the same mirror.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from forms.problems import ServerProblem
from forms.programme import Programme
from sync.backend import Backend, Deployed, Progress, PullResult, quiet
from sync.mirror import Mirror

__all__ = ["pull", "pull_form"]

ROUNDS = 4
"""Sweeps to attempt while rows are edited or deleted under our eyes."""

BATCH = 1000


def pull(
    programme: Programme,
    backend: Backend,
    mirror: Mirror,
    progress: Progress = quiet,
    forms: Iterable[str] | None = None,
) -> list[PullResult]:
    """Bring the mirror up to date with the server, form by form (`forms`: only these).

    A form that is not on the server gives a result that is not complete. Raises `ServerProblem`
    (unreachable, wrong token, none of the forms is there) and `Problem` (disk full, mirror busy);
    what was complete by then is kept.
    """
    known = backend.find(programme.id)
    wanted = [form_id for form_id in programme.forms if forms is None or form_id in set(forms)]
    if wanted and not any(is_there(known, form_id) for form_id in wanted):
        raise ServerProblem.at(
            backend.url,
            f"has none of the forms of {programme.id} for this account",
            "publish them first (watphon publish), or use the token of the account that owns them",
            code="not_published",
        )
    return [
        pull_form(form_id, known[form_id].uid, backend, mirror, progress)
        if is_there(known, form_id)
        else absent(form_id, mirror)
        for form_id in wanted
    ]


def is_there(known: Mapping[str, Deployed], form_id: str) -> bool:
    return form_id in known and known[form_id].was_deployed


def absent(form_id: str, mirror: Mirror) -> PullResult:
    """A form the server does not have: what lies here cannot be proven."""
    words = "is not on the server; publish it (watphon publish)"
    return PullResult(form_id, 0, 0, 0, 0, mirror.count(form_id), differs=(words,))


def pull_form(
    form_id: str, uid: str, backend: Backend, mirror: Mirror, progress: Progress = quiet
) -> PullResult:
    """Bring one form up to date and prove it.

    `progress` is called between any two steps; an exception it raises leaves a mirror from which
    the next pull goes on.
    """
    new = changed = withdrawn = done = 0
    for page in backend.pages(uid, mirror.bind(form_id, uid)):
        progress(form_id, done, done + len(page.rows) + page.left)
        saved = mirror.save(form_id, page.rows, cursor=page.cursor)
        new, changed, done = new + saved.new, changed + saved.changed, done + len(page.rows)
        progress(form_id, done, done + page.left)
    differs: tuple[str, ...] = ()
    server_count = phantoms = 0
    for _ in range(ROUNDS):
        rows, submissions, last = sweep(form_id, uid, backend, mirror, progress)
        withdrawn += mirror.withdraw_missing(form_id)
        progress(form_id, done, done)
        wanted = mirror.unsettled(form_id)
        for at in range(0, len(wanted), BATCH):
            found = backend.rows(uid, wanted[at : at + BATCH])
            progress(form_id, at, len(wanted))
            saved = mirror.save(form_id, found, settle=True)
            new, changed = new + saved.new, changed + saved.changed
        open_rows = len(mirror.unsettled(form_id)) if wanted else 0
        server_count, phantoms = backend.count(uid, last), rows - submissions
        differs = tuple(
            difference(server_count, rows, submissions, mirror.count(form_id), open_rows)
        )
        if not differs:
            break
    return PullResult(
        form_id=form_id,
        new=new,
        changed=changed,
        withdrawn=withdrawn,
        server_count=server_count,
        local_count=mirror.count(form_id),
        phantoms=phantoms,
        differs=differs,
    )


def sweep(
    form_id: str, uid: str, backend: Backend, mirror: Mirror, progress: Progress
) -> tuple[int, int, int]:
    """Note the light line of every row; gives rows, submissions and the last row id."""
    mirror.begin_ledger()
    seen = last = 0
    for part in backend.ledger(uid):
        mirror.add_to_ledger(part.marks)
        seen, last = seen + len(part.marks), part.marks[-1].row_id
        progress(form_id, seen, seen + part.left)
    rows, submissions = mirror.end_ledger()
    return rows, submissions, last


def difference(
    server_count: int, rows: int, submissions: int, local: int, open_rows: int
) -> Iterable[str]:
    """In words, where server, sweep and mirror do not agree."""
    if server_count != rows:
        yield f"the server counts {server_count} rows, the sweep saw {rows}"
    if open_rows:
        yield f"{open_rows} rows changed while they were fetched"
    if local != submissions:
        yield f"the server has {submissions} submissions, the mirror {local}"
