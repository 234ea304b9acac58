"""Hadamard's matrix of Sylvester's form. Needs torch."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor


@cache
def hadamard(size: int) -> Tensor:
    """H [size, size] with H·Hᵀ = I: Sylvester's matrix over √size. `size` is a power of two."""
    matrix = torch.ones(1, 1)
    while len(matrix) < size:
        matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)])
    normed: Tensor = matrix / len(matrix) ** 0.5
    return normed
