"""Leases: who works on a job or trial, and until when we believe it without hearing from them.

A job's lease belongs to a conductor, a trial's to a worker. A trial also carries a fencing number, `attempt`: when a
lease runs out the number grows, so whatever the lost worker still sends is recognised as old.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, case, func, or_, select, update

from service.errors import StaleAttempt
from service.store.events import NewEvent, append, job_event, trial_event
from service.store.records import Job, Trial
from service.store.rows import (
    JOB_COLUMNS,
    JOBS,
    REPORTS,
    TRIAL_COLUMNS,
    TRIALS,
    count_changes,
    find_trial,
    job_id_of,
    job_of,
    lock_job,
    lock_state,
    trial_of,
)
from service.store.states import JOB_OVER
from workers.assignment import Artifact, Outcome

LONGEST = 1000.0
"""Seconds that a lease may last. One that ends later was taken before the clock was put back, and would hold what it is
on for as long as the clock jumped."""

_FREE_JOB = (
    select(JOBS.c.id, JOBS.c.state)
    .where(
        JOBS.c.state.in_(("queued", "running")),
        or_(
            JOBS.c.lease_until.is_(None),
            JOBS.c.lease_until <= bindparam("now"),
            JOBS.c.lease_until > bindparam("beyond"),
        ),
    )
    .order_by(JOBS.c.created_at, JOBS.c.id)
    .limit(1)
    .with_for_update(skip_locked=True, key_share=True)
)
_OPEN = select(*TRIAL_COLUMNS).where(
    TRIALS.c.job_id == bindparam("job"), TRIALS.c.state == "running", TRIALS.c.worker_id == bindparam("worker")
)
_OPEN_FIRST = _OPEN.order_by(TRIALS.c.number).limit(1)
_OPEN_NAMED = _OPEN.where(TRIALS.c.id == bindparam("trial"))  # a worker that names its trials may hold several
_NEXT = (
    select(TRIALS.c.id)
    .where(TRIALS.c.job_id == bindparam("job"), TRIALS.c.state == "queued")
    .order_by(TRIALS.c.number)
    .limit(1)
    .scalar_subquery()
)
_NAMED = select(TRIALS.c.id).where(
    TRIALS.c.job_id == bindparam("job"), TRIALS.c.id == bindparam("trial"), TRIALS.c.state == "queued"
)
# A suggestion's first claim makes attempt 1; a requeued or resumed trial has its number.
_CLAIM = (
    update(TRIALS)
    .values(
        state="running",
        attempt=case((TRIALS.c.attempt == 0, 1), else_=TRIALS.c.attempt),
        worker_id=bindparam("worker"),
        lease_until=bindparam("until"),
        started_at=func.coalesce(TRIALS.c.started_at, bindparam("now", type_=TRIALS.c.started_at.type)),
        finished_at=None,
        reason=None,
        outcome=None,
    )
    .returning(*TRIAL_COLUMNS)
)
_CLAIM_NEXT = _CLAIM.where(TRIALS.c.id == _NEXT)
_CLAIM_NAMED = _CLAIM.where(TRIALS.c.id == bindparam("trial"))
_EXTEND_TRIAL = (
    update(TRIALS)
    .where(TRIALS.c.id == bindparam("trial"), TRIALS.c.attempt == bindparam("fence"), TRIALS.c.state == "running")
    .values(lease_until=bindparam("until"))
)
_EXTEND_JOB = (
    update(JOBS)
    .where(JOBS.c.id == bindparam("job"), JOBS.c.lease_owner == bindparam("owner"))
    .values(lease_until=bindparam("until"))
)
_RELEASE_JOB = (
    update(JOBS)
    .where(JOBS.c.id == bindparam("job"), JOBS.c.lease_owner == bindparam("owner"))
    .values(lease_owner=None, lease_until=None)
)
# Neither DISTINCT nor ORDER BY: for their sake SQLite would walk through all trials instead of the few under a lease.
_JOBS_WITH_EXPIRED = select(TRIALS.c.job_id).where(
    TRIALS.c.state == "running",
    or_(TRIALS.c.lease_until <= bindparam("now"), TRIALS.c.lease_until > bindparam("beyond")),
)


def lease_job(connection: Connection, owner: str, ttl: float, now: datetime) -> Job | None:
    """Take the oldest queued or running job that nobody holds; it is then running. None when there is none."""
    found = connection.execute(_FREE_JOB, {"now": now, "beyond": _beyond(now)}).one_or_none()
    if found is None:
        return None
    values: dict[str, Any] = {"lease_owner": owner, "lease_until": now + timedelta(seconds=ttl)}
    if found.state == "queued":
        started = func.coalesce(JOBS.c.started_at, now)
        values |= {"state": "running", "reason": None, "started_at": started, "version": JOBS.c.version + 1}
    taken = update(JOBS).where(JOBS.c.id == found.id).values(values).returning(*JOB_COLUMNS)
    job = job_of(connection.execute(taken).one())
    append(connection, [job_event(job)] if found.state == "queued" else [], now)
    return job


def extend_job_lease(connection: Connection, job_id: str, owner: str, ttl: float, now: datetime) -> bool:
    """Hold the job for longer. False when it is no longer the owner's (also when it is over or deleted)."""
    until = now + timedelta(seconds=ttl)
    return connection.execute(_EXTEND_JOB, {"job": job_id, "owner": owner, "until": until}).rowcount == 1


def release_job(connection: Connection, job_id: str, owner: str) -> None:
    """Give the job back; nothing happens when it is not the owner's."""
    connection.execute(_RELEASE_JOB, {"job": job_id, "owner": owner})


def claim_trial(
    connection: Connection, job_id: str, worker_id: str, ttl: float, trial_id: str | None, now: datetime
) -> Trial | None:
    """Give the worker the open trial it has, else the first queued one, else None.

    With `trial_id`: that trial, when it is queued or the worker's own already. A job that is not running
    gives out no new trials. Raises NotFound when there is no such job.
    """
    state = lock_state(connection, job_id)
    if state in JOB_OVER:
        return None
    asked = {"job": job_id, "worker": worker_id, "trial": trial_id}
    until = now + timedelta(seconds=ttl)
    held = connection.execute(_OPEN_FIRST if trial_id is None else _OPEN_NAMED, asked).one_or_none()
    if held is not None:
        connection.execute(_EXTEND_TRIAL, {"trial": held.id, "fence": held.attempt, "until": until})
        return find_trial(connection, held.id)
    if state != "running":
        return None
    if trial_id is not None and connection.execute(_NAMED, asked).one_or_none() is None:
        return None
    chosen = {"job": job_id} if trial_id is None else {"trial": trial_id}
    claim = _CLAIM_NEXT if trial_id is None else _CLAIM_NAMED
    claimed = connection.execute(claim, {"worker": worker_id, "until": until, "now": now, **chosen}).one_or_none()
    if claimed is None:
        return None
    trial = trial_of(claimed)
    count_changes(connection, job_id, {"queued": -1, "running": 1})
    append(connection, [trial_event(trial)], now)
    return trial


def extend_trial_lease(connection: Connection, trial_id: str, attempt: int, ttl: float, now: datetime) -> bool:
    """Hold the trial for longer. False when the attempt is no longer the running one."""
    until = now + timedelta(seconds=ttl)
    given = {"trial": trial_id, "fence": attempt, "until": until}
    return connection.execute(_EXTEND_TRIAL, given).rowcount == 1


def jobs_with_expired(connection: Connection, now: datetime) -> Sequence[str]:
    """Ids of jobs that have running trials whose lease has run out."""
    given = {"now": now, "beyond": _beyond(now)}
    return sorted(set(connection.execute(_JOBS_WITH_EXPIRED, given).scalars()))


def requeue_expired(connection: Connection, job_id: str, now: datetime) -> tuple[Trial, ...]:
    """Take the job's running trials with an expired lease from their workers; returns them as they are now."""
    over = (TRIALS.c.lease_until <= now) | (TRIALS.c.lease_until > _beyond(now))
    return _take_back(connection, job_id, over, "its lease ran out", now)


def _beyond(now: datetime) -> datetime:
    return now + timedelta(seconds=LONGEST)


def requeue_trial(
    connection: Connection, trial_id: str, attempt: int, reason: str, now: datetime, blameless: bool = False
) -> Trial:
    """Take a running trial from its worker without waiting for its lease to run out.

    `blameless`: the worker was ended on purpose (a planned stop), which is no sign that the trial kills its workers.
    """
    mine = (TRIALS.c.id == trial_id) & (TRIALS.c.attempt == attempt)
    taken = _take_back(connection, job_id_of(trial_id), mine, reason, now, blame=0 if blameless else 1)
    if not taken:
        trial = find_trial(connection, trial_id)
        raise StaleAttempt(trial_id, attempt, trial.attempt, trial.state)
    return taken[0]


def hand_over(connection: Connection, outcome: Outcome, now: datetime) -> Trial:
    """Queue a running trial again whose worker leaves, to go on from the checkpoint that it left, if any; that does not
    count against it. The caller has locked its row and seen that the attempt is the current one."""
    mine = TRIALS.c.id == outcome.trial_id
    reason = outcome.reason or "its worker leaves"
    (trial,) = _take_back(connection, job_id_of(outcome.trial_id), mine, reason, now, 0, outcome.checkpoint)
    return trial


def _take_back(
    connection: Connection,
    job_id: str,
    which: ColumnElement[bool],
    reason: str,
    now: datetime,
    blame: int = 1,
    left: Artifact | None = None,
) -> tuple[Trial, ...]:
    """Queue lost trials again; fail those lost `max_attempts` times; stop those of a job that is over. `left`: a
    checkpoint newer than all that were reported."""
    job = lock_job(connection, job_id)
    tries = job.spec.get("resources", {}).get("max_attempts", 3)
    lost = connection.execute(
        select(TRIALS.c.id, TRIALS.c.attempt, TRIALS.c.losses, TRIALS.c.worker_id)
        .where(TRIALS.c.job_id == job_id, TRIALS.c.state == "running", which)
        .order_by(TRIALS.c.number)
        .with_for_update(key_share=True)
    ).all()
    trials = []
    for row in lost:
        story = f"{'worker_lost' if blame else 'handed_back'}: {row.worker_id} in attempt {row.attempt}: {reason}"
        again = job.state not in JOB_OVER and row.losses + blame < tries
        values = _requeued(row.id, row.attempt) if again else _ended(job, now)
        values |= {"losses": row.losses + blame, "reason": story, "lease_until": None}
        values |= {} if left is None else {"checkpoint": left.sha256, "checkpoint_bytes": left.size}
        taken = update(TRIALS).where(TRIALS.c.id == row.id).values(values).returning(*TRIAL_COLUMNS)
        trials.append(trial_of(connection.execute(taken).one()))
    if trials:
        states = Counter(str(trial.state) for trial in trials)
        count_changes(connection, job_id, {**states, "running": -len(trials)})
    events: list[NewEvent] = [trial_event(trial) for trial in trials]
    append(connection, events, now)
    return tuple(trials)


def _requeued(trial_id: str, attempt: int) -> dict[str, Any]:
    """The next attempt goes on from the last checkpoint that the lost one reported, if any."""
    with_checkpoint = (
        (REPORTS.c.trial_id == trial_id) & (REPORTS.c.attempt == attempt) & REPORTS.c.checkpoint.is_not(None)
    )
    last = select(REPORTS.c.checkpoint).where(with_checkpoint).order_by(REPORTS.c.step.desc()).limit(1)
    size = last.with_only_columns(REPORTS.c.checkpoint_bytes)
    return {
        "state": "queued",
        "attempt": attempt + 1,
        "worker_id": None,
        "checkpoint": func.coalesce(last.scalar_subquery(), TRIALS.c.checkpoint),
        "checkpoint_bytes": func.coalesce(size.scalar_subquery(), TRIALS.c.checkpoint_bytes),
    }


def _ended(job: Job, now: datetime) -> dict[str, Any]:
    return {"state": "stopped" if job.state in JOB_OVER else "failed", "finished_at": now}
