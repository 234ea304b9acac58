"""Population-based training: who copies whom, and that it pays (on the paper's own toy problem)."""

from __future__ import annotations

import numpy as np
import pytest

from optimizers.errors import BadOption
from optimizers.problem import Objective, Problem
from optimizers.schedulers.contract import Curve, Point
from optimizers.schedulers.population import PopulationBasedTraining
from search_spaces.parameters import Categorical, Float, Ordinal
from search_spaces.space import Space

SPACE = Space((Float("learning_rate", 1e-5, 1e-1, "log"), Float("dropout", 0.0, 0.5), Ordinal("rank", (4, 8, 16))))
PROBLEM = Problem(SPACE, (Objective("accuracy", "maximize"),))
PBT = PopulationBasedTraining()


def population(*finals: float, epochs: int = 2) -> dict[str, Curve]:
    return {
        f"t{i}": Curve(
            tuple(Point(epoch + 1.0, {"accuracy": final}) for epoch in range(epochs)),
            {"learning_rate": 1e-3 * (i + 1), "dropout": 0.1, "rank": 8},
        )
        for i, final in enumerate(finals)
    }


def test_only_the_worst_copy_and_only_from_the_best_with_a_checkpoint() -> None:
    curves = population(0.1, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
    everyone = set(curves)
    copying = {trial: PBT.exploit(trial, curves, PROBLEM, everyone, 0) for trial in curves}
    assert {trial for trial, found in copying.items() if found} == {"t0", "t1"}
    assert {found.donor for found in copying.values() if found} <= {"t6", "t7"}
    only = PBT.exploit("t0", curves, PROBLEM, {"t6", "t3"}, 0)
    assert only is not None
    assert only.donor == "t6"
    assert PBT.exploit("t0", curves, PROBLEM, {"t3"}, 0) is None


def test_same_arguments_same_choice_and_structure_stays() -> None:
    curves = population(0.1, 0.5, 0.6, 0.9)
    found = [PBT.exploit("t0", curves, PROBLEM, set(curves), 5) for _ in range(2)]
    assert found[0] == found[1] is not None
    assert found[0].config["rank"] == 8
    assert found[0].config["learning_rate"] != curves["t3"].config["learning_rate"]
    SPACE.validate(found[0].config)


def test_looks_once_per_interval_and_never_alone_or_among_equals() -> None:
    half = Curve((Point(1.0, {"accuracy": 0.1}), Point(1.5, {"accuracy": 0.1})), {})
    curves = population(0.5, 0.6, 0.9) | {"slow": half}
    assert PBT.exploit("slow", curves, PROBLEM, set(curves), 0) is None
    assert PBT.exploit("t0", {"t0": curves["t0"]}, PROBLEM, {"t0"}, 0) is None
    equals = population(0.5, 0.5, 0.5, 0.5)
    assert [PBT.exploit(trial, equals, PROBLEM, set(equals), 0) for trial in equals] == [None] * 4


def test_explored_values_stay_in_the_space() -> None:
    space = Space(
        (Float("learning_rate", 1e-3, 1e-2), Categorical("dropout", (0.0, 0.1)), Ordinal("weight_decay", (0, 1, 2)))
    )
    problem, rng = Problem(space, PROBLEM.objectives), np.random.default_rng(0)
    found = [PBT.explore({"learning_rate": 1e-2, "dropout": 0.1, "weight_decay": 2}, problem, rng) for _ in range(200)]
    for config in found:
        space.validate(config)
    assert {config["weight_decay"] for config in found} == {0, 1, 2}
    assert 0.5 < np.mean([config["learning_rate"] < 1e-2 for config in found]) < 1.0


def test_reaches_the_optimum_that_a_grid_misses() -> None:
    """Figure 2 of the paper: Q = 1.2 − x² − y², ascended on 1.2 − h0·x² − h1·y²; (1, 0) and (0, 1) get stuck alone."""
    space = Space((Float("h0", 0.0, 1.0), Float("h1", 0.0, 1.0)))
    problem = Problem(space, (Objective("q", "maximize"),))
    pbt = PopulationBasedTraining(interval=4.0, quantile=0.5, mutable=("h0", "h1"))

    def run(exploiting: bool) -> float:
        places = {"a": np.array([0.9, 0.9]), "b": np.array([0.9, 0.85])}
        configs = {"a": {"h0": 0.0, "h1": 1.0}, "b": {"h0": 1.0, "h1": 0.0}}
        points: dict[str, list[Point]] = {"a": [], "b": []}
        rng = np.random.default_rng(0)
        for step in range(1, 101):
            for name, place in places.items():
                place -= 0.02 * np.array([configs[name]["h0"], configs[name]["h1"]]) * place
                measured = 1.2 - float((place**2).sum()) + 1e-6 * rng.standard_normal()  # so that twins differ
                points[name].append(Point(float(step), {"q": measured}))
            curves = {name: Curve(tuple(shown), configs[name]) for name, shown in points.items()}
            for name in places if exploiting else ():
                if found := pbt.exploit(name, curves, problem, set(places), seed=1):
                    places[name][:] = places[found.donor]
                    configs[name] = found.config
        return max(1.2 - float((place**2).sum()) for place in places.values())

    alone, together = run(exploiting=False), run(exploiting=True)
    assert alone < 0.5
    assert together > alone + 0.2


def test_options_are_checked() -> None:
    with pytest.raises(BadOption, match=r"options.quantile: found 0.7, allowed: above 0 and at most 0.5"):
        PopulationBasedTraining(quantile=0.7)
