"""A KoboToolbox account: who we are, which assets there are, where phones go.

Everything `sync.kobo_publish` and `sync.kobo` stand on. Facts about the server's answers are those of
the measured contract; numbers in brackets are its recordings.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from forms.instance import parse_xml
from forms.problems import InstanceProblem, ServerProblem
from sync.backend import Deployed
from sync.credentials import Token
from sync.http import Connection

__all__ = ["MARKER", "Account", "marker", "path_of", "read_marker", "read_xml", "results_in"]

MARKER = re.compile(r"watphon:(?P<programme>[^\s/]+)/(?P<form>\S+)(?: sha256:(?P<hash>[0-9a-f]*))?")


def marker(programme_id: str, form_id: str, sha256: str) -> str:
    """The line in an asset's description by which `find` knows our forms again."""
    return f"watphon:{programme_id}/{form_id} sha256:{sha256}"


def read_marker(description: object) -> tuple[str, str, str] | None:
    """Programme id, form id and hash in a description, or None when it is not ours."""
    found = MARKER.search(description) if isinstance(description, str) else None
    return (found["programme"], found["form"], found["hash"] or "") if found else None


class Account:
    """A KoboToolbox account at `url` (the API host, `https://kf…`), entered with `token`.

    `patience` is how many seconds an import, a deployment or the manifest may take to settle.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        patience: float = 120.0,
        page: int = 1000,
        connection: Connection | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.connection = connection or Connection(url, Token(token))
        self.url = self.connection.url
        self.token = token
        self.patience = patience
        self.page = page
        self.sleep = sleep
        self._phones: Connection | None = None
        self._stamps: bool | None = None

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

    def stamps(self) -> bool:
        """Whether the server stamps the state of a form's rows: the embedded one says so of itself."""
        if self._stamps is None:
            self._stamps = "watphon" in (self.me().get("extra_details") or {})
        return self._stamps

    def asset(self, uid: str) -> Mapping[str, Any]:
        return self.connection.json("GET", f"/api/v2/assets/{uid}/")

    def assets(self) -> Iterator[Mapping[str, Any]]:
        """Every asset the account sees, without its content."""
        seen: set[str] = set()
        start = 0
        while True:
            listed = self.connection.json(
                "GET", "/api/v2/assets/", params={"limit": "100", "start": str(start)}
            )
            results = results_in(listed, f"{self.url}/api/v2/assets/")
            fresh = [asset for asset in results if asset["uid"] not in seen]
            yield from fresh
            seen.update(asset["uid"] for asset in fresh)
            start += len(results)
            if not fresh or start >= int(listed.get("count") or 0):
                return

    def find(self, programme_id: str, adopted: Mapping[str, str] = {}) -> dict[str, Deployed]:
        """Our forms by their marker; of two with one marker the one that is live.

        A form whose marker somebody removed is recognised by the uid it was `adopted` under. Raises
        `ServerProblem` when two are live: nobody can say then which one phones fill in.
        """
        self.check()
        found: dict[str, Deployed] = {}
        unmarked: dict[str, Deployed] = {}
        by_uid = {uid: form_id for form_id, uid in adopted.items()}
        for asset in self.assets():
            marked = read_marker((asset.get("settings") or {}).get("description"))
            if marked is None and asset["uid"] in by_uid:
                form_id = by_uid[asset["uid"]]
                unmarked[form_id] = standing(form_id, "", asset)
            if marked is None or marked[0] != programme_id:
                continue
            form = standing(marked[1], marked[2], asset)
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
        return unmarked | found

    def deployed(self, uid: str) -> Deployed:
        """Any asset the account sees."""
        asset = self.asset(uid)
        marked = read_marker((asset.get("settings") or {}).get("description"))
        return standing(uid, marked[2] if marked else "", asset)

    def phones(self) -> Connection:
        """The OpenRosa host, which on KoboToolbox is another one (kc…); `/me/` names it (004)."""
        if self._phones is None:
            home = urlsplit(self.url)
            named = urlsplit(str(self.me().get("projects_url") or ""))
            if not named.hostname or named.netloc == home.netloc:
                self._phones = self.connection
            else:
                scheme = "https" if home.scheme == "https" else named.scheme
                self._phones = Connection(
                    f"{scheme}://{named.netloc}",
                    Token(self.token),
                    tries=self.connection.tries,
                    timeout=self.connection.timeout,
                    pause=self.connection.pause,
                    sleep=self.connection.sleep,
                )
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


def standing(form_id: str, sha256: str, asset: Mapping[str, Any]) -> Deployed:
    """A form of ours as an entry of the asset list tells it."""
    return Deployed(
        form_id=form_id,
        uid=asset["uid"],
        sha256=sha256,
        is_live=asset.get("deployment_status") == "deployed"
        or bool(asset.get("deployment__active")),
        was_deployed=bool(asset.get("has_deployment")),
        rows=int(asset.get("deployment__submission_count") or 0),
        # The count is kept from an account that may read only some of the rows (222).
        whole=not asset.get("has_deployment")
        or asset.get("deployment__submission_count") is not None,
    )


def results_in(listed: Any, where: str) -> list[Any]:
    """The entries of a list answer; a `ServerProblem` for JSON of another shape."""
    results = listed.get("results") if isinstance(listed, dict) else None
    if not isinstance(results, list):
        raise ServerProblem.at(
            where,
            "answered something else than a list",
            "check that the address is a KoboToolbox API (v2)",
            code="not_rows",
        )
    return results


def path_of(link: str, base: str) -> str:
    """The path and query of `link`, as what follows `base`: the host stays the one we trust."""
    parts = urlsplit(link)
    path = parts.path.removeprefix(urlsplit(base).path.rstrip("/"))
    return f"{path}?{parts.query}" if parts.query else path


def read_xml(body: bytes, where: str) -> Any:
    """The root element of an OpenRosa document; a `ServerProblem` when it is none."""
    try:
        return parse_xml(body)
    except InstanceProblem as problem:
        raise ServerProblem.at(
            where,
            "answered something that is no OpenRosa document",
            "check the address of the server in programme.toml",
            code="not_openrosa",
        ) from problem
