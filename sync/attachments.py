"""Photos and other files of submissions, downloaded once and named by what is in them.

The mirror lists which files the rows have; here they are fetched, a broken download going on where
it stopped, and put under the SHA-256 of their content: the same photo of two submissions is one
file, and a file that is there is never fetched again. Files that answer a personal question stay on
the server unless they are asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from forms.problems import Finding, ServerProblem
from sync.backend import Backend, Progress, quiet
from sync.mirror import Mirror
from sync.storage import storage_problem

__all__ = ["Fetched", "File", "fetch_files", "files", "question_of"]

SIDE_BY_SIDE = 4
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class File:
    """A file of a submission; `sha256` is empty until it lies here."""

    root_id: str
    name: str
    question: str
    address: str
    media_type: str
    sha256: str = ""
    size: int = 0

    def path(self, folder: Path) -> Path:
        """Where its content lies, under `folder`."""
        ending = PurePosixPath(self.name).suffix.lower()
        kept = ending if ending[1:].isalnum() and len(ending) <= 6 else ""
        return folder / self.sha256[:2] / f"{self.sha256}{kept}"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one run brought: files, bytes, files left on the server as personal, and what failed."""

    files: int
    size: int
    personal: int
    findings: tuple[Finding, ...] = ()


def question_of(xpath: str) -> str:
    """The question an attachment answers: `tree[2]/pic` → `tree/pic` (287)."""
    return "/".join(step.partition("[")[0] for step in xpath.split("/"))


def files(mirror: Mirror, form_id: str, *, listed: bool = True) -> Iterator[File]:
    """The files of a form's live rows; with `listed` False those of earlier versions too."""
    with storage_problem(mirror.path):
        yield from (
            File(*row)
            for row in mirror.base.execute(
                "SELECT a.root_id, a.name, a.question, a.address, a.media_type, a.sha256, a.size "
                "FROM attachments AS a JOIN rows ON rows.form_id = a.form_id "
                "AND rows.root_id = a.root_id "
                "WHERE a.form_id = ? AND (a.listed OR NOT ?) AND NOT rows.withdrawn "
                "ORDER BY a.root_id, a.name",
                (form_id, listed),
            ).fetchall()
        )


def fetch_files(
    form_id: str,
    backend: Backend,
    mirror: Mirror,
    folder: Path,
    progress: Progress = quiet,
    *,
    may_fetch: Callable[[str], bool] = lambda question: True,
) -> Fetched:
    """Bring the files of a form that are not here into `folder`.

    `may_fetch(question path)` is False for personal ones. A file that the server refuses is a
    finding, the others are still fetched; one that cannot be fetched because the server is away or
    the disk full ends it. Safe to stop at any moment.
    """
    listed = list(files(mirror, form_id))
    allowed = [file for file in listed if may_fetch(question_of(file.question))]
    missing = [file for file in allowed if not file.sha256 or not file.path(folder).is_file()]
    findings: list[Finding] = []
    done = size = 0
    with storage_problem(folder):
        (folder / "incoming").mkdir(parents=True, exist_ok=True)
        for outcome in side_by_side(missing, backend, folder):
            if isinstance(outcome, Finding):
                findings.append(outcome)
                continue
            keep(mirror, form_id, outcome)
            done, size = done + 1, size + outcome.size
            progress(f"{form_id} files", done, len(missing))
    return Fetched(done, size, len(listed) - len(allowed), tuple(findings))


def side_by_side(
    missing: Sequence[File], backend: Backend, folder: Path
) -> Iterator[File | Finding]:
    """Fetch some at a time; a few wait their turn, never all."""
    queue = iter(missing)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as workers:
        running: set[Future[File | Finding]] = set()
        try:
            while True:
                while len(running) < 2 * SIDE_BY_SIDE and (file := next(queue, None)) is not None:
                    running.add(workers.submit(fetch_one, file, backend, folder))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            for future in running:
                future.cancel()


def fetch_one(file: File, backend: Backend, folder: Path) -> File | Finding:
    """Download one file to its place; a `Finding` when the server does not give it."""
    named = hashlib.sha256(f"{file.root_id}\n{file.name}\n{file.address}".encode()).hexdigest()
    incoming = folder / "incoming" / named
    try:
        backend.fetch(file.address, incoming, progress=lambda size: None)
    except ServerProblem as problem:
        if problem.findings[0].code not in ("not_there", "refused", "gone", "redirected"):
            raise
        return Finding(
            "file_not_there",
            "warning",
            f"{file.root_id} {question_of(file.question)}",
            f"the file cannot be had: {problem.findings[0].what}",
            "ask the sender for it; its name is kept in the mirror",
        )
    digest = hashlib.sha256()
    with incoming.open("rb") as content:
        while piece := content.read(CHUNK):
            digest.update(piece)
        size = content.tell()
    found = File(
        file.root_id,
        file.name,
        file.question,
        file.address,
        file.media_type,
        digest.hexdigest(),
        size,
    )
    place = found.path(folder)
    place.parent.mkdir(exist_ok=True)
    incoming.replace(place)
    return found


def keep(mirror: Mirror, form_id: str, file: File) -> None:
    """Note that the file is here, if the row still has it under that address."""
    with mirror.transaction():
        mirror.base.execute(
            "UPDATE attachments SET sha256 = ?, size = ? "
            "WHERE form_id = ? AND root_id = ? AND name = ? AND address = ?",
            (file.sha256, file.size, form_id, file.root_id, file.name, file.address),
        )
