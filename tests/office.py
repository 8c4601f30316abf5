"""A running server for tests, and what an office and a phone do with it."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import requests
from openpyxl import Workbook
from postgres import placed

ROOT = Path(__file__).resolve().parent.parent

SURVEY = (
    ("type", "name", "label::ไทย (th)", "label::English (en)", "required"),
    ("start", "start", None, None, None),
    ("text", "who", "ชื่อ", "Name", "yes"),
    ("select_one sex", "sex", "เพศ", "Sex", None),
    ("select_one_from_file places.csv", "place", "ที่", "Place", None),
    ("begin_group", "g", "กลุ่ม", "Group", None),
    ("integer", "age", "อายุ", "Age", None),
    ("geopoint", "where", "พิกัด", "Location", None),
    ("end_group", None, None, None, None),
    ("image", "photo", "ภาพ", "Photo", None),
    ("begin_repeat", "tree", "ต้นไม้", "Tree", None),
    ("text", "kind", "ชนิด", "Kind", None),
    ("image", "pic", "ภาพ", "Picture", None),
    ("end_repeat", None, None, None, None),
)
CHOICES = (
    ("list_name", "name", "label::ไทย (th)", "label::English (en)"),
    ("sex", "f", "หญิง", "Female"),
    ("sex", "m", "ชาย", "Male"),
)
SETTINGS = (
    ("form_title", "form_id", "version", "default_language"),
    ("แบบเล็ก | Small form", "small", "2564010101", "ไทย (th)"),
)
PLACES = "name,label\n50,เชียงใหม่\n51,ลำพูน\n".encode()


def workbook(*, survey: Any = SURVEY, choices: Any = CHOICES, settings: Any = SETTINGS) -> bytes:
    """A small form as the bytes of an .xlsx."""
    book = Workbook()
    for title, rows in (("survey", survey), ("choices", choices), ("settings", settings)):
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.remove(book["Sheet"])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


class RunningServer:
    """The real server as a process of its own; `token` is the one it printed at its first start.

    `options` are further words of its command line; `log` is the file that takes its stderr.
    """

    def __init__(self, data: Path, *options: str, log: Path | None = None) -> None:
        self.data = placed(data)
        self.options = options
        self.log = log
        self.url = ""
        self.token = ""
        self.process: subprocess.Popen[str]

    def start(self, *, port: str = "0") -> None:
        """Start and wait until it says that it is ready."""
        command = [sys.executable, "-m", "server", "--data", str(self.data), "--port", port]
        command += self.options
        with ExitStack() as opened:
            log = opened.enter_context(self.log.open("ab")) if self.log else None
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            word, _, said = line.strip().partition(" ")
            if word == "token":
                self.token = said
            elif word == "ready":
                self.url = said
                return
        raise AssertionError(f"the server ended with {self.process.wait(10)} before it was ready")

    def said(self) -> str:
        """What stands in the log."""
        assert self.log
        return self.log.read_text()

    def lines(self) -> list[dict[str, Any]]:
        """The same, line by line."""
        return [json.loads(line) for line in self.said().splitlines()]

    def stop(self) -> int:
        """Ask it to stop (SIGTERM) and wait; its exit code."""
        self.process.terminate()
        return self.wait()

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        self.process.kill()
        self.wait()

    def restart(self) -> None:
        """Start it again at the same address; stop it first if it runs."""
        if self.process.poll() is None:
            self.stop()
        self.start(port=self.url.rpartition(":")[2])

    def wait(self) -> int:
        code = self.process.wait(timeout=30)
        if self.process.stdout:
            self.process.stdout.close()
        return code

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Token {self.token}"}

    def end(self) -> None:
        """Stop it if it still runs."""
        if self.process.poll() is None:
            self.stop()


class Office:
    """An API user: a token and the calls that publishing is made of."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Token {token}"

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        address = path if path.startswith("http") else f"{self.url}{path}"
        return self.session.request(method, address, timeout=30, allow_redirects=False, **more)

    def get(self, path: str, **params: Any) -> Any:
        answer = self.call("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def begin_import(self, content: bytes, **fields: str) -> str:
        """Send a workbook; the address to poll."""
        encoded = base64.b64encode(content).decode()
        body = {
            "name": "small.xlsx",
            "library": "false",
            "base64Encoded": f"data:application/vnd.ms-excel;base64,{encoded}",
            **fields,
        }
        answer = self.call("POST", "/api/v2/imports/", data=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["url"]

    def polled(self, url: str) -> dict[str, Any]:
        """What an import ended with."""
        for _ in range(200):
            found = self.get(url)
            if found["status"] not in ("created", "processing"):
                return found
            time.sleep(0.05)
        raise AssertionError("the import did not end within 10 s")

    def import_form(self, content: bytes, **fields: str) -> str:
        """Import a workbook; the asset's uid."""
        found = self.polled(self.begin_import(content, **fields))
        assert found["status"] == "complete", found
        ((asset,),) = found["messages"].values()
        return asset["uid"]

    def add_media(self, uid: str, name: str, content: bytes) -> requests.Response:
        return self.call(
            "POST",
            f"/api/v2/assets/{uid}/files/",
            data={
                "file_type": "form_media",
                "description": "default",
                "metadata": json.dumps({"filename": name}),
            },
            files={"content": (name, content, "text/csv")},
        )

    def publish(self, content: bytes | None = None) -> str:
        """The whole way of the small form: import, media, deployment; the asset's uid."""
        uid = self.import_form(content or workbook())
        assert self.add_media(uid, "places.csv", PLACES).status_code == 201
        answer = self.call("POST", f"/api/v2/assets/{uid}/deployment/", json={"active": True})
        assert answer.status_code == 200, answer.text
        return uid

    def rows(self, uid: str, **params: Any) -> list[dict[str, Any]]:
        return self.get(f"/api/v2/assets/{uid}/data/", **params)["results"]

    def send(
        self, document: bytes, path: str = "/submission", /, **files: tuple[str, bytes, str]
    ) -> requests.Response:
        """Send an instance as a phone does, with files as further parts."""
        parts = {"xml_submission_file": ("submission.xml", document, "text/xml"), **files}
        return self.call("POST", path, files=parts)


def instance(
    uid: str,
    instance_id: str,
    *,
    who: str = "มาลี",
    more: str = "",
    deprecated: str = "",
    version: str = "1",
    about: str = "",
) -> bytes:
    """An instance document of the small form."""
    edit = f"<deprecatedID>uuid:{deprecated}</deprecatedID>" if deprecated else ""
    return (
        f"<?xml version='1.0' encoding='UTF-8'?><{uid} id=\"{uid}\" version=\"{version}\">"
        f"{about}<start>2021-03-11T09:00:00.000+07:00</start><who>{escape(who)}</who>"
        f"<sex>f</sex><place/><g><age>45</age></g>{more}"
        f"<meta><instanceID>uuid:{instance_id}</instanceID>{edit}</meta></{uid}>"
    ).encode()
