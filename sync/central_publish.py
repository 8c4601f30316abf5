"""Publishing to ODK Central: project, draft, attachments, publish, app users; only what differs.

Our mark is the tail of the form's version, `….w` and the beginning of our hash over workbook and media:
Central demands another version string for each publication anyway, keeps it with every submission,
and lists it. A cut-off attempt leaves a draft, which the next one replaces; phones never see drafts.

https://docs.getodk.org/central-api-form-management/
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from forms.problems import Finding, ServerProblem
from forms.xlsform import read_sheets
from sync.backend import Deployed, Link, Medium, Outgoing, Progress, Published, Step, quiet
from sync.central_access import CentralAccess, told_of
from sync.central_account import form_path, ignored, note

__all__ = ["CentralPublishing", "mark"]

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
NO_LINKS = "ODK Central links forms by entity lists: declare them in the workbook"
STEPS = 4


def mark(form: Outgoing) -> str:
    """The tail of the version under which a form in this state is published."""
    media = "".join(sorted(f"{medium.name}:{medium.md5}\n" for medium in form.media))
    return f".w{form.sha256[:12]}{hashlib.sha256(media.encode()).hexdigest()[:8]}"


class CentralPublishing(CentralAccess):
    """An account that forms can be published to."""

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


def media_notes(media: Sequence[Medium], listed: Mapping[str, Any]) -> Iterator[str]:
    """Media that the form does not use, and files it wants that are not among them."""
    for medium in media:
        if medium.name not in listed:
            yield f"{medium.name} is not used by the form and was not sent"
    ours = {medium.name for medium in media}
    for name, item in listed.items():
        if name not in ours and not item.get("datasetExists"):
            yield f"the form wants {name}, which its media line does not name"
