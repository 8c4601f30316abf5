"""ODK Central as a world: the recorded answers of a real one, or the real one while it is recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import requests
from central_tape import Tape, account
from gate import Asked
from world_kobo import at_once
from worlds import Sender

from forms.programme import Programme
from sync.backend import Backend, Status
from sync.central import Central
from sync.phone import Phone

__all__ = ["CentralWorld"]

STATES = {"approved": "approved", "not_approved": "rejected", "on_hold": "hasIssues", "": None}


class CentralWorld(Sender):
    """A project on ODK Central; phones come in by an app user of their own."""

    name = "central"
    backend: Central

    def __init__(self, programme: Programme, url: str, gate: str, page: int) -> None:
        super().__init__(programme)
        self.url, self.address, self.page = url, gate, page
        self.email, self.password = account()
        self.office = requests.Session()
        self.office.trust_env = False
        self.project = ""
        self.keys: dict[str, str] = {}

    @classmethod
    @contextmanager
    def opened(cls, programme: Programme, test: str, page: int) -> Iterator[CentralWorld]:
        """The world on the tape of a test."""
        with Tape(test).running() as url:
            made = cls(programme, url, "", page)
            with made.gate.to(url) as gate:
                made.address = gate
                made.backend = made.client(made.email, made.password)
                made.account = made.backend.check()
                made.gate.afresh()
                try:
                    yield made
                finally:
                    made.office.close()
                    made.backend.connection.close()

    def client(self, email: str, password: str) -> Central:
        found = Central(self.address, email=email, password=password, project=self.programme.id)
        found.connection.sleep = at_once
        found.page = found.light_page = self.page
        return found

    def another(self, credentials: str) -> Backend:
        if credentials == "stranger":
            return self.client("bob@example.org", "bob-password-1")
        return self.client(self.email, "not this one")

    # ── the server's own API ─────────────────────────────────────────────────────────────────────

    def call(self, method: str, path: str, **more: Any) -> Any:
        """One request of a colleague; signs in first."""
        if "Authorization" not in self.office.headers:
            body = {"email": self.email, "password": self.password}
            opened = self.office.post(f"{self.url}/v1/sessions", json=body, timeout=60)
            self.office.headers["Authorization"] = f"Bearer {opened.json()['token']}"
            self.office.cookies.clear()
        answer = self.office.request(method, f"{self.url}/v1{path}", timeout=60, **more)
        assert answer.status_code < 300, answer.text
        return json.loads(answer.content)

    def project_path(self) -> str:
        if not self.project:
            named = self.call("GET", "/projects")
            (self.project,) = [str(p["id"]) for p in named if p["name"] == self.programme.id]
        return f"/projects/{self.project}"

    def form_path(self, form_id: str) -> str:
        return f"{self.project_path()}/forms/{form_id}"

    def row_path(self, form_id: str, root_id: str) -> str:
        return f"{self.form_path(form_id)}/submissions/{quote(f'uuid:{root_id}', safe='')}"

    @contextmanager
    def phone(self, form_id: str) -> Iterator[Phone]:
        if form_id not in self.keys:
            path = self.project_path()
            user = self.call("POST", f"{path}/app-users", json={"displayName": f"phone {form_id}"})
            self.call("POST", f"{path}/forms/{form_id}/assignments/app-user/{user['id']}")
            self.keys[form_id] = user["token"]
        key = quote(self.keys[form_id], safe="")
        with Phone(f"{self.url}/v1/key/{key}{self.project_path()}") as phone:
            yield phone

    def there(self, form_id: str) -> str:
        return form_id

    def review(self, form_id: str, root_id: str, status: Status) -> None:
        path = self.row_path(form_id, root_id)
        self.call("PATCH", path, json={"reviewState": STATES[status]})
        self.truth[form_id][root_id] = (self.truth[form_id][root_id][0], status)

    def delete(self, form_id: str, root_id: str) -> None:
        self.call("DELETE", self.row_path(form_id, root_id))
        self.gone = self.truth[form_id].pop(root_id)

    def bring_back(self, form_id: str, root_id: str) -> None:
        self.call("POST", f"{self.row_path(form_id, root_id)}/restore")
        self.truth[form_id][root_id] = self.gone

    def versions(self, form_id: str) -> int:
        return len(self.call("GET", f"{self.form_path(form_id)}/versions"))

    def unmark(self, form_id: str) -> None:
        """Our marks are the project's description and name."""
        body = {"name": f"lost {self.programme.id}", "description": "a colleague tidied up"}
        self.call("PATCH", self.project_path(), json=body)

    def archive(self, form_id: str) -> None:
        self.call("PATCH", self.form_path(form_id), json={"state": "closed"})

    def senders(self, form_id: str) -> set[str]:
        users = self.call("GET", f"{self.form_path(form_id)}/assignments/app-user")
        links = self.call("GET", f"{self.form_path(form_id)}/public-links")
        return {one["displayName"] for one in users} | {"anybody" for one in links if one["token"]}

    def move_on(self, programme: Programme) -> None:
        super().move_on(programme)
        self.project, self.backend.project = "", programme.id
        self.keys.clear()

    def count_forms(self) -> int:
        listed = self.call("GET", "/projects")
        return sum(len(self.call("GET", f"/projects/{p['id']}/forms")) for p in listed)

    def end_session(self) -> None:
        token = self.backend.connection.credentials.header()
        gone = requests.delete(
            f"{self.url}/v1/sessions/current", headers={"Authorization": token}, timeout=60
        )
        assert gone.status_code == 200, gone.text

    def sweeps(self, asked: Asked) -> bool:
        return ".svc/Submissions" in asked.path and "$select=__id,__system" in asked.path
