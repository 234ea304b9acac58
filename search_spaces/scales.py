"""Scales of numeric parameters: monotone maps from a value to the axis on which it is searched evenly."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Scale = Literal["linear", "log", "logit"]
SCALES: tuple[Scale, ...] = ("linear", "log", "logit")
Array = NDArray[np.float64]


def warp(values: Array, scale: Scale) -> Array:
    """Map values [n] on to the axis of `scale`: x, ln x or ln(x / (1 − x))."""
    if scale == "linear":
        return values
    if scale == "log":
        return np.log(values)
    return np.log(values) - np.log1p(-values)


def unwarp(axis: Array, scale: Scale) -> Array:
    """The inverse of `warp`, [n] to [n]."""
    if scale == "linear":
        return axis
    if scale == "log":
        return np.exp(axis)
    return 1.0 / (1.0 + np.exp(-axis))


def domain(scale: Scale) -> tuple[float, float]:
    """The open interval on which the scale is defined."""
    return {"linear": (-np.inf, np.inf), "log": (0.0, np.inf), "logit": (0.0, 1.0)}[scale]
