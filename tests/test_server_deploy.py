"""The samples for an office work as they stand: units, Caddy's and nginx's files, nginx in front."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from needs import needs
from office import ROOT, Office, RunningServer, instance
from visitors import in_store

from server.people.keys import mint_key
from server.times import utc_now

DEPLOY = ROOT / "docs" / "deploy"
# Debian puts it where not every user's PATH leads
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or ""
needs_nginx = needs(NGINX, "nginx-light")
needs_openssl = needs(shutil.which("openssl"), "openssl")
ADDRESS = "survey.example.org"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
def test_the_units_are_as_systemd_wants_them(tmp_path: Path) -> None:
    """No complaint about our units, and the server's exposure is rated low (below 2.5 of 10)."""
    for unit in DEPLOY.glob("watphon*"):
        # the program is not installed there on this machine
        told = unit.read_text().replace("/opt/watphon/bin/watphon", "/bin/true")
        (tmp_path / unit.name).write_text(told)
    units = sorted(str(unit) for unit in tmp_path.iterdir())
    done = subprocess.run(
        ["systemd-analyze", "verify", *units], capture_output=True, text=True, timeout=60
    )
    assert not [line for line in done.stderr.splitlines() if "watphon" in line]
    rated = subprocess.run(
        ["systemd-analyze", "--offline=true", "security", str(tmp_path / "watphon.service")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    level = re.search(r"exposure level for \S+ ([0-9.]+)", rated.stdout)
    assert level, rated.stdout + rated.stderr
    assert float(level[1]) < 2.5


@pytest.mark.skipif(not shutil.which("caddy"), reason="needs Caddy")
def test_caddys_file_is_valid() -> None:
    """`caddy validate` accepts it."""
    words = ["validate", "--adapter", "caddyfile", "--config", str(DEPLOY / "Caddyfile")]
    done = subprocess.run(["caddy", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Front:
    """nginx with the sample's own words, on loopback ports, in front of a server."""

    def __init__(self, folder: Path, server: RunningServer) -> None:
        self.folder = folder
        self.port, plain = free_port(), free_port()
        key, certificate = folder / "key.pem", folder / "certificate.pem"
        subject = ["-subj", f"/CN={ADDRESS}", "-addext", f"subjectAltName=DNS:{ADDRESS}"]
        files = ["-keyout", str(key), "-out", str(certificate)]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, *subject],
            check=True,
            capture_output=True,
            timeout=60,
        )
        told = (DEPLOY / "nginx.conf").read_text()
        for old, new in (
            ("listen 80;", f"listen 127.0.0.1:{plain};"),
            ("listen [::]:80;", ""),
            ("listen 443 ssl http2;", f"listen 127.0.0.1:{self.port} ssl http2;"),
            ("listen [::]:443 ssl http2;", ""),
            ("/etc/letsencrypt/live/survey.example.org/fullchain.pem", str(certificate)),
            ("/etc/letsencrypt/live/survey.example.org/privkey.pem", str(key)),
            ("/var/log/nginx/watphon.log", str(folder / "access.log")),
            ("127.0.0.1:8000", server.url.removeprefix("http://")),
        ):
            assert old in told, old
            told = told.replace(old, new)
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        self.file = folder / "nginx.conf"
        self.file.write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/main.log;"
            f"events {{}} http {{ {temporary}\n{told}\n}}"
        )
        self.certificate = certificate

    def __enter__(self) -> Front:
        command = [NGINX, "-c", str(self.file), "-p", str(self.folder)]
        tested = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=60)
        assert tested.returncode == 0, tested.stderr
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(20)

    @property
    def url(self) -> str:
        return f"https://{ADDRESS}:{self.port}"

    def said(self) -> str:
        """All that was logged."""
        return "".join(one.read_text() for one in self.folder.glob("*.log"))


@pytest.fixture
def front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Front, RunningServer]]:
    """The server behind nginx; the office's name leads to this machine."""
    server = RunningServer(tmp_path / "data", "--behind-proxy", "127.0.0.1", "--access-log")
    server.start()
    folder = tmp_path / "nginx"
    folder.mkdir(mode=0o755)
    known = socket.getaddrinfo

    def resolved(host: str, *more: object, **words: object) -> object:
        return known("127.0.0.1" if host == ADDRESS else host, *more, **words)  # pyright: ignore

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    try:
        with Front(folder, server) as running:
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(running.certificate))
            yield running, server
    finally:
        server.end()


@needs_nginx
@needs_openssl
def test_phones_and_people_come_through_nginx(front: tuple[Front, RunningServer]) -> None:
    """Over HTTPS: the form list's addresses begin as the phone's own does, a 19 MB photograph and a
    record are stored, more than 29 MB is refused, browsers are told to stay with HTTPS, a name and a
    password are taken; no key is in nginx's logs."""
    nginx, server = front
    _, secret = in_store(server, lambda c: mint_key(c, "Lamphun 3", now=utc_now()))
    direct = Office(server.url, server.token)
    uid = direct.publish()
    phone = requests.Session()
    base = f"{nginx.url}/key/{secret}"
    listed = phone.get(f"{base}/formList", timeout=30)
    assert listed.status_code == 200
    assert f"<downloadUrl>{base}/forms/" in listed.text
    assert listed.headers["Strict-Transport-Security"].startswith("max-age=")
    one = str(uuid.uuid4())
    parts = {
        "xml_submission_file": (
            "s.xml",
            instance(uid, one, more="<photo>p.png</photo>"),
            "text/xml",
        ),
        "p.png": ("p.png", b"x" * 19_000_000, "image/png"),
    }
    sent = phone.post(f"{base}/submission?deviceID=abc", files=parts, timeout=60)
    assert sent.status_code == 201, sent.text
    assert sent.headers["Location"] == f"{base}/submission"
    (row,) = direct.rows(uid)
    assert row["_attachments"]
    body = {"a": ("a", b"x" * 31_000_000, "image/png")}
    with suppress(requests.ConnectionError):  # nginx may hang up while it is still being sent
        assert phone.post(f"{base}/submission", files=body, timeout=60).status_code == 413
    assert len(direct.rows(uid)) == 1
    said = nginx.said()
    assert "/key/.../formList" in said
    assert secret not in said
    assert "deviceID" not in said


@needs_nginx
@needs_openssl
def test_what_callers_say_of_themselves_is_not_believed(
    front: tuple[Front, RunningServer],
) -> None:
    """Behind nginx nobody is from this machine because he says so: the metrics stay hidden."""
    nginx, _ = front
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
        value = "for=127.0.0.1" if name == "Forwarded" else "127.0.0.1"
        answer = requests.get(f"{nginx.url}/metrics", headers={name: value}, timeout=10)
        assert answer.status_code == 404
    assert requests.get(f"{nginx.url}/healthz", timeout=10).json() == {"status": "ok"}


@needs_nginx
@needs_openssl
def test_a_server_that_is_away_is_told_as_such(front: tuple[Front, RunningServer]) -> None:
    """502 while it restarts, which phones take for: try again; then it goes on."""
    nginx, server = front
    server.stop()
    assert requests.get(f"{nginx.url}/healthz", timeout=10).status_code == 502
    server.restart()
    deadline = time.monotonic() + 20
    while requests.get(f"{nginx.url}/healthz", timeout=10).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
