"""How often a token may ask: a bucket of leave for each, which fills at its rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from service.errors import TooMany

BURST = 2.0
"""Seconds of its rate that a token which has been quiet may use at once."""

FORGET_ABOVE = 10_000
"""Buckets; a full one says no more than none."""


class RateLimit:
    """Counts requests by token, in this process alone: each of several API processes lets as many through."""

    def __init__(self, usual: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`usual`: requests a second of a token that has no rate of its own; 0: without limit."""
        self._usual, self._clock = usual, clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}  # what was left, and when

    def take(self, token_id: str, rate: float | None) -> None:
        """Count a request. Raises TooMany, saying when to come again, when the token has used its leave up."""
        rate = self._usual if rate is None else rate
        if rate == 0:
            return
        most = max(1.0, BURST * rate)
        with self._lock:
            now = self._clock()
            left, then = self._buckets.get(token_id, (most, now))
            left = min(most, left + (now - then) * rate)
            if left < 1:
                raise TooMany(f"this token may make {rate:g} requests a second", (1 - left) / rate)
            if len(self._buckets) > FORGET_ABOVE:
                self._buckets.clear()
            self._buckets[token_id] = (left - 1, now)
