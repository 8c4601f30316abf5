"""Who may do what: tokens, passwords over safe lines, keys that open the phones' door only."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from office import Office, RunningServer, instance
from postgres import placed

from forms.problems import Problem
from server.people import accounts, keys
from server.state.store import open_store, state_folder

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PASSWORD = "a long enough password"


def with_key(server: RunningServer, label: str = "โทรศัพท์ 1") -> tuple[int, str]:
    """A phone key made by another process's way in, as the command line does."""
    store = open_store(server.data)
    with store.write() as connection:
        made = keys.mint_key(connection, label, now=NOW)
    store.close()
    return made


def with_password(server: RunningServer) -> None:
    store = open_store(server.data)
    with store.write() as connection:
        accounts.set_password(connection, "admin", PASSWORD)
    store.close()


def test_a_phone_key_does_the_phones_work(running_server: RunningServer) -> None:
    """List, form, manifest, media and submission under /key/KEY; addresses keep the key."""
    office = Office(running_server.url, running_server.token)
    uid = office.publish()
    _, key = with_key(running_server)
    door = f"{running_server.url}/key/{key}"
    phone = requests.Session()
    listed = phone.get(f"{door}/formList", timeout=10)
    assert listed.status_code == 200
    assert f"<downloadUrl>{door}/forms/1/form.xml</downloadUrl>" in listed.text
    assert f"<manifestUrl>{door}/xformsManifest/1</manifestUrl>" in listed.text
    assert phone.get(f"{door}/forms/1/form.xml", timeout=10).status_code == 200
    manifest = phone.get(f"{door}/xformsManifest/1", timeout=10).text
    assert f"{door}/xformsMedia/1/" in manifest
    head = phone.head(f"{door}/submission", timeout=10)
    assert (head.status_code, head.headers["Location"]) == (204, f"{door}/submission")
    one = str(uuid.uuid4())
    sent = phone.post(
        f"{door}/submission",
        files={"xml_submission_file": ("s.xml", instance(uid, one), "text/xml")},
        timeout=10,
    )
    assert sent.status_code == 201
    assert office.get(f"/api/v2/assets/{uid}/data/{one}/")["_submitted_by"] == "โทรศัพท์ 1"


def test_a_phone_key_never_opens_the_data(running_server: RunningServer) -> None:
    """Neither in the path nor as a token."""
    uid = Office(running_server.url, running_server.token).publish()
    _, key = with_key(running_server)
    for path in (f"/api/v2/assets/{uid}/data/", "/api/v2/assets/", "/me/", "/token/"):
        assert requests.get(f"{running_server.url}/key/{key}{path}", timeout=10).status_code == 404
        as_token = requests.get(
            f"{running_server.url}{path}", headers={"Authorization": f"Token {key}"}, timeout=10
        )
        assert as_token.status_code == 401


def test_a_revoked_key_dies_at_once(running_server: RunningServer) -> None:
    """403 though another process revoked it and it was used just before; wrong keys are 403: to a 401
    Collect would ask for a name and a password."""
    number, key = with_key(running_server)
    address = f"{running_server.url}/key/{key}/formList"
    assert requests.get(address, timeout=10).status_code == 200
    store = open_store(running_server.data)
    with store.write() as connection:
        keys.revoke_key(connection, number, now=NOW)
    store.close()
    time.sleep(0.1)
    assert requests.get(address, timeout=10).status_code == 403
    wrong = requests.get(f"{running_server.url}/key/{'x' * 43}/formList", timeout=10)
    assert wrong.status_code == 403


def test_strangers_see_what_kobotoolbox_shows_them(module_server: RunningServer) -> None:
    """An empty list, 404 for assets, 401 for a wrong token."""
    office = Office(module_server.url, module_server.token)
    uid = office.publish()
    url = module_server.url
    listed = requests.get(f"{url}/api/v2/assets/", timeout=10)
    assert listed.json() == {"count": 0, "next": None, "previous": None, "results": []}
    for path in ("", "data/", "data/1/", "files/", "deployment/"):
        answer = requests.get(f"{url}/api/v2/assets/{uid}/{path}", timeout=10)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})
    wrong = requests.get(
        f"{url}/api/v2/assets/", headers={"Authorization": "Token " + "0" * 40}, timeout=10
    )
    assert (wrong.status_code, wrong.json()) == (401, {"detail": "Invalid token."})
    assert (
        requests.post(f"{url}/api/v2/imports/", data={"name": "x"}, timeout=10).status_code == 401
    )
    assert requests.get(f"{url}/me/", timeout=10).status_code == 401
    for path in ("/formList", "/forms/1/form.xml", "/xformsManifest/1", "/xformsMedia/1/1.csv"):
        assert requests.get(f"{url}{path}", timeout=10).status_code == 401


def test_basic_signs_in_over_loopback_and_mints_tokens(running_server: RunningServer) -> None:
    """Each GET /token/ with Basic gives a new token that works; a wrong password is 401."""
    url = running_server.url
    right, wrong = ("admin", PASSWORD), ("admin", "a wrong long password")
    assert requests.get(f"{url}/me/", auth=right, timeout=10).status_code == 401
    with_password(running_server)
    first = requests.get(f"{url}/token/", params={"format": "json"}, auth=right, timeout=10)
    second = requests.get(f"{url}/token/", auth=right, timeout=10)
    assert first.json()["token"] != second.json()["token"]
    for answer in (first, second):
        headers = {"Authorization": f"Token {answer.json()['token']}"}
        assert requests.get(f"{url}/me/", headers=headers, timeout=10).json()["username"] == "admin"
    for auth in (wrong, ("nobody", PASSWORD)):
        assert requests.get(f"{url}/token/", auth=auth, timeout=10).status_code == 401
    assert requests.get(f"{url}/formList", auth=right, timeout=10).status_code == 200
    for header in ("Basic", "Basic %%%", "Basic YQ==", "Bearer x"):
        answer = requests.get(f"{url}/token/", headers={"Authorization": header}, timeout=10)
        assert answer.status_code == 401


def test_basic_is_refused_where_others_could_read_it(tmp_path: Path) -> None:
    """A trusted proxy that passes plain HTTP from elsewhere on: no Basic; HTTPS: yes. Without
    `--behind-proxy` nobody is believed that it was HTTPS."""
    plain = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}
    safe = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    for options, answer in ((("--behind-proxy", "127.0.0.1"), 200), ((), 401)):
        server = RunningServer(tmp_path / "data", *options)
        server.start()
        try:
            with_password(server)
            url, auth = f"{server.url}/me/", ("admin", PASSWORD)
            assert requests.get(url, auth=auth, headers=plain, timeout=10).status_code == 401
            assert requests.get(url, auth=auth, headers=safe, timeout=10).status_code == answer
        finally:
            server.end()


def test_only_hashes_are_kept(running_server: RunningServer) -> None:
    """Neither token, key nor password stands in any file of the server."""
    with_password(running_server)
    _, key = with_key(running_server)
    running_server.stop()
    kept = b"".join(
        path.read_bytes() for path in state_folder(running_server.data).rglob("*") if path.is_file()
    )
    for secret in (running_server.token, key, PASSWORD):
        assert secret.encode() not in kept


def test_the_first_token_is_told_once(running_server: RunningServer) -> None:
    """A restart prints none, and the first still works."""
    token = running_server.token
    running_server.token = ""
    running_server.restart()
    assert running_server.token == ""
    headers = {"Authorization": f"Token {token}"}
    assert requests.get(f"{running_server.url}/me/", headers=headers, timeout=10).status_code == 200


def test_accounts_are_looked_after(tmp_path) -> None:
    """Add, list, remove; names, roles and passwords that cannot be are refused with a remedy."""
    store = open_store(placed(tmp_path))
    with store.write() as connection:
        assert accounts.first_admin(connection, now=NOW)
        assert accounts.first_admin(connection, now=NOW) is None
        accounts.add_user(connection, "mali", now=NOW, password=PASSWORD)
        token = accounts.mint_token(connection, "mali", now=NOW)
        assert accounts.account_of_token(connection, token) == accounts.account_named(
            connection, "mali"
        )
        assert accounts.revoke_tokens(connection, "mali") == 1
        assert accounts.account_of_token(connection, token) is None
        assert [user.name for user in accounts.list_users(connection)] == ["admin", "mali"]
        for wrong in (
            {"name": "mali"},
            {"name": "a b"},
            {"name": "x", "role": "king"},
            {"name": "x", "password": "short"},
        ):
            with pytest.raises(Problem) as refused:
                accounts.add_user(connection, now=NOW, **wrong)
            assert refused.value.findings[0].remedy
        accounts.remove_user(connection, "mali")
        with pytest.raises(Problem, match="last admin"):
            accounts.remove_user(connection, "admin")
        with pytest.raises(Problem):
            keys.revoke_key(connection, 7, now=NOW)
        keys.mint_key(connection, "a", now=NOW)
        (key,) = keys.list_keys(connection)
        assert (key.label, key.revoked_at) == ("a", "")
    store.close()


def test_a_newer_database_is_refused(tmp_path) -> None:
    """A folder that a newer version wrote is named, not damaged."""
    store = open_store(placed(tmp_path))
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE schema_version SET version = 99")
    store.close()
    with pytest.raises(Problem, match="newer watphon"):
        open_store(tmp_path)
