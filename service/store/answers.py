"""Answers: laws and mixtures that were learnt, kept by name in versions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select

from service.errors import NotFound
from service.store.events import NewEvent, append
from service.store.records import Answer, AnswerKind
from service.store.rows import ANSWER_COLUMNS, ANSWERS, lock_job

_OF_JOB = select(*ANSWER_COLUMNS).where(ANSWERS.c.job_id == bindparam("job")).order_by(ANSWERS.c.id.desc()).limit(1)


def add_answer(
    connection: Connection,
    kind: AnswerKind,
    name: str,
    body: dict[str, Any],
    job_id: str | None,
    project: str,
    now: datetime,
) -> Answer:
    """Store the next version under this name in the project (a job's answer: in the job's). What a job has said already
    is no new version."""
    if job_id is not None:
        project = lock_job(connection, job_id).project
        known = job_answer(connection, job_id)
        if known is not None and known.body == body:
            return known
    last = connection.execute(
        select(func.max(ANSWERS.c.version)).where(
            ANSWERS.c.project == project, ANSWERS.c.kind == kind, ANSWERS.c.name == name
        )
    ).scalar_one()
    row = {"project": project, "kind": kind, "name": name, "version": (last or 0) + 1, "job_id": job_id}
    row |= {"body": body, "created_at": now}
    added = Answer(*connection.execute(insert(ANSWERS).returning(*ANSWER_COLUMNS), row).one())
    if job_id is not None:
        append(connection, [NewEvent(job_id, "job.answer", {"kind": kind, "version": added.version})], now)
    return added


def get_answer(connection: Connection, kind: AnswerKind, name: str, version: int | None, project: str | None) -> Answer:
    """The answer in this version, or the newest, of a project or of any; raises NotFound."""
    query = select(*ANSWER_COLUMNS).where(ANSWERS.c.kind == kind, ANSWERS.c.name == name)
    if project is not None:
        query = query.where(ANSWERS.c.project == project)
    if version is not None:
        query = query.where(ANSWERS.c.version == version)
    row = connection.execute(query.order_by(ANSWERS.c.id.desc()).limit(1)).one_or_none()
    if row is None:
        raise NotFound(kind, name if version is None else f"{name} version {version}")
    return Answer(*row)


def job_answer(connection: Connection, job_id: str) -> Answer | None:
    """The newest answer of a job, if it has one yet."""
    row = connection.execute(_OF_JOB, {"job": job_id}).one_or_none()
    return None if row is None else Answer(*row)


def newest_answers(connection: Connection, kind: AnswerKind, limit: int, project: str | None) -> tuple[Answer, ...]:
    """The newest version under each name, the latest first: of a project, or of all."""
    newest = select(func.max(ANSWERS.c.id)).where(ANSWERS.c.kind == kind).group_by(ANSWERS.c.project, ANSWERS.c.name)
    if project is not None:
        newest = newest.where(ANSWERS.c.project == project)
    query = select(*ANSWER_COLUMNS).where(ANSWERS.c.id.in_(newest)).order_by(ANSWERS.c.id.desc()).limit(limit)
    return tuple(Answer(*row) for row in connection.execute(query))
