"""Configurations of different jobs as numbers, where no common space is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

DECADE = 10.0  # numbers that span more than this factor are compared by their logarithm


def encode(configs: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    """`[n, d]`: numbers from 0 to 1 (by logarithm where they span a decade), one column a choice, and a column that
    says whether a parameter is there where some configurations lack it. Parameters that never differ have no column."""
    names = sorted({name for config in configs for name in config})
    columns = [column for name in names for column in _columns([config.get(name) for config in configs])]
    return np.column_stack(columns) if columns else np.zeros((len(configs), 1))


def _columns(values: Sequence[Any]) -> list[NDArray[np.float64]]:
    there = np.array([value is not None for value in values])
    known = [value for value in values if value is not None]
    found = [] if there.all() else [there.astype(np.float64)]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        return [*found, *_number(np.array([np.nan if value is None else value for value in values], dtype=np.float64))]
    choices = sorted({str(value) for value in known})
    told = choices[1:] if len(choices) < 3 else choices  # of two, one is the other's opposite
    return [*found, *(np.array([float(str(value) == one) for value in values]) for one in told)]


def _number(values: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    low, high = np.nanmin(values), np.nanmax(values)
    if low == high:
        return []
    if low > 0 and high > DECADE * low:
        values, low, high = np.log(values), np.log(low), np.log(high)
    scaled = (values - low) / (high - low)
    return [np.where(np.isnan(scaled), 0.5, scaled)]
