"""Checks of a job's constraints: bounds that a metric can have, together, and on this space where that is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from search_spaces.errors import SpaceTooConstrained
from search_spaces.space import Space
from service.errors import FieldProblem
from service.jobs.search.problem import FORMULAS
from service.jobs.search.spec import ConstraintSpec
from workers.models.description import ModelDescription
from workers.tasks.metrics import Metric
from workers.tasks.registry import METRICS

SAMPLES, STARTS, ROUNDS = 256, 4, 60
_STEPS = (1.0, 0.25, 0.05)  # of a parameter's range: to its ends first, then closer
Config = Mapping[str, Any]


def check_bounds(
    constraints: Sequence[ConstraintSpec], known: Mapping[str, Metric] = METRICS
) -> Iterator[FieldProblem]:
    """Bounds outside the range of a metric that is `known`, and constraints that contradict each other."""
    for number, one in enumerate(constraints):
        metric = known.get(one.metric)
        for name, bound in (("min", one.min), ("max", one.max)):
            if metric is not None and bound is not None and not metric.low <= bound <= metric.high:
                top = f" to {metric.high:g}" if metric.high < 1e18 else " or more"
                allowed = f"a value that {one.metric} can have: {metric.low:g}{top}"
                message = f"found {bound:g}; allowed: {allowed}"
                yield FieldProblem(f"constraints.{number}.{name}", bound, allowed, message)
        low, high = _together(constraints[: number + 1], one.metric)
        earlier = _together(constraints[:number], one.metric)
        if earlier[0] <= earlier[1] and low > high and (one.min is None or one.max is None or one.min <= one.max):
            message = (
                f"nothing is at least {low:g} and at most {high:g}, as the constraints on {one.metric} together ask"
            )
            yield FieldProblem(f"constraints.{number}", f"{low:g} to {high:g}", "bounds that leave something", message)


def check_known(constraints: Sequence[ConstraintSpec], space: Space, model: ModelDescription) -> Iterator[FieldProblem]:
    """Metrics that follow from the configuration alone, and that no configuration of the space keeps within bounds."""
    for name in dict.fromkeys(one.metric for one in constraints if one.metric in FORMULAS):
        low, high = _together(constraints, name)
        number = next(number for number, one in enumerate(constraints) if one.metric == name)
        nearest = _nearest(space, FORMULAS[name](model), low, high)
        if nearest is not None and low <= high:
            side = f"at least {nearest:g}" if nearest > high else f"at most {nearest:g}"
            message = f"every configuration of the space has {side} {name}, so that none keeps the constraint"
            allowed = f"bounds that some configuration keeps, such as {'max' if nearest > high else 'min'}: {nearest:g}"
            yield FieldProblem(f"constraints.{number}", high if nearest > high else low, allowed, message)


def _together(constraints: Sequence[ConstraintSpec], metric: str) -> tuple[float, float]:
    """The interval that all constraints on a metric leave; empty when its low end is above its high one."""
    mine = [one for one in constraints if one.metric == metric]
    low = max((one.min for one in mine if one.min is not None), default=-np.inf)
    return float(low), float(min((one.max for one in mine if one.max is not None), default=np.inf))


def _nearest(space: Space, value: Callable[[dict[str, Any]], float], low: float, high: float) -> float | None:
    """The value nearest to the interval that a search of the space finds; None where some lie in it or on both sides.

    A descent over one parameter at a time, from the best of a sample: counts of parameters rise or fall with each knob,
    so that their extremes lie at the ends of ranges, which are tried first.
    """

    def distance(config: Config) -> float:
        return max(low - value(dict(config)), value(dict(config)) - high, 0.0)

    try:
        drawn = space.sample(SAMPLES, np.random.default_rng(0))
    except SpaceTooConstrained:
        return None
    found = [value(config) for config in drawn]
    if any(low <= one <= high for one in found) or (min(found) < low and max(found) > high):
        return None
    reached = [
        _descend(space, drawn[index], distance) for index in np.argsort([distance(one) for one in drawn])[:STARTS]
    ]
    best = value(min(reached, key=distance))
    return None if low <= best <= high else best


def _descend(space: Space, config: dict[str, Any], distance: Callable[[Config], float]) -> dict[str, Any]:
    for _ in range(ROUNDS):
        near = (other for step in _STEPS for other in space.neighbours(config, step))
        better = next((other for other in near if distance(other) < distance(config)), None)
        if better is None:
            return config
        config = better
    return config
