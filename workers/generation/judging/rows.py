"""What judges of answers see and say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workers.generation.judging.section import RowJudge


class JudgeFailed(Exception):
    """There are no scores; the message says what was asked and what came instead."""


@dataclass(frozen=True)
class JudgedRow:
    """One answer: the whole prompt as the model read it, what was written, and what was expected."""

    row: int
    prompt: str
    completion: str
    reference: str


def checked_scores(found: Any, rows: int, judge: RowJudge) -> list[float]:
    """The scores that a judge gave. Raises `JudgeFailed` unless they are as many numbers within its range as rows."""
    if not isinstance(found, list) or len(found) != rows:
        what = f"{len(found)} scores" if isinstance(found, list) else repr(found)[:200]
        raise JudgeFailed(f"{judge.name}: found {what}; allowed: a list of {rows} numbers, one for each row")
    for place, score in enumerate(found):
        number = isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score)
        if not number or not judge.low <= score <= judge.high:
            allowed = f"a number from {judge.low:g} to {judge.high:g}"
            raise JudgeFailed(f"{judge.name}: found the score {score!r:.100} of row {place}; allowed: {allowed}")
    return [float(score) for score in found]


def as_json(rows: Sequence[JudgedRow]) -> list[dict[str, Any]]:
    """Rows as files and services get them."""
    return [vars(one) for one in rows]
