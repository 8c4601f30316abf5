"""Publishing to KoboToolbox: what differs is worked out first, then sent, and nothing else is.

The order is that of the measured contract: an empty asset that carries our marker, the import into it
by base64 with `library=false`, polling, the marker with its hash, media by delete and post,
deployment by POST the first time and by PATCH with the current `version_id` after that, then waiting
until the phones' manifest shows every medium. Whether a form must be sent is decided here, by our own
hash in the asset's description: KoboToolbox makes a new version of an equal file. Stopped between any
two requests, the same call goes on from what it finds.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from forms.instance import local
from forms.problems import Finding, ServerProblem
from sync.backend import Access, Deployed, Link, Medium, Outgoing, Progress, Published, Step, quiet
from sync.kobo_access import Rights, differences, link_changes, missing_fields
from sync.kobo_account import MARKER, Account, marker, path_of, read_xml, results_in

__all__ = ["Publishing"]

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
STEPS = 5
NO_RIGHTS = "this server has no permission assignments: let people in with watphon key and user"
NO_LINKS = "this server cannot link projects: publish lists as media instead"


class Publishing(Account):
    """An account that forms can be published to."""

    def plan(self, form: Outgoing, known: Deployed | None) -> tuple[Step, ...]:
        """What `publish` would do; reads only."""
        if known is None:
            media = [Step("media", f"add {medium.name}") for medium in form.media]
            return (
                Step("created", f"create the project “{form.title}” and deploy it"),
                *media,
                *rights_told(differences([], form.access, "", self.url)),
            )
        steps: list[Step] = []
        if known.sha256 != form.sha256:
            steps.append(Step("replaced", "import the changed workbook as a new version"))
        obsolete, missing = self.media_changes(known.uid, form.media)
        again = {file["metadata"].get("filename") for file in obsolete}
        steps += [
            Step("media", f"{'replace' if medium.name in again else 'add'} {medium.name}")
            for medium in missing
        ]
        steps += [
            Step("media", f"remove {name}")
            for name in sorted(again - {medium.name for medium in missing}, key=str)
        ]
        if not steps and (
            not is_live(self.asset(known.uid)) or self.missing_media(known.uid, form.media)[0]
        ):
            steps.append(Step("replaced", "deploy it: phones are not offered it as it stands"))
        rights = self.rights_to_change(known.uid, form.access)
        return (*steps, *(rights_told(rights) if rights else ()))

    def publish(
        self, form: Outgoing, known: Deployed | None, progress: Progress = quiet
    ) -> Published:
        """Bring a form up to date, from whatever state an earlier attempt left it in."""
        content_changed = known is None or known.sha256 != form.sha256
        uid = known.uid if known else self.create(form)
        progress(form.form_id, 1, STEPS)
        if content_changed:
            self.import_workbook(form, uid)
            progress(form.form_id, 2, STEPS)
            self.set_marker(uid, marker(form.programme_id, form.form_id, form.sha256))
        progress(form.form_id, 3, STEPS)
        media_changed = self.bring_media(uid, form.media)
        progress(form.form_id, 4, STEPS)
        asset = self.asset(uid)
        live = is_live(asset)
        # An attempt that was cut off between media and deployment shows only in the manifest.
        if not live or media_changed or self.missing_media(uid, form.media)[0]:
            media_changed = media_changed or live
            self.deploy(form, asset)
        version = self.await_media(uid, form.media)
        rights = self.rights_to_change(uid, form.access)
        if rights:
            self.set_rights(uid, rights)
        progress(form.form_id, STEPS, STEPS)
        notes = (NO_RIGHTS,) if rights is None else ()
        if form.links and self.linked_now(uid) is None:
            notes = (*notes, NO_LINKS)
        if known is None:
            return Published(form.form_id, uid, "created", version, notes)
        if content_changed or not live:
            return Published(form.form_id, uid, "replaced", version, notes)
        action = "media" if media_changed else "access" if rights else "unchanged"
        return Published(form.form_id, uid, action, version, notes)

    # ── the workbook ─────────────────────────────────────────────────────────────────────────────

    def create(self, form: Outgoing) -> str:
        """An empty asset with our marker, to import into: cut off after this, it is found again."""
        line = marker(form.programme_id, form.form_id, "")
        body = {"name": form.title, "asset_type": "survey", "settings": {"description": line}}
        return self.connection.json("POST", "/api/v2/assets/", json=body)["uid"]

    def import_workbook(self, form: Outgoing, destination: str) -> str:
        """Import over the asset `destination` (`""`: as a new one); gives the uid."""
        packed = base64.b64encode(form.workbook).decode()
        body = {
            "name": f"{form.form_id}.xlsx",
            "base64Encoded": f"data:{XLSX};base64,{packed}",
            # Left out, the form becomes a library block that cannot be deployed (173-176).
            "library": "false",
        }
        if destination:
            body["destination"] = f"{self.url}/api/v2/assets/{destination}/"
        # As a form: a JSON body is accepted and not read (295, 296).
        task = self.connection.json("POST", "/api/v2/imports/", form=body)

        def poll() -> str | None:
            state = self.connection.json("GET", f"/api/v2/imports/{task['uid']}/")
            messages = state.get("messages") or {}
            if state["status"] == "error":
                # A failed import answers 200 (160, 162, 170): the words are in the messages.
                raise ServerProblem.at(
                    f"{form.form_id}.xlsx",
                    f"the server cannot import it: {messages.get('error', 'no reason given')}",
                    "mend the workbook (watphon check names sheet and row)",
                    code="import_failed",
                )
            if state["status"] != "complete":
                return None
            made = [*messages.get("created", ()), *messages.get("updated", ())]
            return made[0]["uid"] if made else destination

        return self.settle(poll, f"{form.form_id}.xlsx", "the import has not finished")

    def set_marker(self, uid: str, line: str) -> None:
        """Write our line into the asset's description; the rest of its settings stays."""
        settings = dict(self.asset(uid).get("settings") or {})
        kept = [
            words
            for words in str(settings.get("description") or "").splitlines()
            if not MARKER.search(words)
        ]
        settings["description"] = "\n".join([*kept, line])
        self.connection.json("PATCH", f"/api/v2/assets/{uid}/", json={"settings": settings})

    def deploy(self, form: Outgoing, asset: Mapping[str, Any]) -> None:
        """Deploy the asset's current version; what pyxform objects to is passed on (165, 168)."""
        path = f"/api/v2/assets/{asset['uid']}/deployment/"
        try:
            if asset.get("has_deployment"):
                # Without version_id it would only un-archive: neither content nor media move (029).
                body = {"active": True, "version_id": asset["version_id"]}
                self.connection.json("PATCH", path, json=body)
            else:
                self.connection.json("POST", path, json={"active": True})
        except ServerProblem as problem:
            finding = problem.findings[0]
            if finding.code != "refused":
                raise
            raise ServerProblem(
                Finding(
                    "deployment_refused",
                    "error",
                    f"{form.form_id}.xlsx",
                    f"the server cannot deploy it: {finding.what}",
                    "mend the workbook (watphon check names sheet and row)",
                )
            ) from problem

    # ── media ────────────────────────────────────────────────────────────────────────────────────

    def media_changes(
        self, uid: str, media: Sequence[Medium]
    ) -> tuple[list[Mapping[str, Any]], list[Medium]]:
        """Files on the server that must go, and media that must be sent.

        There is no replacing: a file of another content is deleted and posted anew (019).
        """
        path = f"/api/v2/assets/{uid}/files/"
        query = {"file_type": "form_media", "limit": "1000"}
        listed = results_in(self.connection.json("GET", path, params=query), self.url + path)
        wanted = {medium.name: medium for medium in media}
        obsolete: list[Mapping[str, Any]] = []
        for file in listed:
            name = file["metadata"].get("filename", "")
            if name in wanted and md5_of(file["metadata"].get("hash")) == wanted[name].md5:
                del wanted[name]
            else:
                obsolete.append(file)
        return obsolete, list(wanted.values())

    def bring_media(self, uid: str, media: Sequence[Medium]) -> bool:
        """Make the asset's media files equal to `media`; whether anything had to change."""
        obsolete, missing = self.media_changes(uid, media)
        for file in obsolete:
            path = f"/api/v2/assets/{uid}/files/{file['uid']}/"
            # Gone already (an earlier attempt was cut off) is as good.
            self.connection.bytes("DELETE", path, accept=(404,))
        for medium in missing:
            self.connection.json(
                "POST",
                f"/api/v2/assets/{uid}/files/",
                form={
                    "file_type": "form_media",
                    "description": "default",
                    # Without it KoboToolbox answers 500 (021).
                    "metadata": orjson.dumps({"filename": medium.name}).decode(),
                },
                files={"content": (medium.name, medium.content, medium.media_type)},
            )
        return bool(obsolete or missing)

    def await_media(self, uid: str, media: Sequence[Medium]) -> str:
        """Wait until phones are offered the form with all its media; gives the form's version."""

        def poll() -> str | None:
            missing, version = self.missing_media(uid, media)
            return None if missing or not version else version

        where = f"{self.url} {uid}"
        return self.settle(poll, where, "phones are not offered the form with all its media yet")

    def missing_media(self, uid: str, media: Sequence[Medium]) -> tuple[list[str], str]:
        """Media that the phones' manifest lacks, has in another content or still has; the form's version.

        Lists that other projects offer (.xml, 246) are none of ours.
        """
        phones = self.phones()
        fields = self.listed(uid)
        if not fields:
            return [medium.name for medium in media], ""
        offered: dict[str, str] = {}
        if link := fields.get("manifestUrl"):
            manifest = read_xml(phones.bytes("GET", path_of(link, phones.url)), phones.url)
            for file in manifest:
                parts = {local(child.tag): child.text or "" for child in file}
                offered[parts.get("filename", "")] = md5_of(parts.get("hash"))
        missing = [medium.name for medium in media if offered.get(medium.name) != medium.md5]
        # A medium that is deleted stays there until the form is deployed again (232, 235).
        ours = {medium.name for medium in media}
        missing += [name for name in offered if name not in ours and not name.endswith(".xml")]
        return missing, fields.get("version") or fields.get("majorMinorVersion") or ""

    def listed(self, uid: str) -> dict[str, str]:
        """The form's entry in the phones' list; empty when it is not offered."""
        phones = self.phones()
        form_list = read_xml(phones.bytes("GET", "/formList", params={"formID": uid}), phones.url)
        for entry in form_list:
            fields = {local(child.tag): child.text or "" for child in entry}
            if fields.get("formID") == uid:
                return fields
        return {}

    # ── rights and links ─────────────────────────────────────────────────────────────────────────

    def rights_to_change(self, uid: str, access: Access) -> Rights | None:
        """What must change about who may do what; None where the server has no such notion."""
        if not access:
            return Rights()
        path = f"/api/v2/assets/{uid}/permission-assignments/"
        listed = self.connection.request(
            "GET",
            path,
            read=lambda answer: None if answer.status == 404 else orjson.loads(answer.body),
            accept=(404,),
        )
        if listed is None:
            return None
        return differences(listed, access, self.check(), self.url)

    def set_rights(self, uid: str, rights: Rights) -> None:
        for url, _ in rights.revoke:
            self.connection.bytes("DELETE", path_of(url, self.url), accept=(404,))
        for assignment, told in rights.grant:
            path = f"/api/v2/assets/{uid}/permission-assignments/"
            try:
                self.connection.json("POST", path, json=assignment)
            except ServerProblem as problem:
                finding = problem.findings[0]
                if finding.code != "refused":
                    raise
                raise ServerProblem.at(  # an account that is not there (036)
                    f"programme.toml, [access]: {told}",
                    f"the server refused: {finding.what}",
                    "check that the account exists on the server and is spelt so",
                    code="access_refused",
                ) from problem

    def link(
        self,
        uid: str,
        links: Sequence[Link],
        sources: Mapping[str, str],
        *,
        dry_run: bool = False,
    ) -> tuple[str, ...]:
        """Offer rows of other forms of the programme to this one; gives what was done, in words."""
        path = f"/api/v2/assets/{uid}/paired-data/"
        listed = self.linked_now(uid)
        if listed is None:
            return ()
        make, change, remove = link_changes(listed["results"], links, sources)
        done = (
            *(told for _, told in remove),
            *(f"offers rows of {link.source} as {link.name}.xml" for link in make),
            *(f"offers other fields of {link.source} as {link.name}.xml" for link, _ in change),
        )
        if dry_run:
            return done
        for url, _ in remove:
            self.connection.bytes("DELETE", path_of(url, self.url), accept=(404,))
        for link in (*make, *(link for link, _ in change)):
            self.share(sources[link.source], link.fields)
        for link in make:
            source = f"{self.url}/api/v2/assets/{sources[link.source]}/"
            body = {"source": source, "filename": link.name, "fields": list(link.fields)}
            self.connection.json("POST", path, json=body)
        for link, url in change:
            fields = {"fields": list(link.fields)}
            self.connection.json("PATCH", path_of(url, self.url), json=fields)
        return done

    def linked_now(self, uid: str) -> Mapping[str, Any] | None:
        """The links of an asset (243); None where the server has no such notion."""
        return self.connection.request(
            "GET",
            f"/api/v2/assets/{uid}/paired-data/",
            read=lambda answer: None if answer.status == 404 else orjson.loads(answer.body),
            accept=(404,),
        )

    def share(self, uid: str, fields: Sequence[str]) -> None:
        """Let a form's rows be linked to; before that linking is refused (239)."""
        wanted = missing_fields(self.asset(uid).get("data_sharing"), fields)
        if wanted is not None:
            body = {"data_sharing": {"enabled": True, "fields": wanted}}
            self.connection.json("PATCH", f"/api/v2/assets/{uid}/", json=body)


def is_live(asset: Mapping[str, Any]) -> bool:
    """Whether phones are offered the asset as it stands."""
    return (
        asset.get("version_id") == asset.get("deployed_version_id")
        and asset.get("deployment_status", "deployed") == "deployed"
        and bool(asset.get("has_deployment"))
    )


def rights_told(rights: Rights) -> tuple[Step, ...]:
    """What would change about rights, as steps of a plan."""
    return tuple(Step("access", told) for _, told in (*rights.revoke, *rights.grant))


def md5_of(value: object) -> str:
    return str(value or "").removeprefix("md5:").lower()
