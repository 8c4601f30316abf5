"""What a hostile reader of the server found, each with the answer it gets now."""

from __future__ import annotations

import pytest
import requests
from office import Office, RunningServer, instance
from requests.auth import HTTPBasicAuth
from sqlalchemy import select, update
from visitors import PASSWORD, add_account, in_store, key

from forms.problems import Problem
from server.phones.scope import rows_for
from server.state.schema import submissions


@pytest.fixture(scope="module")
def server(module_server: RunningServer) -> RunningServer:
    return module_server


@pytest.fixture(scope="module")
def uid(server: RunningServer) -> str:
    return Office(server.url, server.token).publish()


def sent(server: RunningServer, secret: str, document: bytes) -> requests.Response:
    files = {"xml_submission_file": ("s.xml", document, "text/xml")}
    address = f"{server.url}/key/{secret}/submission"
    return requests.post(address, files=files, timeout=20)


def test_a_phone_corrects_no_record_of_another_province(server: RunningServer, uid: str) -> None:
    """A key of province 50 that knows the id of a record from 51 cannot replace it; the key that
    sent it, one of its province and one without bounds can."""
    _, home = key(server, "บ้าน 51", provinces=("51",))
    _, near = key(server, "ใกล้ 51", provinces=("51",))
    _, far = key(server, "ไกล 50", provinces=("50",))
    _, free = key(server, "ทุกจังหวัด")
    assert sent(server, home, instance(uid, "own-1", who="ต้นฉบับ")).status_code == 201
    in_store(server, lambda c: c.execute(update(submissions).values(province="51")))
    answer = sent(server, far, instance(uid, "own-2", who="ทับ", deprecated="own-1"))
    assert answer.status_code == 403
    assert "จังหวัด" in answer.text
    (row,) = Office(server.url, server.token).rows(uid)
    assert row["who"] == "ต้นฉบับ"
    before = "own-1"
    for number, secret in enumerate((home, near, free), start=3):
        document = instance(uid, f"own-{number}", who=f"แก้ {number}", deprecated=before)
        assert sent(server, secret, document).status_code == 201
        in_store(server, lambda c: c.execute(update(submissions).values(province="51")))
        before = f"own-{number}"


def test_a_key_takes_no_accounts_name(server: RunningServer) -> None:
    """A phone's records cannot look as if an account had sent them."""
    add_account(server, "Somchai", "facilitator")
    for label in ("somchai", "admin"):
        with pytest.raises(Problem, match="name of an account"):
            key(server, label)


def test_persons_are_known_by_their_codes_whatever_the_column() -> None:
    """A list is cut to provinces by the participant codes in it; no column needs a certain name."""
    people = "participant_id,label\n5064000010,ชื่อ หนึ่ง\n5164000019,ชื่อ สอง\n".encode()
    cut = rows_for(people, "people.csv", frozenset({"51"}))
    assert cut is not None
    assert cut.decode().splitlines() == ["participant_id,label", "5164000019,ชื่อ สอง"]
    assert rows_for(b"name,label\n50,x\n", "places.csv", frozenset()) is None


def test_a_basic_password_is_not_used_by_other_sites(server: RunningServer) -> None:
    """A page of another site that the browser sends a remembered password from changes nothing."""
    add_account(server, "basic", "admin")
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    name = (b"basic", PASSWORD.encode())
    imports = f"{server.url}/api/v2/imports/"
    answer = requests.post(
        imports, headers=headers, auth=HTTPBasicAuth(*name), data={"a": "b"}, timeout=20
    )
    assert answer.status_code == 403
    token = f"{server.url}/token/"
    assert (
        requests.get(token, headers=headers, auth=HTTPBasicAuth(*name), timeout=20).status_code
        == 403
    )
    assert requests.get(token, auth=HTTPBasicAuth(*name), timeout=20).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/key/%E0%B8%81/f/sw.js",
        "/key/a%0d%0aX:b/f/sw.js",
        f"/forms/{'9' * 5000}/form.xml",
        "/forms/99999999999999999999/form.xml",
        "/xformsMedia/99999999999999999999/1.csv",
    ],
)
def test_odd_addresses_are_not_there(server: RunningServer, path: str) -> None:
    """An address that cannot be is 404, with the security headers, never a failure."""
    answer = requests.get(server.url + path, timeout=20)
    assert answer.status_code == 404
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_page_links_to_no_other_site(server: RunningServer) -> None:
    """The link to the other language stays on the server, whatever the address looks like."""
    url = f"{server.url}//evil.example/x"
    answer = requests.get(url, headers={"Accept": "text/html"}, timeout=20)
    assert answer.status_code == 404
    assert 'href="//' not in answer.text


def test_nothing_of_this_was_stored_twice(server: RunningServer, uid: str) -> None:
    """After all this there is one record, in its last version."""
    found = in_store(server, lambda c: c.execute(select(submissions.c.instance_id)).scalars().all())
    assert found == ["own-5"]
    assert len(Office(server.url, server.token).rows(uid)) == 1
