"""Badges: codes that are right, given out once, and readable from paper."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zxingcpp
from browsers import look
from command import watphon
from needs import needs, needs_chromium
from office import RunningServer
from PIL import Image
from playwright.sync_api import Browser
from scanner import codes
from visitors import add_account, in_store, post, sign_in

from forms.programme import shipped
from forms.values import is_participant_code
from server.people.audit import entries

needs_poppler = needs(shutil.which("pdftoppm"), "poppler-utils")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The shipped programme and a province team."""
    running = RunningServer(
        tmp_path_factory.mktemp("badges") / "data", "--programme", str(shipped())
    )
    running.start()
    add_account(running, "mali", "province", ("50", "51"))
    yield running
    running.end()


def test_codes_are_right_and_given_once(server: RunningServer, tmp_path: Path) -> None:
    """By the page and by the command, one after the other: no code twice, none that the list of
    persons has already, each with its check digit and the province and year in front."""
    browser = sign_in(server, "mali")
    first = codes(post(server, browser, "/badges", province="50", count="12").text)
    folder = Path(shutil.copytree(shipped(), tmp_path / "programme"))
    made = tmp_path / "badges.html"
    words = ("badges", "--province", "50", "--count", "70", "--to", str(made))
    begun = time.monotonic()
    done = watphon(*words, "-C", str(folder), "--data", str(server.data))
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begun < 10
    second = codes(made.read_text("utf-8"))
    third = codes(post(server, browser, "/badges", province="50", count="1").text)
    given = first + second + third
    assert (len(first), len(second), len(third)) == (12, 70, 1)
    known = (shipped() / "participants.csv").read_text("utf-8")
    assert len(set(given)) == 83
    for code in given:
        assert is_participant_code(code)
        assert code.startswith("5064")
        assert code not in known
    lines = in_store(server, lambda c: entries(c, action="made badges"))
    assert [line.who for line in lines] == ["mali", "command line", "mali"]


def test_a_team_makes_badges_of_its_own_provinces(server: RunningServer) -> None:
    """Another province, none, too many or no number: refused in words."""
    browser = sign_in(server, "mali")
    for fields in (
        {"province": "58", "count": "1"},
        {"province": "", "count": "1"},
        {"province": "50", "count": "501"},
        {"province": "50", "count": "x"},
    ):
        answer = post(server, browser, "/badges", **fields)
        assert answer.status_code == 422
        assert 'role="alert"' in answer.text
        assert not codes(answer.text)


@needs_chromium
@needs_poppler
def test_seventy_badges_are_seven_sheets_that_a_scanner_reads(
    server: RunningServer, chromium: Browser, tmp_path: Path
) -> None:
    """Ten to a sheet of A4, each code readable, its digits printed beside it."""
    folder = Path(shutil.copytree(shipped(), tmp_path / "programme"))
    made = tmp_path / "badges.html"
    words = ("badges", "--province", "51", "--count", "70", "--to", str(made))
    done = watphon(*words, "-C", str(folder), "--data", str(server.data))
    assert done.returncode == 0, done.stderr
    page = chromium.new_page()
    page.goto(made.as_uri())
    page.pdf(path=tmp_path / "badges.pdf", prefer_css_page_size=True)
    page.close()
    subprocess.run(
        ["pdftoppm", "-r", "120", "-png", str(tmp_path / "badges.pdf"), str(tmp_path / "sheet")],
        check=True,
        timeout=60,
    )
    sheets = sorted(tmp_path.glob("sheet-*.png"))
    assert len(sheets) == 7
    read = [one.text for sheet in sheets for one in zxingcpp.read_barcodes(Image.open(sheet))]
    assert sorted(read) == sorted(codes(made.read_text("utf-8")))
    assert len(set(read)) == 70
    digits = re.findall(r'class="digits">([\d ]+)<', made.read_text("utf-8"))
    assert {text.replace(" ", "") for text in digits} == set(read)
    look("badges-sheet", sheets[0])
