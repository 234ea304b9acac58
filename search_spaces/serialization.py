"""Spaces as JSON, the same form that a job file uses for its own `parameters`, `conditions` and `constraints`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

from search_spaces.conditions import Condition, condition_from_json
from search_spaces.constraints import Constraint, constraint_from_json, constraint_to_json
from search_spaces.errors import InvalidSpace
from search_spaces.parameters import Categorical, Float, Int, Ordinal, Parameter, Simplex
from search_spaces.priors import prior_from_json

if TYPE_CHECKING:
    from search_spaces.space import Space

PARAMETER_TYPES: dict[str, type[Parameter]] = {kind.type: kind for kind in (Float, Int, Ordinal, Categorical, Simplex)}
_SECTIONS = ("parameters", "conditions", "constraints")


def parameter_to_json(parameter: Parameter) -> dict[str, Any]:
    """JSON form of one parameter: its `type`, `name` and fields; no prior means no `prior`."""
    data: dict[str, Any] = {"type": parameter.type}
    for field in fields(parameter):
        value = getattr(parameter, field.name)
        if field.name == "prior":
            if value is not None:
                data["prior"] = value.to_json()
        else:
            data[field.name] = list(value) if isinstance(value, tuple) else value
    return data


def parameter_from_json(data: object) -> Parameter:
    """Read one parameter.

    Raises:
        InvalidSpace: naming the parameter and what is missing, unknown or contradictory.
    """
    name = data.get("name") if isinstance(data, Mapping) else None
    if not isinstance(data, Mapping) or not isinstance(name, str) or not name:
        raise InvalidSpace(f"parameter: found {data!r}, allowed: an object with a `name` and a `type`")
    kind = PARAMETER_TYPES.get(str(data.get("type")))
    if kind is None:
        raise InvalidSpace(f"{name}: type: found {data.get('type')!r}, allowed: {', '.join(PARAMETER_TYPES)}")
    known = [field.name for field in fields(kind)]
    needed = [field.name for field in fields(kind) if field.default is MISSING]
    given = {key: value for key, value in data.items() if key != "type"}
    if unknown := sorted(set(given) - set(known)):
        raise InvalidSpace(f"{name}: unknown field {', '.join(unknown)}; {kind.type} has {', '.join(known)}")
    if missing := [field for field in needed if field not in given]:
        raise InvalidSpace(f"{name}: missing field {', '.join(missing)}; {kind.type} has {', '.join(known)}")
    if "prior" in given:
        given["prior"] = prior_from_json(given["prior"], name)
    return kind(**given)


def to_json(space: Space) -> dict[str, Any]:
    """JSON form of a space."""
    return {
        "parameters": [parameter_to_json(parameter) for parameter in space.parameters],
        "conditions": [condition.to_json() for condition in space.conditions],
        "constraints": [constraint_to_json(constraint) for constraint in space.constraints],
    }


def parts_from_json(data: object) -> tuple[tuple[Parameter, ...], tuple[Condition, ...], tuple[Constraint, ...]]:
    """Read the parts of a space; see `Space.from_json`."""
    if not isinstance(data, Mapping) or "parameters" not in data or set(data) - set(_SECTIONS):
        found = sorted(data) if isinstance(data, Mapping) else data
        raise InvalidSpace(f"space: found {found!r}, allowed: an object with {', '.join(_SECTIONS)}")
    sections = []
    for section in _SECTIONS:
        entries = data.get(section) or []
        if not isinstance(entries, list | tuple):
            raise InvalidSpace(f"{section}: found {entries!r}, allowed: a list")
        sections.append(entries)
    parameters, conditions, constraints = sections
    return (
        tuple(map(parameter_from_json, parameters)),
        tuple(map(condition_from_json, conditions)),
        tuple(map(constraint_from_json, constraints)),
    )
