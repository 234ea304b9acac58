"""PB2: it copies like population-based training and learns which hyperparameters gain most."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optimizers.errors import UnsupportedProblem
from optimizers.problem import Objective, Problem
from optimizers.schedulers.contract import Budget, Curve, Moves, Point, Standing
from optimizers.schedulers.pb2 import PopulationBasedBandits
from optimizers.schedulers.population import PopulationBasedTraining
from optimizers.schedulers.registry import check
from search_spaces.parameters import Categorical, Float, Ordinal
from search_spaces.space import Space

SPACE = Space(
    (Float("learning_rate", 1e-4, 1.0, "log"), Ordinal("batch_size", (8, 16, 32)), Categorical("method", ("a", "b")))
)
PROBLEM = Problem(SPACE, (Objective("loss", "minimize"),))
PB2 = PopulationBasedBandits(interval=1.0)
EPOCHS = 12.0


def gain(rate: float) -> float:
    """What an epoch gains: most at a rate of 0.01."""
    return float(np.exp(-((np.log10(rate) + 2.0) ** 2) / 0.5))


def standing(curves: dict[str, Curve], **changes: Any) -> Standing:
    everyone = frozenset(curves)
    fields: dict[str, Any] = {"curves": curves, "paused": everyone, "donors": everyone, "active": frozenset()}
    fields |= {"fresh": {}, "to_come": 0, "slots": 2, "budget": Budget(len(curves), EPOCHS), "seed": 3}
    return Standing(**fields | changes)


def population(epochs: int, rates: list[float]) -> dict[str, Curve]:
    return {
        f"t{n}": Curve(
            tuple(Point(e, {"loss": 20.0 - e * gain(rate)}) for e in range(1, epochs + 1)),
            {"learning_rate": rate, "batch_size": 16, "method": "a"},
        )
        for n, rate in enumerate(rates)
    }


RATES = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0]


def test_it_copies_whom_population_based_training_copies() -> None:
    curves = population(3, RATES)
    mine = PB2.moves(standing(curves), PROBLEM)
    theirs = PopulationBasedTraining(interval=1.0).moves(standing(curves), PROBLEM)
    assert {t: e and e.donor for t, e in mine.resume.items()} == {t: e and e.donor for t, e in theirs.resume.items()}
    assert PB2.moves(standing(curves, to_come=1), PROBLEM) == Moves()


def test_it_chooses_what_gained_most_and_leaves_structure_alone() -> None:
    found = [e for e in PB2.moves(standing(population(5, RATES)), PROBLEM).resume.values() if e]
    assert len(found) == 2
    for exploit in found:
        SPACE.validate(exploit.config)
        assert exploit.config["method"] == "a"
        assert 1e-3 < exploit.config["learning_rate"] < 1e-1
    assert found[0].config != found[1].config


def test_a_slice_after_a_copy_is_no_evidence_of_a_gain() -> None:
    """The jump to the donor's loss is not what the hyperparameters did."""
    curves = population(5, RATES)
    jumped = curves["t0"]
    points = (*jumped.points[:4], Point(5, {"loss": 1.0}))
    curves["t0"] = Curve(points, jumped.config, ((4.0, jumped.config | {"learning_rate": 0.9}),))
    honest = PB2._slices(standing(curves), PROBLEM)
    assert len(honest) == 8 * 4 - 1
    assert max(one.gain for one in honest) < 2.0


def test_it_beats_random_perturbation_where_one_rate_is_best() -> None:
    def total(scheduler: PopulationBasedBandits | PopulationBasedTraining) -> float:
        curves = {
            name: Curve((), curve.config)
            for name, curve in population(0, [1e-4, 2e-4, 3e-4, 4e-4, 0.3, 0.5, 0.7, 0.9]).items()
        }
        losses = dict.fromkeys(curves, 20.0)
        for epoch in range(1, int(EPOCHS) + 1):
            for name, curve in curves.items():
                losses[name] -= gain(curve.config["learning_rate"])
                reached = Point(float(epoch), {"loss": losses[name]})
                curves[name] = Curve((*curve.points, reached), curve.config, curve.earlier)
            for name, found in scheduler.moves(standing(curves), PROBLEM).resume.items():
                if found is not None:
                    old = curves[name]
                    losses[name] = losses[found.donor]
                    curves[name] = Curve(old.points, found.config, (*old.earlier, (float(epoch), old.config)))
        return min(losses.values())

    assert total(PB2) < total(PopulationBasedTraining(interval=1.0, resample=0.0)) - 1.0


def test_several_trained_objectives_are_refused_by_name() -> None:
    two = Problem(SPACE, (Objective("loss", "minimize"), Objective("accuracy", "maximize")))
    with pytest.raises(UnsupportedProblem, match=r"pb2: .*found loss, accuracy; pbt takes several"):
        check("pb2", two, Budget(8, EPOCHS))
    known = Problem(SPACE, (*PROBLEM.objectives, Objective("size", "minimize")), known={"size": lambda _: 1.0})
    check("pb2", known, Budget(8, EPOCHS))
