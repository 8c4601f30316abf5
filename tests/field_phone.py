"""A phone in the field: a form that works without a network, and the ways a network is lost."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from browsers import CHROMIUM_OPTIONS
from fault_proxy import FOR_EVER, FaultProxy
from http_wire import Said, Upstream
from needs import CHROMIUM
from office import ROOT, Office, RunningServer, workbook
from playwright.sync_api import Browser, Page, expect, sync_playwright
from web_phone import Phone

__all__ = [
    "FORM",
    "PHOTO",
    "SETTINGS",
    "SURVEY",
    "FieldPhone",
    "LossyProxy",
    "OwnBrowser",
    "copied_tree",
    "eventually",
    "module",
    "publish_small",
    "secret_of",
]

FORM = "small"
PHOTO = (ROOT / "server/web/static/icon-512.png").read_bytes()

SURVEY = (
    ("type", "name", "label::ไทย (th)", "label::English (en)", "required"),
    ("text", "who", "ชื่อ", "Name", "yes"),
    ("image", "photo", "ภาพ", "Photo", None),
)
SETTINGS = (
    ("form_title", "form_id", "version", "default_language"),
    ("แบบเล็ก | Small form", FORM, "2564010101", "ไทย (th)"),
)
CHOICES = (("list_name", "name", "label::ไทย (th)", "label::English (en)"),)


def publish_small(server: RunningServer) -> str:
    """A form of two questions, a name and a photograph; the asset's uid."""
    office = Office(server.url, server.token)
    uid = office.import_form(workbook(survey=SURVEY, choices=CHOICES, settings=SETTINGS))
    answer = office.call("POST", f"/api/v2/assets/{uid}/deployment/", json={"active": True})
    assert answer.status_code == 200, answer.text
    return uid


def eventually(question: Callable[[], Any], *, seconds: float = 20.0) -> Any:
    """What `question` answers once it is true; its last answer when it never is."""
    until = time.monotonic() + seconds
    while not (answer := question()) and time.monotonic() < until:
        time.sleep(0.05)
    return answer


def module(page: Page, name: str, call: str, given: Any = None) -> Any:
    """What `call`, a function of a module of the page's build and `given`, returns."""
    return page.evaluate(
        """async ([name, call, given]) => {
          const stamp = document.getElementById('app').dataset.stamp;
          const found = await import(`/static/web-${stamp}/${name}`);
          return await CALL(found, given);
        }""".replace("CALL", f"({call})"),
        [name, call, given],
    )


def secret_of(base: str) -> str:
    """The key in a phone's address."""
    return base.rpartition("/")[2]


class FieldPhone(Phone):
    """A phone that may be without a network; only complaints about that are forgiven.

    Its line goes through a proxy that can be shut, because what a browser calls offline does not
    hold for service workers; `through` is the address of a test's own proxy.
    """

    def __init__(self, browser: Browser, server: RunningServer, through: str = "") -> None:
        super().__init__(browser, server)
        self.proxy = None if through else LossyProxy(server.url)
        self.base = self.base.replace(server.url, self.proxy.url if self.proxy else through)

    def lose_network(self) -> None:
        """No signal: the browser knows, and nothing goes through."""
        assert self.proxy
        self.context.set_offline(True)
        self.proxy.cut()

    def find_network(self) -> None:
        """The signal is back."""
        assert self.proxy
        self.proxy.mend()
        self.context.set_offline(False)

    def close(self) -> None:
        super().close()
        if self.proxy:
            self.proxy.close()

    @property
    def config(self) -> str:
        return f"/key/{secret_of(self.base)}/f/{FORM}/config.json"

    def get_ready(self, form: str = FORM) -> None:
        """Open a form for the first time and wait until it works without a network."""
        self.open(form)
        self.wait_ready(form)

    def wait_ready(self, form: str) -> None:
        """Wait until a form works without a network; one that was opened brings the others."""
        config = self.config.replace(f"/{FORM}/", f"/{form}/")
        ready = "({ readyOffline, baseOf }, config) => readyOffline(baseOf(), config)"
        assert eventually(lambda: module(self.page, "offline.js", ready, config)), "never ready"
        controlled = "() => Boolean(navigator.serviceWorker.controller)"
        assert eventually(lambda: self.page.evaluate(controlled)), "no worker"

    def fill(self, who: str, photo: bool = True) -> None:
        """Answer the small form, to the page before sending."""
        self.type("ชื่อ", who)
        self.next()
        if photo:
            self.attach()
        self.to_end()

    def attach(self) -> None:
        """Answer the question for a photograph that is on the page."""
        files = self.question("ภาพ").locator("input[type=file]").first
        files.set_input_files({"name": "ภาพ.png", "mimeType": "image/png", "buffer": PHOTO})
        expect(self.question("ภาพ").locator("img").first).to_be_visible()

    def hand_in(self) -> None:
        """Press send; the record is then kept on the phone."""
        self.page.locator(".bar .next").tap()
        expect(self.page.locator(".only .page-title")).to_contain_text("ขอบคุณ")

    def count(self, waiting: int, received: int) -> None:
        """The counter in the page's head says so, in the end."""
        words = f"รอส่ง {waiting} · ส่งถึงแล้ว {received}"
        expect(self.page.locator(".counter")).to_have_text(words, timeout=30_000)

    def stored(self) -> dict[str, list[str]]:
        """Instance ids of drafts and of what waits on the phone."""
        return module(
            self.page,
            "store.js",
            """async ({ openStore }) => {
              const { drafts, outbox, sent } = await openStore();
              return {
                drafts: (await drafts.list()).map((one) => one.id),
                waiting: (await outbox.list()).map((one) => one.instanceID),
                sent: (await sent.list()).map((one) => one.instanceID),
              };
            }""",
        )

    @property
    def wrong(self) -> list[str]:
        """Complaints about anything else than the network."""
        return [one for one in self.complaints if "Failed to load resource" not in one]


class LossyProxy(FaultProxy):
    """Passes everything on and loses answers: of the next `losing` submissions the server keeps
    each, and the phone is told nothing of it. `posts` are the submissions that came by."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.losing = 0
        self.posts: list[int] = []

    def cut(self) -> None:
        """Nothing goes through any more."""
        self.refuse(FOR_EVER)

    def mend(self) -> None:
        """Everything goes through again."""
        self.play({})

    def passed(self, request: Said, path: str, server: Upstream) -> Said:
        answer = super().passed(request, path, server)
        if request.first.startswith("POST ") and path.endswith("/submission"):
            self.posts.append(int(answer.first.split(" ")[1]))
            if self.losing:
                self.losing -= 1
                raise ConnectionError("the answer is lost")
        return answer


class OwnBrowser:
    """A Chromium of our own with a profile that outlives it, so that it can be killed."""

    def __init__(self, profile: Path, *options: str) -> None:
        self.profile = profile
        self.options = options
        self.process: subprocess.Popen[bytes]

    def start(self) -> str:
        """Start it; where it can be driven."""
        port = self.profile / "DevToolsActivePort"
        port.unlink(missing_ok=True)
        assert CHROMIUM
        self.process = subprocess.Popen(
            [CHROMIUM, "--headless=new", "--remote-debugging-port=0", *CHROMIUM_OPTIONS,
             f"--user-data-dir={self.profile}", *self.options, "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        lines = eventually(lambda: port.read_text().split() if port.is_file() else None)
        assert lines, "Chromium did not start"
        return f"http://127.0.0.1:{lines[0]}"

    def kill(self) -> None:
        """End it and its helpers as a phone whose battery is taken out."""
        family = [*psutil.Process(self.process.pid).children(recursive=True)]
        self.process.send_signal(signal.SIGKILL)
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        self.process.wait(10)

    @contextmanager
    def page(self) -> Iterator[Page]:
        """A page in it, as a phone's; the browser is killed at the end."""
        address = self.start()
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.connect_over_cdp(address)
                context = browser.contexts[0]
                page = context.new_page()
                page.set_viewport_size({"width": 390, "height": 844})
                yield page
        finally:
            if self.process.poll() is None:
                self.kill()


def copied_tree(folder: Path) -> Path:
    """A copy of what the server consists of, its engine included, to be changed."""
    left_out = shutil.ignore_patterns("node_modules", "__pycache__")
    for name in ("server", "forms"):
        shutil.copytree(ROOT / name, folder / name, ignore=left_out)
    (folder / "server/web/node_modules").symlink_to(ROOT / "server/web/node_modules")
    return folder
