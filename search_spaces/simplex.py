"""Proportions that sum to 1, mapped to the unit cube and back.

The map is stick breaking, made measure preserving: with r_i the part of the stick that is left before piece i of K
(i from 0), coordinate i is t_i = (r_{i+1} / r_i) ** (K − 1 − i). Under Dirichlet(1, …, 1), the uniform distribution
over proportions, the fractions that remain are independent Beta(K − 1 − i, 1), so every t_i is uniform on [0, 1]:
a uniform (or Sobol) point of the cube is a uniform mixture. K proportions need K − 1 coordinates.

Proportions live on a grid of one in 10⁹ and are counted in whole grid steps, so they sum to exactly 10⁹ steps and
`to_proportions(to_cube(p))` returns p itself for every p on the grid.
"""

from __future__ import annotations

import numpy as np

from search_spaces.scales import Array

GRID = 10**9
# (1 / GRID) ** (MAX_PARTS - 1) must stay a normal float64 (above 1e-308), or a coordinate would lose its value.
MAX_PARTS = 32


def to_cube(proportions: Array) -> Array:
    """Encode proportions [n, K] as points [n, K − 1] of the unit cube."""
    exponents = np.arange(proportions.shape[1] - 1, 0, -1, dtype=np.float64)
    left = np.cumsum(proportions[:, ::-1], axis=1)[:, ::-1]
    steps = np.rint(left / np.maximum(left[:, :1], 1e-300) * GRID)
    # An empty rest of the stick can be broken anywhere; the middle is the neutral choice.
    ratio = np.divide(steps[:, 1:], steps[:, :-1], out=np.full_like(steps[:, 1:], 0.5), where=steps[:, :-1] > 0)
    cube: Array = ratio**exponents
    return cube


def to_proportions(cube: Array) -> Array:
    """Decode points [n, K − 1] of the unit cube to proportions [n, K] on the grid, each row summing to 1."""
    rows, width = cube.shape
    exponents = np.arange(width, 0, -1, dtype=np.float64)
    left = np.cumprod(np.clip(cube, 0.0, 1.0) ** (1.0 / exponents), axis=1)
    steps = np.hstack([np.full((rows, 1), GRID), np.rint(left * GRID), np.zeros((rows, 1))])
    proportions: Array = (steps[:, :-1] - steps[:, 1:]) / GRID
    return proportions
