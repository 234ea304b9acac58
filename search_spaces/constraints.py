"""Rules that tie parameters of one configuration together. All are immutable, JSON-able and carry a message.

A rule speaks about active parameters only: a sum counts inactive ones as 0 and asks for nothing when all are inactive;
the others hold when one is inactive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from search_spaces.errors import InvalidSpace
from search_spaces.parameters import Float, Int, Parameter, Simplex
from search_spaces.values import is_int, is_number

Config = Mapping[str, Any]
Rule = Callable[[Config], bool]

_PREDICATES: dict[str, Rule] = {}


@dataclass(frozen=True)
class Divides:
    """The value of parameter `divisor` divides `dividend`, a whole number or the name of another parameter."""

    divisor: str
    dividend: int | str

    type: ClassVar[str] = "divides"

    def __post_init__(self) -> None:
        if not isinstance(self.divisor, str) or not (isinstance(self.dividend, str) or is_int(self.dividend)):
            found = f"{self.divisor!r} and {self.dividend!r}"
            raise InvalidSpace(f"constraint: a parameter divides a whole number or another parameter, found {found}")

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that the rule ties."""
        return (self.divisor, self.dividend) if isinstance(self.dividend, str) else (self.divisor,)

    @property
    def message(self) -> str:
        """The rule in words."""
        return f"{self.divisor} must divide {self.dividend}"

    def holds(self, config: Config) -> bool:
        """Whether the active parameters of `config` satisfy the rule."""
        if any(name not in config for name in self.parameters):
            return True
        dividend = config[self.dividend] if isinstance(self.dividend, str) else self.dividend
        divisor = config[self.divisor]
        return bool(divisor != 0 and dividend % divisor == 0)


@dataclass(frozen=True)
class SumAtMost:
    """The values of `names` (numbers, or booleans counted as 0 and 1) sum to at most `limit`."""

    names: tuple[str, ...]
    limit: float

    type: ClassVar[str] = "sum_at_most"

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", _names(self.names))
        if not is_number(self.limit):
            raise InvalidSpace(f"constraint: `limit` must be a finite number, found {self.limit!r}")

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that the rule ties."""
        return self.names

    @property
    def message(self) -> str:
        """The rule in words."""
        return f"{' + '.join(self.names)} must be at most {self.limit}"

    def holds(self, config: Config) -> bool:
        """Whether the active parameters of `config` satisfy the rule."""
        return bool(sum(config.get(name, 0) for name in self.names) <= self.limit)


@dataclass(frozen=True)
class SumAtLeast:
    """The values of `names` (numbers, or booleans counted as 0 and 1) sum to at least `limit`.

    With none of them active the rule does not apply: its branch of the space was not taken.
    """

    names: tuple[str, ...]
    limit: float

    type: ClassVar[str] = "sum_at_least"

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", _names(self.names))
        if not is_number(self.limit):
            raise InvalidSpace(f"constraint: `limit` must be a finite number, found {self.limit!r}")

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that the rule ties."""
        return self.names

    @property
    def message(self) -> str:
        """The rule in words."""
        return f"{' + '.join(self.names)} must be at least {self.limit}"

    def holds(self, config: Config) -> bool:
        """Whether the active parameters of `config` satisfy the rule."""
        values = [config[name] for name in self.names if name in config]
        return not values or bool(sum(values) >= self.limit)


@dataclass(frozen=True)
class Predicate:
    """Any pure rule, registered under `name` in every process that reads the space. It sees the parameters `names`."""

    name: str
    names: tuple[str, ...]
    message: str

    type: ClassVar[str] = "predicate"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not isinstance(self.message, str):
            raise InvalidSpace(f"constraint: `name` and `message` must be text, found {self.name!r}, {self.message!r}")
        object.__setattr__(self, "names", _names(self.names))
        if self.name not in _PREDICATES:
            known = ", ".join(sorted(_PREDICATES)) or "none"
            raise InvalidSpace(f"constraint: unknown predicate {self.name!r}; registered: {known}")

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that the rule ties."""
        return self.names

    def holds(self, config: Config) -> bool:
        """Whether the active parameters of `config` satisfy the rule."""
        seen = {name: config[name] for name in self.names if name in config}
        return len(seen) < len(self.names) or bool(_PREDICATES[self.name](seen))


Constraint = Divides | SumAtMost | SumAtLeast | Predicate
CONSTRAINT_TYPES: dict[str, type[Constraint]] = {
    kind.type: kind for kind in (Divides, SumAtMost, SumAtLeast, Predicate)
}


def register_predicate(name: str, rule: Rule) -> None:
    """Make `rule` available to `Predicate(name, …)`. It must be pure: same configuration, same answer.

    Raises:
        InvalidSpace: when another rule has that name.
    """
    if _PREDICATES.setdefault(name, rule) is not rule:
        raise InvalidSpace(f"a predicate named {name!r} is registered already")


def check_fits(constraint: Constraint, parameters: Mapping[str, Parameter]) -> None:
    """Refuse a rule about parameters that do not exist, or arithmetic on values that are no numbers.

    Raises:
        InvalidSpace: naming the rule and the parameter.
    """
    for name in constraint.parameters:
        if name not in parameters:
            raise InvalidSpace(f"constraint {constraint.message!r}: unknown parameter {name!r}")
        if not isinstance(constraint, Predicate) and not _fits(constraint, parameters[name]):
            kind = "whole numbers" if isinstance(constraint, Divides) else "numbers or booleans"
            raise InvalidSpace(
                f"constraint {constraint.message!r}: {name} must hold {kind}, it is {parameters[name].allowed}"
            )


def _fits(constraint: Divides | SumAtMost | SumAtLeast, parameter: Parameter) -> bool:
    if isinstance(parameter, Simplex):
        return False
    if isinstance(parameter, Float | Int):
        return isinstance(parameter, Int) or not isinstance(constraint, Divides)
    allowed = is_int if isinstance(constraint, Divides) else _is_summable
    return all(allowed(value) for value in parameter.grid())


def _is_summable(value: object) -> bool:
    return isinstance(value, bool) or is_number(value)


def without(constraint: Constraint, gone: frozenset[str]) -> Constraint | None:
    """The rule for a space that has lost the parameters `gone`; None when nothing is left to check."""
    if not gone.intersection(constraint.parameters):
        return constraint
    if isinstance(constraint, SumAtMost | SumAtLeast):
        names = tuple(name for name in constraint.names if name not in gone)
        return replace(constraint, names=names) if names else None
    return None


def constraint_to_json(constraint: Constraint) -> dict[str, Any]:
    """JSON form of a constraint."""
    data = {field.name: getattr(constraint, field.name) for field in fields(constraint)}
    return {"type": constraint.type} | {
        key: list(value) if isinstance(value, tuple) else value for key, value in data.items()
    }


def constraint_from_json(data: object) -> Constraint:
    """Read one constraint; `InvalidSpace` says what is missing or unknown."""
    kind = CONSTRAINT_TYPES.get(str(data.get("type"))) if isinstance(data, Mapping) else None
    if kind is None or not isinstance(data, Mapping):
        raise InvalidSpace(
            f"constraint: found {data!r}, allowed: an object whose `type` is one of {', '.join(CONSTRAINT_TYPES)}"
        )
    expected = {field.name for field in fields(kind)}
    if set(data) - {"type"} != expected:
        raise InvalidSpace(
            f"constraint {kind.type}: found fields {sorted(set(data) - {'type'})}, allowed: {sorted(expected)}"
        )
    return kind(**{key: value for key, value in data.items() if key != "type"})


def _names(names: object) -> tuple[str, ...]:
    if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):
        raise InvalidSpace(f"constraint: `names` must be a list of parameter names, found {names!r}")
    return tuple(names)
