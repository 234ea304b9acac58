"""The optimizers that turn trials into one number: CMA-ES, tree search and ridge regression."""

from __future__ import annotations

import numpy as np
import pytest

from optimizers.decision_tree import descend, steps_of
from optimizers.errors import UnsupportedProblem
from optimizers.problem import CompletedTrial, Config, History, Objective, OutcomeConstraint, Problem
from optimizers.registry import check, optimizer
from search_spaces.conditions import Condition
from search_spaces.parameters import Categorical, Float, Int, Ordinal, Simplex
from search_spaces.priors import Bell, Weights
from search_spaces.space import Space
from tests.optimizers.computed_problems import ACCURACY, MIXED, TWO, quality

NUMBERS = Space((Float("x", -2.0, 2.0), Int("y", 0, 40), Float("z", 1e-4, 1.0, "log"), Ordinal("w", tuple(range(9)))))
LOSS = Problem(NUMBERS, (Objective("loss", "minimize"),))


def _loss(config: Config) -> float:
    tilted = config["x"] - 0.7 + (config["y"] - 30) / 20
    return tilted**2 + ((config["y"] - 30) / 20) ** 2 + np.log10(config["z"] / 0.01) ** 2 + (config["w"] - 6) ** 2 / 16


def _best(name: str, problem: Problem, value: object, trials: int, seed: int) -> float:
    chosen, done = optimizer(name), []
    (objective,) = problem.objectives
    for number in range(trials):
        rng = np.random.default_rng([seed, number])
        (config,) = chosen.propose(problem, History(tuple(done)), 1, rng).configs
        done.append(CompletedTrial(str(number), config, {objective.metric: value(config)}))  # type: ignore[operator]
    found = [trial.metrics[objective.metric] for trial in done]
    return min(found) if objective.direction == "minimize" else -max(found)


def test_cmaes_closes_in_on_a_tilted_bowl() -> None:
    searched = [_best("cmaes", LOSS, _loss, 120, seed) for seed in range(5)]
    random = [_best("random", LOSS, _loss, 120, seed) for seed in range(5)]
    assert np.mean(searched) < 0.5 * np.mean(random), (searched, random)


def test_cmaes_refuses_what_is_not_one_objective_over_numbers() -> None:
    check("cmaes", LOSS)
    check("cmaes", Problem(NUMBERS, LOSS.objectives, (OutcomeConstraint("loss", max=9.0),)))
    with pytest.raises(UnsupportedProblem, match=r"cmaes: has one objective, found 2; use gp or nsga2"):
        check("cmaes", TWO)
    with pytest.raises(UnsupportedProblem, match=r"always active, found method, placement, layer_0, .*rank"):
        check("cmaes", Problem(MIXED, (ACCURACY,)))
    with pytest.raises(UnsupportedProblem, match=r"needs two free parameters, found 1"):
        check("cmaes", Problem(Space((Float("x", 0.0, 1.0),)), (ACCURACY,)))


def test_paths_lead_back_to_the_same_intervals() -> None:
    """With whole powers of two, an interval holds whole values; elsewhere a path may end in the interval beside it."""
    space = Space(
        (
            Categorical("method", ("lora", "adapter")),
            Ordinal("rank", (1, 2, 4, 8)),
            Float("learning_rate", 1e-5, 1e-2, "log"),
            Simplex("mixture", ("a", "b", "c")),
        ),
        (Condition("rank", "method", ("lora",)),),
    )
    rng = np.random.default_rng(0)
    for config in space.sample(50, rng):
        steps = [*steps_of(space, config)]
        (followed,) = descend(space, lambda path, _, __, steps=steps: steps[len(path)][1], rng)  # type: ignore[misc]
        assert [*steps_of(space, followed)] == steps
        assert followed.get("rank") == config.get("rank")


def test_a_tree_without_results_follows_the_priors() -> None:
    """As `random` does; evenly over the tree, two of three rates would lie outside the prior's bell."""
    rate = Float("learning_rate", 1e-6, 1.0, "log", prior=Bell(1e-3, 0.1))
    kind = Categorical("kind", ("usual", "odd"), prior=Weights((0.9, 0.1)))
    problem = Problem(Space((kind, rate)), (ACCURACY,))
    begun = [optimizer("mcts").propose(problem, History(), 1, np.random.default_rng(seed)) for seed in range(80)]
    drawn = [proposal.configs[0] for proposal in begun]
    likely = problem.space.sample(80, np.random.default_rng(0))
    for configs in (drawn, likely):
        assert np.mean([1e-4 < config["learning_rate"] < 1e-2 for config in configs]) > 0.75
        assert np.mean([config["kind"] == "usual" for config in configs]) > 0.75


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mcts", "smbo"])
def test_tree_optimizers_beat_random(name: str) -> None:
    problem = Problem(MIXED, (ACCURACY,))
    searched = [_best(name, problem, quality, 40, seed) for seed in range(8)]
    random = [_best("random", problem, quality, 40, seed) for seed in range(8)]
    assert np.mean(searched) < np.mean(random), (searched, random)
