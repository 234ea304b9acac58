"""What a training took, measured alike in both processes: needs nothing but Python."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

Train = Callable[[], list[float]]


def peak_mb() -> float:
    """The most memory that this process has held, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(train: Train) -> dict[str, Any]:
    """Seconds of wall clock and of processor, losses step by step, and what memory grew by while `train` ran."""
    before, wall, processor = peak_mb(), time.perf_counter(), time.process_time()
    losses = train()
    return {
        "seconds": time.perf_counter() - wall,
        "processor_seconds": time.process_time() - processor,
        "memory_mb": peak_mb() - before,
        "losses": losses,
    }


def answer(prepared: Callable[[dict[str, Any]], Train]) -> None:
    """Train by the plan on standard input and write what it took to standard output."""
    plan = json.load(sys.stdin)
    sys.stdout.write(json.dumps(measured(prepared(plan))) + "\n")
