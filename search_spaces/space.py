"""The search space: an immutable value made of parameters, a tree of conditions and constraints.

A configuration is a dict from the name of every *active* parameter to its value, in the order of the space.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from search_spaces import editing, encoding, listing, sampling, serialization
from search_spaces.columns import Column
from search_spaces.conditions import Condition, parents_first
from search_spaces.constraints import Constraint, check_fits
from search_spaces.encoding import Encoded
from search_spaces.errors import InvalidConfig, InvalidSpace
from search_spaces.groups import split
from search_spaces.parameters import Parameter
from search_spaces.scales import Array

Config = dict[str, Any]

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True)
class Space:
    """What can be searched.

    Args:
        parameters: with distinct names; at least one.
        conditions: at most one for each child; a parameter without one is always active.
        constraints: all must hold.

    Raises:
        InvalidSpace: when the parts do not fit together.
    """

    parameters: tuple[Parameter, ...]
    conditions: tuple[Condition, ...] = ()
    constraints: tuple[Constraint, ...] = ()

    def __post_init__(self) -> None:
        for field in ("parameters", "conditions", "constraints"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        names = [parameter.name for parameter in self.parameters]
        if wrong := [name for name in names if not isinstance(name, str) or not name]:
            raise InvalidSpace(f"a parameter's name must be text, found {wrong[0]!r}")
        if not names:
            raise InvalidSpace("a space needs at least one parameter")
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise InvalidSpace(f"parameter names must differ, found twice: {', '.join(repeated)}")
        for constraint in self.constraints:
            check_fits(constraint, self.by_name)
        object.__setattr__(self, "_order", parents_first(self.parameters, self.conditions))

    # What it is made of

    @cached_property
    def by_name(self) -> dict[str, Parameter]:
        """Parameters by name."""
        return {parameter.name: parameter for parameter in self.parameters}

    @cached_property
    def condition_of(self) -> dict[str, Condition]:
        """The condition of every conditional parameter, by the child's name."""
        return {condition.child: condition for condition in self.conditions}

    @cached_property
    def parents(self) -> frozenset[str]:
        """Names of the parameters on which others hang."""
        return frozenset(condition.parent for condition in self.conditions)

    @property
    def order(self) -> tuple[str, ...]:
        """Names of the parameters, parents before children."""
        order: tuple[str, ...] = self.__dict__["_order"]
        return order

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The d encoded dimensions."""
        return tuple(column for parameter in self.parameters for column in parameter.columns)

    @property
    def dimensions(self) -> int:
        """Number d of encoded dimensions; parameters with a single value cost none."""
        return len(self.columns)

    def is_active(self, name: str, config: Mapping[str, Any]) -> bool:
        """Whether parameter `name` is active, given that `config` holds exactly the active ones of its ancestors."""
        condition = self.condition_of.get(name)
        return condition is None or (condition.parent in config and config[condition.parent] in condition.values)

    @cached_property
    def groups(self) -> tuple[Space, ...]:
        """Independent parts: every set of parameters tied by constraints, and one part of all the others."""
        return split(self)

    # Configurations

    def validate(self, config: Mapping[str, Any]) -> None:
        """Check one configuration.

        Raises:
            InvalidConfig: naming the parameter, the value and what is allowed.
        """
        if not isinstance(config, Mapping):
            raise InvalidConfig("configuration", config, "an object from parameter names to values")
        for name, value in config.items():
            if name not in self.by_name:
                raise InvalidConfig(name, value, f"no such parameter; the space has {', '.join(self.by_name)}")
        for parameter in self.parameters:
            self._validate_one(parameter, config)
        for constraint in self.constraints:
            if not constraint.holds(config):
                found = {name: config[name] for name in constraint.parameters if name in config}
                raise InvalidConfig(", ".join(constraint.parameters), found, constraint.message)

    def _validate_one(self, parameter: Parameter, config: Mapping[str, Any]) -> None:
        name = parameter.name
        active, given = self.is_active(name, config), name in config
        if active and not given:
            raise InvalidConfig(name, None, f"{parameter.allowed} (the parameter is missing)")
        if given and not active:
            condition = self.condition_of[name]
            values = ", ".join(repr(value) for value in condition.values)
            raise InvalidConfig(name, config[name], f"nothing: it exists only when {condition.parent} is {values}")
        if given and not parameter.contains(config[name]):
            raise InvalidConfig(name, config[name], parameter.allowed)

    def contains(self, config: Mapping[str, Any]) -> bool:
        """Whether `config` is valid."""
        try:
            self.validate(config)
        except InvalidConfig:
            return False
        return True

    def satisfies(self, config: Mapping[str, Any]) -> bool:
        """Whether `config`, whose values are allowed one by one, meets all constraints."""
        return all(constraint.holds(config) for constraint in self.constraints)

    @property
    def default(self) -> Config:
        """The configuration of all defaults, or the valid one nearest to it."""
        config: Config = {}
        for name in self.order:
            if self.is_active(name, config):
                config[name] = self.by_name[name].default
        config = self.arrange(config)
        return config if self.satisfies(config) else self.decode(self.encode([config]).values)[0]

    def arrange(self, config: Mapping[str, Any]) -> Config:
        """The same configuration with its keys in the order of the space."""
        return {name: config[name] for name in self.by_name if name in config}

    def sample(self, n: int, rng: np.random.Generator) -> list[Config]:
        """Draw `n` valid configurations from the priors, independently (so repeats occur in a small space).

        Raises:
            SpaceTooConstrained: when constraints leave nothing, or too little to be found.
        """
        return sampling.sample(self, n, rng)

    @property
    def draws(self) -> int:
        """How many uniform numbers one configuration takes: the width of `from_uniform`."""
        return sum(parameter.draws for parameter in self.parameters)

    def from_uniform(self, points: Array) -> list[Config]:
        """Turn points [n, draws] of the unit cube, for example a Sobol sequence, into valid configurations.

        Follows the priors. A point that violates a constraint becomes the nearest valid configuration found.
        """
        return encoding.repaired(self, sampling.place(self, points))

    def log_prior(self, configs: Sequence[Mapping[str, Any]]) -> Array:
        """Log prior density [n] of valid configurations relative to uniform; 0 everywhere without priors."""
        return sampling.log_prior(self, configs)

    def neighbours(self, config: Mapping[str, Any], step: float = 0.1) -> list[Config]:
        """Valid configurations that differ from `config` in one active choice.

        Ordered parameters move to the adjacent values, continuous ones (and integers, besides) by `step` of their
        unit axis, categoricals to every other choice. Children that the choice opens take their default.
        """
        return listing.neighbours(self, config, step)

    def count(self) -> int | None:
        """Number of valid configurations; None when a parameter is continuous.

        Exact, except when one group of parameters tied by constraints has more than a million combinations: such a
        group counts as if it had no constraint, which makes the answer an upper bound.
        """
        return listing.count(self)

    def enumerate(self, resolution: int | None = None) -> Iterator[Config]:
        """All valid configurations in a fixed order, lazily.

        Args:
            resolution: number of evenly spaced values for continuous parameters and for integers with more values.

        Raises:
            InfiniteSpace: at the first step, when a parameter is continuous and no resolution is given.
        """
        return listing.every(self, resolution)

    # Arrays

    def encode(self, configs: Sequence[Mapping[str, Any]]) -> Encoded:
        """Encode valid configurations as values [n, d] in [0, 1] and the mask [n, d] of active dimensions."""
        return encoding.encode(self, configs)

    def decode(self, values: Array) -> list[Config]:
        """Decode points [n, d] of the unit cube: rounds to allowed values and drops inactive parameters.

        `decode(encode([c]).values) == [c]` exactly for every configuration that the space has produced (values from
        elsewhere may have more than 12 significant digits and come back rounded to these). A point that violates a
        constraint becomes the nearest valid configuration found.

        Raises:
            SpaceTooConstrained: when no valid configuration can be found for such a point.
        """
        return encoding.repaired(self, encoding.decode(self, values))

    # Changes and storage

    def carry_over(self, config: Mapping[str, Any], implied: Mapping[str, Any] | None = None) -> Config | None:
        """A configuration from before a change of the space as one of this space; None if it has no place in it.

        Args:
            config: valid in an earlier form of this space.
            implied: for each parameter that was added since, the value that it had without being searched.
        """
        full = {**(implied or {}), **config}
        there: Config = {}
        for name in self.order:
            if name in full and self.is_active(name, there):
                there[name] = full[name]
        there.update({name: value for name, value in config.items() if name not in there})
        return self.arrange(there) if self.contains(there) else None

    def add(self, parameter: Parameter, condition: Condition | None = None) -> Space:
        """The space with one more parameter, at the end."""
        return editing.add(self, parameter, condition)

    def narrow(self, name: str, **changes: Any) -> Space:
        """The space with other ranges, choices, scale or prior for parameter `name`, within the present ones."""
        return editing.narrow(self, name, changes)

    def freeze(self, name: str, value: Any) -> Space:
        """The space with parameter `name` fixed at `value`, which must be allowed now."""
        return editing.freeze(self, name, value)

    def to_json(self) -> dict[str, Any]:
        """JSON form; `from_json` returns an equal space."""
        return serialization.to_json(self)

    @staticmethod
    def from_json(data: object) -> Space:
        """Read the JSON form: `parameters`, and optionally `conditions` and `constraints`.

        Raises:
            InvalidSpace: naming what is missing, unknown or contradictory.
        """
        return Space(*serialization.parts_from_json(data))


def config_hash(config: Mapping[str, Any]) -> str:
    """A stable name (16 hex digits) for the content of a configuration: equal configurations have equal hashes in
    every process and after any JSON round trip. Order of keys does not matter, and the whole float 1.0 equals 1."""
    return hashlib.sha256(_ENCODER.encode(_canonical(config)).encode()).hexdigest()[:16]


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _canonical(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(entry) for entry in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
