"""What people say of jobs and trials: tags, to find them again, and a note."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, literal, select, update

from service.store.events import NewEvent, append
from service.store.records import Job, Remarks, Trial
from service.store.rows import JOB_COLUMNS, JOBS, TRIAL_COLUMNS, TRIALS, find_trial, job_of, lock_state, trial_of


def remark_job(connection: Connection, id: str, said: Remarks, now: datetime) -> Job:
    """Change what is said of a job; raises NotFound."""
    lock_state(connection, id)
    values = {**_values(said), "version": JOBS.c.version + 1}
    changed = update(JOBS).where(JOBS.c.id == id).values(values).returning(*JOB_COLUMNS)
    job = job_of(connection.execute(changed).one())
    # An event of its own: one of `job.state` would tell webhooks a second time that the job has ended.
    append(connection, [NewEvent(id, "job.remarks", {"tags": job.tags, "note": job.note})], now)
    return job


def remark_trial(connection: Connection, id: str, said: Remarks, now: datetime) -> Trial:
    """Change what is said of a trial; raises NotFound."""
    trial = find_trial(connection, id)
    lock_state(connection, trial.job_id)
    if values := _values(said):
        changed = update(TRIALS).where(TRIALS.c.id == id).values(values).returning(*TRIAL_COLUMNS)
        trial = trial_of(connection.execute(changed).one())
    told = {"trial_id": id, "number": trial.number, "tags": trial.tags, "note": trial.note}
    append(connection, [NewEvent(trial.job_id, "trial.remarks", told)], now)
    return trial


def _values(said: Remarks) -> dict[str, Any]:
    values: dict[str, Any] = {} if said.tags is None else {"tags": sorted(set(said.tags))}
    return values if said.note is None else values | {"note": said.note or None}


def tagged(connection: Connection, tags: ColumnElement[Any], tag: str) -> ColumnElement[bool]:
    """Whether a column of tags holds `tag`."""
    if connection.dialect.name == "postgresql":
        return literal(tag).in_(select(func.json_array_elements_text(tags).column_valued("tag")))
    return literal(tag).in_(select(func.json_each(tags).table_valued("value").c.value))
