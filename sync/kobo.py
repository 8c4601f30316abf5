"""KoboToolbox, and the embedded server that speaks its dialect, as a `Backend`.

Publishing follows the measured contract: import by base64 with `library=false`, poll, settings
marker, media by delete and post, deployment by POST the first time and by PATCH with the current
`version_id` after that, then wait until the phones' manifest shows every medium. Whether anything
must be sent is decided here, by our own hash in the asset's description: KoboToolbox makes a new
version of an equal file. Pulling pages by `_id`, never by `start`: rows come and go meanwhile.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import orjson

from forms.instance import bare, local, parse_xml
from forms.problems import Finding, InstanceProblem, ServerProblem
from sync.backend import (
    Deployed,
    Ledger,
    Mark,
    Medium,
    Outgoing,
    Page,
    Progress,
    Published,
    Row,
    quiet,
)
from sync.http import Connection

__all__ = ["Kobo", "marker", "read_marker"]

PAGE = 1000
"""Rows per page: KoboToolbox silently cuts more to this (CONTRACT 2.7)."""

REFETCH = 200
"""Ids per refetch: they travel in the URL, and 8 kB of URL is what proxies let through."""

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MARKER = re.compile(r"watphon:(?P<programme>[^\s/]+)/(?P<form>\S+)(?: sha256:(?P<hash>[0-9a-f]*))?")
LIGHT = ["_id", "_uuid", "_validation_status", "_date_modified"]


def marker(programme_id: str, form_id: str, sha256: str) -> str:
    """The line in an asset's description by which `find` knows our forms again."""
    return f"watphon:{programme_id}/{form_id} sha256:{sha256}"


def read_marker(description: object) -> tuple[str, str, str] | None:
    """Programme id, form id and hash in a description, or None when it is not ours."""
    found = MARKER.search(description) if isinstance(description, str) else None
    return (found["programme"], found["form"], found["hash"] or "") if found else None


class Kobo:
    """A KoboToolbox account at `url` (the API host, `https://kf…`), entered with `token`.

    `patience` is how many seconds an import, a deployment or the manifest may take to settle.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        patience: float = 120.0,
        page: int = PAGE,
        connection: Connection | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.connection = connection or Connection(url, token)
        self.url = self.connection.url
        self.token = token
        self.patience = patience
        self.page = page
        self.sleep = sleep
        self._phones: Connection | None = None

    # ── who and what is there ────────────────────────────────────────────────────────────────────

    def check(self) -> str:
        """The account's name; without a valid token the asset list is empty, not refused (003)."""
        return str(self.me().get("username") or "")

    def me(self) -> Mapping[str, Any]:
        me = self.connection.json("GET", "/me/")
        if not isinstance(me, Mapping) or not me.get("username"):
            raise ServerProblem.at(
                f"{self.url}/me/",
                "does not know who we are",
                "set WATPHON_TOKEN to a valid token of the account that owns the forms",
                code="wrong_token",
            )
        return me

    def assets(self) -> Iterator[Mapping[str, Any]]:
        """Every asset the account sees, without its content."""
        seen: set[str] = set()
        start = 0
        while True:
            listed = self.connection.json(
                "GET", "/api/v2/assets/", params={"limit": "100", "start": str(start)}
            )
            results = listed["results"]
            fresh = [asset for asset in results if asset["uid"] not in seen]
            yield from fresh
            seen.update(asset["uid"] for asset in fresh)
            start += len(results)
            if not fresh or start >= int(listed["count"]):
                return

    def find(self, programme_id: str) -> dict[str, Deployed]:
        """Our forms by their marker; of two with one marker the one that is live.

        Raises `ServerProblem` when two are live: nobody can say then which one phones fill in.
        """
        self.check()
        found: dict[str, Deployed] = {}
        for asset in self.assets():
            marked = read_marker((asset.get("settings") or {}).get("description"))
            if marked is None or marked[0] != programme_id:
                continue
            form = Deployed(
                form_id=marked[1],
                uid=asset["uid"],
                sha256=marked[2],
                is_live=asset.get("deployment_status") == "deployed"
                or bool(asset.get("deployment__active")),
                was_deployed=bool(asset.get("has_deployment")),
                rows=int(asset.get("deployment__submission_count") or 0),
            )
            other = found.get(form.form_id)
            if other and other.is_live and form.is_live:
                raise ServerProblem.at(
                    f"{self.url} {form.form_id}",
                    f"two projects carry this form's marker ({other.uid}, {form.uid})",
                    "archive the one that is not used, or delete its watphon: line "
                    "from its description",
                    code="two_assets",
                )
            if other is None or form.is_live:
                found[form.form_id] = form
        return found

    # ── publishing ───────────────────────────────────────────────────────────────────────────────

    def publish(
        self, form: Outgoing, known: Deployed | None, progress: Progress = quiet
    ) -> Published:
        """Bring a form up to date, from whatever state an earlier attempt left it in."""
        content_changed = known is None or known.sha256 != form.sha256
        if known is None or content_changed:
            uid = self.import_workbook(form, known.uid if known else "")
            progress(form.form_id, 1, 4)
            self.set_marker(uid, marker(form.programme_id, form.form_id, form.sha256))
        else:
            uid = known.uid
        progress(form.form_id, 2, 4)
        media_changed = self.bring_media(uid, form.media)
        progress(form.form_id, 3, 4)
        asset = self.asset(uid)
        live = (
            asset.get("version_id") == asset.get("deployed_version_id")
            and asset.get("deployment_status", "deployed") == "deployed"
            and bool(asset.get("has_deployment"))
        )
        # An attempt that was cut off between media and deployment shows only in the manifest.
        if not live or media_changed or self.missing_media(uid, form.media)[0]:
            media_changed = media_changed or live
            self.deploy(form, asset)
        version = self.await_media(uid, form.media)
        progress(form.form_id, 4, 4)
        if known is None:
            return Published(form.form_id, uid, "created", version)
        if content_changed or not live:
            return Published(form.form_id, uid, "replaced", version)
        return Published(form.form_id, uid, "media" if media_changed else "unchanged", version)

    def asset(self, uid: str) -> Mapping[str, Any]:
        return self.connection.json("GET", f"/api/v2/assets/{uid}/")

    def import_workbook(self, form: Outgoing, destination: str) -> str:
        """Import as a new asset or over `destination`; gives the uid."""
        packed = base64.b64encode(form.workbook).decode()
        body = {
            "name": f"{form.form_id}.xlsx",
            "base64Encoded": f"data:{XLSX};base64,{packed}",
            # Left out, the form becomes a library block that cannot be deployed (173-176).
            "library": "false",
        }
        if destination:
            body["destination"] = f"{self.url}/api/v2/assets/{destination}/"
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

    def bring_media(self, uid: str, media: Sequence[Medium]) -> bool:
        """Make the asset's media files equal to `media`; whether anything had to change.

        There is no replacing: a file of another content is deleted and posted anew (019).
        """
        listed = self.connection.json(
            "GET",
            f"/api/v2/assets/{uid}/files/",
            params={"file_type": "form_media", "limit": "1000"},
        )["results"]
        wanted = {medium.name: medium for medium in media}
        changed = False
        for file in listed:
            name = file["metadata"].get("filename", "")
            same = name in wanted and md5_of(file["metadata"].get("hash")) == wanted[name].md5
            if same:
                del wanted[name]
            else:
                path = f"/api/v2/assets/{uid}/files/{file['uid']}/"
                # Gone already (an earlier attempt was cut off) is as good.
                self.connection.bytes("DELETE", path, accept=(404,))
                changed = True
        for medium in wanted.values():
            self.connection.json(
                "POST",
                f"/api/v2/assets/{uid}/files/",
                form={
                    "file_type": "form_media",
                    "description": "default",
                    "metadata": orjson.dumps({"filename": medium.name}).decode(),
                },
                files={"content": (medium.name, medium.content, medium.media_type)},
            )
            changed = True
        return changed

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

    def await_media(self, uid: str, media: Sequence[Medium]) -> str:
        """Wait until phones are offered the form with all its media; gives the form's version."""

        def poll() -> str | None:
            missing, version = self.missing_media(uid, media)
            return None if missing or not version else version

        where = f"{self.url} {uid}"
        return self.settle(poll, where, "phones are not offered the form with all its media yet")

    def missing_media(self, uid: str, media: Sequence[Medium]) -> tuple[list[str], str]:
        """Media that the phones' manifest lacks or has in another content; the form's version."""
        phones = self.phones()
        form_list = read_xml(phones.bytes("GET", "/formList", params={"formID": uid}), phones.url)
        for entry in form_list:
            fields = {local(child.tag): child.text or "" for child in entry}
            if fields.get("formID") == uid:
                break
        else:
            return [medium.name for medium in media], ""
        offered: dict[str, str] = {}
        if link := fields.get("manifestUrl"):
            # Only its path: the host stays the one the token was given for.
            manifest = read_xml(phones.bytes("GET", path_of(link, phones.url)), phones.url)
            for file in manifest:
                parts = {local(child.tag): child.text or "" for child in file}
                offered[parts.get("filename", "")] = md5_of(parts.get("hash"))
        missing = [medium.name for medium in media if offered.get(medium.name) != medium.md5]
        return missing, fields.get("version") or fields.get("majorMinorVersion") or ""

    def phones(self) -> Connection:
        """The OpenRosa host, which on KoboToolbox is another one (kc…); `/me/` names it (004)."""
        if self._phones is None:
            home = urlsplit(self.url)
            named = urlsplit(str(self.me().get("projects_url") or ""))
            if not named.hostname or named.netloc == home.netloc:
                self._phones = self.connection
            else:
                scheme = "https" if home.scheme == "https" else named.scheme
                self._phones = Connection(f"{scheme}://{named.netloc}", self.token)
        return self._phones

    def settle(self, poll: Callable[[], str | None], where: str, what: str) -> str:
        """Call `poll` with growing pauses until it gives something; `ServerProblem` in the end."""
        pause, waited = 0.05, 0.0
        while (found := poll()) is None:
            if waited >= self.patience:
                raise ServerProblem.at(
                    where,
                    f"{what} after {self.patience:.0f} seconds",
                    "run the same command again in a while; it goes on where it stopped",
                    code="server_slow",
                )
            self.sleep(pause)
            waited += pause
            pause = min(pause * 1.6, 3.0)
        return found

    # ── pulling ──────────────────────────────────────────────────────────────────────────────────

    def pages(self, uid: str, cursor: str = "") -> Iterator[Page]:
        """New rows by keyset on `_id`. A server that repeats a page gets a `ServerProblem`."""
        for results, left, last in self.keyset(uid, int(cursor or 0), None):
            yield Page(tuple(row_of(result) for result in results), str(last), left)

    def ledger(self, uid: str) -> Iterator[Ledger]:
        """The light line of every row (272): an edit changes `_uuid`, a deletion leaves a gap."""
        for results, left, _ in self.keyset(uid, 0, LIGHT):
            yield Ledger(
                tuple(Mark(int(row["_id"]), root_of(row), mark_of(row)) for row in results), left
            )

    def rows(self, uid: str, row_ids: Sequence[int]) -> tuple[Row, ...]:
        """Rows by id, in batches that fit a URL; those that are gone are left out."""
        found: list[Row] = []
        for at in range(0, len(row_ids), REFETCH):
            batch = row_ids[at : at + REFETCH]
            query = {"_id": {"$in": list(batch)}}
            listed = self.data(uid, query, None, len(batch))
            found.extend(row_of(result) for result in listed["results"])
        return tuple(found)

    def count(self, uid: str, last: int) -> int:
        """The server's own count of rows up to `_id` `last`."""
        return int(self.data(uid, {"_id": {"$lte": last}}, ["_id"], 1)["count"])

    def keyset(
        self, uid: str, last: int, fields: list[str] | None
    ) -> Iterator[tuple[list[dict[str, Any]], int, int]]:
        """Pages of raw rows beyond `last`: rows, how many the server says are left, the last id."""
        with ThreadPoolExecutor(1) as ahead:

            def fetch() -> Future[dict[str, Any]]:
                return ahead.submit(self.data, uid, {"_id": {"$gt": last}}, fields, self.page)

            coming = fetch()
            while results := (listed := coming.result())["results"]:
                left = int(listed["count"]) - len(results)
                ids = [int(row["_id"]) for row in results]
                if ids[0] <= last or ids != sorted(set(ids)):
                    raise ServerProblem.at(
                        f"{self.url}/api/v2/assets/{uid}/data/",
                        f"does not page as asked: after row {last} came row {ids[0]}",
                        "report this to whoever runs the server; nothing wrong was stored",
                        code="page_repeats",
                    )
                last = ids[-1]
                # The server makes the next page while the mirror takes in this one.
                if left > 0:
                    coming = fetch()
                yield results, left, last
                if left <= 0:
                    return

    def data(
        self, uid: str, query: Mapping[str, object], fields: list[str] | None, limit: int
    ) -> dict[str, Any]:
        params = {
            "query": orjson.dumps(query).decode(),
            # The order is otherwise whatever the database gives (CONTRACT 2.7).
            "sort": '{"_id":1}',
            "limit": str(limit),
        }
        if fields:
            params["fields"] = orjson.dumps(fields).decode()
        return self.connection.json("GET", f"/api/v2/assets/{uid}/data/", params=params)


def root_of(row: Mapping[str, Any]) -> str:
    """What identifies a submission for ever; rows of before rootUuid existed have their uuid."""
    return bare(row.get("meta/rootUuid")) or bare(row.get("_uuid"))


def mark_of(row: Mapping[str, Any]) -> str:
    """A word that changes with every edit and every review, equal in full and in light rows."""
    status = row.get("_validation_status")
    review = f"{status.get('uid')}|{status.get('timestamp')}" if status else "|"
    return f"{bare(row.get('_uuid'))}|{review}|{row.get('_date_modified') or ''}"


def row_of(row: Mapping[str, Any]) -> Row:
    """A row of the data API as the mirror keeps it: every key the server sent, in its order."""
    status = row.get("_validation_status")
    return Row(
        root_id=root_of(row),
        row_id=int(row["_id"]),
        uuid=bare(row.get("_uuid")),
        mark=mark_of(row),
        submitted_at=str(row.get("_submission_time") or ""),
        validation=str(status.get("uid") or "")[len("validation_status_") :] if status else "",
        payload=orjson.dumps(row),
    )


def md5_of(value: object) -> str:
    return str(value or "").removeprefix("md5:").lower()


def path_of(link: str, base: str) -> str:
    """The path and query of `link`, as what follows `base`."""
    parts = urlsplit(link)
    path = parts.path.removeprefix(urlsplit(base).path.rstrip("/"))
    return f"{path}?{parts.query}" if parts.query else path


def read_xml(body: bytes, where: str) -> Any:
    try:
        return parse_xml(body)
    except InstanceProblem as problem:
        raise ServerProblem.at(
            where,
            "answered something that is no OpenRosa document",
            "check the address of the server in programme.toml",
            code="not_openrosa",
        ) from problem
