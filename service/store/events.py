"""What happened, in an order that a reader can follow without missing anything.

A reader remembers the last sequence number it saw and asks for greater ones. That is only safe when numbers become
visible in their order. PostgreSQL hands them out before commit, and transactions commit in any order; so appending
takes one lock that is held until commit, as the last step of every transaction (docs/decisions/event-order.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from service.store.records import Event, Job, Trial
from service.store.rows import EVENT_COLUMNS, EVENTS, JOBS
from service.store.states import JOB_OVER

_LOCK_KEY = 0x7065_6674_6576  # any number that nothing else locks in this database


@dataclass(frozen=True)
class NewEvent:
    """An event to append; the store gives it its number and time."""

    job_id: str
    kind: str
    payload: dict[str, Any]


_APPEND = insert(EVENTS)
_LOCK = select(func.pg_advisory_xact_lock(_LOCK_KEY).label("held"))
_NAMES = ("job_id", "kind", "payload", "created_at")
# The row, with its number, is made of what the lock's own row brings: after it is held, in one round trip.
_LOCK_AND_APPEND = insert(EVENTS).from_select(
    _NAMES,
    select(*(bindparam(name, type_=EVENTS.c[name].type) for name in _NAMES)).select_from(_LOCK.cte("locked")),
)
_AFTER = (
    select(*EVENT_COLUMNS)
    .where(EVENTS.c.sequence > bindparam("sequence"))
    .order_by(EVENTS.c.sequence)
    .limit(bindparam("limit"))
)
_LAST = select(func.max(EVENTS.c.sequence))
_AFTER_OF_JOB = _AFTER.where(EVENTS.c.job_id == bindparam("job"))
_NEWEST_OF_JOB = (
    select(EVENTS.c.sequence)
    .where(EVENTS.c.job_id == bindparam("job"))
    .order_by(EVENTS.c.sequence.desc())
    .offset(bindparam("newer"))
    .limit(1)
)
_OVER_SINCE = JOBS.c.state.in_(JOB_OVER) & (JOBS.c.finished_at < bindparam("before"))
_REPORTED = (EVENTS.c.job_id == JOBS.c.id) & (EVENTS.c.kind == "trial.report")
_JOBS_WITH_OLD_REPORTS = select(JOBS.c.id).where(_OVER_SINCE, select(EVENTS.c.sequence).where(_REPORTED).exists())
_OLD_REPORTS = (
    select(EVENTS.c.sequence)
    .join(JOBS, _REPORTED)
    .where(_OVER_SINCE, JOBS.c.id == bindparam("job"))
    .limit(bindparam("limit"))
)
_FORGET = delete(EVENTS).where(EVENTS.c.sequence.in_(_OLD_REPORTS))


def append(connection: Connection, events: Sequence[NewEvent], now: datetime) -> None:
    """Append events. Must be the last statement of its transaction: it holds the lock that all writers need."""
    if not events:
        return
    postgresql = connection.dialect.name == "postgresql"
    if postgresql and len(events) > 1:
        connection.execute(_LOCK)
    rows = [{"job_id": e.job_id, "kind": e.kind, "payload": e.payload, "created_at": now} for e in events]
    connection.execute(_LOCK_AND_APPEND if postgresql and len(rows) == 1 else _APPEND, rows)


def events_after(connection: Connection, sequence: int, job_id: str | None, limit: int) -> tuple[Event, ...]:
    """Up to `limit` events with numbers greater than `sequence`, in order."""
    if job_id is None:
        rows = connection.execute(_AFTER, {"sequence": sequence, "limit": limit})
    else:
        rows = connection.execute(_AFTER_OF_JOB, {"sequence": sequence, "limit": limit, "job": job_id})
    return tuple(Event(*row) for row in rows)


def last_sequence(connection: Connection) -> int:
    """The greatest number given out, 0 before the first."""
    return connection.execute(_LAST).scalar_one() or 0


def sequence_before(connection: Connection, job_id: str, newest: int) -> int:
    """The number after which the `newest` last events of the job come; 0 when it has no more than those."""
    return connection.execute(_NEWEST_OF_JOB, {"job": job_id, "newer": newest}).scalar_one_or_none() or 0


def jobs_with_old_reports(connection: Connection, before: datetime) -> tuple[str, ...]:
    """Jobs that were over `before` then and still have events of reports."""
    return tuple(connection.execute(_JOBS_WITH_OLD_REPORTS, {"before": before}).scalars())


def forget_old_reports(connection: Connection, job_id: str, before: datetime, limit: int) -> int:
    """Delete up to `limit` events of reports, if the job was over `before` then; how many went."""
    return connection.execute(_FORGET, {"job": job_id, "before": before, "limit": limit}).rowcount


def job_event(job: Job) -> NewEvent:
    """The job has entered its state."""
    return NewEvent(job.id, "job.state", {"state": job.state, "reason": job.reason})


def trial_event(trial: Trial) -> NewEvent:
    """The trial has entered its state; the payload holds what a reader of that state looks for."""
    payload: dict[str, Any] = {"trial_id": trial.id, "number": trial.number, "attempt": trial.attempt}
    if trial.state == "queued":
        payload |= {"origin": trial.origin, "label": trial.label, "config": trial.config, "reason": trial.reason}
    elif trial.state == "running":
        payload |= {"worker_id": trial.worker_id}
    else:
        payload |= {"metrics": trial.metrics, "on_front": trial.on_front, "reason": trial.reason}
    return NewEvent(trial.job_id, f"trial.{trial.state}", payload)
