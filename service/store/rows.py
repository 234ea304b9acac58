"""From database rows to records, and the two locks that every change of a job or trial begins with.

A transaction that changes a job's trials first locks the job's row. So a job's counters, front and numbers are
never computed from something that is about to change, and two transactions cannot wait for each other in a circle.
The locks are FOR NO KEY UPDATE (`key_share=True`): writing an event or a report checks that its job or trial exists,
and a plain FOR UPDATE would make that check wait, in a circle when the lock's holder waits to write an event itself.
SQLite ignores all this: there, beginning the transaction has locked everything already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, cast

from sqlalchemy import Connection, Table, bindparam, select, update

from service.errors import NotFound
from service.store.records import Answer, Event, Exploit, Job, StoredReport, Token, Trial
from service.store.states import TRIAL_STATES
from service.store.tables import (
    AnswerRow,
    AuditRow,
    ClusterRow,
    DeliveryRow,
    EventRow,
    ExploitRow,
    ExportRow,
    IdempotencyKeyRow,
    JobRow,
    ReportRow,
    TokenRow,
    TrialRow,
    WebhookRow,
)

JOBS = cast(Table, JobRow.__table__)
TRIALS = cast(Table, TrialRow.__table__)
REPORTS = cast(Table, ReportRow.__table__)
EXPLOITS = cast(Table, ExploitRow.__table__)
EVENTS = cast(Table, EventRow.__table__)
IDEMPOTENCY_KEYS = cast(Table, IdempotencyKeyRow.__table__)
TOKENS = cast(Table, TokenRow.__table__)
AUDIT = cast(Table, AuditRow.__table__)
WEBHOOKS = cast(Table, WebhookRow.__table__)
DELIVERIES = cast(Table, DeliveryRow.__table__)
ANSWERS = cast(Table, AnswerRow.__table__)
EXPORTS = cast(Table, ExportRow.__table__)
CLUSTERS = cast(Table, ClusterRow.__table__)

# Records are built by position: their fields and these columns have the same names and order.
_JOB_FIELDS = tuple(field.name for field in fields(Job) if field.name != "counts")
_COUNTS_AT = next(n for n, field in enumerate(fields(Job)) if field.name == "counts")
JOB_COLUMNS = (*(JOBS.c[name] for name in _JOB_FIELDS), *(JOBS.c[state] for state in TRIAL_STATES))
TRIAL_COLUMNS = tuple(TRIALS.c[field.name] for field in fields(Trial))
REPORT_COLUMNS = tuple(REPORTS.c[field.name] for field in fields(StoredReport))
EXPLOIT_COLUMNS = tuple(EXPLOITS.c[field.name] for field in fields(Exploit))
EVENT_COLUMNS = tuple(EVENTS.c[field.name] for field in fields(Event))
ANSWER_COLUMNS = tuple(ANSWERS.c[field.name] for field in fields(Answer))
TOKEN_COLUMNS = tuple(TOKENS.c[field.name] for field in fields(Token))


def job_of(row: Sequence[Any]) -> Job:
    """The record of a row of `JOB_COLUMNS`."""
    values, counts = row[: len(_JOB_FIELDS)], row[len(_JOB_FIELDS) :]
    by_state = dict(zip(TRIAL_STATES, counts, strict=True))
    ordered: list[Any] = [*values[:_COUNTS_AT], by_state, *values[_COUNTS_AT:]]
    return Job(*ordered)


def trial_of(row: Sequence[Any]) -> Trial:
    """The record of a row of `TRIAL_COLUMNS`."""
    return Trial(*row)


def job_id_of(trial_id: str) -> str:
    """A trial's id is its job's id, a dash and its number."""
    return trial_id.rpartition("-")[0]


_LOCK_JOB = select(*JOB_COLUMNS).where(JOBS.c.id == bindparam("id")).with_for_update(key_share=True)
_LOCK_STATE = select(JOBS.c.state).where(JOBS.c.id == bindparam("id")).with_for_update(key_share=True)
_TRIAL = select(*TRIAL_COLUMNS).where(TRIALS.c.id == bindparam("id"))
_CHANGE_JOB = (
    update(JOBS)
    .where(JOBS.c.id == bindparam("job"))
    .values(
        {
            "version": JOBS.c.version + 1,
            "front_size": JOBS.c.front_size + bindparam("front_change"),
            "next_number": JOBS.c.next_number + bindparam("numbers_used"),
            **{state: JOBS.c[state] + bindparam(f"{state}_change") for state in TRIAL_STATES},
        }
    )
    .returning(JOBS.c.state, JOBS.c.next_number)
)
_NO_CHANGE = {"front_change": 0, "numbers_used": 0, **{f"{state}_change": 0 for state in TRIAL_STATES}}


def lock_job(connection: Connection, id: str) -> Job:
    """The job as nobody else can change it until this transaction ends; raises NotFound."""
    row = connection.execute(_LOCK_JOB, {"id": id}).one_or_none()
    if row is None:
        raise NotFound("job", id)
    return job_of(row)


def lock_state(connection: Connection, job_id: str) -> str:
    """Like `lock_job` when only the job's state is asked for."""
    state = connection.execute(_LOCK_STATE, {"id": job_id}).scalar_one_or_none()
    if state is None:
        raise NotFound("job", job_id)
    return str(state)


def find_trial(connection: Connection, id: str) -> Trial:
    """The trial; raises NotFound."""
    row = connection.execute(_TRIAL, {"id": id}).one_or_none()
    if row is None:
        raise NotFound("trial", id)
    return trial_of(row)


def count_changes(
    connection: Connection, job_id: str, states: Mapping[str, int], front: int = 0, numbers_used: int = 0
) -> tuple[str, int]:
    """Lock the job, add to its counters and version; returns its state and next number. Raises NotFound.

    `states` maps trial states to how many trials entered them (or left them, < 0).
    """
    changes = {f"{state}_change": change for state, change in states.items()}
    given = {"job": job_id, "front_change": front, "numbers_used": numbers_used}
    row = connection.execute(_CHANGE_JOB, {**_NO_CHANGE, **changes, **given}).one_or_none()
    if row is None:
        raise NotFound("job", job_id)
    return row[0], row[1]
