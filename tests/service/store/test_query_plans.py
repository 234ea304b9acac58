"""No call of a running service walks through a whole table: with 50,000 trials that would show in every request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import event

from service.store.store import open_store
from service.store.trials import Bound
from tests.service.store.examples import ManualClock, claimed, outcome, report, running_job, suggestions


def test_statements_find_their_rows_through_an_index(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}", ManualClock())
    job = running_job(store, trials=5)
    statements: dict[str, Any] = {}

    def remember(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements[statement] = parameters[0] if isinstance(parameters, list) else parameters

    event.listen(store._database.engine, "before_cursor_execute", remember)
    trial = claimed(store, job.id)
    store.add_reports([report(trial, 1), report(trial, 2)])
    store.extend_trial_lease(trial.id, 1, 60)
    store.finish_trial(outcome(trial))
    store.requeue_trial(claimed(store, job.id).id, 1, "gone")
    store.requeue_expired()
    store.replace_queued(job.id, [f"{job.id}-4"], suggestions(1))
    trials = (store.searched_trials, store.confirmations, store.reference_trials, store.front)
    for read in (*trials, store.counts, store.epochs_under_way, store.job_reports, store.get_job):
        read(job.id)
    page = store.list_trials(job.id, sort="accuracy", limit=1)
    store.list_trials(job.id, sort="accuracy", limit=1, cursor=page.next_cursor)
    store.list_trials(job.id, states=["completed"])
    store.provenance(job.id)
    store.exported(trial, "a" * 64)
    store.exports(job.id)
    store.refinements(job.id)
    store.newest_completed(job.id, 5)
    for front_only in (True, False):
        store.ranked(job.id, [("accuracy", -1.0), ("loss", 1.0)], [Bound("loss", "<=", 1.0)], front_only, 1)
    store.trials_by_id([trial.id])
    store.reports(trial.id)
    store.events_after(3, job.id)
    store.events_after(3)
    store.last_sequence()
    store.sequence_before(job.id, 2)
    event.remove(store._database.engine, "before_cursor_execute", remember)

    def plan(statement: str, parameters: Any) -> list[str]:
        with store._database.engine.connect() as connection:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
        return [str(row[3]) for row in rows]

    plans = {statement: plan(statement, parameters) for statement, parameters in statements.items()}
    walks = {s: p for s, p in plans.items() if any("SCAN" in step and "CONSTANT" not in step for step in p)}
    assert len(plans) > 25
    assert walks == {}
    store.close()
