"""Configurations that nobody has asked for yet."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizers.evidence import asked_configs
from optimizers.problem import Config, History
from search_spaces.errors import SpaceTooConstrained
from search_spaces.space import Space, config_hash

# A finite space with at most this many configurations is listed when drawing finds nothing new.
LISTED = 200_000
_ROUNDS = 6


class Novelty:
    """Remembers configurations by hash; built anew for every proposal from the whole history."""

    def __init__(self, history: History) -> None:
        self._seen = {config_hash(config) for config in asked_configs(history)}

    def is_new(self, config: Config) -> bool:
        """Whether `config` has neither been asked nor taken."""
        return config_hash(config) not in self._seen

    def take(self, configs: Iterable[dict[str, Any]], n: int | None = None) -> list[dict[str, Any]]:
        """The first `n` new ones among `configs` (all, without `n`), marked as taken."""
        taken: list[dict[str, Any]] = []
        for config in configs:
            if n is not None and len(taken) >= n:
                break
            name = config_hash(config)
            if name not in self._seen:
                self._seen.add(name)
                taken.append(config)
        return taken


def draw(space: Space, novelty: Novelty, n: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Up to `n` new random configurations, fewer only when the space is exhausted (or seems so after many draws).

    Draws from the priors first; then evenly, in case the priors shun what is left; then lists the rest of a space
    that is small enough.
    """
    found: list[dict[str, Any]] = []
    for attempt in range(_ROUNDS):
        if len(found) >= n:
            return found
        size = max(16, 2 * (n - len(found))) * 2**attempt
        by_prior = attempt % 2 == 0
        drawn = sampled(space, size, rng) if by_prior else decoded(space, rng.random((size, space.dimensions)))
        if not drawn and not by_prior:
            break  # the next round would look as long, and find as little
        found += novelty.take(drawn, n - len(found))
    if len(found) < n and (count := space.count()) is not None and count <= LISTED:
        rest = [config for config in islice(space.enumerate(), LISTED) if novelty.is_new(config)]
        found += novelty.take((rest[index] for index in rng.permutation(len(rest))), n - len(found))
    return found


def sampled(space: Space, n: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """`n` draws from the priors; none where constraints leave too little to be found."""
    try:
        return space.sample(n, rng)
    except SpaceTooConstrained:
        return []


def decoded(space: Space, points: NDArray[np.float64]) -> list[dict[str, Any]]:
    """The configurations at `points [n, d]` of the cube; none where constraints leave too little to be found."""
    try:
        return space.decode(points)
    except SpaceTooConstrained:
        return []


def repaired(space: Space, config: dict[str, Any]) -> list[dict[str, Any]]:
    """`config`, or a valid one near it; none where constraints leave too little to be found."""
    config = space.arrange(config)
    return [config] if space.satisfies(config) else decoded(space, space.encode([config]).values)
