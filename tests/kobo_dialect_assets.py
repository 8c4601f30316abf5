"""One asset of the KoboToolbox dialect: its versions, what phones are offered, and who may what."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kobo_dialect_answers import page_of
from kobo_dialect_rows import Filters, Rows

from forms.xlsform import to_xform

if TYPE_CHECKING:
    from kobo_dialect import KoboDialect

__all__ = ["Asset"]


@dataclass(slots=True)
class Version:
    """One version of an asset, and whether it was ever deployed."""

    uid: str
    book: bytes
    made: str
    deployed: str = ""


@dataclass(slots=True)
class Push:
    """What phones are offered beside the form: its version string, media by name with their md5."""

    version: str = ""
    media: dict[str, str] = field(default_factory=dict)


class Asset(Rows):
    """An asset of the account."""

    def __init__(
        self, kobo: KoboDialect, uid: str, name: str, settings: Mapping[str, Any], pk: int
    ) -> None:
        super().__init__(kobo, uid)
        self.name, self.pk = name, pk
        self.settings = {"sector": {}, "country": [], "description": "", **settings}
        self.asset_type = "survey"
        self.versions = [Version(kobo.uid("v"), b"", kobo.now())]
        self.active = False
        self.deployed_version_id = ""
        self.sharing: dict[str, Any] = {}
        self.files: dict[str, dict[str, Any]] = {}
        self.rights: dict[str, dict[str, Any]] = {}
        self.pairs: dict[str, dict[str, Any]] = {}
        self.offered = Push()
        self.coming: tuple[int, dict[str, str]] | None = None
        self.offers = 0
        self.grant("me_office", "manage_asset")

    # ── versions and deployment ──────────────────────────────────────────────────────────────────

    @property
    def version_id(self) -> str:
        return self.versions[-1].uid

    def imported(self, book: bytes) -> None:
        """The same file again is a new version, too (280-284)."""
        self.versions.append(Version(self.kobo.uid("v"), book, self.kobo.now()))

    def deploy(self) -> None:
        """Offer the latest version to phones; its media follow some polls later (028 → 033)."""
        number = sum(bool(v.deployed) for v in self.versions[:-1]) + 1
        version = self.kobo.now(f"{number} ({{}} {{}})")
        xform, _ = to_xform(self.versions[-1].book, form_id=self.uid, version=version)
        self.versions[-1].deployed = self.kobo.now()
        self.xform = xform
        self.offered = Push(version, self.offered.media)
        self.deployed, self.deployed_version_id = True, self.version_id
        media = {
            str(one["metadata"]["filename"]): str(one["metadata"]["hash"])
            for one in self.files.values()
        }
        self.coming = (self.kobo.lag, media)
        self.offers += 1

    def polled(self) -> None:
        """A phone looked at the manifest: what was pushed comes nearer."""
        if self.coming:
            left, media = self.coming
            self.coming = (left - 1, media) if left else None
            if not left:
                self.offered.media = media

    def told(self) -> dict[str, Any]:
        """What differs from the recorded asset."""
        status = "draft" if not self.deployed else "deployed" if self.active else "archived"
        return {
            "name": self.name,
            "asset_type": self.asset_type,
            "settings": self.settings,
            "version_id": self.version_id,
            "deployed_version_id": self.deployed_version_id or None,
            "has_deployment": self.deployed,
            "deployment_status": status,
            "deployment__active": self.active,
            "deployment__submission_count": len(self.rows),
            "data_sharing": self.sharing,
        }

    def versions_json(self) -> dict[str, Any]:
        shown = [v for v in reversed(self.versions) if v.deployed]
        entries = [
            {
                "uid": v.uid,
                "url": f"{self.kobo.url}/api/v2/assets/{self.uid}/versions/{v.uid}/",
                "content_hash": hashlib.sha1(v.book, usedforsecurity=False).hexdigest(),
                "date_deployed": v.deployed,
                "date_modified": v.made,
                "version_number": str(n),
            }
            for n, v in zip(range(len(shown), 0, -1), shown, strict=True)
        ]
        return page_of(entries, {})

    # ── who may what ─────────────────────────────────────────────────────────────────────────────

    def grant(self, name: str, right: str, partial: Any = None) -> dict[str, Any]:
        for one in self.rights.values():
            if (one["user"], one["permission"]) == self.named(name, right):
                one |= {"partial_permissions": partial} if partial else {}
                return one
        uid = self.kobo.uid("p")
        user, permission = self.named(name, right)
        self.rights[uid] = {
            "url": f"{self.kobo.url}/api/v2/assets/{self.uid}/permission-assignments/{uid}/",
            "user": user,
            "permission": permission,
            **({"partial_permissions": partial} if partial else {}),
            "label": right.replace("_", " ").capitalize(),
        }
        return self.rights[uid]

    def named(self, name: str, right: str) -> tuple[str, str]:
        base = f"{self.kobo.url}/api/v2"
        return f"{base}/users/{name}/", f"{base}/permissions/{right}/"

    def seen_by(self, user: str) -> bool:
        return user == "me_office" or any(
            one["user"].endswith(f"/{user}/") and "add_submissions" not in one["permission"]
            for one in self.rights.values()
        )

    def may_read_all(self, user: str) -> bool:
        right = self.named(user, "view_submissions")
        return user == "me_office" or any(
            (one["user"], one["permission"]) == right for one in self.rights.values()
        )

    def filters_of(self, user: str) -> Filters:
        """The filters under which a user may read rows; None: not at all."""
        if self.may_read_all(user):
            return [{}]
        for one in self.rights.values():
            if one["user"].endswith(f"/{user}/") and "partial_permissions" in one:
                return list(one["partial_permissions"][0]["filters"])
        return None
