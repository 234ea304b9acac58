"""What a search promises of its front, held against fresh repetitions: do the intervals cover what they claim?

Searches of 40 noisy trials by `auto` on complete grids with repetitions. Whatever is on the front at the end is
promised a value by the model and then "trained again": the mean of three repetitions drawn anew. Beside it stands how
often the winner's own measurement, and the promise, were better than that: a fair one is so in half of the cases.
"""

from __future__ import annotations

from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from benchmarks.search.peers import Ours
from benchmarks.search.problems import SearchProblem
from benchmarks.search.tables import complete_grid
from optimizers.pareto import non_dominated
from predictors.confirmation import promise
from predictors.insights import fit_metric

TRIALS, REPEATS, LEVEL, AIM = 40, 3, 0.9, 0.9
TABLES = (
    ("hpobench_australian", "high", ("depth", "width")),
    ("hpobench_blood_transfusion", "high", ("depth", "width")),
    ("hpobench_credit_g", "high", ("depth", "width")),
    ("hpobench_phoneme", "high", ("depth", "width")),
    ("hpolib_naval_propulsion", "low", ("n_units_1", "n_units_2")),
    ("hpolib_parkinsons_telemonitoring", "low", ("n_units_1", "n_units_2")),
)


def measure(data: Path, quick: bool) -> dict[str, Any]:
    """Share of confirmed means inside their promised intervals, and how often winners looked better than they are."""
    cases: list[dict[str, float]] = []
    for name, better, cost in TABLES[: 1 if quick else None]:
        given = complete_grid(name, better, cost, data / "hpo")
        for seed in range(1 if quick else 3):
            cases += _cases(given, 1.0 if better == "high" else -1.0, seed)
    return {
        "cases": len(cases),
        "coverage": {"value": mean(case["kept"] for case in cases), "aim": AIM},
        "own_measurement_was_better": mean(case["own_better"] for case in cases),
        "promise_was_better": mean(case["promise_better"] for case in cases),
    }


def _cases(given: SearchProblem, sign: float, seed: int) -> list[dict[str, float]]:
    """One case for each configuration on the front of one search."""
    player, trials = Ours("auto", given.problem, seed), []
    for number in range(TRIALS):
        config = player.ask()
        metrics = given.measure(config, np.random.default_rng([seed, number, 7]))
        player.tell(config, metrics)
        trials.append((config, metrics))
    values = np.array([[-sign * metrics["value"], metrics["cost"]] for _, metrics in trials])
    pairs = [(config, metrics["value"]) for config, metrics in trials]
    model = fit_metric(given.problem.space, pairs, "value", LEVEL)
    rng = np.random.default_rng([seed, 99])
    found = []
    for index in np.flatnonzero(non_dominated(values)):
        config, measured = trials[index][0], trials[index][1]["value"]
        fresh = mean(given.measure(config, rng)["value"] for _ in range(REPEATS))
        told = promise(model, config, share=False, rows=None)
        found.append(
            {
                "kept": float(told.low <= fresh <= told.high),
                "own_better": float(sign * measured > sign * fresh),
                "promise_better": float(sign * told.value > sign * fresh),
            }
        )
    return found
