"""The embedded server and KoboToolbox as worlds: one dialect, so the same acts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from gate import Asked
from kobo_dialect import OUTSIDER, KoboDialect
from kobo_dialect import running as dialect_running
from office import Office, RunningServer
from small_kobo import TOKEN
from worlds import Sender

from forms.programme import Programme
from sync.backend import Backend, Status
from sync.http import Connection
from sync.kobo import Kobo
from sync.phone import Phone

__all__ = ["EmbeddedWorld", "KoboWorld"]


def at_once(seconds: float) -> None:
    """Waiting takes no time here."""


def shortly(seconds: float) -> None:
    """Waiting takes a moment here, however long it would be: a real server works meanwhile."""
    time.sleep(min(seconds, 0.02))


class KoboishWorld(Sender):
    """The embedded server or KoboToolbox: one dialect, so the same acts."""

    def __init__(self, programme: Programme, url: str, token: str, phones: str, page: int) -> None:
        super().__init__(programme)
        self.token, self.phones_url, self.page = token, phones, page
        self.office = Office(url, token)
        self.address = ""
        self.forms_before = self.office.get("/api/v2/assets/", limit=1)["count"]

    @contextmanager
    def behind(self, gate: str) -> Iterator[None]:
        """Set the backend up at the gate's address, until the block ends."""
        self.address = gate
        with ExitStack() as stack:
            self.backend = self.client(self.token)
            stack.callback(self.backend.connection.close)
            stack.callback(self.office.session.close)
            self.account = self.backend.check()
            self.gate.afresh()
            yield

    def client(self, token: str) -> Kobo:
        """A backend with this token."""
        wait = shortly if self.name == "embedded" else at_once
        line = Connection(self.address, token, pause=0.01, sleep=wait)
        return Kobo(
            self.address, token, page=self.page, patience=3_600.0, connection=line, sleep=wait
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

    @classmethod
    @contextmanager
    def opened(
        cls, programme: Programme, server: RunningServer, page: int
    ) -> Iterator[EmbeddedWorld]:
        """The world on a running server."""
        made = cls(programme, server.url, server.token, server.url, page)
        with made.gate.to(server.url) as gate, made.behind(gate):
            yield made

    def another(self, credentials: str) -> Backend:
        assert credentials == "wrong"
        return self.client("0" * 40)

    def versions(self, form_id: str) -> int:
        found = self.office.get(f"/api/v2/assets/{self.uid(form_id)}/")["deployed_versions"]
        return found["count"]

    def end_session(self) -> None:
        # Its tokens are shared with other tests: the backend's alone becomes one nobody knows.
        object.__setattr__(self.backend.connection.credentials, "token", "0" * 40)


class KoboWorld(KoboishWorld):
    """KoboToolbox as recorded."""

    name = "kobo"

    kobo: KoboDialect

    @classmethod
    @contextmanager
    def opened(cls, programme: Programme, page: int) -> Iterator[KoboWorld]:
        """The world on an empty server of its own."""
        kobo = KoboDialect()
        with dialect_running(kobo) as (api, phones):
            made = cls(programme, api, TOKEN, phones, page)
            made.kobo = kobo
            # What the server says of itself leads through the gate, on both hosts.
            with (
                made.gate.to(api) as kobo.url,
                made.gate.to(phones) as kobo.phones_url,
                made.behind(kobo.url),
            ):
                yield made

    def another(self, credentials: str) -> Backend:
        known = {name: token for token, name in self.kobo.tokens.items()}
        return self.client(known[OUTSIDER] if credentials == "stranger" else "0" * 40)

    def senders(self, form_id: str) -> set[str]:
        rights = self.kobo.assets[self.uid(form_id)].rights.values()
        named = [
            one["user"].rstrip("/").rpartition("/")[2]
            for one in rights
            if "add_submissions" in one["permission"]
        ]
        return {"anybody" if name == "AnonymousUser" else name for name in named}

    def versions(self, form_id: str) -> int:
        return self.kobo.assets[self.uid(form_id)].offers

    def end_session(self) -> None:
        self.kobo.tokens.pop(TOKEN)
