"""The problems by name, and one run of one optimizer on one of them."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from benchmarks.search.computed import autopeft, branches, dtlz2, zdt
from benchmarks.search.past import past_of
from benchmarks.search.peers import competitor
from benchmarks.search.peft_trials import peft_lora
from benchmarks.search.problems import SearchProblem
from benchmarks.search.tables import complete_grid, regmix, step_law, tinker_sft

Build = Callable[[], SearchProblem]

DEVELOPMENT: dict[str, Build] = {
    "autopeft16/0": partial(autopeft, 0),
    "branches": branches,
    "zdt1-mixed-noisy": partial(zdt, 1, noise=0.02),
    "steplaw/0": partial(step_law, 0),
    "hpobench_australian": partial(complete_grid, "hpobench_australian", "high"),
    "hpobench_phoneme+cost": partial(complete_grid, "hpobench_phoneme", "high", ("depth", "width")),
    "nasbench201_cifar100": partial(complete_grid, "nasbench201_cifar100", "high"),
    "peft_lora/trec": partial(peft_lora, "trec"),
    "tinker_sft/Qwen3-30B-A3B-Base": partial(tinker_sft, "Qwen/Qwen3-30B-A3B-Base"),
    "tinker_sft/Qwen3-32B": partial(tinker_sft, "Qwen/Qwen3-32B"),
}
"""On these, with seeds from 100, the settings of our optimizers were chosen (docs/decisions/gp-defaults.md)."""

CONFIRMATION: dict[str, Build] = {
    "autopeft16/1": partial(autopeft, 1),
    "autopeft16-log/1": partial(autopeft, 1, logarithmic=True),
    "zdt3-mixed": partial(zdt, 3),
    "dtlz2-conditional": dtlz2,
    "steplaw/7": partial(step_law, 7),
    "hpobench_credit_g": partial(complete_grid, "hpobench_credit_g", "high"),
    "hpobench_blood_transfusion+cost": partial(complete_grid, "hpobench_blood_transfusion", "high", ("depth", "width")),
    "hpolib_naval_propulsion": partial(complete_grid, "hpolib_naval_propulsion", "low"),
    "hpolib_parkinsons_telemonitoring+cost": partial(
        complete_grid, "hpolib_parkinsons_telemonitoring", "low", ("n_units_1", "n_units_2")
    ),
    "nasbench201_cifar10": partial(complete_grid, "nasbench201_cifar10", "high"),
    "regmix": regmix,
    "peft_lora/ag_news": partial(peft_lora, "ag_news"),
    "peft_lora/sst2": partial(peft_lora, "sst2"),
}
"""Never looked at while settings were chosen."""

PROBLEMS = DEVELOPMENT | CONFIRMATION
_TABLES = ("steplaw", "hpo", "nasbench", "regmix", "tinker_sft")
RECORDED = tuple(name for name in PROBLEMS if name.startswith(_TABLES))
"""Those that need the tables of ../shared/data."""
QUICK = ("autopeft16/0", "branches", "zdt1-mixed-noisy", "steplaw/0", "hpobench_australian", "hpobench_phoneme+cost")


@dataclass(frozen=True)
class Run:
    """One optimizer on one problem with one seed; regret after, and seconds of, each of its suggestions, and
    how many of its trials failed."""

    problem: str
    optimizer: str
    seed: int
    regrets: list[float]
    seconds: list[float]
    failed: int = 0


@cache
def problem(name: str) -> SearchProblem:
    """A problem by name, built once in each process."""
    return PROBLEMS[name]()


def search(name: str, optimizer: str, seed: int, trials: int) -> Run:
    """One run of `trials` trials. `NAME+past` gives optimizer NAME what alike problems have shown."""
    _one_thread()
    given, regrets, seconds = problem(name), [], []
    bare, _, with_past = optimizer.partition("+")
    player = competitor(bare, given.problem, seed, past_of(name, problem) if with_past else ())
    values, failed = [], 0
    for number in range(trials):
        start = time.perf_counter()
        config = player.ask()
        seconds.append(round(time.perf_counter() - start, 5))
        # The noise of a trial depends on its number and the seed only: every optimizer meets the same luck.
        metrics = given.measure(config, np.random.default_rng([seed, number, 7]))
        player.tell(config, metrics)
        failed += not all(map(math.isfinite, metrics.values()))
        values.append(given.values(config))
        regrets.append(round(given.regret(np.array(values)), 6))
    return Run(name, optimizer, seed, regrets, seconds, failed)


def _one_thread() -> None:
    """Peers with torch would otherwise fight the other process for the cores."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
