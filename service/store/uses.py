"""Which jobs began with a trial, or with trials of a job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from service.store.records import JobState
from service.store.rows import JOBS, job_id_of

MOST = 1000
"""Refine jobs of a project that are looked at, the newest."""


@dataclass(frozen=True)
class Use:
    """Refine job `job_id` took the trial's adapter: it is the source numbered `number` there."""

    job_id: str
    name: str
    state: str
    number: int


@dataclass(frozen=True)
class Refinement:
    """A refine job that took adapters of another job's trials."""

    job_id: str
    name: str
    state: JobState
    created_at: datetime
    finished_at: datetime | None


_COLUMNS = tuple(JOBS.c[field.name if field.name != "job_id" else "id"] for field in fields(Refinement))
_REFINED = (
    select(JOBS.c.spec["adapters"], *_COLUMNS)
    .where(JOBS.c.project == bindparam("project"), JOBS.c.spec["kind"].as_string() == "refine")
    .order_by(JOBS.c.created_at.desc(), JOBS.c.id)
    .limit(MOST)
)


def uses(connection: Connection, trial_id: str, project: str) -> tuple[Use, ...]:
    """The jobs of the project that refine the trial's adapter, newest first."""
    return tuple(
        Use(found.job_id, found.name, found.state, number)
        for found, trials in _refined(connection, project)
        for number, trial in enumerate(trials)
        if trial == trial_id
    )


def refinements(connection: Connection, job_id: str, project: str) -> tuple[Refinement, ...]:
    """The jobs of the project that refine adapters of the job's trials, newest first."""
    return tuple(
        found
        for found, trials in _refined(connection, project)
        if any(trial is not None and job_id_of(trial) == job_id for trial in trials)
    )


def _refined(connection: Connection, project: str) -> Iterator[tuple[Refinement, list[str | None]]]:
    """Refine jobs with the trials that they began with, None for adapters that are no trial's."""
    for adapters, *values in connection.execute(_REFINED, {"project": project}):
        yield Refinement(*values), [adapter["trial"] for adapter in adapters]
