"""Which parameters exist only under a choice of another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search_spaces.errors import InvalidSpace
from search_spaces.parameters import Parameter


@dataclass(frozen=True)
class Condition:
    """`child` is active if and only if `parent` is active and its value is among `values`."""

    child: str
    parent: str
    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.child, str) or not isinstance(self.parent, str):
            raise InvalidSpace(f"condition: `child` and `parent` must be names, found {self.child!r}, {self.parent!r}")
        if not isinstance(self.values, list | tuple) or not self.values:
            raise InvalidSpace(f"condition of {self.child}: `values` must be a non-empty list, found {self.values!r}")
        object.__setattr__(self, "values", tuple(self.values))

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return {"child": self.child, "parent": self.parent, "values": list(self.values)}


def condition_from_json(data: object) -> Condition:
    """Read one condition; `InvalidSpace` says what is missing or unknown."""
    if not isinstance(data, Mapping) or set(data) != {"child", "parent", "values"}:
        raise InvalidSpace(f"condition: found {data!r}, allowed: an object with `child`, `parent` and `values`")
    return Condition(data["child"], data["parent"], data["values"])


def parents_first(parameters: Sequence[Parameter], conditions: Sequence[Condition]) -> tuple[str, ...]:
    """Names of the parameters, every parent before its children, otherwise in the order given.

    Raises:
        InvalidSpace: when a condition names an unknown parameter, waits for a value that its parent cannot take,
            a child has two conditions, or parameters wait for each other.
    """
    by_name = {parameter.name: parameter for parameter in parameters}
    parent_of: dict[str, str] = {}
    for condition in conditions:
        for role, name in (("child", condition.child), ("parent", condition.parent)):
            if name not in by_name:
                raise InvalidSpace(f"condition: unknown {role} {name!r}; parameters are {', '.join(by_name)}")
        if condition.child in parent_of:
            raise InvalidSpace(f"{condition.child} has two conditions; a parameter hangs on at most one parent")
        _check_values(condition, by_name[condition.parent])
        parent_of[condition.child] = condition.parent
    return _ordered(list(by_name), parent_of)


def _check_values(condition: Condition, parent: Parameter) -> None:
    if parent.size is None:
        raise InvalidSpace(
            f"{condition.child} hangs on {parent.name}, which is continuous: a parent has distinct values"
        )
    for value in condition.values:
        if not parent.contains(value):
            raise InvalidSpace(
                f"{condition.child} waits for {parent.name} = {value!r}, but {parent.name} is {parent.allowed}"
            )


def _ordered(names: list[str], parent_of: Mapping[str, str]) -> tuple[str, ...]:
    order: dict[str, None] = {}
    for name in names:
        chain = [name]
        while chain[-1] in parent_of and chain[-1] not in order:
            parent = parent_of[chain[-1]]
            if parent in chain:
                raise InvalidSpace(f"these parameters wait for each other: {', '.join(sorted(chain))}")
            chain.append(parent)
        order.update(dict.fromkeys(reversed(chain)))
    return tuple(order)
