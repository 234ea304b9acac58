"""Drawing configurations: by columns, then rejection of those that violate a constraint, with an end in sight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from search_spaces import listing
from search_spaces.encoding import Config, assemble
from search_spaces.errors import SpaceTooConstrained
from search_spaces.scales import Array

if TYPE_CHECKING:
    from search_spaces.space import Space

# Rejected draws in a row after which the space is looked at in another way.
_PATIENCE = 20_000
# A space with at most this many combinations is listed when rejection finds too little.
_LISTED = 200_000
_BATCH = 4096


def place(space: Space, points: Array) -> list[Config]:
    """Turn uniform points [n, draws] into configurations by the priors, not looking at constraints."""
    if points.ndim != 2 or points.shape[1] != space.draws:
        raise ValueError(f"points: found shape {points.shape}, allowed: [n, {space.draws}]")
    cells: dict[str, list[Any]] = {}
    start = 0
    for parameter in space.parameters:
        cells[parameter.name] = parameter.draw(points[:, start : start + parameter.draws])
        start += parameter.draws
    return assemble(space, cells, len(points))


def sample(space: Space, n: int, rng: np.random.Generator) -> list[Config]:
    """Draw `n` valid configurations; see `Space.sample`."""
    if not space.constraints:
        return place(space, rng.random((n, space.draws)))
    found: list[Config] = []
    rejected = 0
    while len(found) < n and rejected < _PATIENCE:
        batch = place(space, rng.random((min(max(2 * (n - len(found)), 64), _BATCH), space.draws)))
        valid = [config for config in batch if space.satisfies(config)]
        found += valid
        rejected = 0 if valid else rejected + len(batch)
    if len(found) < n:
        found += _from_list(space, n - len(found), rng)
    return found[:n]


def _from_list(space: Space, n: int, rng: np.random.Generator) -> list[Config]:
    """Draw from the list of all valid configurations, for a small space of which rejection finds too little."""
    product = listing.combinations(space)
    if product is None or product > _LISTED:
        raise SpaceTooConstrained(f"none of {_PATIENCE} configurations drawn in a row was valid: {_blame(space, rng)}")
    valid = list(listing.every(space))
    if not valid:
        raise SpaceTooConstrained(f"no configuration satisfies all constraints: {_blame(space, rng)}")
    weights = np.exp(log_prior(space, valid))
    return [dict(valid[index]) for index in rng.choice(len(valid), size=n, p=weights / weights.sum()).tolist()]


def _blame(space: Space, rng: np.random.Generator) -> str:
    drawn = place(space, rng.random((1000, space.draws)))
    held = {rule.message: sum(map(rule.holds, drawn)) / len(drawn) for rule in space.constraints}
    return "; ".join(f"{message!r} holds for {share:.1%}" for message, share in held.items())


def log_prior(space: Space, configs: Sequence[Mapping[str, Any]]) -> Array:
    """Log prior density [n]; see `Space.log_prior`."""
    total = np.zeros(len(configs))
    for parameter in space.parameters:
        rows = [row for row, config in enumerate(configs) if parameter.name in config]
        if rows and getattr(parameter, "prior", None) is not None:
            total[rows] += parameter.log_prior([configs[row][parameter.name] for row in rows])
    return total
