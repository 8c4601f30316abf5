"""Publishing to ODK Central: project, draft, attachments, publish, app users; only what differs.

Our mark is the tail of the form's version, `….w` and the beginning of our hash over workbook and media:
Central demands another version string for each publication anyway, keeps it with every submission,
and lists it. A cut-off attempt leaves a draft, which the next one replaces; phones never see drafts.

https://docs.getodk.org/central-api-form-management/
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from forms.problems import Finding, ServerProblem
from forms.xlsform import read_sheets
from sync.answer import Answer
from sync.backend import Access, Deployed, Link, Medium, Outgoing, Progress, Published, Step, quiet
from sync.credentials import Bearer
from sync.http import Connection

__all__ = ["CentralPublishing", "form_path", "mark"]

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MARK = re.compile(r"\.w(?P<book>[0-9a-f]{12})(?P<media>[0-9a-f]{8})(?:\.\d+)?$")
EXTENDED = {"X-Extended-Metadata": "true"}
APP_USER = "app-user"
ANYBODY = "anybody (watphon)"
NO_LINKS = "ODK Central links forms by entity lists: declare them in the workbook"
STEPS = 4


def mark(form: Outgoing) -> str:
    """The tail of the version under which a form in this state is published."""
    media = "".join(sorted(f"{medium.name}:{medium.md5}\n" for medium in form.media))
    return f".w{form.sha256[:12]}{hashlib.sha256(media.encode()).hexdigest()[:8]}"


def form_path(uid: str) -> str:
    """`3/visit`, a form's name in this house, as the server's path."""
    project, _, form_id = uid.partition("/")
    return f"/v1/projects/{quote(project, safe='')}/forms/{quote(form_id, safe='')}"


class CentralPublishing:
    """An ODK Central server at `url` to which the project `project` is published.

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

    # ── what is there ────────────────────────────────────────────────────────────────────────────

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

    # ── publishing ───────────────────────────────────────────────────────────────────────────────

    def plan(self, form: Outgoing, known: Deployed | None) -> tuple[Step, ...]:
        """What `publish` would do; reads only."""
        if known is None:
            return (
                Step("created", f"create the form “{form.title}” and publish it"),
                *(Step("media", f"add {medium.name}") for medium in form.media),
                *(Step("access", told) for told in told_of(form.access)),
            )
        at = self.connection.json("GET", form_path(known.uid))
        steps: list[Step] = []
        if known.uid.partition("/")[0] in self.unmarked:
            steps.append(Step("access", "write our line into the project's description"))
        if not known.was_deployed or not mark(form).startswith(f".w{known.sha256 or '-'}"):
            steps.append(Step("replaced", "publish the changed workbook as a new version"))
        elif mark(form) not in at["version"]:
            steps.append(Step("media", "publish the changed lists as a new version"))
        elif at["state"] != "open":
            steps.append(Step("replaced", "open the form again"))
        changes, _ = self.access_changes(known.uid, form.access)
        return (*steps, *(Step("access", told) for told, _ in changes))

    def publish(
        self, form: Outgoing, known: Deployed | None, progress: Progress = quiet
    ) -> Published:
        """Bring a form up to date, from whatever state an earlier attempt left it in."""
        project = known.uid.partition("/")[0] if known else self.ensure_project(form.programme_id)
        self.mark_project(project, form.programme_id)
        uid = f"{project}/{form.form_id}"
        path = form_path(uid)
        at = self.connection.json("GET", path) if known else None
        published = bool(at and at["publishedAt"])
        book_changed = not published or not mark(form).startswith(
            f".w{known.sha256 if known and known.sha256 else '-'}"
        )
        progress(form.form_id, 1, STEPS)
        changed = book_changed or (at is not None and mark(form) not in at["version"])
        notes: tuple[str, ...] = ()
        if changed:
            self.draft(form, path, exists=at is not None, book=book_changed)
            progress(form.form_id, 2, STEPS)
            notes = self.bring_media(form, f"{path}/draft")
            progress(form.form_id, 3, STEPS)
            version = self.publish_draft(form, path)
        else:
            assert at is not None
            version = at["version"]
        reopened = at is not None and at["state"] != "open"
        if reopened:
            self.connection.json("PATCH", path, json={"state": "open"})
        changes, more = self.access_changes(uid, form.access)
        told = [done for _, change in changes if (done := change())]
        progress(form.form_id, STEPS, STEPS)
        notes = (*notes, *more, *told, *((NO_LINKS,) if form.links else ()))
        if not published:
            return Published(form.form_id, uid, "created", version, notes)
        if book_changed or reopened:
            return Published(form.form_id, uid, "replaced", version, notes)
        action = "media" if changed else "access" if changes else "unchanged"
        return Published(form.form_id, uid, action, version, notes)

    def ensure_project(self, programme_id: str) -> str:
        """The programme's project, made when it is not there."""
        if found := self.project_id(programme_id):
            return found
        body = {"name": self.project or programme_id, "description": note(programme_id)}
        return str(self.connection.json("POST", "/v1/projects", json=body)["id"])

    def mark_project(self, project: str, programme_id: str) -> None:
        """Write our line into the description of a project that lost it; its other words stay."""
        if project in self.unmarked:
            words = f"{self.unmarked[project]}\n{note(programme_id)}".strip()
            path = f"/v1/projects/{quote(project, safe='')}"
            self.connection.json("PATCH", path, json={"description": words})
            del self.unmarked[project]

    def draft(self, form: Outgoing, path: str, *, exists: bool, book: bool) -> None:
        """Make a draft: of the workbook, or when only media changed of what is published."""
        if exists and not book:
            # Without a body it must have no media type either.
            self.connection.request("POST", f"{path}/draft", read=ignored)
            return
        parent = path.rpartition("/")[0]
        target = f"{path}/draft" if exists else parent
        query = {"ignoreWarnings": "true"} | ({} if exists else {"publish": "false"})
        try:
            self.connection.request(
                "POST",
                target,
                read=ignored,
                params=query,
                raw=(form.workbook, XLSX),
                headers={"X-XlsForm-FormId-Fallback": quote(form.form_id)},
            )
        except ServerProblem as problem:
            finding = problem.findings[0]
            if finding.code != "refused":
                raise
            raise ServerProblem(
                Finding(
                    "import_failed",
                    "error",
                    f"{form.form_id}.xlsx",
                    f"the server cannot convert it: {finding.what}",
                    "mend the workbook (watphon check names sheet and row)",
                )
            ) from problem

    def bring_media(self, form: Outgoing, draft: str) -> tuple[str, ...]:
        """Give the draft the media it names; notes about those it does not use, and that it lacks."""
        listed = {
            item["name"]: item for item in self.connection.json("GET", f"{draft}/attachments")
        }
        for medium in form.media:
            there = listed.get(medium.name)
            if there and there.get("hash") != medium.md5:
                self.connection.request(
                    "POST",
                    f"{draft}/attachments/{quote(medium.name, safe='')}",
                    read=ignored,
                    raw=(medium.content, medium.media_type),
                )
        ours = {medium.name for medium in form.media}
        for name, item in listed.items():
            # What the last version had is in the draft already.
            if name not in ours and item.get("blobExists"):
                path = f"{draft}/attachments/{quote(name, safe='')}"
                self.connection.request("DELETE", path, read=ignored, accept=(404,))
        return tuple(media_notes(form.media, listed))

    def publish_draft(self, form: Outgoing, path: str) -> str:
        """Publish under a version that was not used yet; going back to an old state is a new one."""
        sheet = read_sheets(form.workbook).get("settings")
        own = sheet.rows[0][1].get("version", "") if sheet and sheet.rows else ""
        for number in range(1, 100):
            version = f"{own}{mark(form)}{f'.{number}' if number > 1 else ''}"
            answer = self.connection.request(
                "POST",
                f"{path}/draft/publish",
                read=lambda answer: answer,
                params={"version": version},
                accept=(409,),
            )
            if answer.status != 409:
                return version
        raise ServerProblem.at(
            f"{form.form_id}.xlsx", "was published in this state too often", "change its version"
        )

    # ── rights ───────────────────────────────────────────────────────────────────────────────────

    def access_changes(
        self, uid: str, access: Access
    ) -> tuple[list[tuple[str, Callable[[], str]]], tuple[str, ...]]:
        """What must change about who may send, each with words and the call; and notes."""
        if not access:
            return [], ()
        project = uid.partition("/")[0]
        path = form_path(uid)
        users = self.connection.json("GET", f"/v1/projects/{project}/app-users")
        by_name = {user["displayName"]: user for user in users if user.get("token")}
        roles = {role["system"]: role["id"] for role in self.connection.json("GET", "/v1/roles")}
        assigned = {
            one["actorId"]
            for one in self.connection.json("GET", f"{path}/assignments")
            if one["roleId"] == roles[APP_USER]
        }
        changes: list[tuple[str, Callable[[], str]]] = []
        for name in access.facilitators:
            user = by_name.get(name)
            if user is None:
                changes.append((f"app user {name} may send", self.new_user(project, path, name)))
            elif user["id"] not in assigned:
                changes.append((f"app user {name} may send", self.assign(path, user["id"])))
        if access.only:
            for user in users:
                if user["id"] in assigned and user["displayName"] not in access.facilitators:
                    told = f"app user {user['displayName']} may no longer send"
                    changes.append((told, self.assign(path, user["id"], "DELETE")))
        if access.anonymous or access.only:
            links = [
                link["id"]
                for link in self.connection.json("GET", f"{path}/public-links")
                if link["displayName"] == ANYBODY and link["token"]
            ]
            if access.anonymous and not links:
                changes.append(("anybody may send by a link", self.public_link(path)))
            elif links and not access.anonymous:
                told = "not everybody may send any more"
                changes.append((told, self.no_public_link(path, links)))
        notes = ()
        if access.readers:
            notes = ("ODK Central has no rights by row: [access.provinces] has no effect here",)
        return changes, notes

    def new_user(self, project: str, path: str, name: str) -> Callable[[], str]:
        def make() -> str:
            # Another form of this run may have made it.
            listed = self.connection.json("GET", f"/v1/projects/{project}/app-users")
            user = next(
                (u for u in listed if u["displayName"] == name and u.get("token")), None
            ) or self.connection.json(
                "POST", f"/v1/projects/{project}/app-users", json={"displayName": name}
            )
            self.assign(path, user["id"])()
            return f"{name}: set {self.url}/v1/key/{user['token']}/projects/{project} on the phone"

        return make

    def assign(self, path: str, user: int, method: str = "POST") -> Callable[[], str]:
        def make() -> str:
            place = f"{path}/assignments/{APP_USER}/{user}"
            self.connection.request(method, place, read=ignored, accept=(404, 409))
            return ""

        return make

    def public_link(self, path: str) -> Callable[[], str]:
        def make() -> str:
            body = {"displayName": ANYBODY}
            made = self.connection.json("POST", f"{path}/public-links", json=body)
            return f"anybody may send by {self.url}/f/{made['token']}"

        return make

    def no_public_link(self, path: str, links: Sequence[int]) -> Callable[[], str]:
        def remove() -> str:
            for number in links:
                place = f"{path}/public-links/{number}"
                self.connection.request("DELETE", place, read=ignored, accept=(404,))
            return ""

        return remove

    def link(
        self,
        uid: str,
        links: Sequence[Link],
        sources: Mapping[str, str],
        *,
        dry_run: bool = False,
    ) -> tuple[str, ...]:
        """Nothing: Central links forms by entities, which the workbook declares; `publish` says so."""
        return ()


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
    return f"watphon:{programme_id}"


def ignored(answer: Answer) -> None:
    """An answer whose body says nothing we need."""


def media_notes(media: Sequence[Medium], listed: Mapping[str, Any]) -> Iterator[str]:
    for medium in media:
        if medium.name not in listed:
            yield f"{medium.name} is not used by the form and was not sent"
    ours = {medium.name for medium in media}
    for name, item in listed.items():
        if name not in ours and not item.get("datasetExists"):
            yield f"the form wants {name}, which its media line does not name"


def told_of(access: Access) -> Iterator[str]:
    for name in access.facilitators:
        yield f"app user {name} may send"
    if access.anonymous:
        yield "anybody may send by a link"
