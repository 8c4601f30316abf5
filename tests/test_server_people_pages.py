"""The pages of people who sign in, in a real browser on a phone: Thai and English, for everyone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from browsers import faults, look, needs_axe, small_page
from needs import needs_chromium
from office import RunningServer
from playwright.sync_api import Browser, Page
from visitors import PASSWORD, add_account, in_store, post, sign_in

from forms.programme import shipped
from server.people import accounts

PAGES = ("/", "/me", "/password", "/people", "/people/mali", "/audit", "/reports", "/nowhere")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with the shipped programme, an admin and a few accounts."""
    running = RunningServer(
        tmp_path_factory.mktemp("pages") / "data", "--programme", str(shipped())
    )
    running.start()
    for name, role, provinces in (
        ("boss", "admin", ()),
        ("mali", "province", ("50", "51", "52")),
        ("somchai.jaidee@example.org", "facilitator", ("58",)),
        ("manager", "manager", ()),
    ):
        add_account(running, name, role, provinces)
    for name in ("boss", "mali"):  # whose pages then offer to end tokens
        in_store(running, lambda c, name=name: accounts.mint_token(c, name, now=datetime.now(UTC)))
    yield running
    running.end()


@pytest.fixture
def phone(chromium: Browser) -> Iterator[Page]:
    """A page on a small phone set to Thai; an error on it or a refused content fails the test."""
    with small_page(chromium, forgiven="Failed to load resource") as page:
        yield page


def enter(page: Page, server: RunningServer, name: str, password: str = PASSWORD) -> None:
    """Sign in as a person does."""
    page.goto(f"{server.url}/signin")
    page.fill("#name", name)
    page.fill("#password", password)
    page.click("main button")


@needs_chromium
@needs_axe
@pytest.mark.parametrize("language", ["th", "en"])
def test_every_page_fits_a_phone_and_is_for_everyone(
    server: RunningServer, phone: Page, language: str
) -> None:
    """No page is wider than 390 pixels; axe finds nothing; the language chosen once stays; a page in
    Thai has no English sentence left."""
    phone.goto(f"{server.url}/signin?lang={language}")
    assert faults(phone) == []
    look(f"signin-{language}", phone, whole=True)
    enter(phone, server, "boss")
    phone.wait_for_url(f"{server.url}/")
    for path in PAGES:
        phone.goto(server.url + path)
        assert phone.get_attribute("html", "lang") == language
        wide = phone.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert wide[0] <= wide[1], path
        assert phone.evaluate(
            "document.fonts.ready.then(() => document.fonts.check('16px Sarabun', 'ก'))"
        )
        assert faults(phone) == [], path
        look(f"{path.strip('/').replace('/', '-') or 'start'}-{language}", phone, whole=True)
        if language == "th":
            text = phone.inner_text("main")
            text = re.sub(r"[\w.@-]+@[\w.-]+|watphon report|Latin.*", "", text)
            assert not re.search(r"[A-Za-z]+ [a-z]+ [a-z]+", text), (path, text)


@needs_chromium
def test_an_admin_lets_a_person_in(server: RunningServer, phone: Page) -> None:
    """On the phone: add a facilitator with a province, read the one-time password, sign in with it,
    change it, and see no more than a facilitator may."""
    enter(phone, server, "boss")
    phone.goto(f"{server.url}/people")
    phone.fill("#name", "dao")
    phone.check("input[name=role][value=facilitator]")
    phone.click("summary")
    phone.check("input[name=province][value='57']")
    phone.click("main form button")
    password = phone.inner_text(".secret")
    look("password-once", phone, whole=True)
    phone.click(".bar button")
    phone.wait_for_url("**/signin?out=1")
    enter(phone, server, "dao", password)
    phone.wait_for_url(f"{server.url}/")
    doors = phone.eval_on_selector_all(".card", "all => all.map(a => a.getAttribute('href'))")
    assert doors == ["/board", "/f/"]
    look("start-facilitator", phone, whole=True)
    phone.goto(f"{server.url}/people")
    assert phone.inner_text("h1") == "แสดงหน้านี้ไม่ได้"
    phone.goto(f"{server.url}/password")
    phone.fill("#old", password)
    phone.fill("#new", "กล้วย ไม้ ดอก 9")
    phone.fill("#again", "กล้วย ไม้ ดอก 9")
    phone.click("main form button")
    phone.wait_for_url("**/me?changed=password")
    assert phone.is_visible("[role=status]")


@needs_chromium
def test_a_wrong_password_is_told_in_words(server: RunningServer, phone: Page) -> None:
    """In Thai, with the name still there; a name that is nobody's is told the same."""
    for name in ("mali", "nobody"):
        enter(phone, server, name, "not the password")
        assert phone.inner_text("[role=alert]") == "ชื่อบัญชีหรือรหัสผ่านไม่ถูกต้อง"
        assert phone.input_value("#name") == name
        assert phone.input_value("#password") == ""
    look("signin-wrong", phone, whole=True)


@needs_chromium
def test_a_report_is_read_and_cannot_act(
    server: RunningServer, phone: Page, tmp_path: Path
) -> None:
    """The manager finds the report, in its own style; a script in it does not run, and it can reach
    nothing of ours."""
    folder = server.data / "reports"
    (folder / "2021-04-19").mkdir(parents=True, exist_ok=True)
    hostile = (
        "<!DOCTYPE html><html lang='th'><title>r</title><style>h1{color:rgb(1,2,3)}</style>"
        "<h1>รายงาน</h1><img src='/static/icon.svg' alt=''><script>document.title='owned'</script>"
    )
    for path in ("report.th.html", "report.en.html", "2021-04-19/report.th.html"):
        (folder / path).write_text(hostile, "utf-8")
    (folder / "evaluation.json").write_text("{}", "utf-8")
    browser = sign_in(server, "manager")
    page = browser.get(f"{server.url}/reports", timeout=10).text
    links = re.findall(r'href="(/reports/[^"]+)"', page)
    assert links == [
        "/reports/report.th.html",
        "/reports/report.en.html",
        "/reports/2021-04-19/report.th.html",
    ]
    assert "19 เมษายน 2564" in page
    answer = browser.get(f"{server.url}{links[0]}", timeout=10)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox")
    assert "allow-scripts" not in policy
    assert answer.headers["Cache-Control"] == "no-store"
    for path in (
        "evaluation.json",
        "..%2fserver%2fserver.sqlite3",
        "%2e%2e/server/server.sqlite3",
        "2021-04-20/report.th.html",
        "../evaluation.json",
        ".hidden.html",
        "2021-04-19",
    ):
        request = requests.Request("GET", server.url, cookies=browser.cookies).prepare()
        request.url = f"{server.url}/reports/{path}"
        assert browser.send(request, timeout=10).status_code == 404, path
    context = phone.context
    context.add_cookies(
        [{"name": "watphon", "value": browser.cookies["watphon"] or "", "url": server.url}]
    )
    reader = context.new_page()
    reader.goto(f"{server.url}{links[0]}")
    assert reader.title() == "r"
    colour = reader.eval_on_selector("h1", "h => getComputedStyle(h).color")
    assert colour == "rgb(1, 2, 3)"
    loaded = reader.eval_on_selector("img", "i => i.naturalWidth")
    assert loaded == 0
    reader.close()


def test_the_last_admin_is_told_so(server: RunningServer) -> None:
    """The page refuses in words what would leave nobody to manage the server, and nothing changes;
    HTML in a name is shown as text."""
    in_store(server, lambda c: accounts.disable_user(c, "admin", now=datetime.now(UTC)))
    browser = sign_in(server, "boss")
    for fields in ({"do": "disable"}, {"do": "remove"}, {"do": "role", "role": "manager"}):
        answer = post(server, browser, "/people/boss", **fields)
        assert answer.status_code == 422
        assert "เป็นผู้ดูแลระบบคนสุดท้ายที่เข้าสู่ระบบได้" in answer.text
    answer = post(server, browser, "/people", name="<b>x</b>", role="facilitator", province="50")
    assert answer.status_code == 422
    assert "<b>x" not in answer.text
    assert "&lt;b&gt;x" in answer.text
    in_store(server, lambda c: accounts.enable_user(c, "admin"))
