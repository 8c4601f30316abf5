"""What long work shows: a bar on a terminal, plain lines otherwise.

A stage is a context manager that gives a progress function `(what, done, total)`; total 0 means not
known. It never decides anything and prints to standard error, so that output can be piped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["Advance", "err", "out", "stage"]

Advance = Callable[[str, int, int], None]

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

EVERY = 5.0
"""Seconds between two plain lines of one stage."""


@contextmanager
def stage(title: str) -> Iterator[Advance]:
    """Show that `title` is being worked on until the block ends."""
    if err.is_terminal:
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=err,
            transient=True,
        ) as bar:
            task = bar.add_task(title, total=None)

            def show(what: str, done: int, total: int) -> None:
                bar.update(
                    task, description=f"{title}: {what}", completed=done, total=total or None
                )

            yield show
        return
    said = time.monotonic()

    def say(what: str, done: int, total: int) -> None:
        nonlocal said
        if time.monotonic() - said >= EVERY:
            said = time.monotonic()
            of = f" of {total:,}" if total else ""
            err.print(f"{title}: {what} {done:,}{of}", markup=False)

    yield say
