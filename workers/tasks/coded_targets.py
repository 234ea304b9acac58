"""How targets of several tasks lie in one array.

A target is one int32: the number of its task above `PAYLOAD` bits that say what is wanted. Of classes and tags these
are the index; of a number they are its float32 without the last five bits of the fraction, which keeps five digits.
Imports no torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PAYLOAD = 27
_CUT = 32 - PAYLOAD


def coded(task: int, wanted: NDArray[Any]) -> NDArray[np.int32]:
    """Targets of one task, indices or numbers [n], as they lie among those of others."""
    if np.issubdtype(wanted.dtype, np.floating):
        payload = wanted.astype(np.float32).view(np.uint32).astype(np.int64) >> _CUT
    else:
        payload = wanted.astype(np.int64)
    return (payload + (task << PAYLOAD)).astype(np.int32)


def tasks_of(codes: NDArray[np.int32]) -> NDArray[np.int64]:
    """The number of each code's task [n]; below 0 for what is no target."""
    return codes.astype(np.int64) >> PAYLOAD


def indices_in(codes: NDArray[np.int32]) -> NDArray[np.int32]:
    """The indices of codes [n]."""
    return (codes & ((1 << PAYLOAD) - 1)).astype(np.int32)


def numbers_in(codes: NDArray[np.int32]) -> NDArray[np.float32]:
    """The numbers of codes [n]."""
    return (indices_in(codes).astype(np.uint32) << _CUT).view(np.float32)
