"""An ODK Central account: who we are, our project, the forms in it.

Everything `sync.central_access`, `sync.central_publish` and `sync.central` stand on.

https://docs.getodk.org/central-api-authentication/ , …-project-management/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from forms.problems import ServerProblem
from sync.answer import Answer
from sync.backend import Deployed
from sync.credentials import Bearer
from sync.http import Connection

__all__ = ["EXTENDED", "CentralAccount", "form_path", "ignored", "note"]

MARK = re.compile(r"\.w(?P<book>[0-9a-f]{12})(?P<media>[0-9a-f]{8})(?:\.\d+)?$")
EXTENDED = {"X-Extended-Metadata": "true"}


def form_path(uid: str) -> str:
    """`3/visit`, a form's name in this house, as the server's path."""
    project, _, form_id = uid.partition("/")
    return f"/v1/projects/{quote(project, safe='')}/forms/{quote(form_id, safe='')}"


class CentralAccount:
    """An ODK Central server at `url` and the project `project` on it.

    Signs in with `email` and `password`, or uses a session `token`.
    """

    def __init__(
        self,
        url: str,
        *,
        email: str = "",
        password: str = "",
        token: str = "",
        project: str = "",
        connection: Connection | None = None,
    ) -> None:
        if connection is None:
            door = Connection(url)

            def sign_in() -> str:
                body = {"email": email, "password": password}
                return door.json("POST", "/v1/sessions", json=body)["token"]

            connection = Connection(url, Bearer(token, sign_in if email else None))
        self.connection = connection
        self.url = connection.url
        self.project = project
        self.adopted = ""
        self.unmarked: dict[str, str] = {}
        self.present: dict[str, str] = {}

    def check(self) -> str:
        """The e-mail or name of the account we are signed in as."""
        me = self.connection.json("GET", "/v1/users/current")
        return str(me.get("email") or me.get("displayName") or "")

    def project_id(self, programme_id: str) -> str:
        """The id of our project: the one programme.toml names, else the one that carries our line,
        else the one under which we published before, else `""`.
        """
        listed = self.connection.json("GET", "/v1/projects")
        # As a word: one programme's id may begin with another's.
        ours = [p for p in listed if note(programme_id) in str(p["description"] or "").split()]
        named = [p for p in listed if p["name"] == (self.project or programme_id)]
        found = (named or ours) if self.project else (ours or named)
        if len(found) > 1:
            raise ServerProblem.at(
                f"{self.url} {self.project or programme_id}",
                "more than one project is called so or carries this programme's line",
                "rename the others, or take the line watphon:… out of their description",
                code="two_assets",
            )
        found = found or [p for p in listed if str(p["id"]) == self.adopted]
        if found and found[0] not in ours:
            self.unmarked[str(found[0]["id"])] = str(found[0]["description"] or "")
        return str(found[0]["id"]) if found else ""

    def find(self, programme_id: str, adopted: Mapping[str, str] = {}) -> dict[str, Deployed]:
        """The forms of the programme's project, by form id."""
        self.check()
        self.adopted = next((uid.partition("/")[0] for uid in adopted.values()), "")
        project = self.project_id(programme_id)
        if not project:
            return {}
        listed = self.connection.json("GET", f"/v1/projects/{project}/forms", headers=EXTENDED)
        found = {form["xmlFormId"]: standing(project, form) for form in listed}
        self.present |= {found[form["xmlFormId"]].uid: form["version"] or "" for form in listed}
        return found

    def deployed(self, uid: str) -> Deployed:
        """Any form of any project the account sees."""
        form = self.connection.json("GET", form_path(uid), headers=EXTENDED)
        self.present[uid] = form["version"] or ""
        return standing(uid.partition("/")[0], form)


def standing(project: str, form: Mapping[str, Any]) -> Deployed:
    """A form as the server lists it."""
    marked = MARK.search(form["version"] or "")
    return Deployed(
        form_id=form["xmlFormId"],
        uid=f"{project}/{form['xmlFormId']}",
        sha256=marked["book"] if marked else "",
        is_live=bool(form["publishedAt"]) and form["state"] == "open",
        was_deployed=bool(form["publishedAt"]),
        rows=int(form.get("submissions") or 0),
    )


def note(programme_id: str) -> str:
    """The line in a project's description by which we know it again."""
    return f"watphon:{programme_id}"


def ignored(answer: Answer) -> None:
    """An answer whose body says nothing we need."""
