"""Small rules about values that the kinds of parameters share: what is a number, which values are the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np

from search_spaces.errors import InvalidSpace
from search_spaces.scales import Array

Key = tuple[str, Any]


def is_int(value: object) -> TypeGuard[int]:
    """Whether `value` is a whole number and not a boolean."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether `value` is a finite number and not a boolean."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an int beyond every float
        return False


def number_hint(value: object) -> str:
    """What to say to a number that arrived as text."""
    try:
        float(value if isinstance(value, str) else "")
    except ValueError:
        return ""
    return " (text; YAML reads 1e-4 as text, write 1.0e-4)"


def key(value: object) -> Key:
    """A dictionary key that tells `True` from 1 and 1.0 from 1, and accepts lists."""
    if isinstance(value, list | tuple):
        return "list", tuple(value)
    return type(value).__name__, value


def index(values: Sequence[Any]) -> dict[Key, int]:
    """Positions of values by key. A whole float is also found as an int, because JSON readers may drop the `.0`."""
    found = {key(value): position for position, value in enumerate(values)}
    for position, value in enumerate(values):
        if isinstance(value, float) and value.is_integer():
            found.setdefault(key(int(value)), position)
    return found


def found_in(positions: Mapping[Key, int], value: object) -> bool:
    """Whether an index made by `index` holds `value`."""
    try:
        return key(value) in positions
    except TypeError:  # unhashable, so certainly not a choice
        return False


def distinct(name: str, field: str, values: object) -> tuple[Any, ...]:
    """Check the list of values of parameter `name`: not empty, storable in JSON, and without repeats.

    Values that Python holds for equal, like 1 and True, count as repeats: conditions could not tell them apart.
    """
    if not isinstance(values, list | tuple) or not values:
        raise InvalidSpace(f"{name}: `{field}` must be a list with at least one entry, found {values!r}")
    for value in values:
        if not (value is None or isinstance(value, str | bool | list | tuple) or is_number(value)):
            raise InvalidSpace(f"{name}: `{field}` must be numbers, strings, booleans or null, found {value!r}")
    try:
        seen = {tuple(value) if isinstance(value, list | tuple) else value for value in values}
    except TypeError:
        raise InvalidSpace(f"{name}: lists in `{field}` must be flat, found {list(values)!r}") from None
    if len(seen) < len(values):
        raise InvalidSpace(f"{name}: `{field}` must differ from one another, found {list(values)!r}")
    return tuple(values)


def one_of(values: Sequence[Any]) -> str:
    """The values in words."""
    return f"one of {', '.join(repr(value) for value in values)}" if len(values) > 1 else f"only {values[0]!r}"


def evenly(resolution: int) -> Array:
    """Column [resolution, 1] of points of the unit axis, ends included; the middle for one."""
    points = np.linspace(0.0, 1.0, resolution) if resolution > 1 else np.array([0.5])
    return points[:, None]
