"""The nine instruments in a phone's browser, in Thai: filled in, sent, received, pulled."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from field_phone import FieldPhone
from interview import Interview
from lxml import etree
from needs import needs_chromium
from office import Office, RunningServer
from playwright.sync_api import Browser
from web_phone import browser, look

import watphon
from forms.instance import from_xml, to_kobo
from forms.model import Form
from forms.programme import load, shipped
from forms.xlsform import read_form
from sync.mirror import Mirror

pytestmark = needs_chromium

BADGE = "5064000010"
COMMON = {"course_code": "C64-50-01", "province": "50", "district": "5001", "tambon": "500101"}
PLANS: Mapping[str, Mapping[str, str]] = {
    "mne_registration": {
        **COMMON,
        "notice_ack": "yes",
        "pid_mode": "scan",
        "title": "other",
        "title_other": "ดร.",
        "first_name": "มาลี",
        "last_name": "ใจดี",
        "sex": "f",
        "id_kind": "thai13",
        "national_id": "1234567890121",
        "dob_precision": "full",
        "birth_year_be": "2508",
        "birth_month": "2",
        "birth_day": "๒๘",
        "phone": "0812345678",
        "line_joined": "yes",
        "line_name": "มาลี 😀",
        "consent_photo": "yes",
    },
    "mne_pretest": {**COMMON, "pid_mode": "type", "pid_type": BADGE},
    "mne_posttest": {**COMMON, "pid_mode": "pick", "pid_prov": "50", "pid_pick": BADGE},
    "mne_course_eval": {**COMMON, "anon": "no", "pid_type": "๕๐๖๔๐๐๐๐๑๐"},
    "mne_cipp": {
        **COMMON,
        "period_start": "2021-03-01",
        "period_end": "2021-03-31",
        "has_problem": "yes",
        "prob_status": "closed",
        "prob_due": "2021-04-01",
        "prob_closed": "2021-03-20",
    },
    "mne_followup": {
        **COMMON,
        "visit_date": "2021-03-20",
        "next_visit": "2021-05-01",
        "met_leader": "yes",
        "l_pid": BADGE,
        "l_apply": "3",
    },
    "mne_activity": {
        **COMMON,
        "status": "done",
        "planned_start": "2021-03-01",
        "planned_end": "2021-03-31",
        "actual_start": "2021-03-02",
        "actual_end": "2021-03-30",
        "pct_done": "100",
    },
    "mne_output": {
        **COMMON,
        "plan_type": "capdev",
        "level": "tambon",
        "stage": "6",
        "leaders": f"{BADGE} 5064000027",
    },
    "mne_expertise": {
        "pid_mode": "type",
        "pid_type": BADGE,
        "skill": "other",
        "skill_level": "4",
        "can_train": "yes",
        "consent_publish": "yes",
    },
}


class Season:
    """A server with the shipped programme on it, and what `watphon pull` brings from it."""

    def __init__(self, server: RunningServer, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.server = server
        self.office = Office(server.url, server.token)
        self.options = ("-C", str(shipped()), "--data", str(folder / "pulled"))
        self.folder = folder
        patch.setenv("WATPHON_TOKEN", server.token)
        patch.setenv("WATPHON_URL", server.url)
        assert watphon.main(["publish", *self.options]) == 0
        listed = self.office.get("/api/v2/assets/", limit=100)["results"]
        self.uids = {asset["form_id"]: asset["uid"] for asset in listed}

    def rows(self, form_id: str) -> list[dict[str, Any]]:
        return sorted(self.office.rows(self.uids[form_id]), key=lambda row: row["_id"])

    def document(self, form_id: str) -> bytes:
        """The newest document of a form, as the phone sent it."""
        uid, number = self.uids[form_id], self.rows(form_id)[-1]["_id"]
        return self.office.call("GET", f"/api/v2/assets/{uid}/data/{number}.xml").content

    def model(self, form_id: str) -> etree._Element:
        """The deployed XForm's primary instance."""
        xform = self.office.call("GET", f"/api/v2/assets/{self.uids[form_id]}.xml").content
        root = etree.fromstring(xform)
        (instance, *_) = root.iter("{http://www.w3.org/2002/xforms}instance")
        return instance[0]


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Season]:
    folder = tmp_path_factory.mktemp("nine")
    server = RunningServer(folder / "data", "--programme", str(shipped()))
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        yield Season(server, folder, patch)
    server.end()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture
def phone(chromium: Browser, season: Season) -> Iterator[FieldPhone]:
    """A phone in Thai that knows where it is; its page made no complaint but of the network."""
    made = FieldPhone(chromium, season.server)
    made.context.grant_permissions(["geolocation"])
    made.context.set_geolocation({"latitude": 18.7883, "longitude": 98.9853, "accuracy": 8})
    yield made
    assert made.wrong == []
    made.close()


def form_of(form_id: str) -> Form:
    return read_form(shipped() / f"{form_id}.xlsx")


def held(interview: Interview, season: Season) -> None:
    """What the server keeps is what was entered, in the form's own document."""
    form_id = interview.form.id
    document = season.document(form_id)
    same_shape(etree.fromstring(document), season.model(form_id))
    submission = from_xml(document, interview.form)
    kept: dict[str, list[str]] = {}
    flat(to_kobo(submission), kept)
    for path, answers in interview.entered.items():
        got = kept.get(path, [])
        question = interview.form.by_path[path]
        if question.type in ("image", "file"):
            assert all(got), path
            continue
        told = [thai_to_arabic(answer) for answer in answers]
        if question.type == "geopoint":
            assert [value.split()[:2] for value in got] == [["18.7883", "98.9853"]]
        elif question.type.startswith("select"):
            assert len(got) == len(told), path
            assert all(
                a in ("", b) or set(a.split()) == set(b.split())
                for a, b in zip(told, got, strict=True)
            ), path
        else:
            assert got == told, path
    row = season.rows(form_id)[-1]
    assert row["_submission_time"]
    assert {"start", "end", "today"} <= row.keys()
    if "deviceid" in interview.form.by_path:
        assert row["deviceid"].startswith("watphon:")


def flat(row: Mapping[str, Any], kept: dict[str, list[str]]) -> None:
    """Answers by path, those of a repeat's turns in their order."""
    for key, value in row.items():
        if isinstance(value, list) and not key.startswith("_"):
            for turn in value:
                flat(turn, kept)
        elif isinstance(value, str):
            kept.setdefault(key, []).append(value)


def thai_to_arabic(text: str) -> str:
    return text.translate(str.maketrans("๐๑๒๓๔๕๖๗๘๙", "0123456789"))


def same_shape(sent: etree._Element, model: etree._Element) -> None:
    """The document holds the elements of pyxform's model, in its order and namespaces; what is not
    relevant is left out, turns of a repeat may be several, a template none."""
    assert sent.tag == tag(model)
    order = list(dict.fromkeys(tag(child) for child in model))
    tags = [child.tag for child in sent if isinstance(child.tag, str)]
    assert set(tags) <= set(order), sorted(set(tags) - set(order))
    places = [order.index(tag) for tag in tags]
    assert places == sorted(places)
    for child in sent:
        if isinstance(child.tag, str) and len(child):
            same_shape(child, next(one for one in model if tag(one) == child.tag))
    if model.get("id"):
        assert (sent.get("id"), sent.get("version")) == (model.get("id"), model.get("version"))


def tag(element: etree._Element) -> str:
    """Its name as Collect writes it: the XForms namespace of the form around it is dropped."""
    return str(element.tag).removeprefix("{http://www.w3.org/2002/xforms}")


@pytest.mark.parametrize("form_id", sorted(PLANS))
def test_an_instrument_is_filled_in_and_received(
    phone: FieldPhone, season: Season, form_id: str
) -> None:
    """Every page of the form is answered in Thai and sent; the document that arrives is the one the
    form defines, with what was entered."""
    phone.open(form_id)
    interview = Interview(phone.page, form_of(form_id), PLANS[form_id])
    interview.to_end(picture=f"nine-{form_id}")
    look(f"nine-{form_id}-end", phone.page)
    phone.hand_in()
    phone.count(0, 1)
    held(interview, season)


def test_all_nine_are_filled_in_without_a_network(phone: FieldPhone, season: Season) -> None:
    """One form was opened; then there is no network. All nine are opened, filled in and queued, a
    registration and a pre-test with the same badge among them; when the network is back each
    arrives once."""
    before = {form_id: len(season.rows(form_id)) for form_id in PLANS}
    phone.get_ready("mne_registration")
    for form_id in PLANS:
        phone.wait_ready(form_id)
    phone.lose_network()
    interviews = []
    for number, form_id in enumerate(PLANS, start=1):
        phone.open(form_id)
        interview = Interview(phone.page, form_of(form_id), PLANS[form_id])
        interview.to_end()
        phone.hand_in()
        phone.count(number, 0)
        interviews.append(interview)
    look("nine-offline-waiting", phone.page)
    assert {form_id: len(season.rows(form_id)) for form_id in PLANS} == before
    phone.find_network()
    phone.count(0, len(PLANS))
    look("nine-offline-received", phone.page)
    for interview in interviews:
        assert len(season.rows(interview.form.id)) == before[interview.form.id] + 1
        held(interview, season)
    registered, tested = (season.rows(form)[-1] for form in ("mne_registration", "mne_pretest"))
    for row in (registered, tested):
        assert BADGE in [v for k, v in row.items() if k.rpartition("/")[2] == "participant_id"]


def test_what_was_sent_is_pulled_unchanged(season: Season) -> None:
    """`watphon pull` proves that it has every record, each with the answers that stand on the
    server."""
    assert watphon.main(["pull", *season.options]) == 0
    programme = load(shipped())
    with Mirror(season.folder / "pulled" / "mirror.sqlite3") as mirror:
        for form_id in programme.forms:
            pulled = [json.loads(one.payload) for one in mirror.stored(form_id)]
            assert len(pulled) >= 1
            assert sorted(pulled, key=lambda row: row["_id"]) == season.rows(form_id)
