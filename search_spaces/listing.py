"""Counting a space, listing it, and stepping to the configurations next to one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search_spaces.space import Space

Config = dict[str, Any]

# A group of parameters tied by constraints is counted by listing it up to this many combinations.
_COUNTED = 1_000_000


def changed(space: Space, config: Mapping[str, Any], name: str, value: Any) -> Config:
    """`config` with another value for `name`; children it closes are dropped, those it opens take their default."""
    new: Config = {}
    for other in space.order:
        if space.is_active(other, new):
            if other == name:
                new[other] = value
            else:
                new[other] = config[other] if other in config else space.by_name[other].default
    return space.arrange(new)


def neighbours(space: Space, config: Mapping[str, Any], step: float) -> list[Config]:
    """Valid configurations one choice away; see `Space.neighbours`."""
    found = []
    for name in space.by_name:
        if name in config:
            for value in space.by_name[name].near(config[name], step):
                other = changed(space, config, name, value)
                if space.satisfies(other):
                    found.append(other)
    return found


def every(space: Space, resolution: int | None = None) -> Iterator[Config]:
    """All valid configurations; see `Space.enumerate`."""
    for config in _combine(space, space.order, {}, resolution):
        if space.satisfies(config):
            yield space.arrange(config)


def _combine(space: Space, names: Sequence[str], config: Config, resolution: int | None) -> Iterator[Config]:
    """All ways to extend `config` by the active ones of `names`; yields the same dict again and again."""
    if not names:
        yield config
        return
    name, rest = names[0], names[1:]
    if not space.is_active(name, config):
        yield from _combine(space, rest, config, resolution)
        return
    for value in space.by_name[name].grid(resolution):
        config[name] = value
        yield from _combine(space, rest, config, resolution)
    del config[name]


def combinations(space: Space) -> int | None:
    """Number of configurations before constraints; None when a parameter is continuous."""
    return _product(space, space.order)


def count(space: Space) -> int | None:
    """Number of valid configurations; see `Space.count`."""
    if any(parameter.size is None for parameter in space.parameters):
        return None
    return math.prod(_count_group(space, group) for group in _groups(space))


def _count_group(space: Space, names: tuple[str, ...]) -> int:
    """Valid combinations of parameters that hang together; independent of all other parameters."""
    product = _product(space, names)
    assert product is not None  # finite, or `count` had answered already
    rules = [constraint for constraint in space.constraints if constraint.parameters[0] in names]
    if not rules or product > _COUNTED:
        return product
    return sum(all(rule.holds(config) for rule in rules) for config in _combine(space, names, {}, None))


def _groups(space: Space) -> list[tuple[str, ...]]:
    """Parameters joined by conditions or constraints, parents first within each group."""
    leader = {name: name for name in space.order}
    ties = [(condition.child, condition.parent) for condition in space.conditions]
    ties += [(rule.parameters[0], name) for rule in space.constraints for name in rule.parameters]
    for one, other in ties:
        old, new = leader[one], leader[other]
        leader = {name: new if lead == old else lead for name, lead in leader.items()}
    return [tuple(name for name in space.order if leader[name] == lead) for lead in dict.fromkeys(leader.values())]


def _product(space: Space, names: Sequence[str]) -> int | None:
    """Combinations of `names`, conditions respected and constraints not: a product over the roots of their trees."""
    if any(space.by_name[name].size is None for name in names):
        return None
    return math.prod(_below(space, name) for name in names if name not in space.condition_of)


def _below(space: Space, name: str) -> int:
    """Combinations of a parameter with all that hang on it."""
    children = [condition for condition in space.conditions if condition.parent == name]
    parameter = space.by_name[name]
    if not children:
        assert parameter.size is not None
        return parameter.size
    below = {condition.child: _below(space, condition.child) for condition in children}
    return sum(
        math.prod(below[condition.child] for condition in children if value in condition.values)
        for value in parameter.grid()
    )
