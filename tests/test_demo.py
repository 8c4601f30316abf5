"""The main job end to end, as a user runs it: `watphon demo`, at small size."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow.parquet as pq
import pytest
from command import watphon

from forms import simulate
from forms.programme import load

PEOPLE, SEED = 300, 2564


class Demo(NamedTuple):
    """What a demonstration left behind."""

    folder: Path
    said: str

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def evaluation(self, day: str = "") -> dict[str, Any]:
        return json.loads((self.data / f"evaluation{day and '-'}{day}.json").read_text("utf-8"))

    @property
    def truth(self) -> dict[str, Any]:
        return json.loads((self.data / "simulation" / "truth.json").read_text("utf-8"))

    @property
    def ledger(self) -> list[dict[str, str]]:
        text = (self.data / "simulation" / "ledger.csv").read_text("utf-8")
        return list(csv.DictReader(text.splitlines()))


def run_demo(folder: Path) -> Demo:
    done = watphon("demo", "-o", str(folder), "--people", str(PEOPLE), "--seed", str(SEED))
    assert done.returncode == 0, done.stdout + done.stderr
    return Demo(folder, done.stdout)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return run_demo(tmp_path_factory.mktemp("first") / "demo")


def test_it_says_what_a_user_needs(demo: Demo) -> None:
    """Every stage under its command, server count = local count, five lines in each language, seconds."""
    for command in ("new", "serve", "publish", "simulate", "pull", "evaluate", "report"):
        assert f"$ watphon {command}" in demo.said
    counts = re.findall(r"(mne_\w+) +server +([\d,]+) = local +([\d,]+)", demo.said)
    assert len(counts) == 9
    assert all(server == local for _, server, local in counts)
    for line in ("ความสอดคล้อง:", "ผลลัพธ์และผลผลิต:", "Relevance:", "Outcome and Output:"):
        assert line in demo.said
    assert re.search(r"all +\d+\.\d s", demo.said)


def test_every_row_arrived(demo: Demo) -> None:
    """The server has exactly the rows the season's truth expects; identical resends made none."""
    counts = dict(re.findall(r"(mne_\w+) +server +([\d,]+)", demo.said))
    assert {form: int(n.replace(",", "")) for form, n in counts.items()} == demo.truth["rows"]


def test_the_evaluation_counts_what_is_true(demo: Demo) -> None:
    """Pairs, exclusions by form and reason, means: equal to what the simulator, counting for itself,
    expects."""
    expected, evaluation = demo.truth["expected"], demo.evaluation()
    pairing = evaluation["tables"]["pairing"]
    assert pairing["registered"] == expected["registered"]
    assert pairing["paired"] == expected["paired"]
    for reason in ("no_post", "no_pre"):
        assert pairing["excluded"].get(reason, 0) == expected[reason]
    quality = {row["form"]: row["excluded"] for row in evaluation["tables"]["quality"]}
    for form, reasons in expected["excluded"].items():
        assert quality[form] == reasons
    measures = evaluation["indicators"]["EFT-1"]["measures"]
    assert measures["overall"]["n"] == expected["pairs"]["n"]
    assert measures["overall"]["value"] == pytest.approx(expected["pairs"]["gain"])
    assert measures["pre_mean"]["value"] == pytest.approx(expected["pairs"]["pre"])
    assert evaluation["indicators"]["OUT-1"]["measures"]["overall"]["value"] == expected["trained"]
    persons = evaluation["indicators"]["PRO-1"]["measures"]["persons"]
    assert persons["value"] == expected["persons_registered"]


def test_every_fault_is_found_where_the_ledger_says(demo: Demo) -> None:
    """Each detectable fault of the ledger is an exclusion of its own row, a finding, or an edit kept."""
    evaluation = demo.evaluation()
    excluded = pd.read_csv(demo.data / "excluded.csv")
    keys = zip(excluded["form"], excluded["root_id"], strict=True)
    reasons = dict(zip(keys, excluded["reason"], strict=True))
    findings = {
        (finding["code"], finding["where"].split()[0]) for finding in evaluation["findings"]
    }
    kinds = set()
    for fault in demo.ledger:
        kinds.add(fault["kind"])
        if fault["detectable"] != "yes":
            continue
        if fault["expected"] == "no_pre":
            assert evaluation["tables"]["pairing"]["excluded"]["no_pre"] >= 1
            table = pq.read_table(demo.data / "tables" / "mne_pretest.parquet").to_pandas()
            assert fault["participant_id"] not in set(table["participant_id"])
        elif fault["expected"] == "edited":
            table = pq.read_table(demo.data / "tables" / f"{fault['form']}.parquet").to_pandas()
            (row,) = table[table["_root_id"] == fault["root_id"]].itertuples()
            assert row[table.columns.get_loc("_edited") + 1]
        elif fault["expected"] == "buddhist_year":
            assert ("buddhist_year", fault["form"]) in findings
        else:
            assert reasons[fault["form"], fault["root_id"]] == fault["expected"], fault
            assert (fault["expected"], fault["form"]) in findings
    assert len(kinds) >= 10


def test_faults_that_should_do_nothing_do_nothing(demo: Demo) -> None:
    """Thai digits and blanks around a code are read right: those people are paired, not excluded."""
    excluded = set(pd.read_csv(demo.data / "excluded.csv")["root_id"])
    harmless = [fault for fault in demo.ledger if fault["expected"] == "read_right"]
    assert harmless
    assert not [fault for fault in harmless if fault["root_id"] in excluded]


def test_money_as_of_the_seeds_own_date(demo: Demo) -> None:
    """As of 19 April 2564: 69.85 % disbursed, 18 of 18 under 70 %, 18 of 18 within three months."""
    evaluation = demo.evaluation("2021-04-19")
    of = {name: value["measures"] for name, value in evaluation["indicators"].items()}
    assert of["PRO-3"]["disbursed"]["value"] == 10_921_966
    assert of["PRO-3"]["approved"]["value"] == 15_635_880
    assert of["PRO-3"]["overall"]["value"] == pytest.approx(69.8519, abs=5e-5)
    assert of["PRO-4"]["overall"]["value"] == 18
    assert of["PRO-5"]["overall"]["value"] == 18
    assert of["PRO-5"]["median_days"]["value"] == 37.5
    assert (of["PRO-5"]["min_days"]["value"], of["PRO-5"]["max_days"]["value"]) == (21, 87)
    bases = {row["target"] for row in evaluation["tables"]["target_bases"]}
    assert bases == {12_810, 12_850}
    codes = {note["code"] for note in evaluation["tables"]["seed_notes"]}
    assert {"targets_sum", "tambons_stated", "transfers_after_half_year"} <= codes


def test_nothing_after_the_as_of_date_counts(demo: Demo) -> None:
    """In April the later courses have not happened: fewer pairs, and the cut is counted."""
    april, september = demo.evaluation("2021-04-19"), demo.evaluation()
    n = {
        name: evaluation["tables"]["pairing"]["paired"]
        for name, evaluation in (("april", april), ("september", september))
    }
    assert 0 < n["april"] < n["september"]
    assert sum(row["after_as_of"] for row in april["tables"]["quality"]) > 0


def test_no_personal_data_beyond_the_mirror(demo: Demo) -> None:
    """No surname, phone number or ID number of the season stands in tables, evaluations or reports."""
    season = simulate.season(load(demo.folder), seed=SEED, people=PEOPLE)
    words = simulate.personal_words(season)
    assert all(len(found) > 100 for found in words.values())
    files = [*demo.data.glob("evaluation*.json"), *demo.data.glob("excluded*.csv")]
    files += [*demo.data.glob("reports/**/*.html"), demo.data / "tables" / "tables.json"]
    texts = {path.name: path.read_text("utf-8") for path in files}
    for path in (demo.data / "tables").glob("*.parquet"):
        texts[path.name] = pq.read_table(path).to_pandas().to_csv(index=False)
    assert len(texts) >= 9 + 2 + 4
    for name, text in texts.items():
        for kind, found in words.items():
            told = [word for word in found if word in text]
            assert not told, f"{name} holds {kind}"
    # the season does hold them: the mirror's raw payloads are where they stay
    mirror = (demo.data / "mirror.sqlite3").read_bytes()
    assert any(word.encode() in mirror for word in words["phones"])


def test_the_key_stays(demo: Demo) -> None:
    """The answer key's file is in no byte of the server's folder."""
    key = (demo.folder / "item_key.csv").read_bytes()
    line = key.splitlines()[1]
    for path in (demo.data / "server").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert line not in content
            assert b"item_key" not in content


def test_reports_say_simulated(demo: Demo) -> None:
    """Every report says that its people are invented."""
    reports = sorted(demo.data.glob("reports/**/*.html"))
    assert len(reports) == 4
    for path in reports:
        assert ("ข้อมูลจำลอง" if ".th." in path.name else "imulated") in path.read_text("utf-8")


def test_two_runs_give_the_same_bytes(demo: Demo, tmp_path: Path) -> None:
    """One seed, two runs: the evaluations and the reports are byte-identical."""
    again = run_demo(tmp_path / "again")
    for pattern in ("evaluation*.json", "excluded*.csv", "reports/**/*.html", "tables/*"):
        first = {p.relative_to(demo.data): p.read_bytes() for p in demo.data.glob(pattern)}
        second = {p.relative_to(again.data): p.read_bytes() for p in again.data.glob(pattern)}
        assert first == second
        assert first


def test_a_used_folder_is_not_overwritten(tmp_path: Path) -> None:
    """A folder that holds something else is refused with exit code 2 and left as it is."""
    (tmp_path / "mine.txt").write_text("keep me", "utf-8")
    done = watphon("demo", "-o", str(tmp_path), "--people", "50")
    assert done.returncode == 2
    assert "not made by `watphon demo`" in done.stderr
    assert (tmp_path / "mine.txt").read_text("utf-8") == "keep me"
