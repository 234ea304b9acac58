"""Finding the configuration that an acquisition likes best in a mixed, conditional, constrained space.

Random configurations and mutations of the best trials are screened; the most promising ones climb to their best
neighbours, with steps on continuous parameters that shrink from round to round. Every candidate comes from the space
itself, so every one is valid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizers.novelty import Novelty
from optimizers.problem import Config
from search_spaces.errors import SpaceTooConstrained
from search_spaces.space import Space, config_hash

FloatArray = NDArray[np.float64]
Candidate = dict[str, Any]
Worth = Callable[[Sequence[Config]], FloatArray]  # [k] configurations to [k] numbers, larger is better

# How hard to search was measured: docs/decisions/gp-defaults.md.
_RANDOM, _MUTATED, _CLIMBERS = 100, 500, 5
# Share of the parameters that a mutation draws anew.
_MUTATION = 0.3
_STEPS = (0.2, 0.1, 0.05, 0.02, 0.1, 0.05, 0.02, 0.01)


def best_new(
    space: Space, screen: Worth, worth: Worth, parents: Sequence[Config], novelty: Novelty, rng: np.random.Generator
) -> Candidate | None:
    """The new configuration with the largest `worth` found; None when no new one was met.

    `screen` is a cheaper form of `worth` for the first round. `parents` are good configurations to start from.
    """
    met = _distinct([*_drawn(space, rng), *_mutated(space, parents, rng), *_beside(space, parents)])
    if not met:
        return None
    scores = screen(met)
    order = np.argsort(-scores, kind="stable")
    climbers = [met[index] for index in order[:_CLIMBERS]]
    heights = worth(climbers)
    ranked = [*zip(heights.tolist(), climbers, strict=True), *_climb(space, worth, climbers, heights)]
    ranked.sort(key=lambda pair: -pair[0])
    candidates: list[Candidate] = [*(pair[1] for pair in ranked), *(met[index] for index in order[_CLIMBERS:])]
    return next((candidate for candidate in candidates if novelty.is_new(candidate)), None)


def _climb(space: Space, worth: Worth, climbers: list[Candidate], heights: FloatArray) -> list[tuple[float, Candidate]]:
    """Move every climber to better and better neighbours; returns all that was met on the way, with its worth."""
    met: list[tuple[float, Candidate]] = []
    places, heights = list(climbers), heights.copy()
    for step in _STEPS:
        around = [space.neighbours(place, step) for place in places]
        flat = [config for neighbours in around for config in neighbours]
        if not flat:
            break
        scores = worth(flat)
        met += zip(scores.tolist(), flat, strict=True)
        start, moved = 0, False
        for index, neighbours in enumerate(around):
            own = scores[start : start + len(neighbours)]
            start += len(neighbours)
            if len(own) and own.max() > heights[index] * 1.001:
                places[index], heights[index] = neighbours[int(own.argmax())], own.max()
                moved = True
        if not moved and all(parameter.size is not None for parameter in space.parameters):
            break
    return met


def _drawn(space: Space, rng: np.random.Generator) -> list[Candidate]:
    try:
        return space.sample(_RANDOM, rng)
    except SpaceTooConstrained:
        return []


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
    try:
        return space.decode(np.where(replaced, rng.random(values.shape), values))
    except SpaceTooConstrained:
        return []


def _distinct(configs: Sequence[Candidate]) -> list[Candidate]:
    return list({config_hash(config): config for config in configs}.values())
