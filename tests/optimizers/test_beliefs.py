"""Priors where an objective follows from the configuration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optimizers.beliefs import over_all_amounts
from optimizers.problem import CompletedTrial, Config, History, Objective, Problem
from optimizers.registry import optimizer
from search_spaces.conditions import Condition
from search_spaces.parameters import Categorical, Float, Int
from search_spaces.priors import Bell, Weights
from search_spaces.space import Space

LARGEST = 64
SPACE = Space(
    (
        Categorical("targets", ("qv", "all"), prior=Weights((1.0, 3.0))),
        Int("rank", 1, LARGEST, scale="log", prior=Bell(LARGEST, spread=0.1)),
        Float("rate", 1e-5, 1e-2, scale="log", prior=Bell(1e-3, spread=0.1)),
        Categorical("schedule", ("linear", "cosine"), prior=Weights((1.0, 2.0))),
    )
)


def size(config: Config) -> float:
    return 100.0 * config["rank"] * (1 if config["targets"] == "qv" else 7)


LOSS, SIZE = Objective("loss", "minimize"), Objective("size", "minimize")
BOTH = Problem(SPACE, (LOSS, SIZE), known={"size": size})


def believed(problem: Problem) -> list[str]:
    return [one.name for one in problem.space.parameters if getattr(one, "prior", None) is not None]


def test_what_decides_a_known_objective_loses_its_prior_and_nothing_else_does() -> None:
    evened, names = over_all_amounts(BOTH)
    assert names == ("rank", "targets")
    assert believed(evened) == ["rate", "schedule"]
    assert [one.name for one in evened.space.parameters] == [one.name for one in SPACE.parameters]
    assert (evened.objectives, evened.known) == (BOTH.objectives, BOTH.known)


@pytest.mark.parametrize(
    "problem",
    [
        replace(BOTH, objectives=(LOSS,)),
        replace(BOTH, objectives=(SIZE,)),
        replace(BOTH, known={}),
        replace(BOTH, objectives=(LOSS, Objective("latency", "minimize"))),
        replace(BOTH, known={"size": lambda _: 7.0}),
    ],
    ids=["of one objective", "of size alone", "size is measured", "size is no objective", "nothing decides it"],
)
def test_elsewhere_a_problem_stays_as_it_is(problem: Problem) -> None:
    assert over_all_amounts(problem) == (problem, ())


def test_a_parameter_that_is_seldom_active_is_met() -> None:
    methods = Categorical("method", tuple(f"m{number}" for number in range(30)))
    inner = Int("m7.rank", 1, 8, prior=Bell(8, spread=0.1))
    space = Space((methods, inner), (Condition("m7.rank", "method", ("m7",)),))
    problem = Problem(space, (LOSS, SIZE), known={"size": lambda config: float(config.get("m7.rank", 0))})
    assert over_all_amounts(problem)[1] == ("m7.rank",)


@pytest.mark.parametrize("name", ["gp", "auto"])
def test_a_search_for_a_front_begins_with_every_size(name: str) -> None:
    made, rng = optimizer(name, seed=0), np.random.default_rng(0)
    begun = made.propose(BOTH, History(), 10, rng)
    ranks = [config["rank"] for config in begun.configs]
    assert sum(rank <= 8 for rank in ranks) == pytest.approx(5, abs=1)  # half of the axis
    assert begun.notes == ("gp: priors of rank, targets are left out, as an objective follows from these",)
    alone = made.propose(replace(BOTH, objectives=(LOSS,)), History(), 10, rng)
    assert min(config["rank"] for config in alone.configs) > 16  # where quality alone counts, the prior does, too
    measured = History((CompletedTrial("1", begun.configs[0], {"loss": 1.0}),))
    assert made.propose(BOTH, measured, 1, rng).notes == ()
