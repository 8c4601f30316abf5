"""A complete evaluation to look at reports with: real places and money, invented answers.

`sample()` builds the dictionary of evaluation.json from the shipped programme folder: the 18 rows
of disbursement.csv, 17 provinces, the course list and the 41 indicators as they are; gains, ratings
and counts follow from fixed arithmetic, so two calls give equal dictionaries. No person stands
behind it.
"""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "forms" / "programmes" / "north2564"
AS_OF = "2021-09-30"
CRITERIA = ("relevance", "progress", "efficiency", "effectiveness", "outcome_and_output")

LIKERT = {
    "relevance": (
        "REL-1",
        [
            (
                "r1",
                "เนื้อหาตรงกับปัญหาหรือวาระร่วมของพื้นที่ท่าน",
                "The content fits the problems or shared agenda of my area",
            ),
            (
                "r2",
                "เนื้อหาสอดคล้องกับแผนพัฒนาตำบล อำเภอ หรือจังหวัด",
                "The content fits the tambon, district or provincial plan",
            ),
            (
                "r3",
                "เนื้อหาตรงกับบทบาทหน้าที่ของท่านในขบวนองค์กรชุมชน",
                "The content fits my role in the community organisation movement",
            ),
            (
                "r4",
                "ระดับเนื้อหาเหมาะกับพื้นฐานและประสบการณ์ของท่าน",
                "The level suits my background and experience",
            ),
            (
                "r5",
                "กรณีศึกษาและตัวอย่างใกล้เคียงกับสภาพจริงในภาคเหนือ",
                "Cases and examples are close to real life in the North",
            ),
            (
                "r6",
                "ชุมชนมีส่วนร่วมกำหนดเนื้อหาหรือวิธีการอบรม",
                "The community took part in setting content or method",
            ),
        ],
    ),
    "efficiency": (
        "EFF-5",
        [
            ("e1", "ระยะเวลาและตารางการอบรมเหมาะสม", "Length and timetable were suitable"),
            ("e2", "สถานที่และการเดินทางเหมาะสม", "Venue and travel were suitable"),
            ("e3", "เอกสาร สื่อ และอุปกรณ์เพียงพอ", "Papers, media and equipment were sufficient"),
            ("e4", "วิทยากรและกระบวนกรถ่ายทอดได้ชัดเจน", "Speakers and facilitators were clear"),
            (
                "e5",
                "การประสานงานและแจ้งข่าว (เช่น กลุ่มไลน์) ชัดเจน ทันเวลา",
                "Co-ordination and notices (e.g. the LINE group) were clear and timely",
            ),
            (
                "e6",
                "สิ่งที่ได้รับคุ้มค่ากับเวลาและค่าใช้จ่ายของท่าน",
                "What I gained was worth my time and expense",
            ),
        ],
    ),
    "effectiveness": (
        "EFT-6",
        [
            (
                "f1",
                "เข้าใจการทำแผนพัฒนาเชิงพื้นที่และ SDGs มากขึ้น",
                "I understand area-based planning and the SDGs better",
            ),
            (
                "f2",
                "เข้าใจกฎหมาย นโยบาย และโครงสร้างแผนแต่ละระดับมากขึ้น",
                "I understand laws, policies and the levels of plans better",
            ),
            (
                "f3",
                "วิเคราะห์ข้อมูลและห่วงโซ่คุณค่าเพื่อทำแผนได้ดีขึ้น",
                "I can analyse data and value chains for plans better",
            ),
            ("f4", "รู้วิธีผลักดันนโยบายสาธารณะมากขึ้น", "I know better how to advocate public policy"),
            ("f5", "มั่นใจในบทบาทผู้นำการเปลี่ยนแปลงมากขึ้น", "I am more confident as a leader of change"),
            (
                "f7",
                "ได้เครือข่ายหรือภาคีใหม่ที่จะทำงานร่วมกัน",
                "I gained new networks or partners to work with",
            ),
        ],
    ),
}
FORMS = {
    "mne_registration": (
        "แบบลงทะเบียนผู้เข้าร่วม",
        12431,
        {"duplicate_identical": 41, "superseded": 118},
    ),
    "mne_pretest": (
        "แบบทดสอบก่อนการอบรม",
        12214,
        {
            "duplicate_identical": 63,
            "superseded": 97,
            "bad_check_digit": 58,
            "not_registered": 35,
            "two_people_one_code": 12,
        },
    ),
    "mne_posttest": (
        "แบบทดสอบหลังการอบรม",
        11406,
        {"duplicate_identical": 55, "superseded": 81, "bad_check_digit": 44, "not_registered": 29},
    ),
    "mne_course_eval": (
        "แบบประเมินผลโครงการหลังเสร็จสิ้น",
        10511,
        {"duplicate_identical": 38, "too_few_answers": 102},
    ),
    "mne_activity": ("แบบบันทึกกิจกรรม", 648, {"superseded": 324}),
    "mne_cipp": ("แบบประเมินปัจจัยนำเข้าและกระบวนการ", 352, {"superseded": 17}),
    "mne_followup": ("แบบติดตามในพื้นที่", 214, {}),
    "mne_output": ("แบบบันทึกผลผลิต", 501, {"superseded": 133}),
    "mne_expertise": ("แบบฐานข้อมูลความเชี่ยวชาญ", 1208, {}),
}


def read(name: str) -> list[dict[str, str]]:
    """The rows of one of the shipped programme's CSVs."""
    with (FOLDER / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def estimate(
    value: Any, n: Any, unit: str, half: float | None = None, **more: Any
) -> dict[str, Any]:
    """An Estimate; `half` is half the width of its interval."""
    known = half is not None
    return {
        "value": value,
        "low": value - half if known else None,
        "high": value + half if known else None,
        "level": 0.95 if known else None,
        "method": "CR2, courses in provinces" if known else "count",
        "n": n,
        "unit": unit,
        "excluded": {},
        "status": "ok",
        "reason": "",
    } | more


def gains(n: int, pre: float, gain: float, half: float) -> dict[str, Any]:
    """The numbers every gain table shares."""
    return {
        "n": n,
        "pre": pre,
        "post": pre + gain,
        "gain": gain,
        "low": gain - half,
        "high": gain + half,
        "status": "ok" if n >= 30 else "indicative",
    }


def budget(as_of: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The 18 rows of the seed and their totals, as the analysis writes them."""
    rows = []
    for row in read("disbursement.csv"):
        approved, first = float(row["approved_baht"]), float(row["instalment1_baht"])
        approved_on, sent_on = row["approved_date_iso"], row["transfer1_date_iso"]
        rows.append(
            {
                "no": int(row["no"]),
                "project": row["project_code"],
                "province": row["province_code"],
                "level": row["level"],
                "province_th": row["province_th"],
                "province_en": row["province_en"],
                "meeting_th": row["meeting_th"],
                "project_th": row["project_th"],
                "organisation_th": row["organisation_th"],
                "approved_on": approved_on,
                "approved": approved,
                "instalment1": first,
                "instalment1_pct": 100 * first / approved,
                "transferred_on": sent_on,
                "remaining": approved - first,
                "lag_days": (date.fromisoformat(sent_on) - date.fromisoformat(approved_on)).days,
                "within_months": True,
                "within_share": True,
                "disbursed": first if sent_on <= as_of else 0.0,
            }
        )

    def total(part: list[dict[str, Any]]) -> dict[str, Any]:
        approved = sum(row["approved"] for row in part)
        paid = sum(row["disbursed"] for row in part)
        return {
            "approved": approved,
            "instalment1": sum(row["instalment1"] for row in part),
            "remaining": approved - paid,
            "disbursed": paid,
            "disbursed_pct": 100 * paid / approved,
            "remaining_pct": 100 * (1 - paid / approved),
            "projects": len(part),
        }

    return rows, {"all": total(rows)} | {
        level: total([row for row in rows if row["level"] == level])
        for level in ("province", "region")
    }


def likert_rows() -> list[dict[str, Any]]:
    """Six statements and one composite per scale."""
    rows = []
    for at, (scale, (key, items)) in enumerate(LIKERT.items()):
        means = []
        for number, (item, th, en) in enumerate(items):
            n = 10371 - 37 * number - (900 if at == 2 else 0)
            top = 0.42 - 0.05 * number - 0.02 * at
            shares = [0.012 + 0.006 * number, 0.04 + 0.012 * number, 0.16 + 0.02 * number, 0, top]
            counts = [round(n * share) for share in shares]
            counts[3] = n - sum(counts)
            mean = sum(level * count for level, count in enumerate(counts, 1)) / n
            square = sum(level**2 * count for level, count in enumerate(counts, 1)) / n
            means.append(mean)
            rows.append(
                {
                    "scale": scale,
                    "indicator": key,
                    "item": item,
                    "th": th,
                    "en": en,
                    "n": n,
                    "mean": mean,
                    "sd": (square - mean**2) ** 0.5,
                    "band": 4 if mean >= 3.51 else 3,
                    "counts": counts,
                    "not_taught": 900 if at == 2 else 0,
                }
            )
        mean = sum(means) / len(means)
        rows.append(
            {
                "scale": scale,
                "indicator": key,
                "item": None,
                "th": "",
                "en": "",
                "n": 10340,
                "mean": mean,
                "sd": 0.62,
                "band": 4,
                "counts": [31, 310, 2100, 5900, 1999],
                "not_taught": 0,
            }
        )
    return rows


def indicators(likert: list[dict[str, Any]], provinces: list[dict[str, Any]]) -> dict[str, Any]:
    """The 41 indicators: those of the first season computed, one refused, the others not built."""
    means = {row["indicator"]: row["mean"] for row in likert if row["item"] is None}
    computed: dict[str, tuple[dict[str, Any], str, str]] = {
        "REL-1": (
            {"overall": estimate(means["REL-1"], 10340, "score 1-5", 0.043)},
            "green",
            "meets_green",
        ),
        "REL-2": ({"overall": estimate(71.4, 10340, "%", 1.6)}, "amber", "between"),
        "REL-4": ({"overall": estimate(91.2, 12272, "%", 1.1)}, "green", "meets_green"),
        "REL-5": ({"overall": estimate(100.0, 13, "%")}, "green", "meets_green"),
        "PRO-1": (
            {
                "of_sum_12810": estimate(95.8, 12272, "%"),
                "of_stated_12850": estimate(95.5019, 12272, "%"),
                "of_planned_to_date": estimate(95.8, 12272, "%"),
            },
            "amber",
            "between",
        ),
        "PRO-2": (
            {
                "approved": estimate(18, 18, "count"),
                "recorded": estimate(18, 18, "count"),
                "approved_share": estimate(100.0, 18, "%"),
            },
            "green",
            "meets_green",
        ),
        "PRO-3": ({"overall": estimate(69.85194360664575, 18, "%")}, "none", "no_target"),
        "PRO-4": ({"overall": estimate(18, 18, "count")}, "green", "meets_green"),
        "PRO-5": (
            {
                "overall": estimate(18, 18, "count"),
                "median_days": estimate(37.5, 18, "days"),
                "min_days": estimate(21, 18, "days"),
                "max_days": estimate(87, 18, "days"),
            },
            "green",
            "meets_green",
        ),
        "PRO-9": (
            {"overall": estimate(88.9, 12272, "%", 0.9, excluded={"no_post": 1001, "no_pre": 359})},
            "green",
            "meets_green",
        ),
        "EFF-1": ({"overall": estimate(871.40, 11197, "baht/person", 22.3)}, "none", "no_target"),
        "EFF-5": (
            {"overall": estimate(means["EFF-5"], 10340, "score 1-5", 0.051)},
            "green",
            "meets_green",
        ),
        "EFT-1": (
            {
                "overall": estimate(
                    13.81,
                    10912,
                    "points (0-100)",
                    0.71,
                    excluded={
                        "no_post": 1001,
                        "no_pre": 359,
                        "superseded": 178,
                        "bad_check_digit": 102,
                    },
                ),
                "province_clustered": estimate(13.81, 10912, "points (0-100)", 1.32),
            },
            "green",
            "met",
        ),
        "EFT-2": ({"overall": estimate(0.259, 281, "0-1")}, "none", "descriptive"),
        "EFT-3": (
            {"overall": estimate(58.3, 10912, "%", 2.2), "pre_share": estimate(19.6, 10912, "%")},
            "red",
            "below_amber",
        ),
        "EFT-4": (
            {"taught_minus_untaught": estimate(8.37, 10912, "points (0-100)", 0.94)},
            "none",
            "descriptive",
        ),
        "EFT-6": (
            {"overall": estimate(means["EFT-6"], 9421, "score 1-5", 0.06)},
            "green",
            "meets_green",
        ),
        "OUT-1": ({"overall": estimate(11197, 12272, "persons")}, "none", "no_target"),
    }
    found = {}
    for row in read("indicators.csv"):
        key = row["id"]
        measures, light, why = computed.get(key, ({}, "none", "no_data"))
        status = "computed" if key in computed else "refused" if key == "EFF-2" else "not_built"
        if key == "EFF-2":
            measures = {
                "overall": estimate(
                    None, 0, "baht/point", status="refused", reason="interval_holds_zero"
                )
            }
            why = "refused"
        found[key] = {
            "id": key,
            "criterion": row["criterion"].lower().replace(" ", "_"),
            "kind": row["kind"],
            "question_th": row["question_th"],
            "question_en": row["question_en"],
            "formula": row["formula"],
            "unit": row["unit"],
            "direction": row["direction"],
            "status": status,
            "headline": next(iter(measures), "overall"),
            "measures": measures,
            "by": {},
            "target": 5.0 if key == "EFT-1" else numeric(row["target"]),
            "target_status": row["target_status"],
            "green": numeric(row["green"]),
            "amber": numeric(row["amber"]),
            "light": light,
            "light_reason": why,
        }
    found["EFT-1"]["by"] = {
        "province": {
            row["province"]: estimate(
                row["gain"], row["n"], "points (0-100)", row["high"] - row["gain"]
            )
            for row in provinces
        },
    }
    return found


def numeric(cell: str) -> Any:
    """A number where the cell is one, `None` where it is empty, otherwise its text."""
    try:
        return float(cell) if cell else None
    except ValueError:
        return cell


def courses() -> list[dict[str, Any]]:
    """Gains of the shipped course list."""
    rows = []
    for at, row in enumerate(read("courses.csv")):
        n = round(int(row["planned_n"]) * (0.78 + 0.02 * (at % 9)))
        pre, gain = 40 + (at * 7 % 13), 9 + (at * 5 % 11)
        rows.append(
            {
                "course": row["name"],
                "label": row["label"],
                "province": row["province"],
                "normalized_gain": gain / (100 - pre),
            }
            | gains(n, pre, gain, 3.4 + at % 4 / 2)
        )
    return rows


def sample(as_of: str = AS_OF) -> dict[str, Any]:
    """The evaluation of an invented season as of a date."""
    targets = read("targets.csv")
    by_province = [
        {"province": row["province_code"], "courses": max(1, int(row["target"]) // 44)}
        | gains(
            round(int(row["target"]) * 0.851),
            43.2 + at * 5 % 7 + 0.3,
            10.9 + at * 7 % 11 * 0.61,
            1.1 + 900 / int(row["target"]) / 2,
        )
        for at, row in enumerate(targets)
    ]
    likert = likert_rows()
    found = indicators(likert, by_province)
    money, money_totals = budget(as_of)
    approved = {row["province"]: row["approved"] for row in money}
    progress = []
    for at, row in enumerate(targets):
        target, code = int(row["target"]), row["province_code"]
        registered = round(target * (0.93 + at % 6 / 100))
        trained = round(registered * 0.91)
        spent = approved[code] * (0.58 + at % 5 / 50)
        progress.append(
            {
                "province": code,
                "target": target,
                "registered": registered,
                "trained": trained,
                "paired": round(trained * 0.97),
                "share_of_target": 100 * registered / target,
                "approved": approved[code],
                "spent": spent,
                "cost_per_trained": spent / trained,
                "planned_per_person": approved[code] / target,
            }
        )
    status = [row["status"] for row in found.values()]
    return {
        "schema": 1,
        "programme": {
            "id": "north2564",
            "title": {
                "th": "โครงการพัฒนาขีดความสามารถผู้นำชุมชนภาคเหนือ 2564",
                "en": "Community leader capacity development, North, FY 2564",
            },
            "organisation": {
                "th": "สถาบันพัฒนาองค์กรชุมชน (องค์การมหาชน) สำนักงานภาคเหนือ",
                "en": "CODI, Northern Office",
            },
            "fiscal_year_be": 2564,
            "time_zone": "Asia/Bangkok",
            "languages": ["th", "en"],
            "provinces": [
                {"code": r["province_code"], "th": r["province_th"], "en": r["province_en"]}
                for r in targets
            ],
            "criteria": [
                {
                    "code": r["code"],
                    "key": key,
                    "th": r["criterion_th"],
                    "en": r["criterion_en"],
                    "definition_th": r["definition_th"],
                    "definition_en": r["definition_en"],
                }
                for key, r in zip(CRITERIA, read("criteria.csv"), strict=True)
            ],
            "rules": {
                "suppress_below": 5,
                "indicative_below": 30,
                "likert_answered": 0.8,
                "likert_bands": "4.51",
                "pass_mark": 60,
                "mid_points": 5,
                "first_instalment_max": 0.7,
                "transfer_within_months": 3,
            },
        },
        "as_of": as_of,
        "simulated": True,
        "version": "0.1.0",
        "inputs": {
            "forms": {
                form: {"version": "2564010102", "rows": rows, "sha256": f"{at:064x}"}
                for at, (form, (_, rows, _)) in enumerate(FORMS.items(), 11)
            },
            "files": {
                name: f"{at:064x}" for at, name in enumerate(("courses.csv", "targets.csv"), 71)
            },
        },
        "coverage": {
            name: status.count(name) for name in ("computed", "refused", "no_data", "not_built")
        }
        | {"indicators": {key: row["status"] for key, row in found.items()}},
        "findings": [
            {
                "code": "two_people_one_code",
                "severity": "warning",
                "where": "mne_pretest",
                "what": "two different people answered under one participant code",
                "remedy": "look at the paper lists of the course and correct the code",
                "count": 12,
            },
            {
                "code": "bad_check_digit",
                "severity": "warning",
                "where": "mne_pretest",
                "what": "participant codes fail their check digit",
                "remedy": "correct the codes",
                "count": 58,
            },
            {
                "code": "targets_sum",
                "severity": "note",
                "where": "targets.csv",
                "what": "targets add up to 12810, programme.toml states 12850",
                "remedy": "",
                "count": 1,
            },
        ],
        "criteria": criteria_part(found),
        "indicators": found,
        "tables": {
            "gain_by_province": by_province,
            "gain_by_sex": [
                {"sex": "f", "label_th": "หญิง", "label_en": "Female"}
                | gains(6111, 45.9, 14.02, 0.8),
                {"sex": "m", "label_th": "ชาย", "label_en": "Male"}
                | gains(4720, 46.4, 13.55, 0.84),
                {"sex": "x", "label_th": "ไม่ประสงค์ระบุ", "label_en": "Not stated"}
                | gains(24, 44.0, 13.1, 6.2)
                | {"status": "indicative"},
                {
                    "sex": "o",
                    "label_th": "อื่น ๆ",
                    "label_en": "Other",
                    "n": None,
                    "pre": None,
                    "post": None,
                    "gain": None,
                    "low": None,
                    "high": None,
                    "status": "suppressed",
                },
            ],
            "gain_by_module": [
                {
                    "module": row["module"],
                    "th": row["label_th"],
                    "en": row["label_en"],
                    "taught": 15.2 - at * 0.6,
                    "untaught": None if at in (0, 2) else 6.0 - at * 0.2,
                }
                | gains(10912, 41.0 + at * 2 % 9, 14.9 - at * 0.9, 0.9 + at % 3 / 5)
                for at, row in enumerate(read("modules.csv"))
            ],
            "gain_by_course": courses(),
            "likert": likert,
            "budget": money,
            "budget_totals": money_totals,
            "progress_by_province": progress,
            "target_bases": [
                {"base": "of_sum", "target": 12810, "n": 12272, "value": 95.8},
                {"base": "of_stated", "target": 12850, "n": 12272, "value": 95.5019},
            ],
            "quality": [
                {
                    "form": form,
                    "title_th": title,
                    "title_en": form.removeprefix("mne_").capitalize(),
                    "received": rows,
                    "after_as_of": 0,
                    "used": rows - sum(excluded.values()),
                    "excluded": excluded,
                }
                for form, (title, rows, excluded) in FORMS.items()
            ],
            "pairing": {
                "registered": 12272,
                "paired": 10912,
                "share": 88.92,
                "excluded": {"no_post": 1001, "no_pre": 359},
            },
            "seed_notes": [
                {"code": "targets_sum", "sum": 12810, "stated": 12850, "difference": 40},
                {"code": "tambons_stated", "values": [1335, 1070]},
                {"code": "transfers_after_half_year", "n": 8, "of": 18},
                {"code": "second_instalment_not_recorded", "n": 18, "of": 18},
                {"code": "second_instalment_is_remainder", "n": 8, "of": 18},
                {"code": "plan_per_head_range", "low": 964.8648, "high": 1269.3548},
            ],
        },
    }


def criteria_part(found: dict[str, Any]) -> dict[str, Any]:
    """Performance and perception of each criterion, unscored where weight is missing."""
    scale = {"relevance": "REL-1", "efficiency": "EFF-5", "effectiveness": "EFT-6"}
    part = {}
    for criterion in CRITERIA:
        known = [
            key
            for key, row in found.items()
            if row["criterion"] == criterion and row["kind"] == "performance"
        ]
        ready = [key for key in known if found[key]["status"] == "computed"]
        part[criterion] = {
            "performance": {
                "indicators": known,
                "weights": {key: 1 / len(known) for key in known},
                "weight_present": len(ready) / len(known),
                "score": None,
                "reason": "weight_present_below_0.8",
            },
        }
        if criterion in scale:
            composite = found[scale[criterion]]["measures"]["overall"]
            part[criterion]["perception"] = {
                "indicator": scale[criterion],
                "composite": composite,
                "band": 4,
            }
    return part
