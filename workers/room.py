"""A full disk is no trial's fault: what could not be written is written once somebody has made room."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LOOK_AGAIN = 2.0  # seconds between two tries
PATIENCE = 86_400.0  # seconds until the disk counts as full for good
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_SIGN = "No space left on device"  # safetensors' own error says so in its message only
_log = logging.getLogger(__name__)


def is_full(error: BaseException) -> bool:
    """Whether an error means that the disk, or the user's share of it, is full."""
    return (isinstance(error, OSError) and error.errno in _FULL) or _SIGN in str(error)


def when_there_is_room(write: Callable[[], T], patience: float = PATIENCE) -> T:
    """What `write` returns, tried again while the disk is full; after `patience` seconds its error is raised."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return write()
        except Exception as error:
            if not is_full(error) or time.monotonic() > deadline:
                raise
            _log.warning("waiting for room on the disk: %s", error)
        time.sleep(LOOK_AGAIN)
