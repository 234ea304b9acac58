"""Cutting a space into parts that have nothing to do with one another.

Rejection, listing and repair of configurations then deal with the few parameters that a constraint really ties.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search_spaces.space import Space


def split(space: Space) -> tuple[Space, ...]:
    """One space for every set of parameters tied by constraints, and one for all parameters free of them."""
    if not space.constraints:
        return (space,)
    leader = _leaders(space)
    tied = dict.fromkeys(leader[rule.parameters[0]] for rule in space.constraints)
    groups = [[name for name in leader if leader[name] == lead] for lead in tied]
    free = [name for name in leader if leader[name] not in tied]
    if len(groups) == 1 and not free:
        return (space,)
    return tuple(_part(space, names) for names in (*groups, free) if names)


def _leaders(space: Space) -> dict[str, str]:
    """For each parameter the name that stands for all that conditions and constraints join it with."""
    leader = {name: name for name in space.by_name}
    ties = [(condition.child, condition.parent) for condition in space.conditions]
    ties += [(rule.parameters[0], name) for rule in space.constraints for name in rule.parameters]
    for one, other in ties:
        old, new = leader[one], leader[other]
        if old != new:
            leader = {name: new if lead == old else lead for name, lead in leader.items()}
    return leader


def _part(space: Space, names: Iterable[str]) -> Space:
    kept = set(names)
    return replace(
        space,
        parameters=tuple(parameter for parameter in space.parameters if parameter.name in kept),
        conditions=tuple(condition for condition in space.conditions if condition.child in kept),
        constraints=tuple(rule for rule in space.constraints if rule.parameters[0] in kept),
    )
