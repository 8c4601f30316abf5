"""The test model yields the gain it declares, and the same as integration says."""

from __future__ import annotations

import numpy as np
import pytest

from forms import simulate
from forms.problems import ProgrammeProblem
from forms.programme import Programme, load, shipped
from forms.simulate import Design, Responses, TrueGain

DRAWS = 60


@pytest.fixture(scope="module")
def programme() -> Programme:
    return load(shipped())


@pytest.fixture(scope="module")
def made(programme: Programme) -> Design:
    return simulate.design(programme)


@pytest.fixture(scope="module")
def true(programme: Programme, made: Design) -> TrueGain:
    return simulate.true_gain(programme, solved=made)


@pytest.fixture(scope="module")
def draws(made: Design) -> list[Responses]:
    return [simulate.responses(made, np.random.default_rng(seed)) for seed in range(DRAWS)]


def agrees(drawn: list[float], expected: float, errors: float = 3.5) -> bool:
    """Whether the mean of independent draws lies within some Monte Carlo standard errors."""
    return abs(np.mean(drawn) - expected) < errors * np.std(drawn, ddof=1) / np.sqrt(len(drawn))


def test_integration_agrees_with_the_draws(
    made: Design, true: TrueGain, draws: list[Responses]
) -> None:
    """Overall, before, after, by province, curriculum and module: 60 seasons say what integration says."""
    gains = [drawn.post_score - drawn.pre_score for drawn in draws]
    assert agrees([gain.mean() for gain in gains], true.overall, 3)
    assert agrees([drawn.pre_score.mean() for drawn in draws], true.pre, 3)
    assert agrees([drawn.post_score.mean() for drawn in draws], true.post, 3)
    provinces = np.array([c.province for c in made.plan.courses])[made.plan.course_of]
    for code, value in true.province.items():
        assert agrees([gain[provinces == code].mean() for gain in gains], value)
    homes = np.array(made.plan.provinces)[made.plan.home[made.plan.person_of]]
    for code, value in true.person_province.items():
        assert agrees([gain[homes == code].mean() for gain in gains], value)
    curricula = np.array([c.curriculum for c in made.plan.courses])[made.plan.course_of]
    for code, value in true.curriculum.items():
        assert agrees([gain[curricula == code].mean() for gain in gains], value)
    modules, taught = np.array(made.modules), made.taught[made.plan.course_of]
    learnt = [100.0 * (d.post.astype(float) - d.pre.astype(float)) for d in draws]
    for code, value in true.module.items():
        assert agrees([change[:, modules == code].mean() for change in learnt], value)
    for code, value in true.module_taught.items():
        mask = taught & (modules == code)
        assert agrees([change[mask].mean() for change in learnt], value)
    for code, value in true.module_untaught.items():
        mask = ~taught & (modules == code)
        assert agrees([change[mask].mean() for change in learnt], value)


def test_declared_points_are_what_comes_out(programme: Programme, true: TrueGain) -> None:
    """A course's expected gain is its province's declared gain plus its curriculum's, exactly."""
    declared = simulate.load_simulation(programme.folder).model.gain
    for course in programme.courses:
        if course.province == "00":  # people of other provinces sit there, with their own ability
            continue
        wanted = declared.of_course(course.province, course.curriculum)
        assert true.course[course.code] == pytest.approx(wanted, abs=1e-6)


def test_the_season_looks_like_one(true: TrueGain, draws: list[Responses]) -> None:
    """Levels, spreads and the likeness of people in one course are those of a plausible season."""
    assert true.pre == pytest.approx(48, abs=1.5)
    assert true.post == pytest.approx(62, abs=1.5)
    assert max(true.curriculum.values()) - min(true.curriculum.values()) < 1
    spreads, between, iccs = [], [], []
    for drawn in draws[:10]:
        gain, course = drawn.post_score - drawn.pre_score, drawn.course_index
        size = np.bincount(course)
        mean = np.bincount(course, gain) / size
        within = ((gain - mean[course]) ** 2).sum() / (len(gain) - len(size))
        among = ((size * (mean - gain.mean()) ** 2).sum() / (len(size) - 1) - within) / size.mean()
        spreads.append(gain.std())
        between.append(np.sqrt(among))
        iccs.append(among / (among + within))
    assert 14 < np.mean(spreads) < 16
    assert 3 < np.mean(between) < 5
    assert 0.06 < np.mean(iccs) < 0.12


def test_people_leave_at_random_unless_told_otherwise(
    programme: Programme, draws: list[Responses]
) -> None:
    """The declared share leaves; by default whoever stays is neither better nor worse."""
    stayed = np.mean([drawn.stayed.mean() for drawn in draws])
    assert stayed == pytest.approx(1 - 0.13, abs=0.002)
    differences = [
        drawn.pre_score[drawn.stayed].mean() - drawn.pre_score[~drawn.stayed].mean()
        for drawn in draws
    ]
    assert agrees(differences, 0.0)
    settings = simulate.load_simulation(programme.folder)
    choosy = settings.model_copy(
        update={"dropout": settings.dropout.model_copy(update={"on_ability": -1.0})}
    )
    drawn = simulate.responses(simulate.design(programme, choosy), np.random.default_rng(1))
    assert drawn.pre_score[drawn.stayed].mean() > drawn.pre_score[~drawn.stayed].mean() + 5


def test_courses_are_drawn_anew_and_their_gains_are_told(
    programme: Programme, made: Design, true: TrueGain, draws: list[Responses]
) -> None:
    """Each seed has its own courses; the gain of a course, given its effects, averages to the truth."""
    assert not np.allclose(draws[0].course_gain, draws[1].course_gain)
    drawn = [simulate.course_gains(made, one) for one in draws]
    for course in made.plan.courses[:20]:
        assert agrees([one[course.code] for one in drawn], true.course[course.code], 4)


def test_points_out_of_reach_are_refused(programme: Programme) -> None:
    """A gain that these items cannot show is an error that names where it is declared."""
    settings = simulate.load_simulation(programme.folder)
    gain = settings.model.gain.model_copy(update={"default": 60.0, "province": {}})
    model = settings.model.model_copy(update={"gain": gain})
    with pytest.raises(ProgrammeProblem, match="cannot be reached"):
        simulate.design(programme, settings.model_copy(update={"model": model}))
