"""The end of an attempt: result, front, counters and events in one transaction."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from service.errors import NotFound, StaleAttempt
from service.redaction import redacted
from service.store.events import append, trial_event
from service.store.fronts import FrontChange, Goals, challenge
from service.store.leases import hand_over
from service.store.records import Trial
from service.store.rows import JOBS, TRIAL_COLUMNS, TRIALS, count_changes, trial_of
from service.store.states import TRIAL_OVER, check_trial
from workers.assignment import Outcome

# Locks the job's row and the trial's, in this order.
_LOCK = (
    select(JOBS.c.spec, TRIALS.c.outcome, TRIALS.c.losses, *TRIAL_COLUMNS)
    .select_from(JOBS.join(TRIALS, TRIALS.c.job_id == JOBS.c.id))
    .where(TRIALS.c.id == bindparam("trial"))
    .with_for_update(key_share=True)
)
_FINISH = (
    update(TRIALS)
    .where(TRIALS.c.id == bindparam("trial"))
    .values(
        {
            name: bindparam(f"new_{name}", type_=TRIALS.c[name].type)
            for name in (
                *("state", "metrics", "on_front", "adapter", "adapter_bytes", "checkpoint", "checkpoint_bytes"),
                *("engine", "engine_reason", "environment", "evaluated_rows", "reason"),
                *("outcome", "lease_until", "finished_at"),
            )
        }
    )
    .returning(*TRIAL_COLUMNS)
)


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics that are numbers: NaN and infinity are in neither database's JSON and mean "not measured"."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def finish_trial(connection: Connection, outcome: Outcome, now: datetime) -> Trial:
    """Store how an attempt ended. The same outcome again changes nothing. Who was interrupted is queued again.

    Raises NotFound, StaleAttempt when another attempt is current or the trial's lease was taken away, and Conflict
    when the trial has ended otherwise.
    """
    row = connection.execute(_LOCK, {"trial": outcome.trial_id}).one_or_none()
    if row is None:
        raise NotFound("trial", outcome.trial_id)
    spec, known = row[0], row[1]
    trial = Trial(*row[3:])
    digest = hashlib.sha256(outcome.model_dump_json().encode()).hexdigest()
    if known == digest and trial.attempt == outcome.attempt:
        return trial
    if trial.attempt != outcome.attempt or trial.state == "queued":
        raise StaleAttempt(trial.id, outcome.attempt, trial.attempt, trial.state)
    if outcome.status == "interrupted":
        check_trial(trial.id, trial.state, "queued")
        return hand_over(connection, outcome, now)
    check_trial(trial.id, trial.state, outcome.status)
    metrics = {**trial.metrics, **finite(outcome.metrics)}
    change = FrontChange((), (), 0)
    if outcome.status == "completed" and trial.confirms is None:  # measured on other rows: no rival of the search's
        change = challenge(connection, trial.job_id, Goals.of(spec), trial.id, metrics)
    values = _values(trial, outcome, metrics, now) | {"outcome": digest, "on_front": bool(change.joined)}
    finished = connection.execute(_FINISH, {"trial": trial.id, **{f"new_{k}": v for k, v in values.items()}}).one()
    count_changes(connection, trial.job_id, {trial.state: -1, outcome.status: 1}, front=change.size_change)
    ended = trial_of(finished)
    append(connection, [trial_event(ended), *change.events(trial.job_id)], now)
    return ended


def _values(trial: Trial, outcome: Outcome, metrics: dict[str, float], now: datetime) -> dict[str, Any]:
    """The row as the outcome leaves it; what the outcome does not say stays as an earlier attempt left it."""
    adapter = outcome.adapter
    checkpoint = outcome.checkpoint
    return {
        "state": outcome.status,
        "metrics": metrics,
        "adapter": adapter.sha256 if adapter else trial.adapter,
        "adapter_bytes": adapter.size if adapter else trial.adapter_bytes,
        "checkpoint": checkpoint.sha256 if checkpoint else trial.checkpoint,
        "checkpoint_bytes": checkpoint.size if checkpoint else trial.checkpoint_bytes,
        "engine": outcome.engine or trial.engine,
        "engine_reason": _safe(outcome.engine_reason) or trial.engine_reason,
        "environment": outcome.environment or trial.environment,
        "evaluated_rows": outcome.evaluated_rows or trial.evaluated_rows,
        "reason": _safe(outcome.reason),
        "lease_until": None,
        "finished_at": now if outcome.status in TRIAL_OVER else None,
    }


def _safe(reason: str | None) -> str | None:
    """A reason is often another program's message, which may quote the address or token that it failed with."""
    return None if reason is None else redacted(reason)
