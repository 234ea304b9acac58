"""What is being worked on: which conductor drives which job, which worker trains which trial, of all projects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from service.store.rows import JOBS, TRIALS

MOST = 1000
"""Leases that one answer lists."""


@dataclass(frozen=True)
class Lease:
    """`holder` works on `target`, the id of a job or a trial, and is believed to until `until`."""

    holder: str
    target: str
    since: datetime | None
    until: datetime


_JOBS = (
    select(JOBS.c.lease_owner, JOBS.c.id, JOBS.c.started_at, JOBS.c.lease_until)
    .where(JOBS.c.state == "running", JOBS.c.lease_until > bindparam("now"), JOBS.c.lease_owner.is_not(None))
    .order_by(JOBS.c.lease_owner, JOBS.c.id)
    .limit(MOST)
)
_TRIALS = (
    select(TRIALS.c.worker_id, TRIALS.c.id, TRIALS.c.started_at, TRIALS.c.lease_until)
    .where(TRIALS.c.state == "running", TRIALS.c.lease_until > bindparam("now"), TRIALS.c.worker_id.is_not(None))
    .order_by(TRIALS.c.worker_id, TRIALS.c.id)
    .limit(MOST)
)


def job_leases(connection: Connection, now: datetime) -> tuple[Lease, ...]:
    """Running jobs with a living conductor, by conductor."""
    return tuple(Lease(*row) for row in connection.execute(_JOBS, {"now": now}))


def trial_leases(connection: Connection, now: datetime) -> tuple[Lease, ...]:
    """Running trials with a living worker, by worker."""
    return tuple(Lease(*row) for row in connection.execute(_TRIALS, {"now": now}))
