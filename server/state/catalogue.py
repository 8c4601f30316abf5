"""The deployed forms, as the phones' door needs them: found by id, parsed once.

What is remembered here is a copy of rows; whoever changes an asset calls `changed`. Where other
processes may change them too, `current` looks at the rows' moments of change, at most every
twentieth of a second, and at once for what it does not know. Parsed forms are kept per deployment,
because a phone may still send what it filled in on an earlier version.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from forms.model import Form
from forms.xlsform import read_form
from server.state.schema import assets, deployments
from server.state.store import Store

__all__ = ["Catalogue", "Deployed"]

FORMS_KEPT = 64
FRESH = 0.05
"""Seconds for which other processes' changes may go unseen; what is unknown is looked for again."""
LEAST = 0.005
"""Seconds between two looks, whatever is asked for."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deployed form; `versions` maps what phones call a version to its deployment."""

    asset_id: int
    uid: str
    name: str
    form_id: str
    active: bool
    deployment_uuid: str
    versions: dict[str, int]
    newest: int


class Catalogue:
    """Deployed forms by uid and by deployment uuid."""

    def __init__(self, store: Store, *, shared: bool = False) -> None:
        self.store = store
        self.shared = shared
        self.looked = 0.0
        self.seen: Sequence[tuple[int, str]] | None = None
        self.by_uid: dict[str, Deployed] | None = None
        self.by_uuid: dict[str, Deployed] = {}
        self.forms: OrderedDict[int, Form] = OrderedDict()

    def changed(self) -> None:
        """Read the rows anew at the next question."""
        self.by_uid = None
        self.forms.clear()

    async def current(
        self, form_id: str, deployment_uuid: str = "", version: str = ""
    ) -> Deployed | None:
        """`find`, with what other processes have changed by now."""
        if not self.shared:
            return self.find(form_id, deployment_uuid)
        await self.look(FRESH)
        deployed = self.find(form_id, deployment_uuid)
        if deployed is None or (version and version not in deployed.versions):
            await self.look(LEAST)
            deployed = self.find(form_id, deployment_uuid)
        return deployed

    async def look(self, age: float) -> None:
        """Read the rows anew where they changed, if the last look is older than so many seconds."""
        now = time.monotonic()
        if now - self.looked < age:
            return
        self.looked = now
        if self.store.quick:
            self.read_changed()
        else:
            await asyncio.to_thread(self.read_changed)

    def read_changed(self) -> None:
        if self.by_uid is not None:
            with self.store.read() as connection:
                same = moments(connection) == self.seen
            if same:
                return
            self.changed()
        self.read()

    def find(self, form_id: str, deployment_uuid: str = "") -> Deployed | None:
        """The form of this id, or else of this deployment (KoboToolbox takes either)."""
        by_uid = self.by_uid
        if by_uid is None:
            by_uid = self.read()
        return by_uid.get(form_id) or self.by_uuid.get(deployment_uuid)

    def read(self) -> dict[str, Deployed]:
        found: dict[int, Deployed] = {}
        with self.store.read() as connection:
            if self.shared:
                self.seen = moments(connection)
            rows = connection.execute(
                select(
                    assets.c.id,
                    assets.c.uid,
                    assets.c.name,
                    assets.c.form_id,
                    assets.c.active,
                    assets.c.deployment_uuid,
                    deployments.c.id.label("deployment"),
                    deployments.c.version,
                )
                .join(deployments, deployments.c.asset_id == assets.c.id)
                .order_by(deployments.c.id)
            )
            for row in rows:
                earlier = found[row.id].versions if row.id in found else {}
                found[row.id] = Deployed(
                    row.id,
                    row.uid,
                    row.name,
                    row.form_id,
                    row.active,
                    row.deployment_uuid,
                    {**earlier, row.version: row.deployment},
                    row.deployment,
                )
        self.by_uuid = {one.deployment_uuid: one for one in found.values()}
        self.by_uid = {one.uid: one for one in found.values()}
        return self.by_uid

    def known_form(self, deployed: Deployed, version: str) -> Form | None:
        """The form of a version, if it has been parsed; an unknown version means the newest."""
        deployment = deployed.versions.get(version, deployed.newest)
        form = self.forms.get(deployment)
        if form:
            self.forms.move_to_end(deployment)
        return form

    def parse(self, deployed: Deployed, version: str) -> Form:
        """Parse and remember the form of a version; slow (a workbook is read)."""
        deployment = deployed.versions.get(version, deployed.newest)
        with self.store.read() as connection:
            workbook = connection.execute(
                select(deployments.c.workbook).where(deployments.c.id == deployment)
            ).scalar_one()
        form = read_form(workbook, where=deployed.name)
        self.forms[deployment] = form
        while len(self.forms) > FORMS_KEPT:
            self.forms.popitem(last=False)
        return form


def moments(connection: Connection) -> Sequence[tuple[int, str]]:
    """When each asset was changed last: another sequence whenever any was changed, added, removed."""
    query = select(assets.c.id, assets.c.modified_at).order_by(assets.c.id)
    return [(row.id, row.modified_at) for row in connection.execute(query)]
