"""`builtin:pyprefs`: functions of the standard library, with what their docstrings say and what another one's says.

The questions are those of `builtin:pysft`. The rejected answer is taken from another function's docstring, so what
tells the two apart is whether an answer fits the code, not how it is written.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workers.data.pysft import read_pysft


def read_pyprefs(role: str) -> dict[str, list[Any]]:
    """Columns `prompt`, `chosen` and `rejected` of one split: `train`, `validation` or `test`."""
    rows = read_pysft(role)
    answers: list[str] = rows["completion"]
    order = np.random.default_rng(0).permutation(len(answers))
    rejected = [""] * len(answers)
    for number, other in zip(order, np.roll(order, 1), strict=True):
        rejected[number] = answers[other]
    return {"prompt": rows["prompt"], "chosen": answers, "rejected": rejected}
