"""The browser form's addresses: who gets what, in which words, with which headers."""

from __future__ import annotations

import re
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from office import PLACES, ROOT, SETTINGS, Office, RunningServer, instance, workbook
from sqlalchemy import select, update
from visitors import add_account, in_store, key, sign_in

from forms.programme import shipped
from server.people.keys import revoke_key
from server.state.schema import devices, submissions
from server.times import moment
from server.web.devices import MOST_KEPT, Heard, keep

EARLIER = datetime(2021, 1, 1, tzinfo=UTC)
LATER = datetime(2022, 1, 1, tzinfo=UTC)
HASHED = re.compile(r'/static/web-[0-9a-f]{12}/[^"]+')
ENGINE = ROOT / "server/web/node_modules/xforms-engine.js"
needs_engine = pytest.mark.skipif(not ENGINE.is_file(), reason="needs `make web`")
pytestmark = needs_engine


@pytest.fixture(scope="module")
def office(module_server: RunningServer) -> Office:
    return Office(module_server.url, module_server.token)


@pytest.fixture(scope="module")
def uid(office: Office) -> str:
    return office.publish()


@pytest.fixture(scope="module")
def base(module_server: RunningServer, uid: str) -> str:
    """A phone's address."""
    return f"{module_server.url}/key/{key(module_server)[1]}"


def get(address: str, **headers: str) -> requests.Response:
    return requests.get(address, headers=headers, timeout=10, allow_redirects=False)


def test_the_page_is_one_page_for_every_form(base: str, uid: str) -> None:
    """Found by form_id and by uid, without any data in it, with every header a page needs."""
    pages = [get(f"{base}/f/small"), get(f"{base}/f/{uid}")]
    assert {page.status_code for page in pages} == {200}
    assert pages[0].content == pages[1].content
    text = pages[0].text
    assert "แบบเล็ก" not in text
    assert base.rpartition("/")[2] not in text
    headers = pages[0].headers
    assert headers["Content-Security-Policy"].startswith("default-src 'self'; script-src 'self' 'w")
    assert "'unsafe-inline'" not in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Permissions-Policy"] == ("camera=(self), geolocation=(self), microphone=(self)")
    assert headers["Cache-Control"] == "no-store"
    assert re.search(r"<noscript>.*JavaScript", text, re.DOTALL)
    assert not re.search(r"<script(?![^>]*\bsrc=)|style=|\son\w+=", text)


def test_files_are_kept_for_ever_under_their_builds_address(base: str) -> None:
    """Everything a page names is there, typed, compressed and immutable; another stamp is not."""
    text = get(f"{base}/f/small").text
    addresses = set(HASHED.findall(text))
    assert any(address.endswith("vendor/xforms-engine.js") for address in addresses)
    root = base.partition("/key/")[0]
    for address in addresses:
        answer = get(f"{root}{address}")
        assert answer.status_code == 200, address
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        suffix = address.rpartition(".")[2]
        wanted = {"js": "text/javascript", "css": "text/css", "png": "image/png"}[suffix]
        assert answer.headers["Content-Type"].startswith(wanted)
        if suffix == "js":
            assert answer.headers["Content-Encoding"] == "gzip"
            plain = get(f"{root}{address}", **{"Accept-Encoding": "identity"})
            assert plain.content == answer.content
            assert "Content-Encoding" not in plain.headers
    one = sorted(addresses)[0]
    stale = re.sub(r"web-[0-9a-f]{12}", "web-000000000000", one)
    assert get(f"{root}{stale}").status_code == 404
    for path in ("../app.py", "%2e%2e/routes.py", "vendor/none.js", "none.js", ""):
        stamped = one.rpartition("/")[0]
        assert get(f"{root}{stamped}/{path}").status_code == 404, path


def test_the_page_loads_all_it_imports_at_once(base: str) -> None:
    """No module is found out about only after another one has come: a slow line has no patience."""
    text = get(f"{base}/f/small").text
    root = base.partition("/key/")[0]
    named = set(HASHED.findall(text))
    modules = {address for address in named if address.endswith(".js")}
    for address in modules - {one for one in modules if "vendor/" in one}:
        source = get(f"{root}{address}").text
        for wanted in re.findall(r"^import\b[^'\"(]*['\"](\.{1,2}/[^'\"]+)['\"]", source, re.M):
            parts = [*address.split("/")[:-1], *wanted.split("/")]
            path: list[str] = []
            for part in parts:
                if part == "..":
                    path.pop()
                elif part != ".":
                    path.append(part)
            assert "/".join(path) in named, f"{address} imports {wanted}"


def test_config_says_what_the_page_must_know(base: str, uid: str) -> None:
    """Addresses, version, limits; XForm and lists are kept for ever under their hash, privately."""
    config = get(f"{base}/f/small/config.json").json()
    root, _, path = base.partition("/key/")
    here = f"/key/{path}"
    assert config["base"] == here
    assert config["form"]["id"] == "small"
    assert config["form"]["uid"] == uid
    assert config["form"]["title"] == "แบบเล็ก | Small form"
    assert config["submission"] == f"{here}/submission"
    assert config["accepts"] == 20_000_000
    assert config["edit"] is True
    assert config["anonymous"] is False
    assert config["lang"] == "th"
    assert config["person"] is None
    xform = get(f"{root}{config['xform']}")
    assert xform.status_code == 200
    assert xform.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert f'version="{config["form"]["version"]}"' in xform.text
    assert xform.headers["Content-Encoding"] == "gzip"
    places = get(f"{root}{config['media']['places.csv']}")
    assert places.content == PLACES
    assert places.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    wrong = config["xform"].replace(config["form"]["hash"].partition(":")[2], "0" * 32)
    assert get(f"{root}{wrong}").status_code == 404


def test_refusals_are_in_words_of_both_languages(module_server: RunningServer, uid: str) -> None:
    """Unknown key, form, form outside the key's bound: a page for people, JSON for the page; a
    browser is never asked for a name and a password."""
    url = module_server.url
    bound = key(module_server, "คีย์เดียว", forms=["another"])[1]
    number, revoked = key(module_server, "หาย")
    in_store(module_server, lambda c: revoke_key(c, number, now=datetime.now(UTC)))
    living = key(module_server, "อยู่")[1]
    for secret, form, status in (
        ("x" * 43, "small", 403),
        (revoked, "small", 403),
        (bound, "small", 403),
        (living, "none", 404),
    ):
        page = get(f"{url}/key/{secret}/f/{form}", Accept="text/html")
        assert page.status_code == status
        assert page.headers["Content-Type"].startswith("text/html")
        assert "www-authenticate" not in page.headers
        assert re.search("[ก-ฮ]{2}", re.sub(r"(?s)<nav.*?</nav>", "", page.text))
        answer = get(f"{url}/key/{secret}/f/{form}/config.json")
        assert answer.status_code == status
        assert "www-authenticate" not in answer.headers
        said = answer.json()
        assert said["detail"]
        assert re.search("[ก-ฮ]{2}", said["th"])


def test_a_script_is_never_answered_with_a_password_dialog(module_server: RunningServer) -> None:
    """A submission after the session has ended is 401 to a page's script without the challenge that
    makes browsers ask for a password; a program is challenged."""
    address = f"{module_server.url}/submission"
    script = requests.post(address, headers={"Sec-Fetch-Mode": "cors"}, timeout=10)
    old = requests.post(address, headers={"X-Watphon-Waiting": "1"}, timeout=10)
    program = requests.post(address, timeout=10)
    assert [one.status_code for one in (script, old, program)] == [401, 401, 401]
    assert "www-authenticate" not in script.headers
    assert "www-authenticate" not in old.headers
    assert "www-authenticate" in program.headers


def test_who_signed_in_needs_no_key(module_server: RunningServer, uid: str) -> None:
    """A facilitator fills in forms with the account; who may not send does not, a stranger is sent
    to sign in and comes back."""
    add_account(module_server, "somjai", "facilitator")
    add_account(module_server, "reader", "manager", ())
    url = module_server.url
    browser = sign_in(module_server, "somjai")
    assert browser.get(f"{url}/f/", timeout=10).status_code == 200
    config = browser.get(f"{url}/f/small/config.json", timeout=10).json()
    assert config["base"] == ""
    assert config["user"] == {"username": "somjai"}
    assert browser.get(f"{url}{config['xform']}", timeout=10).status_code == 200
    listed = browser.get(f"{url}/f/list.json", timeout=10).json()
    assert [form["id"] for form in listed["forms"]] == ["small"]
    reader = sign_in(module_server, "reader")
    assert reader.get(f"{url}/f/small", timeout=10).status_code == 403
    stranger = get(f"{url}/f/small?participant_id=1", Accept="text/html")
    assert stranger.status_code == 303
    assert stranger.headers["Location"] == "/signin?next=%2Ff%2Fsmall%3Fparticipant_id%3D1"
    assert get(f"{url}/f/small/config.json").status_code == 401
    assert get(f"{url}/f/list.json").status_code == 401


def test_closed_draft_and_new_versions(running_server: RunningServer) -> None:
    """A form that is not open yet or any more says so; a second version has other addresses and the
    first one's XForm is still there for who has it open."""
    office = Office(running_server.url, running_server.token)
    base = f"{running_server.url}/key/{key(running_server)[1]}"
    uid = office.import_form(workbook())
    page = get(f"{base}/f/small", Accept="text/html")
    assert page.status_code == 404
    assert "ยังไม่เปิดรับ" in page.text
    assert office.add_media(uid, "places.csv", PLACES).status_code == 201
    deploy = f"/api/v2/assets/{uid}/deployment/"
    assert office.call("POST", deploy, json={"active": True}).status_code == 200
    first = get(f"{base}/f/small/config.json").json()
    newer = workbook(settings=(SETTINGS[0], (*SETTINGS[1][:2], "2564020202", SETTINGS[1][3])))
    office.import_form(newer, destination=f"{running_server.url}/api/v2/assets/{uid}/")
    version = office.get(f"/api/v2/assets/{uid}/")["version_id"]
    answer = office.call("PATCH", deploy, json={"version_id": version, "active": True})
    assert answer.status_code == 200, answer.text
    second = get(f"{base}/f/small/config.json").json()
    assert second["xform"] != first["xform"]
    assert second["media"] == first["media"]
    old = get(f"{running_server.url}{first['xform']}")
    assert f'version="{first["form"]["version"]}"' in old.text
    assert office.call("PATCH", deploy, json={"active": False}).status_code == 200
    closed = get(f"{base}/f/small", Accept="text/html")
    assert closed.status_code == 410
    assert "ปิดรับแล้ว" in closed.text
    assert get(f"{base}/f/small/config.json").json()["th"].startswith("แบบนี้ปิดรับแล้ว")
    assert get(f"{base}/f/list.json").json()["forms"] == []


def test_the_service_worker_belongs_to_its_base(base: str) -> None:
    """Its scope is the base's forms, it is asked for again each time, names every file with its
    hash, and carries the pages themselves."""
    answer = get(f"{base}/f/sw.js")
    path = "/key/" + base.rpartition("/")[2]
    assert answer.headers["Service-Worker-Allowed"] == f"{path}/f/"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert "'unsafe" not in answer.headers["Content-Security-Policy"].replace("'wasm-unsafe", "")
    page = get(f"{base}/f/small").text
    for address in HASHED.findall(page):
        assert f'"{address}":"' in answer.text
    manifest = get(f"{base}/f/manifest.webmanifest")
    assert manifest.headers["Content-Type"].startswith("application/manifest+json")
    told = manifest.json()
    assert told["start_url"] == told["scope"] == "./"
    root = base.partition("/key/")[0]
    for icon in told["icons"]:
        assert get(f"{root}{icon['src']}").content.startswith(b"\x89PNG")


def test_a_programme_says_who_and_what_to_fill_in(tmp_path: Path) -> None:
    """`person` is the path in the XForm, `prefill` comes from programme.toml; a link of an
    evaluation is anonymous, one of a test is not; names of persons stay away from links."""
    server = RunningServer(tmp_path / "data", "--programme", str(shipped()))
    server.start()
    try:
        office = Office(server.url, server.token)
        for form_id, lists in (
            ("mne_pretest", ("courses.csv", "participants.csv")),
            ("mne_course_eval", ("courses.csv",)),
        ):
            uid = office.import_form((shipped() / f"{form_id}.xlsx").read_bytes())
            for name in lists:
                office.add_media(uid, name, (shipped() / name).read_bytes())
            deploy = f"/api/v2/assets/{uid}/deployment/"
            assert office.call("POST", deploy, json={"active": True}).status_code == 200
        phone, link = (
            f"{server.url}/key/{key(server, kind, kind=kind)[1]}" for kind in ("phone", "link")
        )
        test = get(f"{phone}/f/mne_pretest/config.json").json()
        assert test["person"] == f"/{test['form']['uid']}/g_pid/participant_id"
        assert f'nodeset="{test["person"]}"' in get(f"{server.url}{test['xform']}").text
        assert test["prefill"] == {"participant_id": [["pid_mode", "type"], ["pid_type", "$value"]]}
        assert test["anonymous"] is False
        evaluation = get(f"{link}/f/mne_course_eval/config.json").json()
        assert evaluation["anonymous"] is True
        assert evaluation["edit"] is False
        assert evaluation["user"] == {}
        assert evaluation["prefill"]["participant_id"][0] == ["anon", "no"]
        poster = get(f"{link}/f/mne_pretest/config.json").json()
        assert poster["link"] is True
        assert poster["anonymous"] is False
        persons = get(f"{server.url}{poster['media']['participants.csv']}").text
        assert len(persons.splitlines()) == 1
        ids = [form["id"] for form in get(f"{phone}/f/list.json").json()["forms"]]
        assert ids == ["mne_pretest", "mne_course_eval"]
    finally:
        server.end()


# ── a sent record ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def sent(office: Office, module_server: RunningServer, uid: str) -> dict[str, str]:
    """Two phones, a link, and a record with a picture that the first phone sent."""
    keys = {
        name: f"/key/{key(module_server, f'{name} {time.time_ns()}', kind=kind)[1]}"
        for name, kind in (("own", "phone"), ("other", "phone"), ("link", "link"))
    }
    number = f"sent-{time.time_ns()}"
    document = instance(uid, number, more="<photo>ภาพ 1.jpg</photo>")
    photo = ("ภาพ 1.jpg", b"jpeg", "image/jpeg")
    assert office.send(document, f"{keys['own']}/submission", p=photo).status_code == 201
    return {**keys, "instance": f"uuid:{number}", "document": document.decode()}


def record(office: Office, sent: dict[str, str], who: str) -> requests.Response:
    return get(f"{office.url}{sent[who]}/f/small/sent/{sent['instance']}")


def test_a_sent_record_comes_back_to_its_sender(office: Office, sent: dict[str, str]) -> None:
    """XML and files as they were sent; to another phone, a link and a stranger a reason instead."""
    told = record(office, sent, "own").json()
    assert get(f"{office.url}{told['xml']}").text == sent["document"]
    assert list(told["files"]) == ["ภาพ 1.jpg"]
    (file,) = told["files"].values()
    assert get(f"{office.url}{file}").content == b"jpeg"
    assert get(f"{office.url}{file}x").status_code == 404
    for who in ("other", "link"):
        refused = record(office, sent, who)
        assert refused.status_code == 403
        assert re.search("[ก-ฮ]{2}", refused.json()["th"])
        for path in (told["xml"], file):
            moved = path.replace(sent["own"], sent[who])
            assert get(f"{office.url}{moved}").status_code == 403
    assert get(f"{office.url}/f/small/sent/{sent['instance']}").status_code == 401


def test_after_a_correction_the_present_version_is_given(
    office: Office, sent: dict[str, str], uid: str
) -> None:
    """Whoever asks for the old version corrects the new one."""
    newer = f"newer-{time.time_ns()}"
    old = sent["instance"].removeprefix("uuid:")
    document = instance(uid, newer, who="แก้แล้ว", deprecated=old)
    assert office.send(document, f"{sent['own']}/submission").status_code == 201
    told = record(office, sent, "own").json()
    assert told["instanceID"] == f"uuid:{newer}"
    assert get(f"{office.url}{told['xml']}").content == document
    assert told["files"] == {}


def test_an_old_or_deleted_record_is_refused_in_words(
    office: Office, module_server: RunningServer, sent: dict[str, str], uid: str
) -> None:
    """After 30 days and after deletion nothing is given."""
    month = moment(datetime.now(UTC) - timedelta(days=31))[:19]
    number = sent["instance"].removeprefix("uuid:")
    aged = update(submissions).where(submissions.c.instance_id == number)
    in_store(module_server, lambda c: c.execute(aged.values(submitted_at=month)))
    old = record(office, sent, "own")
    assert old.status_code == 410
    assert "30" in old.json()["th"]
    (row,) = [row for row in office.rows(uid) if row["_uuid"] == number]
    address = f"/api/v2/assets/{uid}/data/{row['_id']}/"
    assert office.call("DELETE", address).status_code == 204
    gone = record(office, sent, "own")
    assert gone.status_code == 410
    assert gone.json()["detail"] == "This form is no longer on the server."


def test_an_account_corrects_what_its_province_sent(
    office: Office, module_server: RunningServer, sent: dict[str, str]
) -> None:
    """A bounded account does not see a record of an unknown province; an admin sees every one."""
    add_account(module_server, "team50", "province", ("50",))
    add_account(module_server, "chief", "admin", ())
    address = f"{office.url}/f/small/sent/{sent['instance']}"
    assert sign_in(module_server, "team50").get(address, timeout=10).status_code == 403
    assert sign_in(module_server, "chief").get(address, timeout=10).status_code == 200


# ── what phones tell of themselves ──────────────────────────────────────────────────────────────


def noted(server: RunningServer) -> dict[tuple[str, str], tuple[Any, ...]]:
    """What the table `devices` holds: seen, sent and waiting by sender and device."""
    rows = in_store(server, lambda connection: connection.execute(select(devices)).all())
    return {(row.sender, row.device): (row.seen_at, row.sent_at, row.waiting) for row in rows}


def test_phones_that_wait_are_known(running_server: RunningServer) -> None:
    """Told by the page, by a submission's headers and by Collect's address; of a link nothing; what
    is no number is refused."""
    office = Office(running_server.url, running_server.token)
    uid = office.publish()
    (_, phone), (_, collect) = key(running_server, "หน้าเว็บ"), key(running_server, "Collect")
    _, link = key(running_server, "โปสเตอร์", kind="link")
    url = running_server.url

    def tell(secret: str, **body: Any) -> int:
        address = f"{url}/key/{secret}/f/waiting"
        return requests.post(address, json=body, timeout=10).status_code

    assert tell(phone, device="watphon:1", waiting=3) == 204
    assert tell(phone, device="watphon:2", waiting=0) == 204
    assert tell(link, device="watphon:3", waiting=1) == 204
    for wrong in ({}, {"waiting": -1}, {"waiting": "x"}, {"waiting": True}, {"waiting": 1e9}):
        assert tell(phone, **wrong) == 400
    assert tell("x" * 43, device="d", waiting=1) == 403
    parts = {"xml_submission_file": ("s.xml", instance(uid, "told-1"), "text/xml")}
    told = {"X-Watphon-Device": "watphon:2", "X-Watphon-Waiting": "7"}
    address = f"{url}/key/{phone}/submission"
    answer = requests.post(address, files=parts, headers=told, timeout=10)
    assert answer.status_code == 201
    parts = {"xml_submission_file": ("s.xml", instance(uid, "told-2"), "text/xml")}
    address = f"{url}/key/{collect}/submission?deviceID=collect:abc"
    assert requests.post(address, files=parts, timeout=10).status_code == 201
    assert running_server.stop() == 0
    rows = noted(running_server)
    assert set(rows) == {
        ("หน้าเว็บ", "watphon:1"),
        ("หน้าเว็บ", "watphon:2"),
        ("Collect", "collect:abc"),
    }
    assert rows["หน้าเว็บ", "watphon:1"][1:] == (None, 3)
    seen, sent_at, waiting = rows["หน้าเว็บ", "watphon:2"]
    assert sent_at == seen
    assert waiting == 7
    assert rows["Collect", "collect:abc"][2] is None


def test_a_key_cannot_fill_the_table_of_phones(running_server: RunningServer) -> None:
    """However many devices one key tells of, a bounded number is kept, and known ones go on."""
    heard = {("คีย์", f"d{n}"): Heard(EARLIER, waiting=n) for n in range(MOST_KEPT + 50)}
    in_store(running_server, lambda connection: keep(connection, heard))
    again = {("คีย์", "d7"): Heard(LATER, waiting=70)}
    in_store(running_server, lambda connection: keep(connection, again))
    rows = noted(running_server)
    assert len(rows) == MOST_KEPT
    assert rows["คีย์", "d7"] == (moment(LATER), None, 70)


# ── without the engine ──────────────────────────────────────────────────────────────────────────


def test_without_the_engine_the_page_says_what_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where npm has brought nothing, the page says how to get it, in Thai, and that the apps work;
    phones are served as ever."""
    tree = tmp_path / "tree"
    left_out = shutil.ignore_patterns("node_modules", "__pycache__")
    for folder in ("server", "forms"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=left_out)
    monkeypatch.setattr("office.ROOT", tree)
    server = RunningServer(tmp_path / "data")
    server.start()
    try:
        office = Office(server.url, server.token)
        uid = office.publish()
        base = f"{server.url}/key/{key(server)[1]}"
        for path in ("/f/", "/f/small"):
            page = get(f"{base}{path}", Accept="text/html")
            assert page.status_code == 503
            assert "make web" in page.text
            assert "KoboCollect" in page.text
            assert "ยังกรอกแบบในเบราว์เซอร์ไม่ได้" in page.text
        assert get(f"{base}/f/sw.js").status_code == 404
        assert office.send(instance(uid, "by-app"), f"{base[len(server.url) :]}/submission").ok
    finally:
        server.end()
