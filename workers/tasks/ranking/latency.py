"""How long an index takes to answer a query."""

from __future__ import annotations

import time

import numpy as np

from workers.data.judged.bm25 import Bm25
from workers.data.rows import Judged

_TIMED = 9  # queries


def seconds_of(index: Bm25, judged: Judged) -> float:
    """Median seconds in which an index answers a query."""
    times = []
    for query in judged.queries[:_TIMED]:
        started = time.perf_counter()
        index.best(query, 10)
        times.append(time.perf_counter() - started)
    return float(np.median(times))
