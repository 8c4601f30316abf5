"""Workbooks made to exhaust their reader: the import ends in an error, and nobody notices."""

from __future__ import annotations

import base64
import io
import re
import socket
import time
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
import requests
from beside import Beside
from office import SURVEY, Office, RunningServer, workbook
from openpyxl import Workbook

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
SHEET = "xl/worksheets/sheet1.xml"
STRINGS = "xl/sharedStrings.xml"


def changed(**parts: bytes | Callable[[bytes], bytes]) -> bytes:
    """The small form with parts of its archive replaced or changed; a name's `__` is `/`."""
    source = zipfile.ZipFile(io.BytesIO(workbook()))
    wanted = {name.replace("__", "/") + ".xml": part for name, part in parts.items()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            part = wanted.pop(name, None)
            content = source.read(name)
            archive.writestr(name, part(content) if callable(part) else part or content)
        for name, part in wanted.items():
            assert isinstance(part, bytes)
            archive.writestr(name, part)
    return out.getvalue()


def with_rows(rows: bytes) -> Callable[[bytes], bytes]:
    return lambda sheet: sheet.replace(b"</sheetData>", rows + b"</sheetData>")


def with_strings(strings: bytes, before: bytes = b"") -> bytes:
    """The small form with shared strings, and a cell that names the first."""
    types = zipfile.ZipFile(io.BytesIO(workbook())).read("[Content_Types].xml")
    kind = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    override = b'<Override PartName="/%b" ContentType="%b"/></Types>' % (STRINGS.encode(), kind)
    cell = b'<row><c t="s"><v>0</v></c></row>'
    made = changed(
        xl__worksheets__sheet1=with_rows(cell),
        xl__sharedStrings=before + b'<sst xmlns="%b">%b</sst>' % (MAIN.encode(), strings),
    )
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(made)) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name in source.namelist():
            content = source.read(name)
            if name == "[Content_Types].xml":
                content = types.replace(b"</Types>", override)
            archive.writestr(name, content)
    return out.getvalue()


def stated_size(ref: bytes) -> Callable[[bytes], bytes]:
    return lambda sheet: re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="%b"' % ref, sheet)


ENTITIES = b'<!DOCTYPE x [<!ENTITY a0 "ha">%b]>' % b"".join(
    b'<!ENTITY a%d "%b">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10)
)
CELLS = b"".join(
    b'<row r="%d">%b</row>' % (row, b'<c t="n"><v>1</v></c>' * 100) for row in range(100, 25_100)
)
STYLES = b'<styleSheet xmlns="%b"><cellXfs>%b</cellXfs></styleSheet>'
FAR = b'<row r="1048576"><c r="XFD1048576" t="n"><v>1</v></c></row>'

BOMBS: dict[str, Callable[[], bytes]] = {
    "millions of cells": lambda: changed(xl__worksheets__sheet1=with_rows(CELLS)),
    "millions of strings": lambda: with_strings(b"<si><t>a</t></si>" * 3_000_000),
    "one string of 60 MB": lambda: with_strings(b"<si><t>" + b"a" * 60_000_000 + b"</t></si>"),
    "entities in strings": lambda: with_strings(b"<si><t>&a9;</t></si>", ENTITIES),
    "entities in a sheet": lambda: changed(
        xl__worksheets__sheet1=lambda sheet: (
            ENTITIES + with_rows(b'<row><c t="inlineStr"><is><t>&a9;</t></is></c></row>')(sheet)
        )
    ),
    "millions of styles": lambda: changed(
        xl__styles=STYLES % (MAIN.encode(), b"<xf/>" * 3_000_000)
    ),
    "an archive in pieces": lambda: workbook()[:-200],
    "an archive that lies": lambda: workbook().replace(b"PK\x05\x06", b"PK\x05\x07"),
    "no archive": lambda: b"PK\x03\x04" + b"\x00" * 1000,
    "an old .xls": lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 4000,
}


def ended(office: Office, content: bytes) -> dict[str, Any]:
    """What an import ends with, however long its reader is allowed to take."""
    url = office.begin_import(content)
    over = time.monotonic() + 60
    while time.monotonic() < over:
        found = office.get(url)
        if found["status"] not in ("created", "processing"):
            return found
        time.sleep(0.05)
    raise AssertionError("the import did not end")


@pytest.mark.parametrize("name", BOMBS)
def test_a_workbook_bomb_ends_in_an_error(
    office: Office, uid: str, module_server: RunningServer, name: str
) -> None:
    """An error with a reason, within the memory of its own process; a phone beside is answered."""
    bomb = BOMBS[name]()
    assert len(bomb) < 3_000_000
    with Beside(module_server, uid) as beside:
        found = ended(office, bomb)
        while beside.sent < 8:
            time.sleep(0.01)
    assert found["status"] == "error", found
    assert found["messages"]["error"]
    assert "Traceback" not in found["messages"]["error"]
    beside.unhurt(seconds=1.0, memory=700)


def test_a_stated_size_is_not_believed(
    office: Office, uid: str, module_server: RunningServer
) -> None:
    """A sheet that says it has a million rows of 16,384 columns, and one cell in the last, is read
    as the few rows it holds."""
    far = stated_size(b"A1:XFD1048576")
    for sheet in (far, lambda content: with_rows(FAR)(far(content))):
        with Beside(module_server, uid) as beside:
            assert ended(office, changed(xl__worksheets__sheet1=sheet))["status"] == "complete"
        beside.unhurt(seconds=1.0, memory=300)


def test_after_a_bomb_a_form_is_imported_and_deployed(office: Office) -> None:
    """The next workbook is read as ever."""
    assert ended(office, BOMBS["entities in strings"]())["status"] == "error"
    assert office.publish()


def test_a_formula_is_text_or_nothing(office: Office) -> None:
    """A cell with a formula is read as its last value; none is evaluated, none is told as one."""
    book = Workbook()
    survey = book.create_sheet("survey")
    for row in SURVEY[:3]:
        survey.append(row[:3])
    survey.append(("text", "q", '=HYPERLINK("http://127.0.0.1:1/","x")'))
    survey.append(("note", "n", "=cmd|'/c calc'!A0"))
    book.create_sheet("settings").append(("form_id",))
    book.remove(book["Sheet"])
    out = io.BytesIO()
    book.save(out)
    made = office.get(f"/api/v2/assets/{office.import_form(out.getvalue())}/")
    told = str(made["content"]["survey"])
    assert "HYPERLINK" not in told
    assert "calc" not in told


def test_links_out_of_a_workbook_are_not_followed(
    office: Office, module_server: RunningServer
) -> None:
    """An external link in the archive is never opened: the address it names hears nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.5)
        port = listener.getsockname()[1]
        target = f"http://127.0.0.1:{port}/book.xlsx".encode()
        link = b'<externalLink xmlns="%b"/>' % MAIN.encode()
        rels = (
            b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            b'<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
            b'relationships/externalLinkPath" Target="%b" TargetMode="External"/></Relationships>'
        ) % target
        out = io.BytesIO(changed(xl__externalLinks__externalLink1=link))
        with zipfile.ZipFile(out, "a") as archive:
            archive.writestr("xl/externalLinks/_rels/externalLink1.xml.rels", rels)
        ended(office, out.getvalue())
        with pytest.raises(TimeoutError):
            listener.accept()


def test_too_many_imports_wait_for_their_turn(office: Office) -> None:
    """Beyond twenty imports that wait the answer is 503; those that were taken all end."""
    content = base64.b64encode(BOMBS["millions of styles"]()).decode()
    body = {"name": "a.xlsx", "library": "false", "base64Encoded": content}
    answers: list[requests.Response] = [
        office.call("POST", "/api/v2/imports/", data=body) for _ in range(30)
    ]
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {201, 503}
    assert statuses.count(201) >= 20
    assert "Retry-After" in answers[-1].headers
