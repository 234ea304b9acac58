"""Population-based training: who copies whom, and that it pays (on the paper's own toy problem)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optimizers.errors import BadOption, UnsupportedProblem
from optimizers.problem import Objective, Problem
from optimizers.schedulers.contract import Budget, Curve, Exploit, Point, Standing
from optimizers.schedulers.population import MUTABLE, PopulationBasedTraining
from optimizers.schedulers.registry import check
from search_spaces.parameters import Categorical, Float, Ordinal
from search_spaces.space import Space
from workers.hyperparameters import Hyperparameters

SPACE = Space((Float("learning_rate", 1e-5, 1e-1, "log"), Float("dropout", 0.0, 0.5), Ordinal("rank", (4, 8, 16))))
PROBLEM = Problem(SPACE, (Objective("accuracy", "maximize"),))
PBT = PopulationBasedTraining(interval=1.0)


def population(*finals: float, epochs: int = 2) -> dict[str, Curve]:
    return {
        f"t{i}": Curve(
            tuple(Point(epoch + 1.0, {"accuracy": final}) for epoch in range(epochs)),
            {"learning_rate": 1e-3 * (i + 1), "dropout": 0.1, "rank": 8},
        )
        for i, final in enumerate(finals)
    }


def copies(curves: dict[str, Curve], pbt: PopulationBasedTraining = PBT, **changes: Any) -> dict[str, Exploit | None]:
    """What each trial does once all have paused."""
    everyone = frozenset(curves)
    fields: dict[str, Any] = {"curves": curves, "paused": everyone, "donors": everyone, "active": frozenset()}
    fields |= {"fresh": {}, "to_come": 0, "slots": 2, "budget": Budget(len(curves), 9.0), "seed": 5}
    return dict(pbt.moves(Standing(**fields | changes), PROBLEM).resume)


def test_only_the_worst_copy_and_only_from_the_best_with_a_checkpoint() -> None:
    curves = population(0.1, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
    copying = {trial: found for trial, found in copies(curves).items() if found}
    assert set(copies(curves)) == set(curves)
    assert set(copying) == {"t0", "t1"}
    assert {found.donor for found in copying.values()} <= {"t6", "t7"}
    only = copies(curves, donors=frozenset({"t6", "t3"}))["t0"]
    assert only is not None
    assert only.donor == "t6"
    assert not any(copies(curves, donors=frozenset({"t3"})).values())


def test_same_standing_same_choice_and_structure_stays() -> None:
    curves = population(0.1, 0.5, 0.6, 0.9)
    found = copies(curves)["t0"]
    assert found == copies(curves)["t0"] is not None
    assert found is not None
    assert found.config["rank"] == 8
    assert found.config["learning_rate"] != curves["t3"].config["learning_rate"]
    SPACE.validate(found.config)
    assert copies(curves, seed=6)["t0"] != found


def test_a_generation_waits_for_its_last_and_the_first_of_the_next() -> None:
    curves = population(0.1, 0.5, 0.6, 0.9)
    others = frozenset({"t1", "t2", "t3"})
    assert copies(curves, paused=others, active=frozenset({"t0"})) == {}
    assert copies(curves, fresh={"t9": {}}) == {}
    assert copies(curves, to_come=1) == {}
    ahead = curves | population(*[0.0] * 5, epochs=3) | {"t0": curves["t0"]}
    assert set(copies(ahead)) == {"t0"}
    assert not any(copies({"t0": curves["t0"]}).values())
    assert not any(copies(population(0.5, 0.5, 0.5, 0.5)).values())


def test_batch_sizes_that_round_a_slice_differently_share_a_generation() -> None:
    curves = population(0.1, 0.5, 0.6, 0.9, epochs=1)
    curves["t0"] = Curve((Point(0.9, {"accuracy": 0.1}),), curves["t0"].config)
    assert set(copies(curves)) == set(curves)
    assert copies(curves)["t0"] is not None


def test_what_has_ended_still_ranks_but_lends_nothing() -> None:
    curves = population(0.1, 0.5, 0.6, 0.9)
    assert copies(curves, paused=frozenset({"t0", "t1"}), donors=frozenset({"t0", "t1"})) == {"t0": None, "t1": None}


def test_explored_values_stay_in_the_space() -> None:
    space = Space(
        (Float("learning_rate", 1e-3, 1e-2), Categorical("dropout", (0.0, 0.1)), Ordinal("weight_decay", (0, 1, 2)))
    )
    rng = np.random.default_rng(0)
    start = {"learning_rate": 1e-2, "dropout": 0.1, "weight_decay": 2}
    found = [PBT.explore(start, space, rng) for _ in range(200)]
    for config in found:
        space.validate(config)
    assert {config["weight_decay"] for config in found} == {0, 1, 2}
    assert 0.5 < np.mean([config["learning_rate"] < 1e-2 for config in found]) < 1.0


def test_reaches_the_optimum_that_a_grid_misses() -> None:
    """Figure 2 of the paper: Q = 1.2 − x² − y², ascended on 1.2 − h0·x² − h1·y²; (1, 0) and (0, 1) get stuck alone.

    h0 and h1 go under names that may change in a running trial.
    """
    space = Space((Float("learning_rate", 0.0, 1.0), Float("weight_decay", 0.0, 1.0)))
    problem = Problem(space, (Objective("q", "maximize"),))
    pbt = PopulationBasedTraining(interval=4.0, quantile=0.5)

    def run(exploiting: bool) -> float:
        places = {"a": np.array([0.9, 0.9]), "b": np.array([0.9, 0.85])}
        configs = {"a": {"learning_rate": 0.0, "weight_decay": 1.0}, "b": {"learning_rate": 1.0, "weight_decay": 0.0}}
        points: dict[str, list[Point]] = {"a": [], "b": []}
        rng = np.random.default_rng(0)
        for step in range(1, 101):
            for name, place in places.items():
                place -= 0.02 * np.array(list(configs[name].values())) * place
                measured = 1.2 - float((place**2).sum()) + 1e-6 * rng.standard_normal()  # so that twins differ
                points[name].append(Point(float(step), {"q": measured}))
            if exploiting and step % 4 == 0 and step < 100:
                curves = {name: Curve(tuple(shown), configs[name]) for name, shown in points.items()}
                both = frozenset(places)
                standing = Standing(curves, both, both, frozenset(), {}, 0, 2, Budget(2, 100.0), seed=1)
                for name, found in pbt.moves(standing, problem).resume.items():
                    if found is not None:
                        places[name][:] = places[found.donor]
                        configs[name] = found.config
        return max(1.2 - float((place**2).sum()) for place in places.values())

    alone, together = run(exploiting=False), run(exploiting=True)
    assert alone < 0.5
    assert together > alone + 0.2


def test_what_may_change_is_a_hyperparameter_and_not_structure() -> None:
    assert set(MUTABLE) <= {*Hyperparameters.model_fields, "dropout"}
    held = {"strategy", "strategy_knobs"}  # by a checkpoint
    of_one_type = {"dpo_beta", "temperature", "neighbours", "neighbour_share", "mixup", "contrast"}
    of_one_type |= {"hint_share", "hint_bound", "hint_patches", "hint_threshold"}
    # What is read cannot change while it is read.
    of_data = {"eda_copies", "eda_share", "demos", "self_training", "pool_share", "task_sampling", "task_weights"}
    of_data |= {"drop_share", "drop_by", "replay"}
    of_machine = {"products", "rotation"}  # how the frozen base is computed, from the first step on
    of_positions = {"position_scale"}  # by the length of what is read
    guard = {"spike_score", "spike_window", "spike_retries"}
    assert set(Hyperparameters.model_fields) - set(MUTABLE) == {
        *held,
        *guard,
        *of_one_type,
        *of_data,
        *of_positions,
        *of_machine,
        "batch_tokens",
        "packing",
    }


def test_options_and_jobs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadOption, match=r"options.quantile: found 0.7, allowed: above 0 and at most 0.5"):
        PopulationBasedTraining(quantile=0.7)
    with pytest.raises(BadOption, match=r"options.mutable: found \['rank'\], allowed: a list of learning_rate, "):
        PopulationBasedTraining(mutable=["rank"])
    with pytest.raises(BadOption, match=r"options.factors"):
        PopulationBasedTraining(factors=(1.2, 0.8))
    with pytest.raises(UnsupportedProblem, match=r"at least 4 trials; the budget leaves 3 trials"):
        check("pbt", PROBLEM, Budget(3, 9.0))
    structure = Problem(Space((Ordinal("rank", (4, 8)), Categorical("dropout", (0.1,)))), PROBLEM.objectives)
    with pytest.raises(UnsupportedProblem, match=r"pbt: no parameter of this space may change in a running trial"):
        check("pbt", structure, Budget(8, 9.0))
