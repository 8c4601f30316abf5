"""Letting phones and people in from the command line."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import requests
from command import watphon
from conftest import RunningServer
from visitors import add_account, post, sign_in

from forms.programme import shipped


def run(data: Path, folder: Path, *arguments: str) -> str:
    done = watphon(*arguments, "-C", str(folder), "--data", str(data))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_key_opens_and_a_revoked_one_does_not(
    running_server: RunningServer, tmp_path: Path
) -> None:
    """`watphon key` gives a phone its address while the server runs; revoked, it opens nothing."""
    folder = Path(shutil.copytree(shipped(), tmp_path / "programme"))
    said = run(running_server.data, folder, "key", "Lamphun 3")
    secret = re.search(r"SERVER(/key/\S+)", said)
    assert secret
    listed = f"{running_server.url}{secret[1]}/formList"
    assert requests.get(listed, timeout=10).status_code == 200
    (number,) = re.findall(r"key (\d+) for", said)
    assert "in use   Lamphun 3" in run(running_server.data, folder, "key")
    run(running_server.data, folder, "key", "--revoke", number)
    assert requests.get(listed, timeout=10).status_code == 403
    assert "revoked" in run(running_server.data, folder, "key")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_public_address_can_be_said_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    """`--public-url` is what codes for phones begin with, at every worker, and goes before
    WATPHON_URL_PUBLIC, which counts where it is not said."""
    monkeypatch.setenv("WATPHON_URL_PUBLIC", "https://environment.example.org")
    server = RunningServer(tmp_path / "data", "--workers", workers)
    for words, wanted in (
        (("--public-url", "https://survey.example.org/"), "https://survey.example.org"),
        ((), "https://environment.example.org"),
    ):
        server.options = ("--workers", workers, *words)
        server.start()
        try:
            add_account(server, "boss", "admin")
            for number in range(4):
                browser = sign_in(server, "boss")
                label = f"{wanted[8:14]} {number}"
                answer = post(server, browser, "/keys", label=label)
                assert answer.status_code == 200, answer.text
                found = set(re.findall(r"https://[a-z.]+(?=/key/)", answer.text))
                assert found == {wanted}
        finally:
            server.end()


@pytest.mark.parametrize(
    "asked",
    [
        "survey.example.org",
        "ftp://survey.example.org",
        "https://survey.example.org/forms",
        "https://survey.example.org?x=1",
        "https://user@survey.example.org",
        "https://a b",
        "https://[::1",
        "https://",
    ],
)
def test_a_public_address_that_is_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    """Said or in the environment: the command ends with words that name the right way, before it
    makes anything."""
    data = tmp_path / "data"
    monkeypatch.setenv("WATPHON_URL_PUBLIC", asked)
    words = ("serve", "--data", str(data), "--port", "0")
    for more in (("--public-url", asked), ()):
        done = watphon(*words, *more)
        assert done.returncode == 1
        assert "phones could open" in done.stderr
        assert "https://survey.example.org" in done.stderr
        assert "--public-url" in done.stderr
    assert not data.exists()


def test_a_user_gets_a_token(running_server: RunningServer, tmp_path: Path) -> None:
    """`watphon user add` makes an account whose token signs in; a name that is taken is refused."""
    folder = Path(shutil.copytree(shipped(), tmp_path / "programme"))
    added = ("user", "add", "somchai", "--role", "admin", "--token")
    token = run(running_server.data, folder, *added).split()[-1]
    me = requests.get(
        f"{running_server.url}/me/", headers={"Authorization": f"Token {token}"}, timeout=10
    )
    assert me.json()["username"] == "somchai"
    again = watphon(*added, "-C", str(folder), "--data", str(running_server.data))
    assert again.returncode == 1
    assert "exists already" in again.stderr
