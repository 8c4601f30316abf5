"""Who may send a form to ODK Central: app users, and a public link for anybody.

https://docs.getodk.org/central-api-accounts-and-users/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sync.backend import Access
from sync.central_account import CentralAccount, form_path, ignored

__all__ = ["CentralAccess", "told_of"]

APP_USER = "app-user"
ANYBODY = "anybody (watphon)"


class CentralAccess(CentralAccount):
    """An account that rights can be given with."""

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
            self.connection.json("POST", f"{path}/public-links", json={"displayName": ANYBODY})
            return f"anybody may send: copy the link “{ANYBODY}” from the form's Public Access page"

        return make

    def no_public_link(self, path: str, links: Sequence[int]) -> Callable[[], str]:
        def remove() -> str:
            for number in links:
                place = f"{path}/public-links/{number}"
                self.connection.request("DELETE", place, read=ignored, accept=(404,))
            return ""

        return remove


def told_of(access: Access) -> Iterator[str]:
    """What giving all rights would be, in words."""
    for name in access.facilitators:
        yield f"app user {name} may send"
    if access.anonymous:
        yield "anybody may send by a link"
