"""Wall clock and processor time of a block."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Spent:
    """Seconds of wall clock, and of processor time over all threads of the process."""

    wall: float = 0.0
    processor: float = 0.0


@contextmanager
def measure() -> Iterator[Spent]:
    """Measure the block; the result is filled in at its end."""
    spent, wall, processor = Spent(), time.perf_counter(), time.process_time()
    try:
        yield spent
    finally:
        spent.wall, spent.processor = time.perf_counter() - wall, time.process_time() - processor
