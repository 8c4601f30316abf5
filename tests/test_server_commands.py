"""Letting phones and people in from the command line."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import requests
from command import watphon
from conftest import RunningServer

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
