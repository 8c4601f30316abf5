"""What users do to software: a clear message, the right exit code, nothing half-written, and the same
command again finishes the work."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from command import WATPHON, watphon
from conftest import RunningServer

from forms.programme import shipped


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(shipped(), tmp_path / "programme"))


def clean(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The words of a failed run: right exit code, no traceback."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stderr.strip()
    return " ".join(done.stderr.split())


def test_not_a_programme_folder(tmp_path: Path) -> None:
    """Run in the wrong folder: exit code 1 and what to do."""
    for command in ("check", "pull", "evaluate", "publish"):
        told = clean(watphon(command, "-C", str(tmp_path), env={"WATPHON_TOKEN": "x"}), 1)
        assert "not a programme folder" in told


def test_options_stand_before_or_after_the_command(folder: Path) -> None:
    """-C is understood on either side of the command."""
    for arguments in (("-C", str(folder), "check"), ("check", "-C", str(folder))):
        done = watphon(*arguments)
        assert done.returncode == 0, done.stderr
        assert "no errors" in done.stdout


def test_usage_is_exit_code_2(folder: Path) -> None:
    """An unknown command or option, an impossible date, a missing token: exit code 2, one line each."""
    clean(watphon("no-such-command"), 2)
    clean(watphon("pull", "--no-such-option"), 2)
    assert "2021-04-19" in clean(watphon("evaluate", "-C", str(folder), "--as-of", "yesterday"), 2)
    assert "WATPHON_TOKEN" in clean(watphon("pull", "-C", str(folder)), 2)


def test_no_tables_yet(folder: Path) -> None:
    """Evaluating before pulling, reporting before evaluating: told which command comes first."""
    assert "watphon pull" in clean(watphon("evaluate", "-C", str(folder)), 1)
    assert "watphon evaluate" in clean(watphon("report", "-C", str(folder)), 1)


def test_a_broken_workbook_and_a_thai_csv(folder: Path) -> None:
    """`check` tells both, each with file, place and remedy."""
    (folder / "mne_output.xlsx").write_bytes(b"not a workbook")
    told = clean(watphon("check", "-C", str(folder)), 1)
    assert "mne_output.xlsx: is not a readable Excel workbook" in told
    path = folder / "targets.csv"
    path.write_bytes(path.read_text("utf-8").encode("cp874"))
    told = clean(watphon("check", "-C", str(folder)), 1)
    assert "windows-874" in told
    assert "row 2" in told


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_unreachable_server(folder: Path) -> None:
    """No server at the address: exit code 1, the URL, and what to check."""
    url = f"http://127.0.0.1:{free_port()}"
    told = clean(watphon("pull", "-C", str(folder), "--url", url, env={"WATPHON_TOKEN": "x"}), 1)
    assert url in told
    assert not list(folder.rglob("*.parquet"))


def test_wrong_token(folder: Path, running_server: RunningServer) -> None:
    """A wrong token is told as such; it is never an empty list of forms."""
    wrong = {"WATPHON_TOKEN": "0" * 40, "WATPHON_URL": running_server.url}
    for command in ("publish", "pull", "simulate"):
        told = clean(watphon(command, "-C", str(folder), env=wrong), 1)
        assert "token" in told.lower()


def environment(server: RunningServer) -> dict[str, str]:
    return {"WATPHON_TOKEN": server.token, "WATPHON_URL": server.url}


def filled(folder: Path, server: RunningServer, people: str = "120") -> None:
    """A server with published forms and a small season."""
    for arguments in (("publish",), ("simulate", "--people", people)):
        done = watphon(*arguments, "-C", str(folder), env=environment(server))
        assert done.returncode == 0, done.stderr


def test_pull_before_publish(folder: Path, running_server: RunningServer) -> None:
    """Nothing published yet: told to publish."""
    told = clean(watphon("pull", "-C", str(folder), env=environment(running_server)), 1)
    assert "watphon publish" in told
    told = clean(watphon("simulate", "-C", str(folder), env=environment(running_server)), 1)
    assert "watphon publish" in told


def test_full_disk_during_pull(folder: Path, running_server: RunningServer) -> None:
    """Files may not grow past 200 kB: pull says that the disk is full, exit code 1; once there is
    room, the same command finishes and is complete."""
    filled(folder, running_server)

    def little_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    known = environment(running_server)
    told = clean(watphon("pull", "-C", str(folder), before=little_room, env=known), 1)
    assert "full" in told
    assert not (folder / "data" / "tables").exists()
    done = watphon("pull", "-C", str(folder), env=known)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": complete") == 9


def test_full_disk_while_evaluating(folder: Path, running_server: RunningServer) -> None:
    """No room for the evaluation: told so, no half of a file; then it works."""
    filled(folder, running_server)
    assert watphon("pull", "-C", str(folder), env=environment(running_server)).returncode == 0

    def no_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    clean(watphon("evaluate", "-C", str(folder), before=no_room), 1)
    assert not list((folder / "data").glob("evaluation*"))
    assert watphon("evaluate", "-C", str(folder)).returncode == 0
    clean(watphon("report", "-C", str(folder), before=no_room), 1)
    assert not list((folder / "data").rglob("*.html"))
    assert watphon("report", "-C", str(folder)).returncode == 0


@pytest.mark.parametrize("after", [0.2, 1.5, 3.0])
def test_ctrl_c(folder: Path, running_server: RunningServer, after: float) -> None:
    """Ctrl-C in any stage: exit code 1, a word that it can go on, no traceback; the same command again
    finishes the work."""
    known = environment(running_server)
    stages = (("publish",), ("simulate", "--people", "300"), ("pull",), ("evaluate",), ("report",))
    for arguments in stages:
        command = [*WATPHON, *arguments, "-C", str(folder)]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **known},
        )
        time.sleep(after)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
        assert process.returncode in (0, 1), said
        assert "Traceback" not in said
        done = watphon(*arguments, "-C", str(folder), env=known)
        assert done.returncode == 0, done.stderr
    assert (folder / "data" / "reports" / "report.th.html").is_file()
