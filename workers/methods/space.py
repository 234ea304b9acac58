"""The `methods` space: a tree with every registered method as a branch. Imports no torch.

`method` is the root; a method's own knobs and its learning rate are children of that choice, named `<method>.<knob>`;
batch size, weight decay, warm-up and schedule are shared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from search_spaces.conditions import Condition
from search_spaces.constraints import Constraint
from search_spaces.parameters import Categorical, Parameter
from search_spaces.presets.training import learning_rate, training_parameters
from search_spaces.space import Space
from workers.errors import InvalidInput
from workers.methods.declaration.method import Method
from workers.methods.registry import methods
from workers.models.description import ModelDescription

PRESET = "methods"
_NAME_FIELDS = {"child", "parent", "divisor", "dividend", "names"}


def methods_space(model: ModelDescription, names: Iterable[str] | None = None) -> Space:
    """The tree over `names`, or over every method that works on this model.

    Raises `InvalidInput` for a name that is not registered or a method that does not work on the model.
    """
    chosen = _choose(model, names)
    parameters: list[Parameter] = [Categorical("method", tuple(one.name for one in chosen))]
    conditions: list[Condition] = []
    constraints: list[Constraint] = []
    for one in chosen:
        branch = _branch(one, model)
        parameters += branch.parameters
        conditions += branch.conditions
        constraints += branch.constraints
    return Space((*parameters, *training_parameters()), tuple(conditions), tuple(constraints))


def _choose(model: ModelDescription, names: Iterable[str] | None) -> list[Method]:
    if names is None:
        return [one for one in methods().values() if one.supports(model)]
    wanted = list(names)
    unknown = [name for name in wanted if name not in methods()]
    if unknown:
        raise InvalidInput("method", unknown[0], methods())
    for name in wanted:
        methods()[name].require(model)
    return [methods()[name] for name in wanted]


@dataclass(frozen=True)
class _Branch:
    parameters: tuple[Parameter, ...]
    conditions: tuple[Condition, ...]
    constraints: tuple[Constraint, ...]


def _branch(one: Method, model: ModelDescription) -> _Branch:
    own, rates = one.knobs(model), one.learning_rates
    unprefixed = (*own.parameters, learning_rate(rates.low, rates.high, rates.mode))
    names = {parameter.name: f"{one.name}.{parameter.name}" for parameter in unprefixed}
    parameters = tuple(replace(parameter, name=names[parameter.name]) for parameter in unprefixed)
    inner = {names[condition.child]: _renamed(condition, names) for condition in own.conditions}
    root = tuple(Condition(p.name, "method", (one.name,)) for p in parameters if p.name not in inner)
    return _Branch(parameters, (*root, *inner.values()), tuple(_renamed(rule, names) for rule in own.constraints))


def _renamed(rule: Any, names: Mapping[str, str]) -> Any:
    """A condition or constraint with every parameter name in its fields replaced."""

    def rename(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(names.get(one, one) for one in value)
        return names.get(value, value) if isinstance(value, str) else value

    changed = {field.name: rename(getattr(rule, field.name)) for field in fields(rule) if field.name in _NAME_FIELDS}
    return replace(rule, **changed)
