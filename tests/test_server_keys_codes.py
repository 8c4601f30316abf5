"""The code that sets a phone up: what it holds, and that any scanner reads it."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from pathlib import Path

import pytest
import requests
from command import WATPHON, watphon
from hypothesis import given
from hypothesis import strategies as st
from office import ROOT, RunningServer
from scanner import read, settings_in
from visitors import in_store

from forms.programme import shipped
from server.people import keys
from server.phones import collect, qr

PUBLIC = "https://watphon.example.or.th"

SCHEMA = {
    "form_update_mode": {"manual", "previously_downloaded", "match_exactly"},
    "periodic_form_updates_check": {
        "every_fifteen_minutes", "every_one_hour", "every_six_hours", "every_24_hours",
    },
    "autosend": {"off", "wifi_only", "cellular_only", "wifi_and_cellular"},
}  # fmt: skip
"""Values that Collect's client-settings.schema.json knows."""


def test_the_code_holds_what_collect_knows() -> None:
    """`general` and `admin` are there, as Collect demands; each key and value is one of its schema's;
    there is no password."""
    made = collect.settings(f"{PUBLIC}/key/abc", "ลำพูน 3")
    assert set(made) == {"general", "admin", "project"}
    assert made["general"]["server_url"] == f"{PUBLIC}/key/abc"
    for name, known in SCHEMA.items():
        assert made["general"][name] in known
    assert made["general"]["form_update_mode"] == "match_exactly"
    assert made["general"]["autosend"] == "wifi_and_cellular"
    assert made["general"]["delete_send"] is False
    assert made["project"] == {"name": "ลำพูน 3", "icon": "ล", "color": "#17456b"}
    assert "password" not in str(made)


@given(st.text(min_size=1, max_size=80), st.text("abcXYZ019_-", min_size=43, max_size=43))
def test_a_code_tells_what_was_put_into_it(name: str, secret: str) -> None:
    """Whatever the phone is called, in whatever script."""
    wanted = collect.settings(f"{PUBLIC}/key/{secret}", name)
    assert settings_in(collect.packed(wanted)) == collect.unpacked(collect.packed(wanted)) == wanted


def test_another_scanner_reads_the_picture() -> None:
    """The longest code there is, as a picture, by ZXing; well below what Collect's own code holds."""
    text = collect.scanned(
        "https://a-long-name-of-a-server.example.or.th/key/" + "Ab1_" * 11, "ก" * 80
    )
    assert read(qr.png(text)) == text
    assert len(text) < 600
    assert qr.png(text).startswith(b"\x89PNG")


def test_a_code_that_is_none_is_told() -> None:
    """`ValueError`, not nonsense."""
    for wrong in ("", "x", "eA==", "สวัสดี"):
        with pytest.raises(ValueError):  # noqa: PT011  (several kinds of it)
            collect.unpacked(wrong)


def test_the_command_writes_the_code(running_server: RunningServer, tmp_path: Path) -> None:
    """`watphon key LABEL --server URL --png FILE`: the picture sets the phone up, and only its owner
    may read it; a link's picture is its address; without the address it says what is missing."""
    folder = Path(shutil.copytree(shipped(), tmp_path / "programme"))
    place = ("-C", str(folder), "--data", str(running_server.data))
    picture = tmp_path / "phone.png"
    done = watphon("key", "ลำพูน 3", "--server", f"{PUBLIC}/", "--png", str(picture), *place)
    assert done.returncode == 0, done.stderr
    phone = settings_in(read(picture.read_bytes()))
    address = phone["general"]["server_url"]
    assert address in done.stdout
    assert phone["project"]["name"] == "ลำพูน 3"
    assert picture.stat().st_mode & 0o077 == 0
    listing = address.replace(PUBLIC, running_server.url) + "/formList"
    assert requests.get(listing, timeout=10).status_code == 200
    done = watphon("key", "ผนัง", "--link", "--server", PUBLIC, "--png", str(picture), *place)
    assert read(picture.read_bytes()) in done.stdout
    for wrong in (("key", "x", "--png", str(picture)), ("key", "x", "--server", "ftp://x")):
        done = watphon(*wrong, *place)
        assert done.returncode != 0
        assert "server" in done.stderr or "https://" in done.stderr
    assert len(in_store(running_server, keys.list_keys)) == 2


def test_a_terminal_shows_the_code(running_server: RunningServer, tmp_path: Path) -> None:
    """On a terminal the code is drawn, to be scanned from there; into a file or a pipe it is not."""
    folder = Path(shutil.copytree(shipped(), tmp_path / "programme"))
    words = [
        "key",
        "ลำพูน 4",
        "--server",
        PUBLIC,
        "-C",
        str(folder),
        "--data",
        str(running_server.data),
    ]
    assert "▄" not in watphon(*words).stdout
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*WATPHON, *words],
        cwd=ROOT,
        stdout=theirs,
        stderr=theirs,
        stdin=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(ours)
    assert process.wait(30) == 0
    drawn = [line for line in shown.decode().splitlines() if "▄" in line or "▀" in line]
    assert len(drawn) > 20
