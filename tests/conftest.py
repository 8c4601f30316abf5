"""Fixtures that several test files share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browsers import browser
from office import Office, RunningServer
from playwright.sync_api import Browser

# ── a running server ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def running_server(tmp_path: Path) -> Iterator[RunningServer]:
    """A real server on a fresh data folder and a free loopback port."""
    server = RunningServer(tmp_path / "data")
    server.start()
    yield server
    server.end()


@pytest.fixture(scope="module")
def module_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The same for a whole file of tests that do not disturb each other."""
    server = RunningServer(tmp_path_factory.mktemp("server") / "data")
    server.start()
    yield server
    server.end()


@pytest.fixture(scope="module")
def office(module_server: RunningServer) -> Office:
    """The first API user of the file's server."""
    return Office(module_server.url, module_server.token)


@pytest.fixture(scope="module")
def uid(office: Office) -> str:
    """The asset of the small form, published on the file's server."""
    return office.publish()


# ── a browser ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Chromium for a whole file of tests."""
    with browser() as started:
        yield started
