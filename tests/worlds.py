"""One world per backend: the backend under test behind a gate, and what happens on its server.

What a world does (a phone sends, a colleague deletes, a session is revoked) goes around the gate, so
the gate sees the backend's own requests and nothing else. A world remembers what it did: `truth` is
what lies on the server now, without asking it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol

from gate import Asked, Gate
from kobo_dialect import OUTSIDER, KoboDialect
from kobo_dialect import running as dialect_running
from office import Office, RunningServer
from small_kobo import TOKEN

from forms.instance import to_xml
from forms.model import Record, Submission
from forms.programme import Programme
from sync.backend import Backend, Status
from sync.http import Connection
from sync.kobo import Kobo
from sync.phone import Part, Phone

__all__ = ["NAMES", "EmbeddedWorld", "KoboWorld", "KoboishWorld", "Truth", "World", "opened"]

NAMES = ("embedded", "kobo", "central")
Truth = dict[str, tuple[str, Status]]
"""Root id → present instance id and status."""


def shortly(seconds: float) -> None:
    """Waiting takes a moment here, however long it would be."""
    time.sleep(min(seconds, 0.02))


class World(Protocol):
    """A server with a backend before it; `name` says which, `account` who the backend is there."""

    name: str
    gate: Gate
    backend: Backend
    truth: dict[str, Truth]
    account: str
    programme: Programme

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


class KoboishWorld(Sender):
    """The embedded server or KoboToolbox: one dialect, so the same acts."""

    def __init__(self, programme: Programme, url: str, token: str, phones: str, page: int) -> None:
        super().__init__(programme)
        self.token, self.phones_url, self.page = token, phones, page
        self.office = Office(url, token)
        self.address = ""
        self.forms_before = self.office.get("/api/v2/assets/", limit=1)["count"]

    def behind(self, gate: str) -> None:
        """Set the backend up at the gate's address."""
        self.address = gate
        self.backend: Kobo = self.client(self.token)
        self.account = self.backend.check()
        self.gate.afresh()

    def client(self, token: str) -> Kobo:
        line = Connection(self.address, token, pause=0.01, sleep=shortly)
        return Kobo(
            self.address, token, page=self.page, patience=90.0, connection=line, sleep=shortly
        )

    @contextmanager
    def phone(self, form_id: str) -> Iterator[Phone]:
        with Phone(self.phones_url, token=self.token) as phone:
            yield phone

    def uid(self, form_id: str) -> str:
        marker = f"watphon:{self.programme.id}/{form_id} "
        listed = self.office.get("/api/v2/assets/", limit=100)["results"]
        (uid,) = [a["uid"] for a in listed if marker in f"{a['settings'].get('description')} "]
        return uid

    def there(self, form_id: str) -> str:
        return self.uid(form_id)

    def row_path(self, form_id: str, root_id: str) -> str:
        uid = self.uid(form_id)
        rows = self.office.rows(uid, limit=1000)
        ids = [row["_id"] for row in rows if row["meta/rootUuid"] == f"uuid:{root_id}"]
        return f"/api/v2/assets/{uid}/data/{max(ids)}/"

    def call(self, method: str, path: str, **more: object) -> None:
        answer = self.office.call(method, path, **more)
        assert answer.status_code < 300, answer.text

    def review(self, form_id: str, root_id: str, status: Status) -> None:
        path = f"{self.row_path(form_id, root_id)}validation_status/"
        if status:
            body = {"validation_status.uid": f"validation_status_{status}"}
            self.call("PATCH", path, json=body)
        else:
            self.call("DELETE", path)
        self.truth[form_id][root_id] = (self.truth[form_id][root_id][0], status)

    def delete(self, form_id: str, root_id: str) -> None:
        self.call("DELETE", self.row_path(form_id, root_id))
        del self.truth[form_id][root_id]

    def bring_back(self, form_id: str, root_id: str) -> None:
        with self.phone(form_id) as phone:
            phone.send(self.sent[root_id])
        self.truth[form_id][root_id] = (root_id, "")

    def unmark(self, form_id: str) -> None:
        body = {"settings": {"description": "a colleague tidied up"}}
        self.call("PATCH", f"/api/v2/assets/{self.uid(form_id)}/", json=body)

    def archive(self, form_id: str) -> None:
        path = f"/api/v2/assets/{self.uid(form_id)}/deployment/"
        self.call("PATCH", path, json={"active": False})

    def senders(self, form_id: str) -> set[str]:
        return set()

    def count_forms(self) -> int:
        return self.office.get("/api/v2/assets/", limit=1)["count"] - self.forms_before

    def sweeps(self, asked: Asked) -> bool:
        return "/data/" in asked.path and "fields=" in asked.path and '"_uuid"' in asked.path


class EmbeddedWorld(KoboishWorld):
    """The embedded server: a real process."""

    name = "embedded"

    def __init__(self, programme: Programme, server: RunningServer, page: int) -> None:
        super().__init__(programme, server.url, server.token, server.url, page)

    def another(self, credentials: str) -> Backend:
        assert credentials == "wrong"
        return self.client("0" * 40)

    def versions(self, form_id: str) -> int:
        found = self.office.get(f"/api/v2/assets/{self.uid(form_id)}/")["deployed_versions"]
        return found["count"]

    def end_session(self) -> None:
        self.backend.connection.credentials = Connection(self.address, "0" * 40).credentials


class KoboWorld(KoboishWorld):
    """KoboToolbox as recorded."""

    name = "kobo"

    def __init__(self, programme: Programme, kobo: KoboDialect, urls: tuple[str, str], page: int):
        super().__init__(programme, urls[0], TOKEN, urls[1], page)
        self.kobo = kobo

    def another(self, credentials: str) -> Backend:
        known = {name: token for token, name in self.kobo.tokens.items()}
        return self.client(known[OUTSIDER] if credentials == "stranger" else "0" * 40)

    def senders(self, form_id: str) -> set[str]:
        rights = self.kobo.assets[self.uid(form_id)].rights.values()
        named = [one["user"].rstrip("/").rpartition("/")[2] for one in rights
                 if "add_submissions" in one["permission"]]
        return {"anybody" if name == "AnonymousUser" else name for name in named}

    def versions(self, form_id: str) -> int:
        return self.kobo.assets[self.uid(form_id)].offers

    def end_session(self) -> None:
        self.kobo.tokens.pop(TOKEN)


@contextmanager
def opened(
    name: str, test: str, programme: Programme, server: Callable[[], RunningServer], page: int = 1000
) -> Iterator[World]:
    """The world called `name` for the test called so; `page` rows at a time."""
    with ExitStack() as stack:
        if name == "central":
            from world_central import CentralWorld

            world: World = stack.enter_context(CentralWorld.opened(programme, test, page))
            yield world
            return
        if name == "kobo":
            kobo = KoboDialect()
            api, phones = stack.enter_context(dialect_running(kobo))
            made: KoboishWorld = KoboWorld(programme, kobo, (api, phones), page)
            gate = stack.enter_context(made.gate.to(api))
            kobo.url, kobo.phones_url = gate, stack.enter_context(made.gate.to(phones))
        else:
            running = server()
            made = EmbeddedWorld(programme, running, page)
            gate = stack.enter_context(made.gate.to(running.url))
        made.behind(gate)
        stack.callback(made.office.session.close)
        stack.callback(made.backend.connection.close)
        yield made
