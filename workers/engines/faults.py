"""Telling what went wrong in a training step."""

from __future__ import annotations

import torch

_SIGNS = ("can't allocate memory", "out of memory", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out; PyTorch on CPU says so only in the message of a RuntimeError."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(sign in str(error) for sign in _SIGNS)
