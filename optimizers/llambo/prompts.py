"""What the language model is told and asked, and how its answers are checked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizers.problem import Config, Problem
from search_spaces.space import Space

FloatArray = NDArray[np.float64]

_FORM = 'Answer with JSON only: {"configurations": [{...}, ...]}.'


def beginning(problem: Problem, tried: Sequence[Config], count: int) -> str:
    """Asks for `count` configurations before anything was measured, from what the model knows of the field alone."""
    aims = ", ".join(f"{objective.direction} {objective.metric}" for objective in problem.objectives)
    bounds = "".join(f"; keep {one.metric} {_bounds(one.min, one.max)}" for one in problem.constraints)
    shown = "\n".join(json.dumps(dict(config)) for config in tried)
    under_way = f"\nThese are under way already:\n{shown}" if tried else ""
    return (
        f"We tune hyperparameters of parameter-efficient fine-tuning: {aims}{bounds}.\n{described(problem.space)}"
        f"{under_way}\n\nNo result is known yet. Recommend {count} different configurations to start with, likely to "
        f"do well and unlike one another. {_FORM}"
    )


def candidates(space: Space, trials: Sequence[Config], observed: FloatArray, count: int, target: float) -> str:
    """Asks for `count` configurations that should reach the score `target`, given the scores `observed [n]`."""
    return (
        f"{_story(space, trials, observed)}\n\nPropose {count} new, different configurations that should score "
        f"{target:.4f} or lower. {_FORM}"
    )


def prediction(space: Space, trials: Sequence[Config], observed: FloatArray, asked: Sequence[Config]) -> str:
    """Asks for the score of each of the configurations `asked`. The order of the `trials` is kept."""
    listed = "\n".join(json.dumps(dict(config)) for config in asked)
    return (
        f"{_story(space, trials, observed)}\n\nPredict the score of each of these {len(asked)} configurations, "
        f'in order:\n{listed}\nAnswer with JSON only: {{"scores": [number, ...]}}.'
    )


def described(space: Space) -> str:
    """The space in words."""
    lines = []
    for name in space.order:
        condition = space.condition_of.get(name)
        only = "" if condition is None else f", only when {condition.parent} is one of {list(condition.values)}"
        lines.append(f"- {name}: {space.by_name[name].allowed}{only}")
    rules = "".join(f"\n- rule: {constraint.message}" for constraint in space.constraints)
    return "Parameters:\n" + "\n".join(lines) + rules


def read_configs(space: Space, answer: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """The valid configurations in an answer, completed in the order of the space, and how many others it held.

    Raises ValueError when it has no list of them.
    """
    listed = answer.get("configurations")
    if not isinstance(listed, list):
        raise ValueError('the answer has no list "configurations"')
    valid = [space.arrange(entry) for entry in listed if isinstance(entry, dict) and space.contains(entry)]
    return valid, len(listed) - len(valid)


def read_scores(answer: dict[str, Any], count: int) -> FloatArray:
    """The `count` predicted scores in an answer. Raises ValueError when there are others, or not all are numbers."""
    listed = answer.get("scores")
    if not isinstance(listed, list) or len(listed) != count:
        raise ValueError(f"expected {count} scores")
    numbers = np.array([float(entry) for entry in listed if isinstance(entry, int | float)])
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise ValueError(f"expected {count} finite scores")
    return numbers


def _story(space: Space, trials: Sequence[Config], observed: FloatArray) -> str:
    shown = "\n".join(
        f"{json.dumps(dict(config))} -> score {score:.4f}" for config, score in zip(trials, observed, strict=True)
    )
    return (
        "We tune hyperparameters of parameter-efficient fine-tuning. Lower scores are better, the best so far is "
        f"{observed.min():.4f}.\n{described(space)}\nTrials:\n{shown}"
    )


def _bounds(low: float | None, high: float | None) -> str:
    parts = [f"at least {low}"] * (low is not None) + [f"at most {high}"] * (high is not None)
    return " and ".join(parts)
