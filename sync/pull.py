"""Submissions from the server: new ones by page, edits and deletions by a sweep, and the proof.

KoboToolbox tells no modification time, so each pull ends with a sweep over the light line of every
row. It finds edits, reviews, deletions and rows that arrived out of order, and it is the proof: only
when the server's count and set of rows equal the mirror's does the result say `complete`. A server
that stamps its state (ODK Central, the embedded server) is asked for the stamp first: as long as it is
the one of the last complete pull, and when it stayed equal while every row was read, there is nothing
to sweep. Stopped at any moment, the next pull ends in the same mirror.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from forms.model import Form
from forms.problems import ServerProblem
from forms.programme import Programme
from sync.backend import (
    Backend,
    Deployed,
    Mark,
    Page,
    Progress,
    PullResult,
    Source,
    quiet,
)
from sync.journal import keep_log, last_logged
from sync.ledger import Compared, compare
from sync.mirror import Mirror, Saved

__all__ = ["USUAL", "WITH_FILE", "Wanted", "pull", "pull_form", "source_of", "verdict"]

ROUNDS = 4
"""Sweeps to attempt while rows are edited or deleted under our eyes."""

BATCH = 1000
TOGETHER = 5
"""Pages saved in one transaction."""

WITH_FILE = frozenset({"image", "audio", "video", "file", "audit", "background-audio"})
"""XLSForm types whose answer is the name of a file."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How much of the server is read.

    `full`: every row again, whatever its mark says. `since`: only rows submitted or changed since
    that moment (ISO 8601, UTC), without a sweep. `sweep`: whether to look for edits and deletions;
    without it a pull is quick, and only counts.
    """

    full: bool = False
    since: str = ""
    sweep: bool = True


USUAL = Wanted()
"""Everything that is new, then the proof."""


def pull(
    programme: Programme,
    backend: Backend,
    mirror: Mirror,
    progress: Progress = quiet,
    forms: Iterable[str] | None = None,
    wanted: Wanted = USUAL,
) -> list[PullResult]:
    """Bring the mirror up to date with the server, form by form (`forms`: only these).

    A form that is not on the server gives a result that is not complete. Raises `ServerProblem`
    (unreachable, wrong token, none of the forms is there) and `Problem` (disk full, mirror busy);
    what was complete by then is kept.
    """
    known = backend.find(programme.id)
    named = [form_id for form_id in programme.forms if forms is None or form_id in set(forms)]
    if named and not any(is_there(known, form_id) for form_id in named):
        raise ServerProblem.at(
            backend.url,
            f"has none of the forms of {programme.id} for this account",
            "publish them first (watphon publish), or use the token of the account that owns them",
            code="not_published",
        )
    return [
        pull_form(
            form_id,
            source_of(known[form_id], programme.form(form_id)),
            backend,
            mirror,
            progress,
            wanted,
        )
        if is_there(known, form_id)
        else absent(form_id, mirror)
        for form_id in named
    ]


def source_of(there: Deployed, form: Form) -> Source:
    """Where a form's rows come from."""
    files = frozenset(q.path for q in form.questions if q.type in WITH_FILE)
    return Source(there.uid, files, there.whole)


def is_there(known: Mapping[str, Deployed], form_id: str) -> bool:
    return form_id in known and known[form_id].was_deployed


def absent(form_id: str, mirror: Mirror) -> PullResult:
    """A form the server does not have: what lies here cannot be proven."""
    words = "is not on the server; publish it (watphon publish)"
    return PullResult(form_id, 0, 0, 0, 0, mirror.count(form_id), differs=(words,))


def pull_form(
    form_id: str,
    source: Source,
    backend: Backend,
    mirror: Mirror,
    progress: Progress = quiet,
    wanted: Wanted = USUAL,
) -> PullResult:
    """Bring one form up to date and prove it.

    `progress` is called between any two steps; an exception it raises leaves a mirror from which
    the next pull goes on.
    """
    cursor = mirror.bind(form_id, source.uid)
    if wanted.since:
        return recent(form_id, source, backend, mirror, progress, wanted.since)
    # Read before the rows: what changes after it shows in the next one.
    stamp = backend.stamp(source)
    before, counted = mirror.stamped(form_id)
    if (
        stamp
        and stamp == before
        and not wanted.full
        and source.whole
        and not mirror.waiting(form_id)
    ):
        return PullResult(form_id, 0, 0, 0, counted, mirror.count(form_id))
    tally = Tally()
    for page in gathered(backend.pages(source, "" if wanted.full else cursor)):
        progress(form_id, tally.rows, tally.rows + len(page.rows) + page.left)
        saved = mirror.save(form_id, page.rows, cursor=page.cursor, afresh=wanted.full)
        tally.add(saved, len(page.rows))
        progress(form_id, tally.rows, tally.rows + page.left)
    read_all = (wanted.full or not cursor) and not mirror.owes_log(form_id)
    if stamp and read_all and backend.stamp(source) == stamp:
        # Nothing happened while every row was read: the pages were the sweep.
        result = quick(form_id, source, backend, mirror, tally)
        if not result.differs and not mirror.waiting(form_id):
            mirror.set_stamp(form_id, stamp, result.server_count)
            return replace(result, proven=True)
    if not wanted.sweep and not stamp:
        return quick(form_id, source, backend, mirror, tally)
    result = settled(form_id, source, backend, mirror, progress, tally)
    if result.complete:
        if mirror.owes_log(form_id):  # from a pull that was stopped before its end, too
            since = last_logged(mirror, form_id)
            keep_log(mirror, form_id, backend.log(source.uid, since, tally.touched))
            mirror.note_log(form_id)
        if stamp:
            mirror.set_stamp(form_id, stamp, result.server_count)
    return result


def gathered(pages: Iterable[Page]) -> Iterator[Page]:
    """Pages joined until they are worth a transaction.

    Root ids are random, so that each transaction touches most of their index; five pages in one
    write it once instead of five times.
    """
    waiting: list[Page] = []
    try:
        for page in pages:
            waiting.append(page)
            if len(waiting) == TOGETHER:
                yield joined(waiting)
                waiting = []
    except ServerProblem:
        # What came before the line broke is kept, so that every attempt gets further.
        if waiting:
            yield joined(waiting)
        raise
    if waiting:
        yield joined(waiting)


def joined(pages: Sequence[Page]) -> Page:
    """Pages that follow one another as one."""
    rows = tuple(row for page in pages for row in page.rows)
    return Page(rows, pages[-1].cursor, pages[-1].left)


@dataclass(slots=True)
class Tally:
    """What a pull has brought so far."""

    rows: int = 0
    new: int = 0
    changed: int = 0
    withdrawn: int = 0
    touched: list[Mark] = field(default_factory=list)

    def add(self, saved: Saved, rows: int) -> None:
        self.rows += rows
        self.new += saved.new
        self.changed += saved.changed
        self.touched += saved.touched


def settled(
    form_id: str,
    source: Source,
    backend: Backend,
    mirror: Mirror,
    progress: Progress,
    tally: Tally,
) -> PullResult:
    """Sweep until mirror and server agree, or say in what they do not."""
    differs: tuple[str, ...] = ()
    server_count = phantoms = 0
    for _ in range(ROUNDS):
        found = compare(form_id, backend.ledger(source), mirror, progress)
        if source.whole:
            tally.withdrawn += mirror.withdraw(form_id, found.gone)
        progress(form_id, tally.rows, tally.rows)
        for at in range(0, len(found.unsettled), BATCH):
            rows = backend.rows(source, found.unsettled[at : at + BATCH])
            progress(form_id, at, len(found.unsettled))
            tally.add(mirror.save(form_id, rows, settle=True), 0)
        server_count, phantoms = backend.count(source, found.last), found.rows - found.submissions
        differs = tuple(
            difference(server_count, found, mirror.count(form_id), moved(form_id, found, mirror))
        )
        if not source.whole:
            differs = ("this account may see only some of the rows; nothing was withdrawn",)
        if not differs or not source.whole:
            break
    if marks := mirror.waiting(form_id):
        # A photo that came after its row moves no mark on KoboToolbox (057, 058).
        mirror.save(form_id, backend.rows(source, marks), settle=True, afresh=True)
    return PullResult(
        form_id=form_id,
        new=tally.new,
        changed=tally.changed,
        withdrawn=tally.withdrawn,
        server_count=server_count,
        local_count=mirror.count(form_id),
        phantoms=phantoms,
        waiting=len(mirror.waiting(form_id)),
        differs=differs,
    )


def moved(form_id: str, found: Compared, mirror: Mirror) -> int:
    """How many of the rows that were fetched again are not as the sweep saw them."""
    now = mirror.named(form_id, [mark.root_id for mark in found.unsettled])
    return sum(now.get(mark.root_id) != mark for mark in found.unsettled)


def difference(server_count: int, found: Compared, local: int, moved: int) -> Iterable[str]:
    """In words, where server, sweep and mirror do not agree."""
    if server_count != found.rows:
        yield f"the server counts {server_count} rows, the sweep saw {found.rows}"
    if moved:
        yield f"{moved} rows changed while they were fetched"
    if local != found.submissions:
        yield f"the server has {found.submissions} submissions, the mirror {local}"


# ── without the proof ────────────────────────────────────────────────────────────────────────────


def recent(
    form_id: str,
    source: Source,
    backend: Backend,
    mirror: Mirror,
    progress: Progress,
    moment: str,
) -> PullResult:
    """Rows since a moment; the cursor stays where it is, so the next pull misses nothing."""
    tally = Tally()
    for page in backend.since(source, moment):
        tally.add(mirror.save(form_id, page.rows), len(page.rows))
        progress(form_id, tally.rows, tally.rows + page.left)
    return quick(form_id, source, backend, mirror, tally)


def quick(
    form_id: str, source: Source, backend: Backend, mirror: Mirror, tally: Tally
) -> PullResult:
    """Counts alone: they can disprove completeness, not prove it."""
    server_count, local = backend.count(source, ""), mirror.count(form_id)
    return PullResult(
        form_id=form_id,
        new=tally.new,
        changed=tally.changed,
        withdrawn=0,
        server_count=server_count,
        local_count=local,
        differs=(f"the server counts {server_count} rows, the mirror {local}",)
        if server_count != local
        else (),
        proven=False,
    )


def verdict(result: PullResult) -> str:
    """One form's line: what came, and whether what lies here is what lies there."""
    came = f"new {result.new:,}, changed {result.changed:,}, withdrawn {result.withdrawn:,}"
    counts = f"server {result.server_count:>7,} = local {result.local_count:>7,}  {came}"
    if result.differs:
        return f"{came}: NOT complete: {'; '.join(result.differs)}"
    extra = []
    if result.phantoms:
        extra.append(f"{result.phantoms:,} second rows of a submission counted once")
    if result.waiting:
        extra.append(f"{result.waiting:,} wait for a file the phone has not sent yet")
    said = "complete" if result.proven else "counts agree (edits and deletions not looked for)"
    return f"{counts}: {'; '.join([said, *extra])}"
