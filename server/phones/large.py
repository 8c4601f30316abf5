"""Documents too large for the event loop: weighed first, then read one at a time beside it.

A phone's document has a few kilobytes and is read where it arrives. A large one takes seconds and
a hundred megabytes, so there is one thread for all of them, and what would take more is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from server.answers import Refusal

__all__ = ["LARGE", "aside", "refuse_heavy", "refuse_winding"]

LARGE = 32_768
"""Bytes up to which a document is read at once: a millisecond or two."""

MOST_TAGS = 200_000
"""Elements take thirty times their bytes when read; a hundred thousand answers are any form's."""

MOST_PATHS = 16_000_000
"""Characters of all answers' paths: an answer is stored under its path, which repeats the names of
all groups around it."""

SHORT = 20_000

thread = ThreadPoolExecutor(1, thread_name_prefix="large")

T = TypeVar("T")


async def aside(size: int, call: Callable[..., T], *arguments: Any) -> T:
    """The result of a call about a document of `size` bytes, made beside the event loop if large."""
    if size <= LARGE:
        return call(*arguments)
    return await asyncio.get_running_loop().run_in_executor(thread, call, *arguments)


def refuse_heavy(document: bytes) -> None:
    """Refuse, before it is read, a document with more elements than any form has; 413."""
    if len(document) > LARGE and document.count(b"<") > MOST_TAGS:
        raise Refusal(413, f"The document has more than {MOST_TAGS} tags.")


def refuse_winding(root: Any, size: int) -> None:
    """Refuse a parsed document whose answers stand under paths beyond any measure; 413."""
    if size <= SHORT:  # half of it names, half of it answers: their product is within the bound
        return
    total, stack = 0, [(root, 0)]
    while stack:
        element, length = stack.pop()
        for child in element:
            tag = child.tag
            if isinstance(tag, str):
                deeper = length + len(tag)
                total += deeper
                stack.append((child, deeper))
        if total > MOST_PATHS:
            raise Refusal(413, "The document's names and groups are too long and too deep.")
