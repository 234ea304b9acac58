"""Configurations to arrays and back, column by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from search_spaces.errors import InvalidConfig, SpaceTooConstrained
from search_spaces.listing import changed
from search_spaces.parameters import Parameter, Simplex
from search_spaces.scales import Array

if TYPE_CHECKING:
    from search_spaces.space import Space

Config = dict[str, Any]
Mask = NDArray[np.bool_]

# How many alternatives of a continuous parameter a repair looks at.
_RESOLUTION = 65
_SPREAD = 256
# How many valid configurations stand ready for points that no single change can repair.
_POOL = 512


@dataclass(frozen=True)
class Encoded:
    """Encoded configurations: `values` [n, d] float64 in [0, 1] and `active` [n, d].

    The value of an inactive dimension is that parameter's neutral point (0.5, or 1/k for one of k choices).
    """

    values: Array
    active: Mask


def encode(space: Space, configs: Sequence[Mapping[str, Any]]) -> Encoded:
    """Encode valid configurations; see `Space.encode`."""
    values, active = np.empty((len(configs), space.dimensions)), np.zeros((len(configs), space.dimensions), dtype=bool)
    start = 0
    for parameter in space.parameters:
        stop = start + len(parameter.columns)
        if stop == start:
            continue
        rows = [row for row, config in enumerate(configs) if parameter.name in config]
        values[:, start:stop] = parameter.neutral
        if rows:
            given = [configs[row][parameter.name] for row in rows]
            try:
                values[rows, start:stop] = parameter.encode(given)
            except (KeyError, TypeError, ValueError):
                wrong = next(value for value in given if not parameter.contains(value))
                raise InvalidConfig(parameter.name, wrong, parameter.allowed) from None
            active[rows, start:stop] = True
        start = stop
    return Encoded(values, active)


def decode(space: Space, values: Array) -> list[Config]:
    """Decode points [n, d], not looking at constraints."""
    points = np.asarray(values, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != space.dimensions:
        raise ValueError(f"values: found shape {points.shape}, allowed: [n, {space.dimensions}]")
    cells: dict[str, list[Any]] = {}
    start = 0
    for parameter in space.parameters:
        stop = start + len(parameter.columns)
        cells[parameter.name] = parameter.decode(np.nan_to_num(points[:, start:stop], nan=0.5))
        start = stop
    return assemble(space, cells, len(points))


def assemble(space: Space, cells: Mapping[str, Sequence[Any]], n: int) -> list[Config]:
    """Build `n` configurations from one list of values per parameter, keeping active parameters only."""
    active: dict[str, Sequence[bool]] = {}
    for name in space.order:
        condition = space.condition_of.get(name)
        if condition is not None:
            parent, wanted = condition.parent, condition.values
            above = active.get(parent, (True,) * n)
            active[name] = [on and value in wanted for on, value in zip(above, cells[parent], strict=True)]
    if not active:
        names = list(space.by_name)
        return [dict(zip(names, row, strict=True)) for row in zip(*(cells[name] for name in names), strict=True)]
    always = (True,) * n
    masks = [(name, cells[name], active.get(name, always)) for name in space.by_name]
    return [{name: column[row] for name, column, on in masks if on[row]} for row in range(n)]


def repaired(space: Space, configs: list[Config]) -> list[Config]:
    """Replace every configuration that violates a constraint by a near valid one."""
    for group in space.groups:
        if group.constraints:
            configs = [config if group.satisfies(config) else _repair(space, group, config) for config in configs]
    return configs


def _repair(space: Space, group: Space, config: Config) -> Config:
    part = {name: value for name, value in config.items() if name in group.by_name}
    rest = {name: value for name, value in config.items() if name not in group.by_name}
    return space.arrange(rest | _nearest_valid(group, part))


def _nearest_valid(group: Space, config: Config) -> Config:
    """The nearest valid configuration, by squared distance in the cube, among all that differ in the value of one
    parameter of a violated constraint; if there is none, among a fixed sample of the group."""
    candidates = [other for other in _single_changes(group, config) if group.satisfies(other)] or _pool(group)
    points, target = encode(group, candidates), encode(group, [config])
    # A dimension that exists on one side only is as far away as the width of the cube.
    gap = np.where(points.active == target.active, points.values - target.values, 1.0)
    return candidates[int(np.argmin((gap**2).sum(axis=1)))]


def _single_changes(group: Space, config: Config) -> list[Config]:
    violated = [constraint for constraint in group.constraints if not constraint.holds(config)]
    names = dict.fromkeys(name for constraint in violated for name in constraint.parameters if name in config)
    return [changed(group, config, name, value) for name in names for value in _alternatives(group.by_name[name])]


def _alternatives(parameter: Parameter) -> list[Any]:
    """All values of a parameter, or a fixed choice of them spread over its range."""
    if isinstance(parameter, Simplex):  # an even grid grows with the power of its parts
        return parameter.draw(np.random.default_rng(0).random((_SPREAD, parameter.draws)))
    return list(parameter.grid(_RESOLUTION))


def _pool(group: Space) -> list[Config]:
    """Valid configurations, drawn once for each group; a single one where more are too hard to find."""
    pool: list[Config] | SpaceTooConstrained | None = group.__dict__.get("_pool")
    if pool is None:
        pool = group.__dict__["_pool"] = _drawn_once(group)
    if isinstance(pool, SpaceTooConstrained):
        raise pool
    return pool


def _drawn_once(group: Space) -> list[Config] | SpaceTooConstrained:
    """The pool, or why there is none: looking for it again and again would take too long."""
    for size in (_POOL, 1):
        try:
            return group.sample(size, np.random.default_rng(0))
        except SpaceTooConstrained as error:
            reason = error
    return reason
