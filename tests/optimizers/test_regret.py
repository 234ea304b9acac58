"""Bayesian optimization earns its keep: less hypervolume is missing than after a random search of the same length."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from optimizers.pareto import hypervolume, non_dominated
from optimizers.problem import CompletedTrial, History
from optimizers.registry import optimizer
from tests.optimizers.computed_problems import LAYERS, MIXED, TWO, metrics, parameters

TRIALS, SEEDS = 40, 5
MOST = 2 * 64 * 16 * 3 * LAYERS  # parameters of the largest configuration
REFERENCE = np.array([-0.4, 1.0])


def _minimised(config: dict[str, object]) -> tuple[float, float]:
    return -metrics(config)["accuracy"], parameters(config) / MOST


@cache
def _best() -> float:
    values = np.array([_minimised(config) for config in MIXED.sample(30_000, np.random.default_rng(99))])
    return hypervolume(values[non_dominated(values)], REFERENCE)


def _regret(name: str, seed: int) -> float:
    """Share of the reachable hypervolume that is missing after `TRIALS`; quality is measured with noise."""
    chosen, done, values = optimizer(name, seed=seed), [], []
    for number in range(TRIALS):
        rng = np.random.default_rng([seed, number])
        (config,) = chosen.propose(TWO, History(tuple(done)), 1, rng).configs
        measured = metrics(config) | {"accuracy": metrics(config)["accuracy"] + 0.004 * rng.standard_normal()}
        done.append(CompletedTrial(str(number), config, measured))
        values.append(_minimised(config))
    return 1 - hypervolume(np.array(values), REFERENCE) / _best()


@pytest.mark.slow
def test_gp_misses_less_than_two_thirds_of_what_random_misses() -> None:
    searched = [_regret("gp", seed) for seed in range(SEEDS)]
    random = [_regret("random", seed) for seed in range(SEEDS)]
    assert np.mean(searched) < 2 / 3 * np.mean(random), (searched, random)
