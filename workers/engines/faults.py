"""Telling what went wrong in a trial."""

from __future__ import annotations

import torch

from workers.errors import InvalidInput

_SIGNS = ("can't allocate memory", "out of memory", "not enough memory")
_REASON_LENGTH = 500  # characters


class PeerFailed(Exception):
    """What this rank does together with others failed on another one; its message is that one's `failure_reason`."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out; PyTorch on CPU says so only in the message of a RuntimeError."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(sign in str(error) for sign in _SIGNS)


def failure_reason(error: Exception) -> str:
    """`out_of_memory: …`, `invalid_config: …` or `exception: …` with a short message."""
    text = str(error).strip().replace("\n", " ")[:_REASON_LENGTH]
    if isinstance(error, PeerFailed):
        return text
    if is_out_of_memory(error):
        return f"out_of_memory: {text or 'an allocation failed'}"
    if isinstance(error, InvalidInput):
        return f"invalid_config: {text}"
    return f"exception: {type(error).__name__}: {text}"
