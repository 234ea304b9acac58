"""Which jobs began with a trial."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from service.store.rows import JOBS

MOST = 1000
"""Refine jobs of a project that are looked at, the newest."""


@dataclass(frozen=True)
class Use:
    """Refine job `job_id` took the trial's adapter: it is the source numbered `number` there."""

    job_id: str
    name: str
    state: str
    number: int


def uses(connection: Connection, trial_id: str, project: str) -> tuple[Use, ...]:
    """The jobs of the project that refine the trial's adapter, newest first."""
    refined = (
        select(JOBS.c.id, JOBS.c.name, JOBS.c.state, JOBS.c.spec)
        .where(JOBS.c.project == project, JOBS.c.spec["kind"].as_string() == "refine")
        .order_by(JOBS.c.created_at.desc(), JOBS.c.id)
        .limit(MOST)
    )
    return tuple(
        Use(id, name, state, number)
        for id, name, state, spec in connection.execute(refined)
        for number, adapter in enumerate(spec["adapters"])
        if adapter["trial"] == trial_id
    )
