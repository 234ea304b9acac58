"""How much the best value may still improve: small where the search has looked, large where it has not."""

from __future__ import annotations

import numpy as np
import pytest

from optimizers import evidence as evidences
from optimizers.headroom import Headroom, headroom
from optimizers.problem import Config, History, Problem
from search_spaces.parameters import Float
from search_spaces.space import Space
from tests.optimizers.computed_problems import PARAMETERS, PROBLEMS, completed

LINE = Problem(Space((Float("x", 0.0, 1.0),)), (*PROBLEMS["one objective"].objectives, PARAMETERS))


def _accuracy(config: Config) -> float:
    return 0.9 - 0.5 * (config["x"] - 0.8) ** 2


def _of(points: list[float]) -> Headroom:
    """After trials at `points`, whose cost grows with x."""
    done = [
        completed(i, {"x": x}, accuracy=_accuracy({"x": x}), trainable_params=100 * x) for i, x in enumerate(points)
    ]
    return headroom(LINE, evidences.read(LINE, History(tuple(done))), 0.9, np.random.default_rng(0))


def test_trials_at_the_cheap_end_leave_room_and_trials_around_the_best_do_not() -> None:
    cheap = _of([0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3])
    around = _of([0.0, 0.2, 0.4, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 1.0])
    missing = 0.9 - _accuracy({"x": 0.3})
    assert 0.25 * missing < cheap.expected < cheap.most
    assert cheap.most > missing * 0.75
    assert around.expected < 0.01
    assert 0.0 <= around.most < 0.02


def test_gains_are_in_the_objective_s_own_unit() -> None:
    points = [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]
    done = [
        completed(i, {"x": x}, accuracy=100 * _accuracy({"x": x}), trainable_params=100 * x)
        for i, x in enumerate(points)
    ]
    percent = headroom(LINE, evidences.read(LINE, History(tuple(done))), 0.9, np.random.default_rng(0))
    assert percent.most == pytest.approx(100 * _of(points).most, rel=1e-6)
