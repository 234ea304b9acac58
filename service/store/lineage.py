"""Paused trials go on, each from its own checkpoint or from another's; who copied whom is kept.

A generation of a population goes on in one transaction: after a crash either all of it has or nobody has, and then the
same decision is made again from the same reports. A checkpoint is addressed by its content, so copying it is to refer
to it: the donor may train on, end or fail meanwhile without taking it away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from service.errors import Conflict
from service.store.events import NewEvent, append, trial_event
from service.store.records import Exploit, Resumption, Trial
from service.store.rows import (
    EXPLOIT_COLUMNS,
    EXPLOITS,
    REPORTS,
    TRIAL_COLUMNS,
    TRIALS,
    count_changes,
    lock_state,
    trial_of,
)
from service.store.states import JOB_OVER

_LOCK = (
    select(*TRIAL_COLUMNS)
    .where(TRIALS.c.job_id == bindparam("job"), TRIALS.c.id.in_(bindparam("trials", expanding=True)))
    .order_by(TRIALS.c.number)
    .with_for_update(key_share=True)
)
_LAST_REPORT = (
    select(REPORTS.c.step, REPORTS.c.epoch)
    .where(REPORTS.c.trial_id == bindparam("trial"))
    .order_by(REPORTS.c.attempt.desc(), REPORTS.c.step.desc())
    .limit(1)
)
_OF_JOB = (
    select(*EXPLOIT_COLUMNS)
    .where(EXPLOITS.c.job_id == bindparam("job"))
    .order_by(EXPLOITS.c.created_at, EXPLOITS.c.epoch, EXPLOITS.c.trial_id)
)


def resume_trials(
    connection: Connection, job_id: str, resumptions: Sequence[Resumption], now: datetime
) -> tuple[Trial, ...]:
    """Queue paused trials again as further attempts; returns them.

    Raises NotFound, and Conflict when the job is over, a trial or a donor has moved on since the decision, or a donor
    has no checkpoint. Nothing is changed then.
    """
    if (state := lock_state(connection, job_id)) in JOB_OVER:
        raise Conflict(f"job {job_id} is {state}; its trials do not go on unless it is extended")
    named = {one.trial_id for one in resumptions} | {one.donor_id for one in resumptions if one.donor_id}
    rows = connection.execute(_LOCK, {"job": job_id, "trials": sorted(named)})
    before = {trial.id: trial for trial in map(trial_of, rows)}
    resumed, events = [], []
    for one in resumptions:
        trial = before.get(one.trial_id)
        if trial is None or trial.state != "paused" or trial.attempt != one.attempt:
            raise Conflict(f"trial {one.trial_id} is not paused in attempt {one.attempt} any more")
        changes: Mapping[str, Any] = {}
        if one.donor_id is not None:
            exploit = _exploit(connection, trial, before.get(one.donor_id), one, now)
            connection.execute(insert(EXPLOITS), asdict(exploit))
            size = before[one.donor_id].checkpoint_bytes
            changes = {"config": exploit.config, "seed": exploit.seed, "checkpoint": exploit.checkpoint}
            changes |= {"checkpoint_bytes": size}
            events.append(_event(trial, before[one.donor_id], exploit))
        values = {"state": "queued", "attempt": trial.attempt + 1, "worker_id": None, **changes}
        queued = update(TRIALS).where(TRIALS.c.id == trial.id).values(values).returning(*TRIAL_COLUMNS)
        resumed.append(trial_of(connection.execute(queued).one()))
    count_changes(connection, job_id, {"paused": -len(resumed), "queued": len(resumed)})
    append(connection, [*events, *map(trial_event, resumed)], now)
    return tuple(resumed)


def job_exploits(connection: Connection, job_id: str) -> tuple[Exploit, ...]:
    """Every exploit of the job, oldest first."""
    return tuple(Exploit(*row) for row in connection.execute(_OF_JOB, {"job": job_id}))


def _exploit(connection: Connection, trial: Trial, donor: Trial | None, asked: Resumption, now: datetime) -> Exploit:
    if donor is None or donor.state != "paused" or donor.checkpoint is None:
        raise Conflict(f"trial {trial.id} cannot go on from {asked.donor_id}: it is not paused with a checkpoint")
    last = connection.execute(_LAST_REPORT, {"trial": donor.id}).one_or_none()
    return Exploit(
        trial_id=trial.id,
        attempt=trial.attempt + 1,
        job_id=trial.job_id,
        donor_id=donor.id,
        donor_attempt=donor.attempt,
        step=last.step if last else 0,
        epoch=last.epoch if last else 0.0,
        checkpoint=donor.checkpoint,
        seed=donor.seed,
        config=dict(asked.config if asked.config is not None else donor.config),
        previous=trial.config,
        created_at=now,
    )


def _event(trial: Trial, donor: Trial, exploit: Exploit) -> NewEvent:
    changed = {name: value for name, value in exploit.config.items() if donor.config.get(name) != value}
    payload = {"trial_id": trial.id, "number": trial.number, "attempt": exploit.attempt, "donor_id": donor.id}
    payload |= {"donor_number": donor.number, "epoch": exploit.epoch, "changed": changed}
    return NewEvent(trial.job_id, "trial.exploit", payload)
