"""The course of a search in a few numbers, for lists of searches."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from sqlalchemy import Connection, bindparam, select

from service.store.rows import TRIALS


def course(connection: Connection, job_id: str, metric: str, maximize: bool, points: int) -> Sequence[float]:
    """The best value of `metric` so far, at up to `points` finished trials that stand evenly among all of them.

    Confirmations are left out. Begins with the first finished trial and ends with the last.
    """
    value = TRIALS.c.metrics[metric].as_float()
    finished = (
        select(value)
        .where(TRIALS.c.job_id == bindparam("job"), TRIALS.c.state == "completed", TRIALS.c.confirms.is_(None))
        .where(value.is_not(None))
        .order_by(TRIALS.c.finished_at, TRIALS.c.number)
    )
    so_far = list(accumulate(connection.execute(finished, {"job": job_id}).scalars(), max if maximize else min))
    last = len(so_far) - 1
    if last < points:
        return so_far
    return [so_far[round(last * at / (points - 1))] for at in range(points)]
