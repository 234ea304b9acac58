"""The learning rate at a step: linear warm-up, then linear, cosine or no decay."""

from __future__ import annotations

import math
from typing import Literal

Schedule = Literal["linear", "cosine", "constant"]


def learning_rate_at(step: int, steps: int, peak: float, warmup_ratio: float, schedule: Schedule) -> float:
    """The learning rate of optimizer step `step` (from 1) of `steps`.

    As in Hugging Face's schedules, the k-th step uses the factor of k - 1: warm-up begins at 0 and decay ends one step
    above 0.
    """
    done, warmup = step - 1, math.ceil(warmup_ratio * steps)
    if done < warmup:
        return peak * done / warmup
    if schedule == "constant":
        return peak
    progress = (done - warmup) / max(1, steps - warmup)
    if schedule == "cosine":
        return peak * 0.5 * (1.0 + math.cos(math.pi * progress))
    return peak * (1.0 - progress)
