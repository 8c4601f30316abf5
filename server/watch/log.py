"""What the server says on stderr: one JSON object a line, and never whose data it was.

A line has `at` (UTC), `level`, `from` and `message`; inside a request also `request`, the id that
the answer carries in `X-Request-ID`. An error is told by its kind and by the place in the code,
never by its words, because those may quote what somebody sent. Loggers of libraries are told the
same way, without their message. Keys, tokens, names, query strings and bodies are never passed to a
logger; a test looks for them.
"""

from __future__ import annotations

import itertools
import logging
import secrets
import sys
import time
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import orjson

__all__ = ["LEVELS", "access", "begin", "new_request", "place_of", "request_id", "told_id"]

LEVELS = ("debug", "info", "warning", "error")

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is being answered; empty outside of one."""

access = logging.getLogger("watphon.access")
"""One line per request, where `begin(access_log=True)` asked for it."""

OWN = ("watphon", "uvicorn")
REPEATED = 10.0
"""Seconds within which the same complaint is not written again."""

FIRST = secrets.token_hex(4)
numbers = itertools.count(1)


def new_request() -> str:
    """An id that no other request has, also not one of another process."""
    return f"{FIRST}-{next(numbers):x}"


def told_id() -> str:
    """` (request ID)` for the end of an error's words; empty outside of a request."""
    known = request_id.get()
    return f" (request {known})" if known else ""


class Line(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "at": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "from": record.name,
        }
        own = record.name.partition(".")[0] in OWN
        line["message"] = record.getMessage().strip() if own else "a library complained"
        if known := request_id.get():
            line["request"] = known
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
            line["place"] = place_of(record.exc_info[2])
        line.update(getattr(record, "told", {}))
        return orjson.dumps(line, default=str).decode()


class Calm(logging.Filter):
    """Lets the same complaint pass once in `REPEATED` seconds, so that a flood of failing requests
    does not fill the disk; the next one to pass says how many were left out."""

    def __init__(self) -> None:
        super().__init__()
        self.last: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        kind = (record.name, str(record.msg))
        moment, left_out = self.last.get(kind, (-REPEATED, 0))
        if record.created - moment < REPEATED:
            self.last[kind] = (moment, left_out + 1)
            return False
        if len(self.last) > 1000:
            self.last.clear()
        self.last[kind] = (record.created, 0)
        if left_out:
            record.told = {**getattr(record, "told", {}), "left_out": left_out}
        return True


def place_of(trace: TracebackType | None) -> str:
    """The innermost place of a traceback, as `file:line`."""
    frames = traceback.extract_tb(trace)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"


def begin(level: str = "info", *, access_log: bool = False) -> None:
    """Write JSON lines of at least `level` to stderr, and one per request if `access_log`."""
    logging.Formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Line())
    handler.addFilter(Calm())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("watphon").setLevel(level.upper())
    access.setLevel(logging.INFO if access_log else logging.ERROR)
    # anybody can make these warn by sending nonsense; what they call errors is told
    for name in ("uvicorn", "uvicorn.error", "python_multipart"):
        logging.getLogger(name).setLevel(logging.ERROR)
