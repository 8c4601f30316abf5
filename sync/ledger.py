"""The sweep: every row the server has beside every row that lies here, without holding either.

Both come in the order of their row ids, so a page of the server's light lines is compared with the
stretch of the mirror it covers; where they are equal nothing is kept. What is left at the end tells
which rows to fetch again, which are gone, and how many second rows of a submission there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sync.backend import Ledger, Mark, Progress
from sync.mirror import Mirror

__all__ = ["Compared", "compare"]

BEFORE_ALL = -(2**63)
AFTER_ALL = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Compared:
    """What a sweep found: `rows` on the server that are `submissions`, up to `last`.

    `unsettled` rows are missing here or not as the server has them, `gone` are root ids of rows that
    lie here and are not there.
    """

    rows: int
    submissions: int
    last: str
    unsettled: tuple[Mark, ...]
    gone: tuple[str, ...]


def compare(form_id: str, ledger: Iterable[Ledger], mirror: Mirror, progress: Progress) -> Compared:
    """Sweep one form. Memory grows with what differs, not with what there is."""
    there: set[Mark] = set()
    here: set[Mark] = set()
    seen, upto, last = 0, BEFORE_ALL, ""
    for part in ledger:
        if part.marks:
            end = part.marks[-1].row_id
            local = mirror.light(form_id, upto, end)
            if list(part.marks) != local:
                there.update(set(part.marks).difference(local))
                here.update(Mark(*line) for line in set(local).difference(part.marks))
            seen, upto, last = seen + len(part.marks), end, part.last
        progress(form_id, seen, seen + part.left)
    here.update(Mark(*line) for line in mirror.light(form_id, upto, AFTER_ALL))
    # Rows of one moment may be cut by the end of a page, differently on the two sides.
    both = there & here
    there -= both
    here -= both

    lost = {mark.root_id for mark in here}
    best: dict[str, Mark] = {}
    for mark in there:
        if mark.root_id not in best or best[mark.root_id].row_id < mark.row_id:
            best[mark.root_id] = mark
    # Submissions whose row here is right and of which the server has a second row (273-279).
    standing = mirror.named(form_id, [root for root in best if root not in lost])
    unsettled = [
        mark
        for root, mark in best.items()
        if root not in standing or standing[root].row_id < mark.row_id
    ]
    return Compared(
        rows=seen,
        submissions=seen - len(there) + sum(root not in standing for root in best),
        last=last,
        unsettled=tuple(sorted(unsettled)),
        gone=tuple(sorted(lost - best.keys())),
    )
