"""Statistics against numbers from R, papers and hand calculations, each named."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import gains, perception
from analysis.clusters import clustered_mean, collapse, design_effect, icc, wilson
from analysis.estimate import Estimate, hide_small, refused
from analysis.indicators import light
from forms.tables import IndicatorSpec

SIZES = [3, 5, 2, 7, 4, 6]
STRATA = ["a", "a", "b", "b", "b", "a"]
VALUES = [2, 4, 3, 5, 1, 0, 2, 2, 7, 9, 3, 3, 4, 1, 6, 2, 5, 8, 7, 9, 10, 0, 1, -1, 2, 3, 1]
GROUPS = np.split(np.array(VALUES), np.cumsum(SIZES)[:-1])
TOTALS = [float(group.sum()) for group in GROUPS]


def test_cr2_of_a_mean() -> None:
    """clubSandwich 0.5.8: vcovCR(lm(d ~ 1), type = "CR2"), coef_test(…, "Satterthwaite")."""
    fitted = clustered_mean(SIZES, TOTALS)
    assert fitted is not None
    assert fitted.mean == pytest.approx(3.66666666667, abs=1e-10)
    assert fitted.se == pytest.approx(1.13705678507, abs=1e-10)
    assert fitted.df == pytest.approx(4.26877108323, abs=1e-10)


def test_cr2_in_strata() -> None:
    """clubSandwich 0.5.8: linear_contrast of lm(d ~ 0 + stratum), weights n_h/N, CR2."""
    fitted = clustered_mean(SIZES, TOTALS, STRATA)
    assert fitted is not None
    assert fitted.se == pytest.approx(1.05343016903, abs=1e-10)
    assert fitted.df == pytest.approx(3.43578716854, abs=1e-10)
    assert fitted.low == pytest.approx(0.542359503311, abs=1e-9)
    assert fitted.high == pytest.approx(6.79097383002, abs=1e-9)


def test_single_clusters_are_collapsed() -> None:
    """A stratum of one cluster never stays alone: single ones together, a last one with the smallest."""
    assert list(collapse(["a", "b", "b", "c"])) == [0, 1, 1, 0]
    assert list(collapse(["a", "b", "b", "c", "c", "c"])) == [0, 0, 0, 1, 1, 1]
    assert list(collapse(["a", "b"])) == [0, 0]
    assert clustered_mean([5], [10]) is None


def test_icc_and_design_effect() -> None:
    """Hand calculation: groups (1,2,3), (7,8,9): MSB 54, MSW 1, ICC 53/56; effect 1 + 2·53/56."""
    correlation = icc([3, 3], [6, 24], [14, 194])
    assert correlation == pytest.approx((54 - 1) / (54 + 2 * 1))
    assert design_effect([3, 3], correlation) == pytest.approx(1 + 2 * 53 / 56)
    assert design_effect([3, 3], -0.2) == 1.0
    assert icc([3], [6], [14]) is None


def test_wilson() -> None:
    """R: prop.test(15, 148, correct = FALSE)$conf.int = 0.0624 0.1605 (Newcombe 1998, example 1c)."""
    low, high = wilson(15, 148)
    assert low == pytest.approx(0.0624, abs=5e-5)
    assert high == pytest.approx(0.1605, abs=5e-5)
    assert wilson(0, 20)[0] == 0.0
    wide = wilson(15, 148, 2)
    assert wide[0] < low
    assert wide[1] > high


def frame(pairs: list[tuple[float, float]], courses: list[str] | None = None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "course": courses or [f"c{i}" for i in range(len(pairs))],
            "pre": [pre for pre, _ in pairs],
            "post": [post for _, post in pairs],
            "n": 1,
        }
    )


SLEEP = frame(
    list(
        zip(
            [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
            [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
            strict=True,
        )
    )
)
"""Student's sleep data (Biometrika 1908, 6, 1); max points 100, so points stay as they are."""


def test_sleep() -> None:
    """R: t.test(paired = TRUE) on `sleep`: 1.58, CI 0.7001142 to 2.4598858 (each person a cluster)."""
    estimate = gains.mean_gain(SLEEP, 100, {})
    assert estimate.value == pytest.approx(1.58)
    assert estimate.low == pytest.approx(0.7001142, abs=1e-6)
    assert estimate.high == pytest.approx(2.4598858, abs=1e-6)
    assert estimate.n == 10


def test_hodges_lehmann_sleep() -> None:
    """R: d <- y - x; w <- outer(d, d, "+")/2; median(w[!lower.tri(w)]) = 1.3."""
    assert gains.hodges_lehmann(SLEEP, 100) == pytest.approx(1.3)


def test_wilcoxon_sleep() -> None:
    """R: wilcox.test(x, y, paired = TRUE, exact = FALSE, correct = FALSE): p = 0.007632."""
    assert gains.wilcoxon_p(SLEEP.round(10), 100) == pytest.approx(0.007632, abs=2e-5)
    assert gains.wilcoxon_p(frame([(1, 1), (2, 2)]), 20) is None


def test_normalized_gain_is_per_course() -> None:
    """Hake 1998: (70-40)/(100-40) = 0.5; a course at the ceiling has none."""
    two = frame([(8, 14), (20, 20)], ["a", "b"])
    assert dict(gains.normalized_gain_by_course(two, 20)) == {"a": 0.5}


def test_normalized_change() -> None:
    """Marx & Cummings 2007, by hand: gain 5/10, loss -4/8, no change 0; both ceilings dropped."""
    mean, kept, dropped = gains.normalized_change(
        frame([(10, 15), (8, 4), (7, 7), (20, 20), (0, 0)]), 20
    )
    assert mean == pytest.approx((0.5 - 0.5 + 0) / 3)
    assert (kept, dropped) == (3, 2)


def test_d_av_sleep() -> None:
    """By hand: 1.58 / sqrt((1.789010² + 2.002249²)/2) = 0.83218 (pingouin's compute_effsize agrees)."""
    assert gains.d_av(SLEEP) == pytest.approx(
        1.58 / math.sqrt((1.789010**2 + 2.002249**2) / 2), abs=1e-5
    )


def test_few_courses_have_no_interval() -> None:
    """Under five courses the value stands for this group only; one person is refused."""
    few = gains.mean_gain(frame([(1, 2), (2, 4)]), 20, {})
    assert few.value == 7.5
    assert few.low is None
    assert few.reason == "fewer_than_5_courses"
    assert gains.mean_gain(frame([(1, 2)]), 20, {}).status == "refused"
    assert gains.mean_gain(frame([]), 20, {}).reason == "no_rows"


def test_bands_round_half_up_first() -> None:
    """4.505 is 4.51, the highest band, though a float holds 4.50499…; the rival rule differs at 4.30."""
    assert perception.band(Fraction("4.505"), "4.51") == 5
    assert perception.band(Fraction("4.504"), "4.51") == 4
    assert perception.band(Fraction("4.30"), "4.51") == 4
    assert perception.band(Fraction("4.30"), "0.80") == 5
    assert perception.band(Fraction(1), "4.51") == 1
    assert perception.band(None, "4.51") is None


def test_a_score_needs_five_of_six() -> None:
    """0.8 of six statements is five: four answers are too few and counted."""
    frame = pd.DataFrame({"answered": [6, 5, 4, 0], "total": [30, 20, 16, 0], "n": [1, 2, 3, 4]})
    kept = perception.scores(frame, 6, 0.8)
    assert list(kept.frame["answered"]) == [6, 5]
    assert kept.too_few == 7


def cells(**n: int) -> dict[str, Estimate]:
    return {key: Estimate(float(count), "x", count) for key, count in n.items()}


def test_one_hidden_cell_takes_another_with_it() -> None:
    """A single small cell could be had by subtraction, so the next smallest is hidden too."""
    out = hide_small(cells(a=3, b=50, c=9), suppress_below=5, indicative_below=30)
    assert [out[key].status for key in "abc"] == ["suppressed", "ok", "suppressed"]
    assert out["a"].value is None
    assert out["a"].n == 0
    assert out["c"].reason == "would_reveal_another_cell"


def test_two_hidden_cells_hide_each_other() -> None:
    """With two small cells no third is needed; small but shown ones are indicative."""
    out = hide_small(cells(a=3, b=4, c=9), suppress_below=5, indicative_below=30)
    assert [out[key].status for key in "abc"] == ["suppressed", "suppressed", "indicative"]


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.integers(0, 60), max_size=8))
def test_no_cell_can_be_had_by_subtraction(counts: dict[str, int]) -> None:
    """Whatever the cells, a partition never hides exactly one person-bearing cell among shown ones."""
    out = hide_small(cells(**counts), suppress_below=5, indicative_below=30)
    hidden = [key for key, cell in out.items() if cell.status == "suppressed"]
    shown = [key for key, cell in out.items() if cell.status != "suppressed" and counts[key] > 0]
    assert len(hidden) != 1 or not shown
    assert all(cell.n == 0 and cell.value is None for cell in map(out.__getitem__, hidden))


def spec(**values: object) -> IndicatorSpec:
    base: dict = {
        "id": "X-1",
        "criterion": "Progress",
        "kind": "performance",
        "question_en": "?",
        "question_th": "?",
        "formula": "",
        "unit": "%",
        "direction": "higher",
    }
    return IndicatorSpec.model_validate(base | values)


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (14.0, 13.0, 15.0, ("green", "met")),
        (3.0, 1.0, 5.0, ("red", "not_met")),
        (4.0, -1.0, 9.0, ("none", "not_assessed")),
        (1.0, -1.0, 3.0, ("red", "not_met")),
        (6.0, None, None, ("none", "not_assessed")),
    ],
)
def test_met_not_met_not_assessed(
    value: float, low: float | None, high: float | None, expected: tuple[str, str]
) -> None:
    """A small group whose interval holds 0 and the least important difference is not punished."""
    assert light(spec(), Estimate(value, "x", 50, low, high), 5.0) == expected


def test_lights_follow_the_table() -> None:
    """Green, amber and red by the table's bands in the indicator's direction; no target, no light."""
    bands = spec(green=80, amber=60)
    assert light(bands, Estimate(80.0, "%", 9))[0] == "green"
    assert light(bands, Estimate(79.9, "%", 9))[0] == "amber"
    assert light(bands, Estimate(10.0, "%", 9))[0] == "red"
    assert light(spec(direction="lower", green=1.0, amber=1.15), Estimate(1.1, "", 9))[0] == "amber"
    assert light(spec(), Estimate(1.0, "", 9)) == ("none", "no_target")
    assert light(bands, refused("no_rows", "%")) == ("none", "no_data")


def test_an_estimate_holds_no_nonsense() -> None:
    """NaN and infinity cannot enter an estimate: they must be refused with a reason."""
    with pytest.raises(ValueError, match="refuse it"):
        Estimate(float("nan"), "x", 1)
