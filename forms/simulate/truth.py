"""What is true of a simulated season, and what an evaluation of it must count exactly.

True gains come from the model by integration; expected counts from the plan, the drop-outs and the
declared faults. Written beside the data as truth.json and ledger.csv.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import asdict, astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from forms.simulate.gain import course_gains, true_gain
from forms.simulate.ledger import LEDGER

if TYPE_CHECKING:
    from forms.simulate.season import Season

__all__ = ["personal_words", "truth_of", "write"]


def truth_of(season: Season) -> dict[str, Any]:
    """Seed, plan, parameters, true gains, and expected counts of a season; see `counted`."""
    a, plan = season.attendance, season.plan
    gain = true_gain(season.programme, season.simulation, solved=a.design)
    return {
        "schema": 1,
        "programme": season.programme.id,
        "seed": season.seed,
        "people": plan.people,
        "enrolments": plan.enrolments,
        "courses": [course.code for course in plan.courses],
        "seats": {
            course.code: int(plan.first[i + 1] - plan.first[i])
            for i, course in enumerate(plan.courses)
        },
        "provinces": sorted({course.province for course in plan.courses}),
        "sent": {str(turn): n for turn, n in season.total.items()},
        "rows": season.rows,
        "true_gain": asdict(gain) | {"course_drawn": course_gains(a.design, a.drawn)},
        "expected": counted(season),
        "faults": dict(Counter(fault.kind for fault in season.ledger)),
        "parameters": season.simulation.model_dump(mode="json", exclude={"words", "texts"}),
    }


def counted(season: Season) -> dict[str, Any]:
    """What an evaluation as of the season's end must find.

    `excluded` counts rows by form and reason; `pairing` says what became of the registered enrolments
    (`registered` leaves out codes of two people); `pre`, `post`, `gain` are means over the pairs.
    """
    a, plan, dirt = season.attendance, season.plan, season.dirt
    n = plan.enrolments
    alone = np.ones(n, dtype=bool)
    alone[list(dirt.quarantined)] = False
    has_pre, has_post = np.ones(n, dtype=bool), a.drawn.stayed.copy()
    for wave, e in (*dirt.without, *dirt.unmatched):
        (has_pre if wave == "pre" else has_post)[e] = False
    paired = alone & has_pre & has_post
    pre, post = scores(season, "pre"), scores(season, "post")
    place = np.array([course.province for course in plan.courses])[plan.course_of]
    excluded: dict[str, dict[str, int]] = {blank.form_id: {} for blank in a.blanks.values()}
    for (form, reason), count in sorted(dirt.excluded.items()):
        excluded[a.blanks[form].form_id][reason] = count
    return {
        "stayed": int(a.drawn.stayed.sum()),
        "registered": int(alone.sum()),
        "quarantined": int((~alone).sum()),
        "persons_registered": len(np.unique(plan.person_of[alone])),
        "trained": len(np.unique(plan.person_of[alone & has_post])),
        "paired": int(paired.sum()),
        "no_post": int((alone & has_pre & ~has_post).sum()),
        "no_pre": int((alone & has_post & ~has_pre).sum()),
        "excluded": excluded,
        "evaluations": int(a.answered.sum()),
        "evaluations_anonymous": int((a.answered & a.anonymous).sum()),
        "pairs": means(pre, post, paired),
        "pairs_by_province": {
            str(code): means(pre, post, paired & (place == code)) for code in np.unique(place)
        },
    }


def means(
    pre: NDArray[np.float64], post: NDArray[np.float64], where: NDArray[np.bool_]
) -> dict[str, float | int | None]:
    """n and mean scores of the pairs; null where there is none."""
    if not where.any():
        return {"n": 0, "pre": None, "post": None, "gain": None}
    first, last = float(pre[where].mean()), float(post[where].mean())
    return {"n": int(where.sum()), "pre": first, "post": last, "gain": last - first}


def scores(season: Season, wave: str) -> NDArray[np.float64]:
    """Points of 100 of the test that counts, after second tests and edits; one an enrolment."""
    drawn = season.attendance.drawn
    right = (drawn.pre if wave == "pre" else drawn.post).copy()
    for (changed, enrolment), row in season.dirt.answers.items():
        if changed == wave:
            right[enrolment] = row
    return right @ drawn.weights


def personal_words(season: Season) -> dict[str, set[str]]:
    """All surnames, phone numbers and ID numbers of a season: what no table or report may hold."""
    people, others = season.attendance.people, season.dirt.strangers
    return {
        "surnames": {name for name in (*people.last_name, *others.last_name) if name},
        "phones": {phone for phone in (*people.phone, *others.phone) if phone},
        "national_ids": {number for number in (*people.national_id, *others.national_id) if number},
    }


def write(season: Season, folder: Path) -> tuple[Path, Path]:
    """Write truth.json (sorted keys) and ledger.csv into `folder`, made if needed; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    truth, ledger = folder / "truth.json", folder / "ledger.csv"
    text = json.dumps(season.truth, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    truth.write_text(text, "utf-8")
    sheet = io.StringIO(newline="")
    rows = csv.writer(sheet, lineterminator="\n")
    rows.writerow(LEDGER)
    for fault in season.ledger:
        cells = astuple(fault)
        rows.writerow("yes" if c is True else "no" if c is False else c for c in cells)
    ledger.write_text(sheet.getvalue(), "utf-8")
    return truth, ledger
