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

# A group of tied parameters is given up on when, after this many draws, fewer than one in `_RARE` was valid.
_PATIENCE = 20_000
_RARE = 2_000
# A group with at most this many combinations is listed instead as soon as fewer than one in ten draws is valid.
_LISTED = 200_000
_FIRST_LOOK = 1_000
_BATCH = 4_096


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
    parts = [_sample_group(group, n, rng) for group in space.groups]
    if len(parts) == 1:
        return parts[0]
    merged = [{name: value for part in row for name, value in part.items()} for row in zip(*parts, strict=True)]
    return [space.arrange(config) for config in merged]


def _sample_group(group: Space, n: int, rng: np.random.Generator) -> list[Config]:
    """Draw by rejection, or from the list of all valid configurations where rejection wastes too much."""
    if not group.constraints:
        return place(group, rng.random((n, group.draws)))
    found: list[Config] = []
    drawn = 0
    while len(found) < n:
        if drawn >= _FIRST_LOOK and len(found) < drawn / 10 and _is_listable(group):
            return found + _from_list(group, n - len(found), rng)
        if drawn >= _PATIENCE and len(found) < drawn / _RARE:
            raise SpaceTooConstrained(f"{len(found)} of {drawn} configurations drawn were valid: {_blame(group, rng)}")
        batch = place(group, rng.random((min(max(2 * (n - len(found)), 64), _BATCH), group.draws)))
        found += [config for config in batch if group.satisfies(config)]
        drawn += len(batch)
    return found[:n]


def _is_listable(group: Space) -> bool:
    product = listing.combinations(group)
    return product is not None and product <= _LISTED


def _from_list(group: Space, n: int, rng: np.random.Generator) -> list[Config]:
    valid: list[Config] | None = group.__dict__.get("_valid")
    if valid is None:
        valid = group.__dict__["_valid"] = list(listing.every(group))
    if not valid:
        raise SpaceTooConstrained(f"no configuration satisfies all constraints: {_blame(group, rng)}")
    weights = np.exp(log_prior(group, valid))
    return [dict(valid[row]) for row in rng.choice(len(valid), size=n, p=weights / weights.sum()).tolist()]


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
