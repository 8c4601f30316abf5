"""Nobody finds a key, a token or a password afterwards: not in the log, not in any file."""

from __future__ import annotations

import base64
import socket
import subprocess
import sys
from pathlib import Path

import requests
from command import watphon
from office import ROOT, Office, RunningServer, instance
from rosa import Door, new
from visitors import PASSWORD, add_account, key, sign_in


def test_keys_and_tokens_are_in_no_file(tmp_path: Path) -> None:
    """With the log at debug level and a line for each request, through a client that says what a
    proxy says, after good, bad and broken requests: neither the key, the token, the password nor the
    session stands in what the server said or in any file it wrote."""
    data, said = tmp_path / "data", tmp_path / "said.txt"
    options = ["--log-level", "debug", "--access-log", "--behind-proxy", "127.0.0.1"]
    server = RunningServer(data, *options)
    command = [sys.executable, "-m", "server", "--data", str(data), "--port", "0", *options]
    with said.open("w") as log:
        server.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True
        )
        assert server.process.stdout is not None
        for line in server.process.stdout:
            word, _, value = line.strip().partition(" ")
            if word == "token":
                server.token = value
            elif word == "ready":
                server.url = value
                break
        try:
            secrets = used(server)
        finally:
            assert server.stop() == 0
    told = said.read_text("utf-8")
    assert '"route":"/key/{key}/formList"' in told, "each request has its line"
    # all rows of the database, whichever it is
    assert watphon("backup", str(data / "all.tar"), "--data", str(data)).returncode == 0
    written = [path for path in data.rglob("*") if path.is_file()]
    for name, secret in secrets.items():
        assert secret not in told, name
        for path in written:
            assert secret.encode() not in path.read_bytes(), (name, path.name)


def used(server: RunningServer) -> dict[str, str]:
    """Use every kind of secret in good, bad and broken requests; what they are."""
    office = Office(server.url, server.token)
    uid = office.publish()
    _, secret = key(server)
    _, link = key(server, "ผนัง", kind="link")
    add_account(server, "mali", "admin", ())
    browser = sign_in(server, "mali")
    forwarded = {"X-Forwarded-For": "10.0.0.9", "X-Forwarded-Proto": "https"}
    for one in (secret, link):
        base = f"{server.url}/key/{one}"
        for path in (
            "/formList",
            f"/f/{uid}",
            "/f/list.json",
            "/nowhere",
            "/forms/9/form.xml",
            "/../..",
        ):
            requests.get(base + path, headers=forwarded, timeout=30)
        door = Door(base, forwarded)
        photo = ("a.jpg", ("a.jpg", b"\xff\xd8", "image/jpeg"))
        more = "<photo>a.jpg</photo>"
        assert door.send(instance(uid, new(), more=more), photo).status_code == 201
        assert door.send(b"<broken", photo).status_code == 400
        requests.post(f"{base}/submission", data=b"x" * 100, headers=forwarded, timeout=30)
        requests.put(f"{base}/submission", timeout=30)
        host, _, port = server.url.removeprefix("http://").partition(":")
        for line in (
            f"GET /key/{one}/formList HTTP/9.9\r\n\r\n",
            f"GET /key/{one}\x00 HTTP/1.1\r\n\r\n",
        ):
            with socket.create_connection((host, int(port)), timeout=10) as raw:
                raw.sendall(line.encode())
                raw.recv(1000)
    browser.get(f"{server.url}/keys", timeout=30)
    encoded = base64.b64encode(f"mali:{PASSWORD}".encode()).decode()
    basic = {"Authorization": f"Basic {encoded}", **forwarded}
    assert requests.get(f"{server.url}/me/", headers=basic, timeout=30).status_code == 200
    return {
        "key": secret,
        "link": link,
        "token": server.token,
        "password": PASSWORD,
        "basic": encoded,
        "session": str(browser.cookies.get_dict()["watphon"]),
    }
