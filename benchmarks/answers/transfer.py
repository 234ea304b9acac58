"""Leave one task out: what past jobs on other tasks recommend, and what it is worth beside the default.

Every family holds complete tables of the same space on several data sets. Past jobs are searches of 40 noisy trials by
`auto` on the other data sets of the family. Regret is measured on the truth (the mean of all repetitions) of the task
left out, as a share of the way from a median random configuration to the optimum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np

from benchmarks.search.peers import Ours
from benchmarks.search.problems import SearchProblem
from benchmarks.search.tables import complete_grid
from optimizers.problem import CompletedTrial, Config
from optimizers.problem import PastJob as Evidence
from predictors.transfer import PastJob, PastTrial, Task, recommend
from search_spaces.parameters import Ordinal

TRIALS = 40
COUNT = 3
AIM_REGRET, AIM_TRIALS = 1 / 3, 1 / 2


@dataclass(frozen=True)
class Family:
    """Tables of one space. `tasks` maps them to their training rows; `default` is what people start from."""

    name: str
    better: str
    tasks: Mapping[str, float]
    default: Mapping[str, Any]


# Defaults: scikit-learn's MLPClassifier; a middle cell of FCNet's grid; the residual cell of NAS-Bench-201's ResNet.
FAMILIES = (
    Family(
        "HPOBench MLP",
        "high",
        {
            "hpobench_australian": 690,
            "hpobench_blood_transfusion": 748,
            "hpobench_credit_g": 1000,
            "hpobench_phoneme": 5404,
        },
        {"alpha": 1e-4, "batch_size": 200, "depth": 1, "learning_rate_init": 1e-3, "width": 100},
    ),
    Family(
        "FCNet",
        "low",
        {"hpolib_naval_propulsion": 11_934, "hpolib_parkinsons_telemonitoring": 5875},
        {
            "activation_fn_1": "relu",
            "activation_fn_2": "relu",
            "batch_size": 32,
            "dropout_1": 0.0,
            "dropout_2": 0.0,
            "init_lr": 1e-3,
            "lr_schedule": "cosine",
            "n_units_1": 64,
            "n_units_2": 64,
        },
    ),
    Family(
        "NAS-Bench-201",
        "high",
        {"nasbench201_cifar10": 50_000, "nasbench201_cifar100": 50_000},
        {
            "op0": "nor_conv_3x3",
            "op1": "none",
            "op2": "nor_conv_3x3",
            "op3": "skip_connect",
            "op4": "none",
            "op5": "nor_conv_3x3",
        },
    ),
)


Trials = list[tuple[Config, Mapping[str, float]]]


def measure(data: Path, quick: bool) -> dict[str, Any]:
    """Regrets of the default and of the first recommendation, and trials that a warm search needs; one row a task.

    `common` is what could be had at most: the configuration that is best on average over the *complete* tables of the
    other tasks.
    """
    families, seeds = (FAMILIES[:1], 1) if quick else (FAMILIES, 5)
    rows = [row for family in families for row in _family(family, data / "hpo", seeds)]
    averages = {name: mean(row[name] for row in rows) for name in ("default", "first", "best_of_three", "common")}
    shares = [row["warm_share"] for row in rows]
    return {
        "regret": averages,
        "first_over_default": {"value": averages["first"] / averages["default"], "aim": AIM_REGRET},
        "common_over_default": averages["common"] / averages["default"],
        "warm_share_of_trials": {"value": median(share if share else 1.0 for share in shares), "aim": AIM_TRIALS},
        "tasks": rows,
    }


def _family(family: Family, data: Path, seeds: int) -> list[dict[str, Any]]:
    problems = {name: complete_grid(name, family.better, data=data) for name in family.tasks}
    searches = {
        (name, seed): _search(given, seed, Ours("auto", given.problem, seed))
        for name, given in problems.items()
        for seed in range(seeds)
    }
    return [_left_out(family, name, seeds, problems, searches) for name in family.tasks]


def _left_out(
    family: Family,
    name: str,
    seeds: int,
    problems: Mapping[str, SearchProblem],
    searches: Mapping[tuple[str, int], Trials],
) -> dict[str, Any]:
    """One task, without having seen it."""
    given = problems[name]
    others = [other for other in problems if other != name]
    firsts, bests, warm = [], [], []
    for seed in range(seeds):
        past = [_past_job(other, family.tasks[other], searches[other, seed]) for other in others]
        items = recommend(Task(rows=family.tasks[name]), past, "value", family.better == "high", COUNT)
        values = np.array([given.values(item.config) for item in items])
        firsts.append(given.regret(values[:1]))
        bests.append(given.regret(values))
        player = Ours("auto", given.problem, seed, tuple(_evidence(family, name, job) for job in past))
        warm.append(_regrets(given, _search(given, seed, player)))
    goal = median(_regrets(given, searches[name, seed])[-1] for seed in range(seeds))
    reached = [next((count for count, regret in enumerate(one, 1) if regret <= goal + 1e-12), None) for one in warm]
    times = sorted(math.inf if count is None else count / TRIALS for count in reached)
    share = times[len(times) // 2]
    return {
        "family": family.name,
        "task": name,
        "default": given.regret(np.array([given.values(_nearest(given, family.default))])),
        "first": mean(firsts),
        "best_of_three": mean(bests),
        "common": _common(given, [problems[other] for other in others]),
        "cold_final": goal,
        "warm_share": None if math.isinf(share) else share,
    }


def _past_job(name: str, rows: float, trials: Trials) -> PastJob:
    kept = tuple(PastTrial(f"{name}-{number}", *trial) for number, trial in enumerate(trials))
    return PastJob(name, Task(rows=rows), kept)


def _evidence(family: Family, name: str, job: PastJob) -> Evidence:
    """A past job as an optimizer is handed it."""
    likeness = Task(rows=family.tasks[name]).weight(job.task)
    return Evidence(job.id, likeness, tuple(CompletedTrial(one.id, one.config, one.metrics) for one in job.trials))


def _common(given: SearchProblem, others: list[SearchProblem]) -> float:
    """Regret of the configuration with the least mean regret over all of the other tasks' tables."""
    regrets = np.zeros(len(given.listed))
    for other in others:
        values = np.array([other.values(config)[0] for config in given.listed])
        optimum, middle = float(other.best.min()), float(np.median(other.drawn))
        regrets += (values - optimum) / (middle - optimum)
    return given.regret(np.array([given.values(given.listed[int(regrets.argmin())])]))


def _search(given: SearchProblem, seed: int, player: Ours) -> Trials:
    trials: Trials = []
    for number in range(TRIALS):
        config = player.ask()
        trials.append((config, given.measure(config, np.random.default_rng([seed, number, 7]))))
        player.tell(*trials[-1])
    return trials


def _regrets(given: SearchProblem, trials: Trials) -> list[float]:
    """Regret after each trial."""
    values = np.array([given.values(config) for config, _ in trials])
    return [given.regret(values[: count + 1]) for count in range(len(values))]


def _nearest(given: SearchProblem, wanted: Mapping[str, Any]) -> Config:
    """The grid's configuration nearest to `wanted`, by factor where values are numbers."""
    found = {}
    for parameter in given.problem.space.parameters:
        value = wanted[parameter.name]
        if isinstance(parameter, Ordinal) and value not in parameter.values:
            value = min(parameter.values, key=lambda one: abs(math.log(max(float(one), 1e-12) / value)))
        found[parameter.name] = value
    given.problem.space.validate(found)
    return found
