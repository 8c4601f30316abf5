"""What every page stands on: headers, static files, languages, words for what cannot be shown."""

from __future__ import annotations

import gzip

import pytest
import requests
from office import RunningServer
from visitors import add_account, sign_in

from server.pages.headers import completed
from server.pages.static import located, static_url


def get(server: RunningServer, path: str, **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.get(
        server.url + path, headers=named, timeout=10, allow_redirects=False, stream=True
    )


def test_every_answer_carries_the_headers(module_server: RunningServer) -> None:
    """Pages, JSON, XML, files, refusals and unknown addresses: no sniffing, no referrer, no frames, a
    policy, and nothing of a person kept by a browser; each header once."""
    for path in ("/signin", "/me/", "/formList", "/static/style.css", "/nowhere", "/", "/metrics"):
        answer = get(module_server, path)
        names = [name.lower() for name in answer.raw.headers]
        assert len(names) == len(set(names)), path
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "Strict-Transport-Security" not in answer.headers
        assert "Server" not in answer.headers
        policy = answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-inline" not in policy
        assert "'unsafe-eval'" not in policy
        if not path.startswith("/static"):
            assert answer.headers["Cache-Control"] == "no-store", path


def test_an_answer_keeps_the_headers_it_set() -> None:
    """A report's own policy and a file's own caching stay; what has a hash may be kept by its reader
    alone; HSTS only over https."""
    own = [
        (b"Content-Security-Policy", b"sandbox"),
        (b"cache-control", b"public"),
        (b"x-content-type-options", b"nosniff"),
    ]
    made = completed(own, False)
    assert made[:3] == own
    assert [name for name, _ in made[3:]] == [b"referrer-policy", b"x-frame-options"]
    assert (b"cache-control", b"private, no-cache") in completed([(b"etag", b"x")], False)
    assert b"strict-transport-security" in dict(completed([], True))
    assert b"strict-transport-security" not in dict(completed([], False))


def test_a_static_file_is_fetched_once(module_server: RunningServer) -> None:
    """With its hash it is kept for ever; without, asked for again and answered 304; packed for who
    takes that, and the same when unpacked."""
    url = static_url("style.css")
    named = get(module_server, url, Accept_Encoding="identity")
    assert named.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert named.headers["Content-Type"] == "text/css; charset=utf-8"
    plain = get(module_server, "/static/style.css", Accept_Encoding="identity")
    assert plain.headers["Cache-Control"] == "public, no-cache"
    assert plain.content == named.content
    again = get(
        module_server,
        "/static/style.css",
        Accept_Encoding="identity",
        If_None_Match=plain.headers["ETag"],
    )
    assert (again.status_code, again.content) == (304, b"")
    packed = get(module_server, "/static/style.css", Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["ETag"] != plain.headers["ETag"]
    raw = packed.raw.read(decode_content=False)
    assert gzip.decompress(raw) == plain.content
    stale = get(module_server, "/static/style.css?v=0000000000000000")
    assert stale.headers["Cache-Control"] == "public, no-cache"
    font = get(module_server, "/static/fonts/sarabun-thai-400-normal.woff2")
    assert font.content[:4] == b"wOF2"
    assert "Content-Encoding" not in font.headers


@pytest.mark.parametrize(
    "path",
    [
        "../render.py",
        "..%2frender.py",
        "%2e%2e/render.py",
        "fonts/../../pages/render.py",
        "/etc/passwd",
        "web/../routes.py",
        ".hidden",
        "style.css/",
        "style.css\x00.css",
        "fonts",
        "fonts/OFL.md",
        "",
    ],
)
def test_static_files_lead_nowhere_else(module_server: RunningServer, path: str) -> None:
    """Steps upwards, encoded or not, hidden files, folders and files of other kinds: 404."""
    assert located(path) is None
    request = requests.Request("GET", module_server.url).prepare()
    request.url = f"{module_server.url}/static/{path}".replace("\x00", "%00")
    with requests.Session() as session:
        answer = session.send(request, timeout=10)
    assert answer.status_code == 404


def test_a_template_that_names_no_file_is_wrong() -> None:
    """A misspelt address fails where it is written, not in a reader's browser."""
    with pytest.raises(FileNotFoundError):
        static_url("styles.css")


@pytest.mark.parametrize(
    ("path", "headers", "language"),
    [
        ("/signin", {}, "th"),
        ("/signin", {"Accept_Language": "en-GB,en;q=0.8"}, "en"),
        ("/signin", {"Accept_Language": "de,fr;q=0.8,th;q=0.5"}, "th"),
        ("/signin", {"Accept_Language": "zh"}, "th"),
        ("/signin?lang=en", {"Accept_Language": "th"}, "en"),
        ("/signin?lang=xx", {"Cookie": "lang=en"}, "en"),
        ("/signin", {"Cookie": "lang=en", "Accept_Language": "th"}, "en"),
        ("/signin?lang=..%2f..%2fx", {}, "th"),
    ],
)
def test_a_page_speaks_the_readers_language(
    module_server: RunningServer, path: str, headers: dict[str, str], language: str
) -> None:
    """Asked for in the address, else chosen before, else the browser's, else Thai."""
    answer = get(module_server, path, **headers)
    assert f'<html lang="{language}">' in answer.text
    assert answer.headers["Content-Language"] == language


def test_the_choice_of_a_language_is_kept(module_server: RunningServer) -> None:
    """The link in the bar leads to the same page in the other language, parameters and all."""
    browser = requests.Session()
    page = browser.get(f"{module_server.url}/signin?next=%2Fme%3Fa%3D1%262", timeout=10)
    assert 'href="/signin?next=%2Fme%3Fa%3D1%262&amp;lang=en"' in page.text
    browser.get(f"{module_server.url}/signin?lang=en", timeout=10)
    assert '<html lang="en">' in browser.get(f"{module_server.url}/signin", timeout=10).text


def test_what_cannot_be_shown_is_told_to_people_as_a_page(module_server: RunningServer) -> None:
    """A browser gets words and the way back; a program its JSON; nothing of the address is repeated
    unescaped."""
    page = get(module_server, "/no/<script>alert(1)</script>", Accept="text/html,*/*")
    assert page.status_code == 404
    assert "ไม่มีหน้านี้" in page.text
    assert "<script" not in page.text
    program = get(module_server, "/no/such", Accept="*/*")
    assert (program.status_code, program.json()) == (404, {"detail": "Not found."})
    add_account(module_server, "mali")
    browser = sign_in(module_server, "mali")
    refused = browser.get(f"{module_server.url}/people", timeout=10)
    assert refused.status_code == 403
    assert "ไม่มีสิทธิ์" in refused.text


def test_a_form_is_bounded(module_server: RunningServer) -> None:
    """A form of a megabyte, of ten thousand fields or of bytes that are no text is refused with a
    reason, before anything is looked at."""
    url = f"{module_server.url}/signin"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    for body, status in (
        (b"a=" + b"x" * 1_000_000, 413),
        (b"a=1&" * 10_000, 400),
        (b"\xff=1", 400),
    ):
        answer = requests.post(url, data=body, headers=kind, timeout=10)
        assert answer.status_code == status
        assert "<main" in answer.text
