"""Which adapters were downloaded."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select, update

from service.store.events import NewEvent, append
from service.store.records import Trial
from service.store.rows import EXPORTS, lock_state

MOST = 100
"""Exports of a job that are told of, the latest."""


@dataclass(frozen=True)
class Export:
    """The adapter (its hash) of a trial was downloaded `times` so far."""

    trial_id: str
    adapter: str
    times: int
    first_at: datetime
    last_at: datetime


_OF_JOB = (
    select(*(EXPORTS.c[field.name] for field in fields(Export)))
    .where(EXPORTS.c.job_id == bindparam("job"))
    .order_by(EXPORTS.c.last_at.desc(), EXPORTS.c.trial_id)
    .limit(MOST)
)
_AGAIN = (
    update(EXPORTS)
    .where(EXPORTS.c.trial_id == bindparam("trial"))
    .values(times=EXPORTS.c.times + 1, adapter=bindparam("hash"), last_at=bindparam("now"))
)


def exported(connection: Connection, trial: Trial, adapter: str, now: datetime) -> None:
    """The trial's adapter was downloaded once more; raises NotFound for a job that is gone."""
    lock_state(connection, trial.job_id)  # two first downloads at once would both insert
    if connection.execute(_AGAIN, {"trial": trial.id, "hash": adapter, "now": now}).rowcount == 0:
        first = {"trial_id": trial.id, "job_id": trial.job_id, "adapter": adapter, "times": 1}
        connection.execute(insert(EXPORTS), first | {"first_at": now, "last_at": now})
    # Not an event of the trial: nothing about it has changed.
    append(connection, [NewEvent(trial.job_id, "job.export", {"trial": trial.number, "adapter": adapter})], now)


def exports(connection: Connection, job_id: str) -> tuple[Export, ...]:
    """The exports of a job's trials, the latest first."""
    return tuple(Export(*row) for row in connection.execute(_OF_JOB, {"job": job_id}))
