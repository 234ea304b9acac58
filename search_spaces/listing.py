"""Counting a space, listing it, and stepping to the configurations next to one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search_spaces.constraints import Constraint
    from search_spaces.space import Space

Config = dict[str, Any]

# A group of parameters tied by constraints is counted by listing it up to this many combinations.
_COUNTED = 1_000_000


def changed(space: Space, config: Mapping[str, Any], name: str, value: Any) -> Config:
    """`config` with another value for `name`; children it closes are dropped, those it opens take their default."""
    if name not in space.parents:
        return {**config, name: value}
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
    # Tied parameters come first and a rule is checked as soon as it can be, or a rule that leaves nothing would be
    # found out only after every combination of the others.
    order = [name for group in space.groups for name in group.order]
    rules: dict[str, list[Constraint]] = {name: [] for name in order}
    for rule in space.constraints:
        rules[max(rule.parameters, key=order.index)].append(rule)
    for config in _combine(space, order, rules, {}, resolution):
        yield space.arrange(config)


def _combine(
    space: Space,
    names: Sequence[str],
    rules: Mapping[str, Sequence[Constraint]],
    config: Config,
    resolution: int | None,
) -> Iterator[Config]:
    """All valid ways to extend `config` by the active ones of `names`; yields the same dict again and again."""
    if not names:
        yield config
        return
    name, rest = names[0], names[1:]
    if not space.is_active(name, config):
        if all(rule.holds(config) for rule in rules[name]):
            yield from _combine(space, rest, rules, config, resolution)
        return
    for value in space.by_name[name].grid(resolution):
        config[name] = value
        if all(rule.holds(config) for rule in rules[name]):
            yield from _combine(space, rest, rules, config, resolution)
    del config[name]


def combinations(space: Space) -> int | None:
    """Number of configurations before constraints; None when a parameter is continuous."""
    return _product(space, space.order)


def count(space: Space) -> int | None:
    """Number of valid configurations; see `Space.count`."""
    products = [combinations(group) for group in space.groups]
    if None in products:
        return None
    return math.prod(_count_group(group, product or 0) for group, product in zip(space.groups, products, strict=True))


def _count_group(group: Space, product: int) -> int:
    if not group.constraints or product > _COUNTED:
        return product
    return sum(1 for _ in every(group))


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
