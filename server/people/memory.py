"""What one process has just found out and need not look up again, for a limited time."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Generic, TypeVar

__all__ = ["Memory"]

T = TypeVar("T")


class Memory(Generic[T]):
    """A few recent findings, each for a limited time."""

    def __init__(self, seconds: float, size: int = 1024) -> None:
        self.seconds = seconds
        self.size = size
        self.found: OrderedDict[str, tuple[float, T]] = OrderedDict()

    def get(self, key: str) -> T | None:
        entry = self.found.get(key)
        if entry and time.monotonic() - entry[0] < self.seconds:
            return entry[1]
        return None

    def put(self, key: str, value: T) -> None:
        self.found[key] = (time.monotonic(), value)
        self.found.move_to_end(key)
        while len(self.found) > self.size:
            self.found.popitem(last=False)
