"""Reports: learning curves as they grow. A batch costs the same few statements whatever its size."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from service.errors import BadInput
from service.store.events import NewEvent, append
from service.store.records import Curve, StoredReport
from service.store.results import finite
from service.store.rows import REPORT_COLUMNS, REPORTS, TRIALS, job_id_of
from workers.assignment import Report

_RUNNING = (
    select(TRIALS.c.id, TRIALS.c.attempt)
    .where(TRIALS.c.id.in_(bindparam("trials", expanding=True)), TRIALS.c.state == "running")
    .order_by(TRIALS.c.id)
    .with_for_update(key_share=True)
)
_KEY = (REPORTS.c.trial_id, REPORTS.c.attempt, REPORTS.c.step)
_INSERT = {
    "sqlite": sqlite.insert(REPORTS).on_conflict_do_nothing().returning(*_KEY),
    "postgresql": postgresql.insert(REPORTS).on_conflict_do_nothing().returning(*_KEY),
}
_OF_ATTEMPT = (REPORTS.c.trial_id == bindparam("trial")) & (REPORTS.c.attempt == bindparam("fence"))
_LAST = select(REPORTS.c.step, REPORTS.c.epoch).where(_OF_ATTEMPT).order_by(REPORTS.c.step.desc()).limit(1)
_STORED = select(REPORTS.c.step).where(_OF_ATTEMPT, REPORTS.c.step == bindparam("reached"))
_OF_TRIAL = (
    select(*REPORT_COLUMNS).where(REPORTS.c.trial_id == bindparam("trial")).order_by(REPORTS.c.attempt, REPORTS.c.step)
)
_OF_JOB = (
    select(*REPORT_COLUMNS)
    .select_from(REPORTS.join(TRIALS, REPORTS.c.trial_id == TRIALS.c.id))
    .where(TRIALS.c.job_id == bindparam("job"))
    .order_by(TRIALS.c.number, REPORTS.c.attempt, REPORTS.c.step)
)
_BEGUN = (
    select(TRIALS.c.number)
    .where(TRIALS.c.job_id == bindparam("job"), TRIALS.c.state != "queued", TRIALS.c.confirms.is_(None))
    .order_by(TRIALS.c.number.desc())
    .limit(bindparam("most"))
)
_POINTS = (
    select(TRIALS.c.number, REPORTS.c.attempt, REPORTS.c.epoch, REPORTS.c.metrics)
    .select_from(REPORTS.join(TRIALS, REPORTS.c.trial_id == TRIALS.c.id))
    .where(
        TRIALS.c.job_id == bindparam("job"),
        TRIALS.c.confirms.is_(None),
        or_(TRIALS.c.number >= bindparam("first"), TRIALS.c.on_front),
    )
    .order_by(TRIALS.c.number, REPORTS.c.attempt, REPORTS.c.step)
)
_UNDER_WAY = (
    select(func.max(REPORTS.c.epoch))
    .select_from(TRIALS.join(REPORTS, REPORTS.c.trial_id == TRIALS.c.id))
    .where(TRIALS.c.job_id == bindparam("job"), TRIALS.c.state.in_(("queued", "running", "paused")))
    .group_by(TRIALS.c.id)
)


def add_reports(connection: Connection, reports: Sequence[Report], now: datetime) -> tuple[bool, ...]:
    """Store reports; for each, whether its attempt is the running one. False: it was refused and changed nothing.

    A report that is there already (same trial, attempt and step) is accepted and changes nothing either.
    """
    if not reports:
        return ()
    ids = sorted({report.trial_id for report in reports})
    running = {(row.id, row.attempt) for row in connection.execute(_RUNNING, {"trials": ids})}
    accepted = tuple((report.trial_id, report.attempt) in running for report in reports)
    rows: dict[tuple[str, int, int], dict[str, Any]] = {}
    for report, current in zip(reports, accepted, strict=True):
        if current:
            rows.setdefault((report.trial_id, report.attempt, report.step), _row(report, now))
    if rows:
        stored = connection.execute(_INSERT[connection.dialect.name], list(rows.values())).all()
        append(connection, [_event(rows[id, attempt, step]) for id, attempt, step in sorted(map(tuple, stored))], now)
    return accepted


def add_next_report(connection: Connection, report: Report, now: datetime) -> bool:
    """Store a report like `add_reports`; one that is there already is accepted. Raises BadInput when its step or epoch
    lies before the last one of its attempt: a learning curve that runs backwards is no evidence."""
    key = {"trial": report.trial_id, "fence": report.attempt}
    last = connection.execute(_LAST, key).one_or_none()
    if last is not None and connection.execute(_STORED, {**key, "reached": report.step}).one_or_none() is None:
        for field, found, reached in (("step", report.step, last.step), ("epoch", report.epoch, last.epoch)):
            if found < reached:
                raise BadInput(field, found, f"at least {reached:g}, which the attempt had reached before")
    return add_reports(connection, [report], now)[0]


def _row(report: Report, now: datetime) -> dict[str, Any]:
    checkpoint = report.checkpoint
    return {
        "trial_id": report.trial_id,
        "attempt": report.attempt,
        "step": report.step,
        "epoch": report.epoch,
        "seconds": report.seconds,
        "metrics": finite(report.metrics),
        "checkpoint": checkpoint.sha256 if checkpoint else None,
        "checkpoint_bytes": checkpoint.size if checkpoint else None,
        "created_at": now,
    }


def _event(row: dict[str, Any]) -> NewEvent:
    payload = {name: row[name] for name in ("trial_id", "attempt", "step", "epoch", "seconds", "metrics")}
    return NewEvent(job_id_of(row["trial_id"]), "trial.report", payload)


def reports(connection: Connection, trial_id: str) -> tuple[StoredReport, ...]:
    """The trial's reports of all attempts, by attempt and step."""
    return tuple(StoredReport(*row) for row in connection.execute(_OF_TRIAL, {"trial": trial_id}))


def epochs_under_way(connection: Connection, job_id: str) -> tuple[float, ...]:
    """The epochs that the open trials which have reported have come to."""
    return tuple(connection.execute(_UNDER_WAY, {"job": job_id}).scalars())


def job_reports(connection: Connection, job_id: str) -> tuple[StoredReport, ...]:
    """The reports of all trials of a job, by trial number, attempt and step."""
    return tuple(StoredReport(*row) for row in connection.execute(_OF_JOB, {"job": job_id}))


def curves(connection: Connection, job_id: str, metric: str, most: int) -> tuple[Curve, ...]:
    """One metric over the epochs of the newest `most` trials that have begun and of those on the front, by number.

    A trial that was begun again counts from where it was begun: what it had reached beyond that is gone.
    """
    begun = connection.execute(_BEGUN, {"job": job_id, "most": most}).scalars().all()
    if not begun:
        return ()
    points: dict[int, list[tuple[int, float, float]]] = {}
    for number, attempt, epoch, metrics in connection.execute(_POINTS, {"job": job_id, "first": begun[-1]}):
        course = points.setdefault(number, [])
        while course and course[-1][0] < attempt and course[-1][1] >= epoch:
            course.pop()
        if metrics.get(metric) is not None:
            course.append((attempt, epoch, metrics[metric]))
    return tuple(
        Curve(number, tuple(epoch for _, epoch, _ in course), tuple(value for *_, value in course))
        for number, course in points.items()
        if course
    )
