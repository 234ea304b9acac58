"""Changing a space, which makes another one: add, narrow or freeze a parameter, or apply a user's overrides."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from search_spaces.conditions import Condition
from search_spaces.constraints import without
from search_spaces.errors import InvalidOverride, InvalidSpace
from search_spaces.parameters import Categorical, Float, Int, Ordinal, Parameter, Simplex
from search_spaces.priors import Prior, prior_from_json

if TYPE_CHECKING:
    from search_spaces.space import Space


def add(space: Space, parameter: Parameter, condition: Condition | None = None) -> Space:
    """The space with one more parameter; see `Space.add`."""
    if parameter.name in space.by_name:
        raise InvalidOverride(parameter.name, parameter.type, "a new name: the space has this parameter already")
    conditions = space.conditions if condition is None else (*space.conditions, condition)
    return replace(space, parameters=(*space.parameters, parameter), conditions=conditions)


def freeze(space: Space, name: str, value: Any) -> Space:
    """The space with one value fixed; see `Space.freeze`."""
    parameter = _find(space, name)
    if not parameter.contains(value):
        raise InvalidOverride(name, value, parameter.allowed)
    return _with(space, Categorical(name, (value,)))


def narrow(space: Space, name: str, changes: Mapping[str, Any]) -> Space:
    """The space with less of one parameter; see `Space.narrow`."""
    parameter = _find(space, name)
    new = _changed(parameter, changes)
    _check_within(parameter, new)
    return _with(space, new)


def apply_overrides(space: Space, *overrides: Mapping[str, Mapping[str, Any]]) -> Space:
    """Apply a user's changes to a ready-made space, by parameter.

    An override is either `{"value": v}`, which fixes the parameter, or new fields for it: `low`, `high`, `step`,
    `scale`, `prior`, `values` or `choices`, or a whole new declaration with a `type`. Ranges may become wider than
    the preset's: the user knows the task. Constraints of the space stay.

    Args:
        overrides: one or more mappings from parameter name to override, applied in order.

    Raises:
        InvalidOverride: naming the parameter, what was found and what is allowed.
    """
    for mapping in overrides:
        for name, change in mapping.items():
            space = _override(space, name, change)
    return space


def _override(space: Space, name: str, change: object) -> Space:
    parameter = _find(space, name)
    if not isinstance(change, Mapping) or not change:
        raise InvalidOverride(name, change, f'{{"value": …}} or {_fields_in_words(parameter)}')
    try:
        if "value" in change:
            if set(change) != {"value"}:
                raise InvalidOverride(name, sorted(change), "`value` alone, or a range without it")
            return _with(space, _fixed(parameter, change["value"]))
        if "type" in change:
            from search_spaces.serialization import parameter_from_json

            return _with(space, parameter_from_json({**change, "name": name}))
        return _with(space, _changed(parameter, change))
    except InvalidOverride:
        raise
    except InvalidSpace as error:
        raise InvalidOverride(name, dict(change), str(error)) from error


def _fixed(parameter: Parameter, value: Any) -> Categorical:
    """A single value, of the kind that the parameter has."""
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(parameter, Float) and not numeric:
        raise InvalidOverride(parameter.name, value, "a number")
    if isinstance(parameter, Int) and not (numeric and isinstance(value, int)):
        raise InvalidOverride(parameter.name, value, "a whole number")
    if isinstance(parameter, Categorical | Ordinal | Simplex) and parameter.size != 1 and not parameter.contains(value):
        raise InvalidOverride(parameter.name, value, parameter.allowed)
    return Categorical(parameter.name, (value,))


def _changed(parameter: Parameter, changes: Mapping[str, Any]) -> Parameter:
    """The parameter with some of its fields replaced."""
    if isinstance(parameter, Ordinal) and changes and set(changes) <= {"low", "high"}:
        return _between(parameter, **changes)
    known = _changeable(parameter)
    for field, value in changes.items():
        if field not in known:
            raise InvalidOverride(parameter.name, {field: value}, f'{{"value": …}} or {_fields_in_words(parameter)}')
    new = dict(changes)
    if isinstance(new.get("prior"), Mapping):
        new["prior"] = prior_from_json(new["prior"], parameter.name)
    elif "prior" not in new and getattr(parameter, "prior", None) is not None:
        new["prior"] = _surviving_prior(parameter, new)
    return replace(parameter, **new)


def _between(parameter: Ordinal, low: float = -math.inf, high: float = math.inf) -> Ordinal:
    """The numeric values of an ordinal from `low` to `high`."""
    values = [value for value in parameter.values if isinstance(value, int | float) and low <= value <= high]
    if not values:
        raise InvalidOverride(parameter.name, {"low": low, "high": high}, f"a range around {parameter.allowed}")
    return replace(parameter, values=tuple(values), prior=_surviving_prior(parameter, {"values": tuple(values)}))


def _surviving_prior(parameter: Parameter, changes: Mapping[str, Any]) -> Prior | None:
    """The parameter's prior if it still fits the changed parameter: its mode may lie outside the new range, and the
    weights of choices mean nothing for other choices."""
    if isinstance(parameter, Categorical | Simplex):
        return None
    try:
        return replace(parameter, **changes).prior
    except InvalidSpace:
        return None


def _check_within(old: Parameter, new: Parameter) -> None:
    """Refuse a narrowing that allows what was not allowed."""
    if isinstance(old, Float | Int) and isinstance(new, Float | Int):
        edges: tuple[Any, ...] = (
            (new.low, new.high) if isinstance(new, Float) else (new.low, new.high, new.low + new.step)
        )
        outside = [value for value in edges if value <= new.high and not old.contains(value)]
    elif isinstance(new, Ordinal | Categorical):
        outside = [value for value in new.grid() if not old.contains(value)]
    else:
        outside = []
    if outside:
        raise InvalidOverride(old.name, outside[0], f"{old.allowed} (narrowing cannot widen)")


def _find(space: Space, name: str) -> Parameter:
    if name not in space.by_name:
        raise InvalidOverride(name, name, f"one of the parameters {', '.join(space.by_name)}")
    return space.by_name[name]


def _with(space: Space, parameter: Parameter) -> Space:
    """The space with one parameter replaced. Conditions keep the values of their parent that are still there; a child
    that nothing opens any more leaves the space, with all that hangs on it."""
    parameters = {**space.by_name, parameter.name: parameter}
    conditions: list[Condition] = []
    for child in space.order:
        condition = space.condition_of.get(child)
        if condition is None:
            continue
        parent = parameters.get(condition.parent)
        values = tuple(value for value in condition.values if parent is not None and parent.contains(value))
        if values:
            conditions.append(replace(condition, values=values))
        else:
            del parameters[child]
    rules = [without(rule, frozenset(space.by_name) - frozenset(parameters)) for rule in space.constraints]
    kept = tuple(rule for rule in rules if rule is not None)
    return replace(space, parameters=tuple(parameters.values()), conditions=tuple(conditions), constraints=kept)


def _changeable(parameter: Parameter) -> tuple[str, ...]:
    return tuple(field.name for field in fields(parameter) if field.name != "name")


def _fields_in_words(parameter: Parameter) -> str:
    return f"the fields {', '.join(f'`{name}`' for name in _changeable(parameter))}"
