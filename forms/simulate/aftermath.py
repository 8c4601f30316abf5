"""What is written down after a course: plans and their stages, visits to the field, expertise.

Plans keep their number while they rise from stage to stage; visits meet people who were there to the
end; a few visits bring a photograph, a small picture made here, so that files travel too.
"""

from __future__ import annotations

import struct
import zlib
from datetime import date, datetime, time, timedelta

import numpy as np

from forms.model import Attachment
from forms.simulate.blank import Blank, scale
from forms.simulate.field import Field, File, Report, money
from forms.tables import Course

__all__ = ["expertise", "outputs", "picture", "visits"]


def picture(red: int, green: int, blue: int, *, side: int = 24) -> bytes:
    """A valid PNG of one colour (https://www.w3.org/TR/png-3/), about 90 bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    lines = (b"\x00" + bytes((red, green, blue)) * side) * side
    content = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


def chosen(f: Field, share: float, eligible: list[int]) -> list[int]:
    """That share of the courses, at least one of those eligible, in their order."""
    wanted = min(len(eligible), max(1, round(share * len(f.design.plan.courses))))
    if not wanted:
        return []
    return sorted(f.rng.choice(np.array(eligible), size=wanted, replace=False).tolist())


# ── plans ────────────────────────────────────────────────────────────────────────────────────────


def outputs(f: Field) -> list[Report]:
    """Plans and proposals that come out of the courses, reported at every stage they reach."""
    blank = Blank(f.programme, f.programme.form_of("output"), f.simulation.seed)
    stages = sorted(int(code) for code in blank.codes("stage") if code.isdecimal())
    low, high = f.simulation.fieldwork.stage_days
    numbers: dict[str, int] = {}
    reports: list[Report] = []
    for index, course in enumerate(f.design.plan.courses):
        for _ in range(
            max(int(index == 0), int(f.rng.poisson(f.simulation.fieldwork.plans_per_course)))
        ):
            numbers[course.project] = number = numbers.get(course.project, 0) + 1
            fixed = planned(f, blank, course, index) | {"plan_no": str(number)}
            day = course.end + f.days(4, 25)
            stage = stages[min(int(f.rng.integers(1, 4)), len(stages) - 1)]
            while day <= f.end:
                reports.append(at_stage(f, blank, course, fixed, stage, day))
                if stage >= stages[-1] or f.u() < 0.22:
                    break
                stage = stages[stages.index(stage) + 1]
                day += f.days(low, high)
    return reports


def planned(f: Field, blank: Blank, course: Course, index: int) -> dict[str, str]:
    """What stays the same in all reports on a plan."""
    kind = f.code(blank, "plan_type")
    if course.province not in f.design.plan.provinces:
        kind = blank.pick("plan_type", "cluster")
    level = blank.pick("level", f.simulation.fieldwork.level_of.get(kind, "tambon"))
    members = f.members(index)
    someone = int(members[int(f.u() * len(members))]) if len(members) else 0
    person = int(f.design.plan.person_of[someone])
    named = {
        "project_no": course.project,
        "plan_type": kind,
        "plan_name": f.say("plan_name"),
        "level": level,
        "issues": f.codes(blank, "issues"),
        "sdgs": f.codes(blank, "sdgs") if f.u() < 0.7 else "",
        "beneficiaries": str(int(f.rng.integers(30, 900))) if f.u() < 0.6 else "",
        "leaders": f.people.code[person] if len(members) and f.u() < 0.7 else "",
    }
    if kind == "capdev":
        named["capdev_term"] = f.codes(blank, "capdev_term", most=2)
    if level not in ("cluster", "region"):
        named["province"] = f.people.province[person]
    if level in ("tambon", "amphoe"):
        named["district"] = f.people.district[person]
    if level == "tambon":
        named["tambon"] = f.people.tambon[person]
    return named


def at_stage(
    f: Field, blank: Blank, course: Course, fixed: dict[str, str], stage: int, day: date
) -> Report:
    """One report on a plan: what the stage asks for in addition."""
    named = f.begin(blank, day, course.province) | fixed
    named |= {"stage": str(stage), "stage_date": (day - f.days(0, 3)).isoformat()}
    if stage >= 3:
        for name in blank.ratings(but=("stage",), conditional=True):
            marks = scale(blank.codes(name))
            named[name] = str(int(np.clip(round(4 + 0.7 * f.rng.standard_normal()), 1, marks[-1])))
    if stage >= 5:
        levels = [
            code for code in blank.codes("integrated") if code in ("tambon", "amphoe", "province")
        ]
        named["integrated"] = levels[int(f.u() * len(levels))] if levels else ""
    if stage >= 6:
        named["funded_baht"] = money(round(f.between((15_000, 250_000)), -3))
        named["funders"] = f.codes(blank, "funders", most=2)
    if stage >= 4 and f.u() < 0.3:
        named["change_story"] = f.say("change_story")
        named["story_consent"] = f.yes(blank, "story_consent", 0.85)
    return Report(day, blank.submission(f"{course.project}/{fixed['plan_no']}/{stage}", named))


# ── visits ───────────────────────────────────────────────────────────────────────────────────────


def visits(f: Field) -> list[Report]:
    """Visits to people of a course one to two and a half months after it."""
    work = f.simulation.fieldwork
    blank = Blank(f.programme, f.programme.form_of("followup"), f.simulation.seed)
    courses = f.design.plan.courses
    eligible = [
        i for i, c in enumerate(courses) if c.end + timedelta(75) <= f.end and len(f.members(i))
    ]
    reports: list[Report] = []
    for index in chosen(f, work.visits_per_course, eligible):
        course, members = courses[index], f.members(index)
        day = course.end + f.days(30, 75)
        low, high = work.leaders_met
        size = min(len(members), int(f.rng.integers(low, high + 1)))
        met = f.rng.choice(members, size=size, replace=False).tolist()
        person = int(f.design.plan.person_of[met[0]])
        named = f.begin(blank, day, course.province)
        obstacles = f.codes(blank, "obstacles", none=0.15)
        named |= {
            "project_no": course.project,
            "province": f.people.province[person],
            "district": f.people.district[person],
            "tambon": f.people.tambon[person],
            "team": f.codes(blank, "team", most=2),
            "n_met": str(size + int(f.rng.integers(0, 12))),
            "plan_stage": f.code(blank, "plan_stage"),
            "issues": f.codes(blank, "issues", none=0.05),
            "partners": f.codes(blank, "partners", none=0.1),
            "obstacles": obstacles,
            "obstacle_text": f.say("obstacle_text") if obstacles != "none" and f.u() < 0.5 else "",
            "advice": f.say("advice"),
            "met_leader": blank.pick("met_leader", "yes"),
            "urgency": f.code(blank, "urgency"),
            "next_visit": (day + f.days(20, 60)).isoformat() if f.u() < 0.4 else "",
        }
        leaders = [leader(f, blank, enrolment) for enrolment in met]
        photo = photographed(f, blank, day) if len(reports) < work.photos else None
        attachments: tuple[Attachment, ...] = ()
        files: tuple[File, ...] = ()
        if photo:
            attachment, files = photo
            attachments = (attachment,)
            named["photo"] = attachment.name
        made = blank.submission(
            f"{course.code}/{day}", named, {"leader": leaders}, attachments=attachments
        )
        reports.append(Report(day, made, files))
    return reports


def leader(f: Field, blank: Blank, enrolment: int) -> dict[str, str]:
    """One trained person met on a visit."""
    used = f.code(blank, "l_apply")
    named = {
        "l_pid": f.people.code[int(f.design.plan.person_of[enrolment])],
        "l_apply": used,
    }
    if used.isdecimal() and int(used) >= 2:
        named["l_example"] = f.say("l_example")
    return named


def photographed(f: Field, blank: Blank, day: date) -> tuple[Attachment, tuple[File, ...]] | None:
    """A photograph named as a phone names it, by the milliseconds of its moment."""
    if not blank.asks("photo"):
        return None
    moment = datetime.combine(day, time(10), f.zone).timestamp() * 1000 + f.rng.integers(0, 10**7)
    name = f"{int(moment)}.png"
    colour = [int(value) for value in f.rng.integers(60, 200, 3)]
    file = (name, picture(*colour), "image/png")
    return Attachment(name, blank.paths["photo"], "image/png"), (file,)


# ── expertise ────────────────────────────────────────────────────────────────────────────────────


def expertise(f: Field) -> list[Report]:
    """Expertise profiles of a share of those who stayed, on the course's last day."""
    blank = Blank(f.programme, f.programme.form_of("expertise"), f.simulation.seed)
    plan, share = f.design.plan, f.simulation.fieldwork.expertise
    there = np.flatnonzero(f.stayed)
    wanted = min(len(there), max(1, round(share * len(there))))
    seen: set[str] = set()
    reports: list[Report] = []
    for enrolment in sorted(f.rng.choice(there, size=wanted, replace=False).tolist()):
        course = plan.courses[int(plan.course_of[enrolment])]
        code = f.people.code[int(plan.person_of[enrolment])]
        if code in seen:  # in two courses: one profile
            continue
        seen.add(code)
        named = f.begin(blank, course.end, course.province)
        trains = f.yes(blank, "can_train", 0.35)
        publish = f.yes(blank, "consent_publish", 0.85)
        named |= {
            "pid_mode": blank.pick("pid_mode", "type"),
            "pid_type": code,
            blank.spec.person: code,
            "issues": f.codes(blank, "issues"),
            "can_train": trains,
            "train_level": f.codes(blank, "train_level", most=2) if trains == "yes" else "",
            "languages": f.say("languages") if f.u() < 0.5 else "",
            "learning_site": f.say("learning_site") if f.u() < 0.2 else "",
            "endorsed": f.yes(blank, "endorsed", 0.8),
            "consent_publish": publish,
            "consent_phone": f.yes(blank, "consent_phone", 0.5) if publish == "yes" else "",
        }
        skills = skilled(f, blank)
        reports.append(Report(course.end, blank.submission(code, named, {"skillrow": skills})))
    return reports


def skilled(f: Field, blank: Blank) -> list[dict[str, str]]:
    """One to three areas of expertise."""
    turns = []
    for skill in f.codes(blank, "skill").split():
        level = f.code(blank, "skill_level")
        turns.append(
            {
                "skill": skill,
                "skill_other": f.say("skill_other") if skill == "other" else "",
                "skill_level": level,
                "skill_years": str(int(f.rng.integers(0, 31))),
                "skill_evidence": f.say("skill_evidence") if level >= "4" else "",
            }
        )
    return turns
