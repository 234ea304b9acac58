"""What alike problems have shown before: other tables of the same family, searched at random."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from benchmarks.search.problems import SearchProblem
from optimizers.problem import CompletedTrial, PastJob

# Family → problems that differ in the data only. A problem's own table is never among its past.
FAMILIES = {
    "autopeft": ("autopeft16/0", "autopeft16/1"),
    "steplaw": ("steplaw/0", "steplaw/7"),
    "hpobench": ("hpobench_australian", "hpobench_credit_g"),
    "hpobench+cost": ("hpobench_phoneme+cost", "hpobench_blood_transfusion+cost"),
    "peft_lora": ("peft_lora/trec", "peft_lora/ag_news", "peft_lora/sst2"),
    "tinker_sft": ("tinker_sft/Qwen3-32B", "tinker_sft/Qwen3-30B-A3B-Base"),
    "nasbench201": ("nasbench201_cifar10", "nasbench201_cifar100"),
}
_TRIALS = 40


def has_past(name: str) -> bool:
    """Whether alike problems are known."""
    return any(name in members for members in FAMILIES.values())


def past_of(name: str, problem: Callable[[str], SearchProblem]) -> tuple[PastJob, ...]:
    """The past jobs of a problem: 40 random trials on each of the others of its family."""
    members = next((members for members in FAMILIES.values() if name in members), ())
    return tuple(_job(other, problem) for other in members if other != name)


@cache
def _job(name: str, problem: Callable[[str], SearchProblem]) -> PastJob:
    given, rng = problem(name), np.random.default_rng(2024)
    configs = given.problem.space.sample(_TRIALS, rng)
    measured = [(config, given.measure(config, rng)) for config in configs]
    completed = [(config, metrics) for config, metrics in measured if all(map(math.isfinite, metrics.values()))]
    trials = [CompletedTrial(f"{name}-{i}", config, metrics) for i, (config, metrics) in enumerate(completed)]
    return PastJob(name, 0.7, tuple(trials))
