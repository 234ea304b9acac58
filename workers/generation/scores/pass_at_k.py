"""pass@k: how likely one of k programs passes its tests, without bias (Chen et al., 2021, arXiv 2107.03374)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from math import comb

from workers.generation.scores.sandbox import Limits, passes

_BLOCK = re.compile(r"```[ \t]*(?:python|py)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)


def estimate(samples: int, passed: int, k: int) -> float:
    """1 − C(samples − passed, k) / C(samples, k), from whole numbers. Raises `ValueError` unless samples ≥ k ≥ 1."""
    if not 1 <= k <= samples:
        raise ValueError(f"k: found {k}; allowed: 1 to the number of samples, {samples}")
    return 1.0 - comb(samples - passed, k) / comb(samples, k)


def program(answer: str) -> str:
    """The Python in an answer: its longest fenced block, or all of it where nothing is fenced."""
    blocks = _BLOCK.findall(answer)
    return str(max(blocks, key=len)) if blocks else answer


def passed(
    answers: Sequence[str], tests: Sequence[str], limits: Limits | None = None, processes: int = 2
) -> list[bool]:
    """Whether each answer's program passes the tests beside it: code that raises where it is wrong."""
    allowed = limits or Limits()
    with ThreadPoolExecutor(processes) as pool:
        pairs = zip(answers, tests, strict=True)
        return list(pool.map(lambda pair: passes(f"{program(pair[0])}\n\n{pair[1]}\n", allowed), pairs))
