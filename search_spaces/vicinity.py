"""The part of a space round one of its configurations, as overrides: for a search that goes on from a good trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_spaces.parameters import Categorical, Float, Int, Ordinal, Parameter
from search_spaces.space import Space

REACH = 0.125
"""How far a number may move to each side, as a share of its axis: together a quarter of it."""


def vicinity(space: Space, config: Mapping[str, Any], reach: float = REACH) -> dict[str, dict[str, Any]]:
    """Overrides, for `search_spaces.editing.apply_overrides`, that leave of the space what lies near `config`.

    Numbers keep `reach` of their axis to each side, ordinals their neighbours, choices the one that was made (and with
    it whatever hangs on the others goes). A value that the space does not allow narrows nothing.
    """
    found = {}
    for name, value in config.items():
        parameter = space.by_name.get(name)
        if parameter is not None and parameter.contains(value) and (near := _near(parameter, value, reach)):
            found[name] = near
    return found


def _short(parameter: Float | Int, end: float) -> float:
    """A bound of a number in three digits, as people read it; never beyond those that it has."""
    return end if isinstance(parameter, Int) else min(max(float(f"{end:.3g}"), parameter.low), parameter.high)


def _near(parameter: Parameter, value: Any, reach: float) -> dict[str, Any]:
    if isinstance(parameter, Categorical):
        return {"value": value}
    if parameter.size == 1:
        return {}
    if isinstance(parameter, Float | Int):
        near = [value, *parameter.near(value, reach)]
        low, high = (_short(parameter, end) for end in (min(near), max(near)))
        return {"low": min(low, value), "high": max(high, value)}
    if isinstance(parameter, Ordinal):
        near = [value, *parameter.near(value)]
        return {"values": [one for one in parameter.values if one in near]}
    return {}
