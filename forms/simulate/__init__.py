"""A season that never was: people, courses, answers and faults, from declared settings and a seed.

    season = simulate.season(programme, seed=2564, people=300)
    for sent in season.submissions(): ...
    simulate.write(season, folder)        # truth.json, ledger.csv

`responses` is the test model alone, vectorised, for studies over many seeds; `true_gain` is what that
model truly yields, by integration. Nothing simulated is ever told as if it had happened.
"""

from forms.simulate.gain import TrueGain, course_gains, true_gain
from forms.simulate.ledger import Fault
from forms.simulate.plan import Plan, plan_season
from forms.simulate.responses import Design, Responses, design, responses
from forms.simulate.season import Season, Sent, season
from forms.simulate.settings import Simulation, load_simulation
from forms.simulate.truth import personal_words, write

__all__ = [
    "Design",
    "Fault",
    "Plan",
    "Responses",
    "Season",
    "Sent",
    "Simulation",
    "TrueGain",
    "course_gains",
    "design",
    "load_simulation",
    "personal_words",
    "plan_season",
    "responses",
    "season",
    "true_gain",
    "write",
]
