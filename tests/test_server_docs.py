"""The API's documentation: complete, and true of the running server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from office import Office, RunningServer, instance
from schemathesis.checks import CHECKS
from schemathesis.config import ProjectConfig, ProjectsConfig, SchemathesisConfig
from starlette.routing import Route

from server.docs.openapi import document
from server.docs.operations import OPERATIONS, Operation
from server.kobo.addresses import routes

STRICTER = {
    # the dialect's own manners, as recorded: unknown parameters and keys are passed over
    "negative_data_rejection",
    # what a `query` or a `q` may say is more than JSON Schema can tell
    "positive_data_acceptance",
    # the list of forms is empty without credentials, and a stranger hears 404
    "ignored_auth",
    # an unknown address and an unknown method of a known one: 404 and 405 without a body's shape
    "unsupported_method",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = RunningServer(tmp_path_factory.mktemp("docs"))
    running.start()
    yield running
    running.end()


def test_every_route_of_the_api_is_documented_and_no_other() -> None:
    """Address by address and method by method, the document is the API."""
    served = {
        (method.lower(), route.path)
        for route in routes()
        if isinstance(route, Route) and not route.path.endswith("{rest:path}")
        for method in (route.methods or ())
        if method != "HEAD" and route.path != "/environment/"
    }
    assert {(one.method, one.path) for one in OPERATIONS} == served


def test_the_document_is_there_for_everybody(server: RunningServer) -> None:
    """A stranger may read how to ask, as a page and as JSON."""
    assert requests.get(f"{server.url}/api/docs/openapi.json", timeout=10).json() == document()
    answer = requests.get(f"{server.url}/api/docs", timeout=10)
    assert answer.status_code == 200
    for operation in OPERATIONS:
        assert operation.path in answer.text
    assert server.token not in answer.text


@pytest.fixture(scope="module")
def api_schema(server: RunningServer) -> Any:
    """The document as the server gives it, with a form and its rows behind it."""
    office = Office(server.url, server.token)
    uid = office.publish()
    for number in range(3):
        document = instance(uid, f"docs-{number}")
        photo = ("a.jpg", b"\xff\xd8\xff" + bytes(100), "image/jpeg")
        assert office.send(document, photo=photo).status_code == 201
    config = SchemathesisConfig(
        projects=ProjectsConfig(
            default=ProjectConfig(
                base_url=server.url,
                headers={"Authorization": f"Token {server.token}"},
            )
        )
    )
    schema = schemathesis.openapi.from_url(f"{server.url}/api/docs/openapi.json", config=config)

    @schema.hook
    def map_path_parameters(context: Any, path_parameters: Any) -> Any:
        """Most questions are about the form and the rows that are there."""
        operation = context.operation
        if path_parameters and operation.method.upper() != "DELETE":
            for name, there in (("uid", uid), ("row", "docs-1")):
                if name in path_parameters and len(path_parameters[name]) % 3:
                    path_parameters[name] = there
        return path_parameters

    return schema


@pytest.mark.parametrize("one", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_the_server_answers_as_the_document_says(
    server: RunningServer, api_schema: Any, one: Operation
) -> None:
    """Whatever is asked: no failure of the server, and status, type and shape as documented."""
    checks = [check for check in CHECKS.get_all() if check.__name__ not in STRICTER]

    @given(case=api_schema[one.path][one.method].as_strategy())
    @settings(
        max_examples=25,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    def asked(case: Any) -> None:
        answer = case.call_and_validate(checks=checks, timeout=20)
        if one.path.endswith("/imports/") and answer.status_code == 201:
            done(server, answer.json()["url"])

    asked()


def done(server: RunningServer, address: str) -> None:
    """Wait for the end of an import, as its caller does: of many at once the server refuses some."""
    headers = {"Authorization": f"Token {server.token}"}
    for _ in range(600):
        if requests.get(address, headers=headers, timeout=20).json()["status"] != "processing":
            return
        time.sleep(0.05)
    raise AssertionError(f"{address} has not ended after half a minute")
