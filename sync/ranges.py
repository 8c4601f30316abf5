"""The rows of one form in parts, in the order of their root id; of large forms by several processes.

One process unfolds some 40,000 rows a second, since Python parses on one core. From `MANY` rows on,
helpers (`python -m sync.ranges`) each unfold a range of root ids and send the finished part back; the
parts come in the same order and hold the same rows either way. A helper ends when its input does, so
none outlives this process, however that ends.
"""

from __future__ import annotations

import fcntl
import gc
import os
import pickle
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, closing, suppress
from itertools import islice
from pathlib import Path
from typing import IO

from forms.problems import Finding, Problem
from sync.mirror import Mirror
from sync.unfold import Part, Plan, Unfolder

__all__ = ["parts"]

MANY = 200_000
"""From so many rows on helpers are worth their start, which takes half a second."""

PART = 10_000
"""Rows of a part: some 25 MB while it is made, 6 MB when it is."""

HELPERS = 4
"""More would wait for the one process that writes the files."""

AHEAD = 2
"""Ranges a helper is given ahead, so that it never waits for the next."""


def parts(plan: Plan, mirror: Mirror, rows: int) -> Generator[Part]:
    """All rows of a form; `rows` says about how many there are.

    A row that is saved meanwhile may be in them or not. Raises `Problem` when the mirror cannot be read
    or a helper ended before its work was done.
    """
    helpers = min(HELPERS, os.cpu_count() or 1)
    if rows >= MANY and helpers > 1:
        yield from by_helpers(plan, mirror, helpers)
        return
    unfolder = Unfolder(plan)
    stream = mirror.stored(plan.form.id)
    while (part := unfolder.part(islice(stream, PART))).seen:
        yield part


def by_helpers(plan: Plan, mirror: Mirror, count: int) -> Generator[Part]:
    """Parts in order: the helpers are given one range after the other, in turn, and asked in turn."""
    with ExitStack() as stack:
        helpers = [stack.enter_context(closing(Helper(plan, mirror.path))) for _ in range(count)]
        ranges = mirror.ranges(plan.form.id, PART)
        given = 0
        for given, (after, until) in enumerate(islice(ranges, count * AHEAD), 1):
            helpers[(given - 1) % count].ask(after, until)
        taken = 0
        while taken < given:
            helper = helpers[taken % count]
            part = helper.part()
            taken += 1
            for after, until in islice(ranges, 1):
                helper.ask(after, until)
                given += 1
            yield part


class Helper:
    """A process that unfolds ranges of one form."""

    def __init__(self, plan: Plan, mirror: Path) -> None:
        # A group of its own: Ctrl-C is for the parent, which then ends its helpers.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sync.ranges"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            process_group=0,
        )
        assert self.process.stdin
        assert self.process.stdout
        self.to: IO[bytes] = self.process.stdin
        self.back: IO[bytes] = self.process.stdout
        # A part is 6 MB: through a pipe of 64 kB both sides would mostly wait for each other.
        with suppress(AttributeError, OSError):  # Linux alone has it, and may refuse it.
            fcntl.fcntl(self.back, fcntl.F_SETPIPE_SZ, 1 << 20)
        self.send((plan, mirror))

    def send(self, said: object) -> None:
        try:
            pickle.dump(said, self.to, protocol=5)
            self.to.flush()
        except BrokenPipeError as error:
            raise Problem(self.ended()) from error

    def ask(self, after: str, until: str | None) -> None:
        """Give it the range of root ids from `after` up to, without, `until`."""
        self.send((after, until))

    def part(self) -> Part:
        """The next part it was asked for."""
        try:
            said = pickle.load(self.back)
        except (EOFError, pickle.UnpicklingError) as error:
            raise Problem(self.ended()) from error
        if isinstance(said, Part):
            return said
        raise Problem(said)

    def ended(self) -> Finding:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        return Finding(
            "helper_ended",
            "error",
            f"process {self.process.pid}",
            f"ended before its work was done (exit code {self.process.poll()})",
            "free some memory and run the same command again; if it ends again, report what it said",
        )

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.back.close()
        with suppress(BrokenPipeError):  # It was ended with something unread.
            self.to.close()


def help_out(told: IO[bytes], answer: IO[bytes]) -> None:
    """Answer each range with its part until there are no more; what went wrong is an answer too."""
    gc.disable()  # Parsed rows are no cycles.
    try:
        plan, path = pickle.load(told)
        unfolder = Unfolder(plan)
        with Mirror(path) as mirror:
            # Ranges are read once and lie anywhere: few pages, and those in the processor's cache.
            mirror.base.execute("PRAGMA cache_size = -4000")
            while True:
                after, until = pickle.load(told)
                stream = mirror.stored(plan.form.id, after=after, until=until)
                pickle.dump(unfolder.part(stream), answer, protocol=5)
                answer.flush()
    except Problem as problem:
        pickle.dump(problem.findings, answer, protocol=5)
        answer.flush()
    except (EOFError, BrokenPipeError):
        pass  # The parent has what it wanted, or is gone.


if __name__ == "__main__":
    help_out(sys.stdin.buffer, sys.stdout.buffer)
