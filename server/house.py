"""The parts of a running server in one value, and how a handler gets at them."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.requests import Request

from forms.programme import Programme
from server.answers import Refusal
from server.board.places import Places
from server.people.memory import Memory
from server.people.rights import Right, Visitor
from server.people.signin import Doorkeeper
from server.public import HOST
from server.state.blobs import Blobs
from server.state.catalogue import Catalogue
from server.state.inbox import Inbox
from server.state.store import Store

__all__ = ["House", "base_url", "house_of", "phone_url", "public_url"]


@dataclass(frozen=True, slots=True)
class House:
    """What every handler needs."""

    store: Store
    blobs: Blobs
    inbox: Inbox
    catalogue: Catalogue
    doorkeeper: Doorkeeper
    programme: Programme | None = None
    """What the server's forms belong to, where it was started with a programme folder."""
    places: Places = field(default_factory=Places)
    """Who and where a submission is from, by that programme."""
    public_url: str = ""
    """The address under which phones reach the server, where that is not what browsers use."""
    worker: str = ""
    """The name of this process among several that serve together."""
    readings: Memory[bool] = field(default_factory=lambda: Memory(3600))
    """Who read which form's data within the hour: the audit trail has a line of it."""
    remaining: Memory[int] = field(default_factory=lambda: Memory(600, size=256))
    """How many rows follow a page that was served, as long as nothing changed: a sync that pages by
    `_id > N` is told `count` without the rest of the table being counted for every page."""

    async def manager(self, request: Request) -> Visitor:
        """The signed-in admin; everyone else hears 404, as on KoboToolbox."""
        visitor = await self.doorkeeper.api_visitor(request)
        if visitor is None or not visitor.may(Right.MANAGE):
            raise Refusal(404, "Not found.")
        return visitor


def house_of(request: Request) -> House:
    """The house a request came to."""
    return request.app.state.house


def base_url(request: Request) -> str:
    """Scheme and host as the caller wrote them; a Host that is none gives the socket's address."""
    host = request.headers.get("host", "")
    if not HOST.fullmatch(host):
        name, port = request.scope.get("server") or ("127.0.0.1", None)
        host = f"{name}:{port}" if port else str(name)
    return f"{request.scope['scheme']}://{host}"


def public_url(request: Request) -> str:
    """The address to print in codes for phones: the one the server was told, else the browser's."""
    return house_of(request).public_url or base_url(request)


def phone_url(request: Request) -> str:
    """The address the phone used, key included: what addresses in answers begin with."""
    key = request.path_params.get("key")
    return f"{base_url(request)}/key/{key}" if key is not None else base_url(request)
