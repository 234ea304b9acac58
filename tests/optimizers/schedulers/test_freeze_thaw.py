"""Freeze-thaw: which paused trial goes on, with one objective and with several, and when it is over."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optimizers.problem import Objective, Problem
from optimizers.schedulers.contract import Budget, Curve, Point, Standing
from optimizers.schedulers.freeze_thaw import FreezeThaw, expected_gains
from search_spaces.parameters import Float
from search_spaces.space import Space

SPACE = Space((Float("learning_rate", 1e-4, 1e-1, "log"), Float("width", 1.0, 100.0, "log")))
ONE = Problem(SPACE, (Objective("loss", "minimize"),))
TWO = Problem(
    SPACE,
    (Objective("loss", "minimize"), Objective("size", "minimize")),
    known={"size": lambda config: float(config["width"])},
)
EPOCHS = 10


def course(end: float, epochs: int, width: float = 10.0, rate: float = 1e-2) -> Curve:
    points = tuple(Point(e, {"loss": end + math.exp(-e / 3)}) for e in range(1, epochs + 1))
    return Curve(points, {"learning_rate": rate, "width": width})


def standing(curves: dict[str, Curve], **changes: Any) -> Standing:
    paused = frozenset(name for name, curve in curves.items() if curve.epoch < EPOCHS)
    fields: dict[str, Any] = {"curves": curves, "paused": paused, "donors": paused, "active": frozenset()}
    fields |= {"fresh": {}, "to_come": 0, "slots": 1, "budget": Budget(len(curves), EPOCHS), "seed": 0}
    return Standing(**fields | changes)


def several(epochs: int = 3) -> dict[str, Curve]:
    return {f"t{n}": course(0.5 + 0.05 * n, epochs, 10.0 + n, 1e-3 * (n + 1)) for n in range(6)}


def test_the_most_promising_goes_on_and_a_hopeless_one_does_not() -> None:
    curves = several() | {"done": course(0.52, EPOCHS, 9.0, 2e-3)}
    gains = expected_gains(standing(curves), ONE)
    assert max(gains, key=gains.__getitem__) == "t0"
    assert gains["t5"] < 0.1 * gains["t0"]
    assert dict(FreezeThaw().moves(standing(curves), ONE).resume) == {"t0": None}
    assert set(FreezeThaw().moves(standing(curves, slots=2), ONE).resume) <= {"t0", "t1"}


def test_with_several_objectives_a_small_trial_may_be_weak() -> None:
    curves = several() | {"small": course(0.75, 3, 1.0), "done": course(0.5, EPOCHS, 10.0)}
    one, two = expected_gains(standing(curves), ONE), expected_gains(standing(curves), TWO)
    assert one["small"] < 0.1 * max(one.values())
    assert max(two, key=two.__getitem__) == "small"


def test_it_is_over_when_nothing_promises_enough_but_never_without_a_result() -> None:
    curves = {f"t{n}": course(0.9 + 0.05 * n, 6, 10.0 + n) for n in range(4)} | {"done": course(0.1, EPOCHS)}
    end = FreezeThaw(tolerance=0.05).moves(standing(curves), ONE)
    assert set(end.stop) == {"t0", "t1", "t2", "t3"}
    assert all(reason.startswith("frozen: its full training was expected to add") for reason in end.stop.values())
    assert not FreezeThaw(tolerance=0.05).moves(standing(curves, to_come=1), ONE).stop
    alone = {"t0": course(0.5, 3)}
    assert dict(FreezeThaw(tolerance=0.99).moves(standing(alone), ONE).resume) == {"t0": None}


def test_new_suggestions_are_valued_like_paused_trials() -> None:
    good, bad = several(8), {f"t{n}": course(2.0 + n, 3, 10.0 + n, 1e-3) for n in range(4)}
    fresh = {"new": {"learning_rate": 1e-1, "width": 90.0}}
    assert FreezeThaw().moves(standing(good, fresh=fresh), ONE).resume
    done = bad | {"done": course(0.5, EPOCHS, 90.0, 1e-1)}
    assert not FreezeThaw().moves(standing(done, fresh=fresh), ONE).resume


def test_it_needs_less_than_half_the_budget_for_the_best_of_computed_curves() -> None:
    rng = np.random.default_rng(0)
    ends = {f"t{n:02d}": float(end) for n, end in enumerate(rng.uniform(0.2, 1.0, 16))}
    curves = {name: Curve((), {"learning_rate": 1e-2, "width": 1.0 + n}) for n, name in enumerate(ends)}
    made, spent = FreezeThaw(), 0
    while (best := curves[min(ends, key=ends.__getitem__)]).epoch < EPOCHS:
        moves = made.moves(standing(curves), ONE)
        assert moves.resume, "the best was given up"
        for name in moves.resume:
            curves[name] = Curve(course(ends[name], int(curves[name].epoch) + 1).points, curves[name].config)
            spent += 1
    assert best.epoch == EPOCHS
    assert spent < 0.5 * EPOCHS * len(ends)
