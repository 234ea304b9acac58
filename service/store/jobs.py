"""Jobs: create, read, change state, extend, delete."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, or_, select, tuple_, update

from service.errors import Conflict, NotFound
from service.store import fronts
from service.store.events import NewEvent, append, job_event, trial_event
from service.store.paging import check_limit, moment, read_cursor, text, write_cursor
from service.store.records import Choice, Job, JobState, Page
from service.store.remarks import tagged
from service.store.rows import (
    IDEMPOTENCY_KEYS,
    JOB_COLUMNS,
    JOBS,
    TRIAL_COLUMNS,
    TRIALS,
    count_changes,
    job_of,
    lock_job,
    lock_state,
    trial_of,
)
from service.store.states import JOB_OVER, TRIAL_STATES, check_job

_JOB = select(*JOB_COLUMNS).where(JOBS.c.id == bindparam("id"))
_PROJECT = select(JOBS.c.project).where(JOBS.c.id == bindparam("id"))
_NEWEST_FIRST = select(*JOB_COLUMNS).order_by(JOBS.c.created_at.desc(), JOBS.c.id.desc())
_KEY = select(IDEMPOTENCY_KEYS.c.body, IDEMPOTENCY_KEYS.c.job_id).where(
    IDEMPOTENCY_KEYS.c.project == bindparam("project"), IDEMPOTENCY_KEYS.c.key == bindparam("key")
)


def create_job(
    connection: Connection,
    name: str,
    spec: dict[str, Any],
    key: str | None,
    project: str,
    trace: str | None,
    now: datetime,
) -> Job:
    """Store a queued job, or return the one that the same key and request made before in the project."""
    body = hashlib.sha256(json.dumps([name, spec], sort_keys=True).encode()).hexdigest()
    known = None if key is None else connection.execute(_KEY, {"project": project, "key": key}).one_or_none()
    if known is not None:
        if known.body != body:
            raise Conflict(f"idempotency key {key!r} was used for another request, which made job {known.job_id}")
        return get_job(connection, known.job_id)
    row: dict[str, Any] = {"id": _new_id(), "project": project, "name": name, "state": "queued", "spec": spec}
    row |= {"created_at": now, "version": 1, "trace": trace}
    zeros = dict.fromkeys(("next_number", "front_size", *TRIAL_STATES), 0)
    job = job_of(connection.execute(insert(JOBS).returning(*JOB_COLUMNS), {**row, **zeros}).one())
    if key is not None:
        stored = {"project": project, "key": key, "body": body, "job_id": job.id, "created_at": now}
        connection.execute(insert(IDEMPOTENCY_KEYS), stored)
    append(connection, [job_event(job)], now)
    return job


def _new_id() -> str:
    """`j` and 55 random bits: safe in URLs, file names and speech, and told apart from a trial's id by its dash."""
    return "j" + base64.b32encode(secrets.token_bytes(7)).decode().lower()[:11]


def get_job(connection: Connection, id: str) -> Job:
    """The job; raises NotFound."""
    row = connection.execute(_JOB, {"id": id}).one_or_none()
    if row is None:
        raise NotFound("job", id)
    return job_of(row)


def project_of(connection: Connection, id: str) -> str:
    """The project of a job; raises NotFound."""
    project = connection.execute(_PROJECT, {"id": id}).scalar_one_or_none()
    if project is None:
        raise NotFound("job", id)
    return str(project)


def list_jobs(connection: Connection, cursor: str | None, limit: int, project: str | None, choice: Choice) -> Page[Job]:
    """One page of the jobs chosen, newest first: of a project, or of all."""
    check_limit(limit)
    query = _NEWEST_FIRST.where(*_meeting(connection, choice)).limit(limit + 1)
    if project is not None:
        query = query.where(JOBS.c.project == project)
    if cursor is not None:
        position = read_cursor(cursor, "newest", moment, text)
        query = query.where(tuple_(JOBS.c.created_at, JOBS.c.id) < tuple(position))
    jobs = [job_of(row) for row in connection.execute(query)]
    more = len(jobs) > limit
    jobs = jobs[:limit]
    end = write_cursor("newest", [jobs[-1].created_at.isoformat(), jobs[-1].id]) if more else None
    return Page(tuple(jobs), end)


def _meeting(connection: Connection, choice: Choice) -> Iterator[ColumnElement[bool]]:
    if choice.states:
        yield JOBS.c.state.in_(choice.states)
    if choice.text:
        yield or_(*(column.icontains(choice.text, autoescape=True) for column in (JOBS.c.name, JOBS.c.note, JOBS.c.id)))
    for tag in choice.tags:
        yield tagged(connection, JOBS.c.tags, tag)


def set_job_state(connection: Connection, id: str, to: JobState, reason: str | None, now: datetime) -> Job:
    """Move the job to another state; raises Conflict when there is no way there. Ending it closes waiting trials."""
    job = lock_job(connection, id)
    check_job(id, job.state, to)
    values: dict[str, Any] = {"state": to, "reason": reason, "version": JOBS.c.version + 1}
    events: list[NewEvent] = []
    if to in JOB_OVER:
        values |= {"finished_at": now, "lease_owner": None, "lease_until": None}
        events = _close_waiting(connection, id, f"the job is {to}", now)
    elif to == "queued":
        values |= {"finished_at": None}
    elif to == "running":
        values |= {"started_at": job.started_at or now}
    return _change(connection, id, values, events, now)


def extend_job(connection: Connection, id: str, spec: dict[str, Any], now: datetime) -> Job:
    """Replace the spec. A job that is over is queued again; other objectives or constraints make another front."""
    job = lock_job(connection, id)
    events = [NewEvent(id, "job.spec", {"spec": spec})]
    if any(job.spec.get(part) != spec.get(part) for part in ("objectives", "constraints")):
        change = fronts.recompute(connection, id, fronts.Goals.of(spec))
        count_changes(connection, id, {}, front=change.size_change)
        events += change.events(id)
    values: dict[str, Any] = {"spec": spec, "version": JOBS.c.version + 1}
    if job.state in JOB_OVER:
        values |= {"state": "queued", "reason": None, "finished_at": None}
    return _change(connection, id, values, events, now)


def _change(connection: Connection, id: str, values: dict[str, Any], events: list[NewEvent], now: datetime) -> Job:
    changed = update(JOBS).where(JOBS.c.id == id).values(values).returning(*JOB_COLUMNS)
    job = job_of(connection.execute(changed).one())
    append(connection, [*events, job_event(job)], now)
    return job


def _close_waiting(connection: Connection, id: str, reason: str, now: datetime) -> list[NewEvent]:
    """Drop suggestions that nobody has claimed (they were never trials), stop those that wait to go on."""
    waiting = (TRIALS.c.job_id == id) & TRIALS.c.state.in_(("queued", "paused"))
    dropped = connection.execute(
        delete(TRIALS).where(waiting, TRIALS.c.attempt == 0).returning(TRIALS.c.id, TRIALS.c.number)
    ).all()
    left = connection.execute(select(TRIALS.c.state).where(waiting).with_for_update(key_share=True)).scalars().all()
    stop = {"state": "stopped", "reason": reason, "finished_at": now, "lease_until": None}
    stopped = connection.execute(update(TRIALS).where(waiting).values(stop).returning(*TRIAL_COLUMNS)).all()
    changes = {"queued": -len(dropped) - left.count("queued"), "paused": -left.count("paused"), "stopped": len(left)}
    count_changes(connection, id, changes)
    return [
        *(NewEvent(id, "trial.dropped", {"trial_id": row.id, "number": row.number}) for row in dropped),
        *(trial_event(trial_of(row)) for row in stopped),
    ]


def delete_job(connection: Connection, id: str) -> None:
    """Delete the job with all its trials, reports and events; raises NotFound."""
    lock_state(connection, id)
    connection.execute(delete(JOBS).where(JOBS.c.id == id))
