"""Memory that all request bodies share."""

from __future__ import annotations

from server.answers import Refusal

__all__ = ["budget"]

MEMORY = 64_000_000
"""Bytes of bodies held in memory at once, over all requests."""


class Budget:
    """Memory that all bodies share, so that a thousand large ones cannot take more than its limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    def take(self, size: int) -> None:
        """Count bytes that are kept now; raises `Refusal` 503 when it would be too many."""
        if self.held + size > self.limit:
            words = "The server is busy; nothing was stored. Try again later."
            raise Refusal(503, words, {"Retry-After": "30"})
        self.held += size

    def give(self, size: int) -> None:
        """Count bytes that are no longer kept."""
        self.held -= size


budget = Budget(MEMORY)
