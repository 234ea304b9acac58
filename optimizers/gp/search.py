"""Finding the configuration that an acquisition likes best in a mixed, conditional, constrained space.

Random configurations and mutations of the best trials are screened; the most promising ones climb. A climber looks
along every parameter at all scales at once, then at the best changes of several parameters together, so that it
crosses the space in few rounds, and walls are reached exactly. Every candidate is decoded by the space, so every one
is valid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizers.novelty import Novelty, decoded, sampled
from optimizers.problem import Config
from search_spaces.columns import Column
from search_spaces.space import Space

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Candidate = dict[str, Any]
Worth = Callable[[Sequence[Config]], FloatArray]  # [k] configurations to [k] numbers, larger is better

# How hard to search was measured: docs/decisions/gp-defaults.md.
_RANDOM, _MUTATED, _CLIMBERS, _ROUNDS = 100, 500, 4, 6
# Share of the parameters that a mutation draws anew.
_MUTATION = 0.3
# Steps of a climber along a continuous axis, as shares of its range.
_STEPS = np.array([0.3, 0.1, 0.03, 0.01, 0.003])
# Ordered parameters with at most this many values are looked at whole.
_FEW_LEVELS = 12
# A round must improve the best climber by this share, or it was the last.
_LEAST_GAIN = 1e-3


def best_new(
    space: Space, screen: Worth, worth: Worth, parents: Sequence[Config], novelty: Novelty, rng: np.random.Generator
) -> Candidate | None:
    """The new configuration with the largest `worth` found; None when no new one was met.

    `screen` is a cheaper form of `worth` for the first round. `parents` are good configurations to start from.
    """
    met = _distinct(space, [*sampled(space, _RANDOM, rng), *_mutated(space, parents, rng), *_beside(space, parents)])
    if not met:
        return None
    order = np.argsort(-screen(met), kind="stable")
    ranked = _climb(space, worth, [met[index] for index in order[:_CLIMBERS]])
    ranked.sort(key=lambda pair: -pair[0])
    candidates: list[Candidate] = [*(pair[1] for pair in ranked), *(met[index] for index in order[_CLIMBERS:])]
    return next((candidate for candidate in candidates if novelty.is_new(candidate)), None)


def _climb(space: Space, worth: Worth, climbers: list[Candidate]) -> list[tuple[float, Candidate]]:
    """Move every climber to better and better places; returns all that was met on the way, with its worth."""
    axes = _axes(space)
    heights = worth(climbers)
    met = list(zip(heights.tolist(), climbers, strict=True))
    places = [_Place(config, float(height)) for config, height in zip(climbers, heights, strict=True)]
    for _ in range(_ROUNDS):
        before = max(place.height for place in places)
        encoded = space.encode([place.config for place in places])
        moves = [_moves(axes, *row) for row in zip(encoded.values, encoded.active, strict=True)]
        single = _tried(space, worth, [points for points, _ in moves])
        joint = [
            _joint(axes, values, points, along, scores - place.height)
            for values, (points, along), (_, scores), place in zip(encoded.values, moves, single, places, strict=True)
        ]
        for tried in (single, _tried(space, worth, joint)):
            for place, (configs, scores) in zip(places, tried, strict=True):
                place.consider(configs, scores)
                met += zip(scores.tolist(), configs, strict=True)
        if max(place.height for place in places) <= before * (1.0 + _LEAST_GAIN):
            break
    return met


@dataclass
class _Place:
    """Where a climber stands."""

    config: Candidate
    height: float

    def consider(self, configs: list[Candidate], scores: FloatArray) -> None:
        """Move to the best of `configs` if it is higher."""
        if len(configs) and scores.max() > self.height:
            self.config, self.height = configs[int(scores.argmax())], float(scores.max())


def _tried(space: Space, worth: Worth, parts: list[FloatArray]) -> list[tuple[list[Candidate], FloatArray]]:
    """Configurations at the points of each part `[k, d]` and their worth `[k]`, computed for all parts at once."""
    configs = decoded(space, np.concatenate(parts))
    if not configs:
        return [([], np.zeros(0)) for _ in parts]
    scores = worth(configs)
    ends = np.cumsum([len(part) for part in parts])
    starts = ends - [len(part) for part in parts]
    return [(configs[start:end], scores[start:end]) for start, end in zip(starts, ends, strict=True)]


def _axes(space: Space) -> list[list[tuple[int, Column]]]:
    """Columns with their place in the encoding, by parameter."""
    grouped: dict[str, list[tuple[int, Column]]] = {}
    for place, column in enumerate(space.columns):
        grouped.setdefault(column.parameter, []).append((place, column))
    return list(grouped.values())


def _moves(axes: list[list[tuple[int, Column]]], values: FloatArray, active: FloatArray) -> tuple[FloatArray, IntArray]:
    """All changes of one active parameter: points `[k, d]` and the number `[k]` of the parameter changed."""
    points, along = [], []
    for number, columns in enumerate(axes):
        if not active[columns[0][0]]:
            continue
        if columns[0][1].kind == "categorical":
            changes = _other_choices([place for place, _ in columns], values)
        else:
            changes = [
                ([place], np.array([other])) for place, column in columns for other in _others(column, values[place])
            ]
        for places, new in changes:
            point = values.copy()
            point[places] = new
            points.append(point)
            along.append(number)
    return np.array(points).reshape(len(points), len(values)), np.array(along, dtype=np.int64)


def _others(column: Column, value: float) -> FloatArray:
    """Other values of an ordered axis: all when they are few, else at all scales around `value`, and the walls."""
    if column.levels is not None and column.levels <= _FEW_LEVELS:
        others = np.linspace(0.0, 1.0, column.levels)
    else:
        steps = _STEPS if column.levels is None else np.maximum(_STEPS, 1.0 / (column.levels - 1))
        others = np.unique(np.clip(np.concatenate([value - steps, value + steps, [0.0, 1.0]]), 0.0, 1.0))
    kept: FloatArray = others[np.abs(others - value) > 1e-9]
    return kept


def _other_choices(places: list[int], values: FloatArray) -> list[tuple[list[int], FloatArray]]:
    """The other choices of a categorical, each with the columns that say so."""
    if len(places) == 1:
        return [(places, 1.0 - values[places])]
    return [(places, row) for row in np.eye(len(places)) if not np.array_equal(row, values[places])]


def _joint(
    axes: list[list[tuple[int, Column]]], values: FloatArray, points: FloatArray, along: IntArray, gains: FloatArray
) -> FloatArray:
    """The best changes of single parameters taken together: the two that gain most, the three, and so on `[k, d]`."""
    if len(gains) != len(points):
        return np.zeros((0, len(values)))
    best = [
        int(rows[gains[rows].argmax()]) for rows in (np.flatnonzero(along == number) for number in np.unique(along))
    ]
    order = sorted((row for row in best if gains[row] > 0), key=lambda row: -gains[row])
    point, found = values.copy(), []
    for row in order:
        places = [place for place, _ in axes[along[row]]]
        point[places] = points[row, places]
        found.append(point.copy())
    return np.array(found[1:]).reshape(-1, len(values))


def _beside(space: Space, parents: Sequence[Config]) -> list[Candidate]:
    return [config for parent in parents[:8] for config in space.neighbours(parent)]


def _mutated(space: Space, parents: Sequence[Config], rng: np.random.Generator) -> list[Candidate]:
    """Copies of random parents in which each parameter is, now and then, taken from another point of the cube."""
    if not parents or not space.dimensions:
        return []
    columns = [column.parameter for column in space.columns]
    names = list(dict.fromkeys(columns))
    belongs = np.array([names.index(parameter) for parameter in columns])
    values = space.encode(parents).values[rng.integers(0, len(parents), _MUTATED)]
    replaced = (rng.random((_MUTATED, len(names))) < _MUTATION)[:, belongs]
    return decoded(space, np.where(replaced, rng.random(values.shape), values))


def _distinct(space: Space, configs: Sequence[Candidate]) -> list[Candidate]:
    """Each configuration once, told apart by its encoding: hashing every one would take longer than the worth."""
    _, first = np.unique(space.encode(configs).values, axis=0, return_index=True)
    return [configs[index] for index in np.sort(first)]
