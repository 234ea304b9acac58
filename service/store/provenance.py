"""What the trials of a job say they were trained on, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select

from service.store.rows import TRIALS


@dataclass(frozen=True)
class Provenance:
    """Trials (`confirms`: trained again to confirm others) that name the same rows and the same base, by their hashes;
    None where they do not say. `started_at` is the first's, `finished_at` the last's."""

    confirms: bool
    data: str | None
    base: str | None
    trials: int
    started_at: datetime | None
    finished_at: datetime | None


_EACH = (
    select(
        TRIALS.c.confirms.is_not(None).label("confirms"),
        TRIALS.c.environment["data_sha256"].as_string().label("data"),
        TRIALS.c.environment["base_sha256"].as_string().label("base"),
        TRIALS.c.started_at,
        TRIALS.c.finished_at,
    )
    .where(TRIALS.c.job_id == bindparam("job"))
    .subquery()
)
# Grouped outside: to PostgreSQL, one path into JSON that is bound twice is two expressions.
_GROUPED = select(
    _EACH.c.confirms,
    _EACH.c.data,
    _EACH.c.base,
    func.count().label("trials"),
    func.min(_EACH.c.started_at),
    func.max(_EACH.c.finished_at),
).group_by(_EACH.c.confirms, _EACH.c.data, _EACH.c.base)


def provenance(connection: Connection, job_id: str) -> tuple[Provenance, ...]:
    """All of a job's trials by what they say, most trials first."""
    found = [Provenance(bool(row[0]), *row[1:]) for row in connection.execute(_GROUPED, {"job": job_id})]
    return tuple(sorted(found, key=lambda one: -one.trials))
