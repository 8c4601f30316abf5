"""KoboToolbox's dialect on loopback, for publishing and pulling: stateful, shaped as the recordings are.

The bodies of its answers are the recorded ones with other values in them, so that nothing can be
relied on that a real server does not say; `tests/test_kobo_dialect.py` compares the two. The API
(kf…) and the phones (kc…) live on two hosts, as there. The rest is in
the modules beside it: assets, rows, sharing, phones.
"""

from __future__ import annotations

import base64
import copy
import itertools
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import orjson
from kobo_dialect_answers import NOT_FOUND, PAGE_500, Reply, body_of, page_of, shaped
from kobo_dialect_assets import Asset
from kobo_dialect_phones import answer_phone
from kobo_dialect_sharing import add_file, paired, rights
from small_kobo import TOKEN, serving

from forms.problems import Problem
from forms.xlsform import read_sheets

__all__ = ["OUTSIDER", "OWNER", "KoboDialect", "running"]

OWNER = "me_office"
OUTSIDER = "outsider"
TOKENS = {TOKEN: OWNER, "f" * 40: OUTSIDER, "e" * 40: "enum1"}


class KoboDialect:
    """One account's server. `lag`: so many polls pass before a redeployment reaches the phones."""

    def __init__(self, *, lag: int = 2) -> None:
        self.lag = lag
        self.url = self.phones_url = ""
        self.assets: dict[str, Asset] = {}
        self.imports: dict[str, list[dict[str, Any]]] = {}
        self.tokens = dict(TOKENS)
        self.ticks = itertools.count(13 * 3600)
        self.row_ids = itertools.count(1)
        self.uids = itertools.count(1)
        self.lock = threading.RLock()

    # ── small things ─────────────────────────────────────────────────────────────────────────────

    def now(self, form: str = "{}T{}.{:06d}Z") -> str:
        """The next second: time passes only when something happens."""
        tick = next(self.ticks)
        clock = f"{tick // 3600:02d}:{tick // 60 % 60:02d}:{tick % 60:02d}"
        return form.format("2026-11-23", clock, tick)

    def uid(self, kind: str) -> str:
        made = uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}{next(self.uids)}").hex
        return f"{kind}{made[:22]}"

    def answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
    ) -> Reply:
        """Answer one request to the API host."""
        sent = headers.get("Authorization", "")
        user = self.tokens.get(sent.removeprefix("Token ").strip(), "")
        if sent and not user:
            return Reply(401, {"detail": "Invalid token."})
        kind = headers.get("Content-Type", "")
        match path.strip("/").split("/"):
            case ["me"]:
                return self.me(user)
            case ["api", "v2", "assets"] if method == "GET":
                return self.listed(user, query)
            case ["api", "v2", "assets"] if method == "POST" and user:
                given = orjson.loads(body)
                made = self.create(given.get("name") or "", given.get("settings") or {})
                return Reply(201, self.asset_json(made))
            case ["api", "v2", "imports"] if method == "POST" and user:
                return self.begin_import(body_of(body, kind), user)
            case ["api", "v2", "imports", uid] if uid in self.imports:
                states = self.imports[uid]
                return Reply(200, states.pop(0) if len(states) > 1 else states[0])
            case ["api", "v2", "assets", name, *rest]:
                uid = name.removesuffix(".xml")
                asset = self.assets.get(uid)
                if asset is None or not asset.seen_by(user):
                    return NOT_FOUND
                if uid != name:
                    return Reply(200, asset.xform.encode(), "application/xml; charset=utf-8")
                return self.of_asset(asset, method, rest, query, kind, body, user)
        return NOT_FOUND

    def of_asset(
        self,
        asset: Asset,
        method: str,
        rest: list[str],
        query: Mapping[str, str],
        kind: str,
        body: bytes,
        user: str,
    ) -> Reply:
        """Answer one request about an asset; who does not own it may only read."""
        if user != OWNER and method != "GET":
            return NOT_FOUND
        given = orjson.loads(body) if kind == "application/json" and body else {}
        match rest:
            case []:
                if method == "PATCH":
                    if "settings" in given:
                        asset.settings = {**asset.settings, **given["settings"]}
                    asset.sharing = given.get("data_sharing", asset.sharing)
                return Reply(200, self.asset_json(asset))
            case ["deployment"]:
                return self.deployment(asset, method, given)
            case ["files"] if method == "POST":
                return add_file(self, asset, body, kind)
            case ["files"]:
                return Reply(200, page_of(list(asset.files.values()), query))
            case ["files", uid] if method == "DELETE":
                return Reply(204) if asset.files.pop(uid, None) else NOT_FOUND
            case ["permission-assignments", *uid]:
                return rights(self, asset, method, uid, body)
            case ["paired-data", *uid]:
                return paired(self, asset, method, uid, body)
            case ["versions"]:
                return Reply(200, shaped(156, self.url, asset.uid, asset.versions_json()))
            case ["history"]:
                if user != OWNER:  # 269, 270
                    return Reply(
                        403, {"detail": "You do not have permission to perform this action."}
                    )
                return Reply(200, page_of(asset.history_of(query.get("q", "")), query))
            case ["data", *more]:
                return asset.data_answer(method, more, query, body, asset.filters_of(user))
        return NOT_FOUND

    def me(self, user: str) -> Reply:
        if not user:
            return Reply(200, {"message": "user is not logged in"})
        found = shaped(4, self.url, "", {"username": user})
        found["projects_url"] = f"{self.phones_url}/{user}"
        return Reply(200, found)

    # ── assets ───────────────────────────────────────────────────────────────────────────────────

    def listed(self, user: str, query: Mapping[str, str]) -> Reply:
        """The asset list; without a token it is empty (003)."""
        seen = [asset for asset in self.assets.values() if asset.seen_by(user)]
        found = [self.asset_json(asset, light=True) for asset in seen]
        for entry, asset in zip(found, seen, strict=True):
            if user != OWNER and not asset.may_read_all(user):  # 222
                entry["deployment__submission_count"] = None
        return Reply(200, page_of(found, query))

    def create(self, name: str, settings: Mapping[str, Any]) -> Asset:
        asset = Asset(self, self.uid("a"), name, settings, len(self.assets) + 1)
        self.assets[asset.uid] = asset
        return asset

    def asset_json(self, asset: Asset, *, light: bool = False) -> dict[str, Any]:
        """An asset as recorded (149; in the list 182), with its own values."""
        own: dict[str, Any] = asset.told()
        if not light:
            own |= {
                "files": list(asset.files.values()),
                "deployed_versions": asset.versions_json(),
                "version_count": len(asset.versions),
            }
        return shaped(182 if light else 149, self.url, asset.uid, own)

    def begin_import(self, given: Mapping[str, str], user: str) -> Reply:
        """POST imports/: what comes of it is told by polling (009-011, 148, 160-175)."""
        uid = self.uid("i")
        states = [{"status": "created", "uid": uid, "messages": {}, "date_created": self.now()}]
        messages = self.carried_out(given)
        status = "error" if "error" in messages else "complete"
        self.imports[uid] = [*states, {**states[0], "status": status, "messages": messages}]
        url = f"{self.url}/api/v2/imports/{uid}/"
        return Reply(201, {"uid": uid, "url": url, "status": "processing"})

    def carried_out(self, given: Mapping[str, str]) -> dict[str, Any]:
        encoded = given.get("base64Encoded", "").rpartition("base64,")[2]
        if not encoded:  # also for a JSON body, which is not read (295, 296)
            words = "ImportTask data must contain `base64Encoded`, `url`, or `single_xls_url`"
            return {"error": words, "error_type": "Exception"}
        book = base64.b64decode(encoded)
        try:
            sheets = read_sheets(book)
        except Problem:
            words = "Unsupported format, or corrupt file"
            return {"error": words, "error_type": "XlsFormatException"}
        names = [row.get("name", "") for _, row in sheets["survey"].rows if row.get("name")]
        if twice := [name for name in names if names.count(name) > 1]:
            words = f"Duplicate node name: {twice[0]}"
            return {"error": words, "error_type": "DuplicateNameException"}
        uid = given.get("destination", "").strip("/").rpartition("/")[2]
        if uid and uid not in self.assets:
            words = "Asset matching query does not exist."
            return {"error": words, "error_type": "DoesNotExist"}
        settings = dict(sheets["settings"].rows[0][1]) if "settings" in sheets else {}
        asset = self.assets[uid] if uid else self.create("", {})
        asset.name = settings.get("form_title") or given.get("name", "")
        if given.get("library", "true") != "false":  # 173-176
            asset.asset_type = "block"
        asset.imported(book)
        told = shaped(11, self.url, asset.uid, {})["messages"]["created"]
        told[0]["uid"] = asset.uid
        return {"updated" if uid else "created": told}

    def deployment(self, asset: Asset, method: str, given: Mapping[str, Any]) -> Reply:
        """013, 016, 017, 029, 031, 032, 165, 176, 223."""
        if method == "GET" and not asset.deployed:
            return NOT_FOUND
        if method == "POST" and asset.deployed:
            return Reply(405, {"detail": "Use PATCH to update an existing deployment"})
        if method == "POST" or "version_id" in given:
            if asset.asset_type == "block":
                return PAGE_500
            if method == "PATCH" and given["version_id"] != asset.version_id:
                return PAGE_500
            try:
                asset.deploy()
            except Problem as problem:
                return Reply(400, {"error": problem.findings[0].what})
        asset.active = bool(given.get("active", asset.active))
        found = shaped(16, self.url, asset.uid, {})
        found |= {"active": asset.active, "version_id": asset.deployed_version_id}
        return Reply(200, {**found, "asset": self.asset_json(asset)})


@contextmanager
def running(kobo: KoboDialect) -> Iterator[tuple[str, str]]:
    """Answer on two free loopback ports until the block ends; gives the API's and the phones' URL."""

    def handler(
        answer: Callable[[str, str, Mapping[str, str], Mapping[str, str], bytes], Reply],
    ) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def answer(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.title(): value for name, value in self.headers.items()}
                with kobo.lock:
                    reply = copy.copy(
                        answer(self.command, unquote(parts.path), query, headers, body)
                    )
                    sent = reply.bytes()
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.kind)
                for name, value in (reply.headers or {}).items():
                    self.send_header(name, value)
                if reply.status != 204:
                    self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(sent)

            do_GET = do_HEAD = do_POST = do_PATCH = do_DELETE = answer

            def log_message(self, format: str, *args: object) -> None:
                """Silence: tests read answers, not logs."""

        return Handler

    with (
        serving(handler(kobo.answer)) as api,
        serving(handler(lambda *request: answer_phone(kobo, *request))) as phones,
    ):
        kobo.url, kobo.phones_url = api, phones
        yield api, phones
