"""The pages of people who sign in, in one list."""

from __future__ import annotations

from starlette.routing import Route

from server.people import entrance, office, start

__all__ = ["routes"]


def routes() -> list[Route]:
    """Sign-in, start page, reports, accounts and audit trail."""
    return [*entrance.routes(), *start.routes(), *office.routes()]
