"""Trials: suggest, replace suggestions, read, count."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, insert, literal_column, or_, select

from service.errors import Conflict, NotFound
from service.store.events import NewEvent, append, trial_event
from service.store.paging import check_limit, number, read_cursor, sort_key, write_cursor
from service.store.records import NewTrial, Page, Trial, TrialOrigin, TrialState
from service.store.remarks import tagged
from service.store.rows import JOBS, TRIAL_COLUMNS, TRIALS, count_changes, lock_state, trial_of
from service.store.states import JOB_OVER, TRIAL_STATES

_WITHIN: Mapping[str, Callable[[Any, float], ColumnElement[bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True)
class Bound:
    """A metric compared (`<=`, `>=`, `<`, `>`, `==` or `!=`) with a number."""

    metric: str
    comparison: str
    value: float


_ADD = insert(TRIALS)
_OF_JOB = select(*TRIAL_COLUMNS).where(TRIALS.c.job_id == bindparam("job")).order_by(TRIALS.c.number)
_SEARCHED = _OF_JOB.where(TRIALS.c.confirms.is_(None))
_CONFIRMATIONS = _OF_JOB.where(TRIALS.c.confirms.is_not(None))
# Written out, not bound: only so does it match the condition of its index.
_REFERENCES = _OF_JOB.where(TRIALS.c.origin == literal_column("'reference'"))
_COMPLETED = (TRIALS.c.job_id == bindparam("job")) & (TRIALS.c.state == "completed") & TRIALS.c.confirms.is_(None)
_NEWEST_COMPLETED = select(*TRIAL_COLUMNS).where(_COMPLETED).order_by(TRIALS.c.number.desc()).limit(bindparam("limit"))
# Whoever is on a front has completed; naming the state as well would lead SQLite past the small index.
_ON_FRONT = (TRIALS.c.job_id == bindparam("job")) & TRIALS.c.on_front
_COUNTS = select(*(JOBS.c[state] for state in TRIAL_STATES)).where(JOBS.c.id == bindparam("job"))


def add_trials(connection: Connection, job_id: str, new: Sequence[NewTrial], now: datetime) -> tuple[Trial, ...]:
    """Store suggestions as queued trials, numbered in their order; raises Conflict when the job is over."""
    trials = append_trials(connection, job_id, new, now)
    append(connection, [trial_event(trial) for trial in trials], now)
    return trials


def replace_queued(
    connection: Connection, job_id: str, drop: Sequence[str], add: Sequence[NewTrial], now: datetime
) -> tuple[Trial, ...]:
    """Put `add` in the place of the suggestions `drop`, which keep their ids and numbers.

    A suggestion claimed meanwhile stays, and the last of `add` is left out in its stead, so a job never gets more
    trials than the caller reckoned with. Suggestions dropped without a replacement are deleted, further ones of
    `add` get new numbers. Returns the trials that now hold `add`, in its order.
    """
    _check_open(job_id, lock_state(connection, job_id))
    waiting = (TRIALS.c.job_id == job_id) & (TRIALS.c.state == "queued") & (TRIALS.c.attempt == 0)
    found = connection.execute(
        select(*TRIAL_COLUMNS)
        .where(waiting, TRIALS.c.id.in_(drop))
        .order_by(TRIALS.c.number)
        .with_for_update(key_share=True)
    )
    free = [trial_of(row) for row in found]
    kept = add[: max(0, len(add) - (len(set(drop)) - len(free)))]
    replaced = [_suggestion(job_id, old.number, new, now) for old, new in zip(free, kept, strict=False)]
    if free:
        connection.execute(delete(TRIALS).where(TRIALS.c.id.in_([trial.id for trial in free])))
        count_changes(connection, job_id, {"queued": len(replaced) - len(free)})
    if replaced:
        connection.execute(_ADD, replaced)
    trials = (*map(_trial, replaced), *append_trials(connection, job_id, kept[len(free) :], now))
    dropped = [NewEvent(job_id, "trial.dropped", {"trial_id": t.id, "number": t.number}) for t in free[len(kept) :]]
    append(connection, [*dropped, *(trial_event(trial) for trial in trials)], now)
    return trials


def _check_open(job_id: str, state: str) -> None:
    if state in JOB_OVER:
        raise Conflict(f"job {job_id} is {state}; it takes no more trials unless it is extended")


def append_trials(connection: Connection, job_id: str, new: Sequence[NewTrial], now: datetime) -> tuple[Trial, ...]:
    """Insert queued trials with the job's next numbers, without their events; raises Conflict when the job is over."""
    if not new:
        return ()
    state, end = count_changes(connection, job_id, {"queued": len(new)}, numbers_used=len(new))
    _check_open(job_id, state)
    rows = [_suggestion(job_id, end - len(new) + n, trial, now) for n, trial in enumerate(new)]
    connection.execute(_ADD, rows)
    return tuple(map(_trial, rows))


def _suggestion(job_id: str, number: int, new: NewTrial, now: datetime) -> dict[str, Any]:
    names = ("origin", "label", "confirms", "config", "seed")
    given = {name: getattr(new, name) for name in names}
    start = {"state": "queued", "attempt": 0, "losses": 0, "on_front": False, "created_at": now}
    # New objects: a record that is handed out shares nothing with another one.
    return {"id": f"{job_id}-{number}", "job_id": job_id, "number": number, **given, **start, **_nothing_yet()}


def _nothing_yet() -> dict[str, Any]:
    return {"metrics": {}, "environment": {}, "tags": []}


def _trial(row: Mapping[str, Any]) -> Trial:
    """The record of a row as it was inserted: what is not given there is null."""
    return Trial(*(row.get(column.name) for column in TRIAL_COLUMNS))  # type: ignore[arg-type]  # fields by position


def searched_trials(connection: Connection, job_id: str) -> tuple[Trial, ...]:
    """Every trial of the search, by number; confirmations are not among them."""
    return tuple(trial_of(row) for row in connection.execute(_SEARCHED, {"job": job_id}))


def confirmations(connection: Connection, job_id: str) -> tuple[Trial, ...]:
    """The trials that train configurations of the search again, by number."""
    return tuple(trial_of(row) for row in connection.execute(_CONFIRMATIONS, {"job": job_id}))


def reference_trials(connection: Connection, job_id: str) -> tuple[Trial, ...]:
    """The trials that the search is measured against, by number."""
    return tuple(trial_of(row) for row in connection.execute(_REFERENCES, {"job": job_id}))


def newest_completed(connection: Connection, job_id: str, limit: int) -> tuple[Trial, ...]:
    """The last `limit` completed trials of the search, by number."""
    rows = connection.execute(_NEWEST_COMPLETED, {"job": job_id, "limit": limit})
    return tuple(reversed([trial_of(row) for row in rows]))


def ranked(
    connection: Connection,
    job_id: str,
    order: Sequence[tuple[str, float]],
    bounds: Sequence[Bound],
    front_only: bool,
    limit: int | None,
) -> tuple[str, ...]:
    """Ids of the first `limit` completed trials of the search that have the first metric of `order` and lie within
    `bounds`: smallest sign · metric first, ties by the further metrics (trials without them last), then by number."""
    names = {*(name for name, _ in order), *(bound.metric for bound in bounds)}
    values = {name: TRIALS.c.metrics[name].as_float() for name in names}
    query = select(TRIALS.c.id).where(_ON_FRONT if front_only else _COMPLETED, values[order[0][0]].is_not(None))
    query = query.where(*(_WITHIN[one.comparison](values[one.metric], one.value) for one in bounds))
    keys = [(values[name] if sign > 0 else -values[name]).asc().nulls_last() for name, sign in order]
    return tuple(connection.execute(query.order_by(*keys, TRIALS.c.number).limit(limit), {"job": job_id}).scalars())


def trials_by_id(connection: Connection, ids: Sequence[str]) -> tuple[Trial, ...]:
    """The trials with these ids (at most some hundreds), in their order; those that are gone are left out."""
    found = connection.execute(select(*TRIAL_COLUMNS).where(TRIALS.c.id.in_(ids)))
    trials = {trial.id: trial for trial in map(trial_of, found)}
    return tuple(trials[id] for id in ids if id in trials)


def counts(connection: Connection, job_id: str) -> dict[TrialState, int]:
    """Trials in each state; raises NotFound."""
    row = connection.execute(_COUNTS, {"job": job_id}).one_or_none()
    if row is None:
        raise NotFound("job", job_id)
    return dict(zip(TRIAL_STATES, row, strict=True))


def list_trials(
    connection: Connection,
    job_id: str,
    states: Sequence[TrialState] | None,
    origins: Sequence[TrialOrigin] | None,
    sort: str,
    descending: bool,
    cursor: str | None,
    limit: int,
    tags: Sequence[str] = (),
) -> Page[Trial]:
    """One page of trials by `number` or by a metric; trials without the metric come last either way.

    Without `origins` those of the search: a confirmation's metrics do not compare with theirs. Only those that have
    all of `tags`.
    """
    check_limit(limit)
    order = f"{sort} {'down' if descending else 'up'}"
    key: ColumnElement[Any] = TRIALS.c.number if sort == "number" else TRIALS.c.metrics[sort].as_float()
    query = select(*TRIAL_COLUMNS, key.label("sort_key")).where(TRIALS.c.job_id == job_id)
    if states is not None:
        query = query.where(TRIALS.c.state.in_(states))
    query = query.where(TRIALS.c.confirms.is_(None) if origins is None else TRIALS.c.origin.in_(origins))
    query = query.where(*(tagged(connection, TRIALS.c.tags, tag) for tag in tags))
    if cursor is not None:
        query = query.where(_beyond(key, descending, read_cursor(cursor, order, sort_key, number)))
    by_key = (key.desc() if descending else key.asc()).nulls_last()
    rows = connection.execute(query.order_by(by_key, TRIALS.c.number).limit(limit + 1)).all()
    end = None
    if len(rows) > limit:
        last = rows[limit - 1]
        end = write_cursor(order, [last.sort_key, last.number])
    return Page(tuple(trial_of(row[:-1]) for row in rows[:limit]), end)


def _beyond(key: ColumnElement[Any], descending: bool, position: list[Any]) -> ColumnElement[bool]:
    """Rows after `position` (sort key, number) when keys come in order, nulls last, and equal keys by number."""
    value, last = position
    later = TRIALS.c.number > last
    if value is None:
        return and_(key.is_(None), later)
    further: ColumnElement[bool] = key < value if descending else key > value
    return or_(further, (key == value) & later, key.is_(None))
