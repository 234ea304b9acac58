"""The problems by name, and one run of one optimizer on one of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from benchmarks.search.computed import autopeft, branches, dtlz2, zdt
from benchmarks.search.peers import competitor
from benchmarks.search.problems import SearchProblem
from benchmarks.search.tables import complete_grid, step_law

COMPUTED: dict[str, Callable[[], SearchProblem]] = {
    **{f"autopeft16/{seed}": partial(autopeft, seed) for seed in range(3)},
    **{f"autopeft16-log/{seed}": partial(autopeft, seed, logarithmic=True) for seed in range(2)},
    "branches": branches,
    "zdt1-mixed-noisy": partial(zdt, 1, noise=0.02),
    "zdt3-mixed": partial(zdt, 3),
    "dtlz2-conditional": dtlz2,
}
RECORDED: dict[str, Callable[[], SearchProblem]] = {
    **{f"steplaw/{group}": partial(step_law, group) for group in range(4)},
    "hpobench_australian": partial(complete_grid, "hpobench_australian", "high"),
    "hpobench_phoneme+cost": partial(complete_grid, "hpobench_phoneme", "high", ("depth", "width")),
    "hpolib_parkinsons_telemonitoring+cost": partial(
        complete_grid, "hpolib_parkinsons_telemonitoring", "low", ("n_units_1", "n_units_2")
    ),
    "nasbench201_cifar100": partial(complete_grid, "nasbench201_cifar100", "high"),
}
QUICK = ("autopeft16/0", "branches", "zdt1-mixed-noisy", "steplaw/0", "hpobench_australian", "hpobench_phoneme+cost")


@cache
def problem(name: str) -> SearchProblem:
    """A problem by name, built once in each process."""
    return (COMPUTED | RECORDED)[name]()


def search(name: str, optimizer: str, seed: int, trials: int) -> tuple[list[float], list[float]]:
    """One run: the regret and the seconds of each suggestion, `trials` of both."""
    _one_thread()
    given, regrets, seconds = problem(name), [], []
    player, values = competitor(optimizer, given.problem, seed), []
    for number in range(trials):
        start = time.perf_counter()
        config = player.ask()
        seconds.append(time.perf_counter() - start)
        # The noise of a trial depends on its number and the seed only: every optimizer meets the same luck.
        player.tell(config, given.measure(config, np.random.default_rng([seed, number, 7])))
        values.append(given.values(config))
        regrets.append(given.regret(np.array(values)))
    return regrets, seconds


def _one_thread() -> None:
    """Peers with torch would otherwise fight the other process for the cores."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


def summary(name: str, optimizer: str, runs: list[tuple[list[float], list[float]]]) -> dict[str, Any]:
    """One line of the results."""
    regrets, seconds = np.array([run[0] for run in runs]), np.array([run[1] for run in runs])
    final = regrets[:, -1]
    return {
        "problem": name,
        "optimizer": optimizer,
        "trials": regrets.shape[1],
        "seeds": len(runs),
        "regret_median": round(float(np.median(final)), 5),
        "regret_mean": round(float(final.mean()), 5),
        "regret_quartiles": [round(float(value), 5) for value in np.quantile(final, [0.25, 0.75])],
        "regret_by_trial": [round(float(value), 5) for value in np.median(regrets, axis=0)],
        "seconds_per_suggestion": round(float(seconds[:, seconds.shape[1] // 2 :].mean()), 5),
    }
