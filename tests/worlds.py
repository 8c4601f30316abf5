"""One world per backend: the backend under test behind a gate, and what happens on its server.

What a world does (a phone sends, a colleague deletes, a session is revoked) goes around the gate, so
the gate sees the backend's own requests and nothing else. A world remembers what it did: `truth` is
what lies on the server now, without asking it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from gate import Asked, Gate

from forms.instance import to_xml
from forms.model import Record, Submission
from forms.programme import Programme
from sync.backend import Backend, Status
from sync.phone import Part, Phone

__all__ = ["NAMES", "Sender", "Truth", "World"]

NAMES = ("embedded", "kobo", "central")
Truth = dict[str, tuple[str, Status]]
"""Root id → present instance id and status."""


class World(Protocol):
    """A server with a backend before it; `name` says which, `account` who the backend is there."""

    name: str
    gate: Gate
    truth: dict[str, Truth]
    account: str
    programme: Programme

    @property
    def backend(self) -> Backend:
        """The backend under test."""
        ...

    def new_id(self) -> str:
        """The next instance id; the same in every run of a test."""
        ...

    def another(self, credentials: str) -> Backend:
        """A backend at the same gate as somebody else: `wrong` credentials, or a `stranger`'s."""
        ...

    def submit(
        self, form_id: str, record: Record, files: Sequence[Part] = (), root_id: str = ""
    ) -> str:
        """Send a filled form as a phone; gives its root id."""
        ...

    def edit(self, form_id: str, root_id: str, record: Record, files: Sequence[Part] = ()) -> str:
        """Replace what was sent; gives the new instance id."""
        ...

    def late_file(self, form_id: str, root_id: str, file: Part) -> None:
        """Send a file that was missing, with the same document as before."""
        ...

    def review(self, form_id: str, root_id: str, status: Status) -> None:
        """A colleague gives a submission a status."""
        ...

    def delete(self, form_id: str, root_id: str) -> None:
        """A colleague deletes a submission."""
        ...

    def bring_back(self, form_id: str, root_id: str) -> None:
        """The submission is there again: restored, or sent once more where there is no restoring."""
        ...

    def versions(self, form_id: str) -> int:
        """How many versions of a form phones were offered."""
        ...

    def unmark(self, form_id: str) -> None:
        """A colleague removes our marker from the server."""
        ...

    def archive(self, form_id: str) -> None:
        """A colleague closes a form: phones are no longer offered it."""
        ...

    def senders(self, form_id: str) -> set[str]:
        """Who may send a form, besides the office; `anybody` for everybody."""
        ...

    def count_forms(self) -> int:
        """How many forms lie on the server, ours or not, since the test began."""
        ...

    def move_on(self, programme: Programme) -> None:
        """Go on with another programme on the same server."""
        ...

    def media(self, form_id: str) -> dict[str, bytes]:
        """The media that phones are offered, by name."""
        ...

    def end_session(self) -> None:
        """The token or session the backend uses ends."""
        ...

    def sweeps(self, asked: Asked) -> bool:
        """Whether a request reads light lines."""
        ...


class Sender:
    """What all worlds have: documents, their ids from a counter, and the memory of what was sent."""

    name = ""
    account = ""

    def __init__(self, programme: Programme) -> None:
        self.programme = programme
        self.truth: dict[str, Truth] = {}
        self.sent: dict[str, bytes] = {}
        self.gate = Gate()
        self.made = 0

    def new_id(self) -> str:
        """The next instance id; the same in every run of a test."""
        self.made += 1
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.programme.id}/{self.made}"))

    def move_on(self, programme: Programme) -> None:
        self.programme = programme

    @contextmanager
    def phone(self, form_id: str) -> Iterator[Phone]:
        raise AssertionError(form_id)
        yield

    def there(self, form_id: str) -> str:
        """What the form is called inside instance documents."""
        raise AssertionError(form_id)

    def submit(
        self, form_id: str, record: Record, files: Sequence[Part] = (), root_id: str = ""
    ) -> str:
        root_id = root_id or self.new_id()
        self.post(form_id, root_id, record, files, root_id, "")
        self.truth.setdefault(form_id, {})[root_id] = (root_id, "")
        return root_id

    def edit(self, form_id: str, root_id: str, record: Record, files: Sequence[Part] = ()) -> str:
        before, status = self.truth[form_id][root_id]
        new = self.new_id()
        self.post(form_id, root_id, record, files, new, before)
        # On ODK Central an edit takes the review state's place.
        self.truth[form_id][root_id] = (new, "" if self.name == "central" else status)
        return new

    def post(
        self,
        form_id: str,
        root_id: str,
        record: Record,
        files: Sequence[Part],
        instance_id: str,
        deprecated: str,
    ) -> None:
        name = self.there(form_id)
        with self.phone(form_id) as phone:
            (listed,) = [one for one in phone.forms(name) if one.form_id == name]
            made = Submission(
                name, listed.version, root_id, instance_id, record, deprecated_id=deprecated
            )
            document = to_xml(made, self.programme.form(form_id))
            assert phone.send(document, files) == "stored"
        self.sent[root_id] = document

    def late_file(self, form_id: str, root_id: str, file: Part) -> None:
        with self.phone(form_id) as phone:
            phone.send(self.sent[root_id], [file])

    def media(self, form_id: str) -> dict[str, bytes]:
        name = self.there(form_id)
        with self.phone(form_id) as phone:
            (listed,) = [one for one in phone.forms(name) if one.form_id == name]
            return phone.form(listed)[1]
