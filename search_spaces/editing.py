"""Changing a space, which makes another one: add, narrow or freeze a parameter, or apply a user's overrides."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from search_spaces.conditions import Condition
from search_spaces.constraints import without
from search_spaces.errors import InvalidOverride, InvalidSpace
from search_spaces.limits import TRAINING_LIMITS
from search_spaces.parameters import Categorical, Float, Int, Ordinal, Parameter, Simplex
from search_spaces.priors import Prior, prior_from_json
from search_spaces.serialization import parameter_from_json
from search_spaces.values import is_number, number_hint

if TYPE_CHECKING:
    from search_spaces.space import Space

# Every value of an integer with at most this many is compared; of a longer one only a few.
_LONG = 10_000


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

    An override is `{"value": v}`, which fixes the parameter; or new fields of the parameter (`low`, `high`, `step`,
    `scale`, `values`, `choices`, `prior`; an ordinal takes `choices` for its `values`, a numeric one `low` and `high`,
    too); or a whole new declaration with its `type`. Training hyperparameters may go beyond the preset as far as
    `search_spaces.limits` says, and one that the preset leaves at its default joins the space; all other parameters
    can only be narrowed. Conditions and constraints of the space stay.

    Args:
        overrides: mappings from parameter name to override, applied in order.

    Raises:
        InvalidOverride: naming the parameter, what was found and what is allowed.
    """
    for mapping in overrides:
        for name, change in mapping.items():
            space = _override(space, name, change)
    return space


def joining(space: Space) -> tuple[Parameter, ...]:
    """Training hyperparameters that are no part of a space and join it by an override, as widely as they make sense."""
    known = {name.rpartition(".")[2] for name in space.by_name}
    return tuple(parameter for name, parameter in TRAINING_LIMITS.items() if name not in known)


def _override(space: Space, name: str, change: object) -> Space:
    if name in {one.name for one in joining(space)}:
        space = add(space, TRAINING_LIMITS[name])
    parameter = _find(space, name)
    # In a tree of methods the name is prefixed, as in `lora.learning_rate`.
    limit = TRAINING_LIMITS.get(name.rpartition(".")[2], parameter)
    if not isinstance(change, Mapping) or not change:
        raise InvalidOverride(name, change, _override_in_words(parameter))
    try:
        new = _replacement(parameter, change)
    except InvalidOverride:
        raise
    except InvalidSpace as error:
        raise InvalidOverride(name, dict(change), str(error).removeprefix(f"{name}: ")) from error
    _check_within(limit, new)
    return _with(space, new)


def _replacement(parameter: Parameter, change: Mapping[str, Any]) -> Parameter:
    if "value" in change:
        if set(change) != {"value"}:
            raise InvalidOverride(parameter.name, dict(change), "`value` alone, or a range without it")
        return Categorical(parameter.name, (change["value"],))
    if "type" in change:
        return parameter_from_json({**change, "name": parameter.name})
    return _changed(parameter, change)


def _changed(parameter: Parameter, changes: Mapping[str, Any]) -> Parameter:
    """The parameter with some of its fields replaced."""
    if isinstance(parameter, Ordinal) and changes and set(changes) <= {"low", "high"}:
        return _between(parameter, changes)
    if isinstance(parameter, Ordinal) and "choices" in changes and "values" not in changes:  # read alike by a user
        changes = {"values" if field == "choices" else field: value for field, value in changes.items()}
    if unknown := [field for field in changes if field not in _changeable(parameter)]:
        raise InvalidOverride(parameter.name, {unknown[0]: changes[unknown[0]]}, _override_in_words(parameter))
    new = dict(changes)
    if isinstance(new.get("prior"), Mapping):
        new["prior"] = prior_from_json(new["prior"], parameter.name)
    elif "prior" not in new and getattr(parameter, "prior", None) is not None:
        new["prior"] = _surviving_prior(parameter, new)
    return replace(parameter, **new)


def _between(parameter: Ordinal, ends: Mapping[str, Any]) -> Ordinal:
    """The numeric values of an ordinal from `low` to `high`."""
    if not all(map(is_number, ends.values())):
        raise InvalidOverride(parameter.name, dict(ends), "numbers")
    low, high = ends.get("low", -math.inf), ends.get("high", math.inf)
    values = tuple(value for value in parameter.values if is_number(value) and low <= value <= high)
    if not values or parameter.size == 1:
        raise InvalidOverride(parameter.name, dict(ends), f"a range around {parameter.allowed}, or other `values`")
    return replace(parameter, values=values, prior=_surviving_prior(parameter, {"values": values}))


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
    """Refuse a declaration that allows what `old` does not."""
    if isinstance(new, Float):
        outside: list[Any] = [end for end in (new.low, new.high) if not isinstance(old, Float) or not old.contains(end)]
    elif isinstance(new, Simplex):
        outside = [] if isinstance(old, Simplex) and old.parts == new.parts else [list(new.parts)]
    else:
        outside = [value for value in _witnesses(new) if not old.contains(value)]
    if outside:
        raise InvalidOverride(new.name, outside[0], old.allowed + number_hint(outside[0]))


def _witnesses(parameter: Int | Ordinal | Categorical) -> list[Any]:
    """Values that show whether all are allowed: every one, or the ends and the first step of a long range."""
    if not isinstance(parameter, Int):
        return list(parameter.grid())
    ends = [parameter.low, parameter.high]
    if parameter.size > _LONG:
        return [*ends, parameter.low + parameter.step]
    return [*ends, *parameter.grid()]


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


def _override_in_words(parameter: Parameter) -> str:
    return f'{{"value": …}}, or any of the fields {", ".join(_changeable(parameter))}'
