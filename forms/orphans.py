"""What a changed form would orphan: answers whose question it no longer asks.

A server keeps answers under the path of their question. A question that is renamed, moved into
another group or taken out leaves its answers under a path nobody asks for any more; unless
`renames.csv` says where it went, the tables would have two half-empty columns for one question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from forms.model import Form
from forms.problems import Finding

__all__ = ["orphans"]

SILENT = frozenset({"note", "begin_group", "begin_repeat"})


def orphans(old: Form, new: Form, now: Callable[[str], str | None]) -> Iterator[Finding]:
    """A finding for every question of `old` whose answers `new` would orphan.

    `now(path)` is where renames.csv says a question is asked now, the path itself when it says
    nothing, and None when the question was withdrawn on purpose.
    """
    where = f"{new.id}.xlsx"
    for question in old.questions:
        if question.type in SILENT:
            continue
        path = now(question.path)
        if path is None:
            continue
        asked = new.by_path.get(path)
        if asked is None:
            near = new.by_name.get(question.name)
            guess = f", perhaps as {near.path}" if near and near.path not in old.by_path else ""
            yield Finding(
                "would_orphan",
                "error",
                f"{where}: {question.path}",
                f"is no longer asked{guess}, but the server holds answers to it",
                f"add a line to renames.csv: {new.id},{question.path},NEW PATH (empty if it was "
                "taken out on purpose), or put the question back",
            )
        elif now_repeats(asked.repeat) != now_repeats(question.repeat, now):
            yield Finding(
                "would_orphan",
                "error",
                f"{where}: {path}",
                "is asked in another repeat than before; earlier answers would not fit",
                "give the question another name and name the old one in renames.csv",
            )


def now_repeats(repeat: str, now: Callable[[str], str | None] = lambda path: path) -> str:
    """A repeat's path as it is called now; `""` outside repeats."""
    return (now(repeat) or "") if repeat else ""
