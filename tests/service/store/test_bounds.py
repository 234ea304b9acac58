"""The largest of everything that the API lets through is stored, read back and asked for, on both databases: what it
refuses is told in tests/service/api."""

from __future__ import annotations

from typing import Any

import pytest

from service.errors import NotFound
from service.store.paging import write_cursor
from service.store.records import NewTrial
from service.store.store import Store
from tests.service.store.examples import claimed, running_job
from workers.assignment import Artifact, Outcome, Report
from workers.bounded import INT32, INT64

SEED, METRIC = 2**32 - 1, 1e18


def test_the_largest_numbers_are_kept(store: Store) -> None:
    job = running_job(store)
    store.add_trials(job.id, [NewTrial({"rank": INT64}, "optimizer", SEED)])
    trial = claimed(store, job.id)
    given: dict[str, Any] = {"trial_id": trial.id, "attempt": trial.attempt}
    kept = Artifact(sha256="f" * 64, size=INT64)
    metrics = {"accuracy": 1.0, "trainable_params": METRIC, "latency_ms": -METRIC}
    report = Report(**given, step=INT32, epoch=1e6, seconds=1e10, metrics=metrics, checkpoint=kept)
    assert store.add_reports([report]) == (True,)
    done: dict[str, Any] = {"status": "completed", "metrics": metrics, "adapter": kept, "evaluated_rows": INT32}
    store.finish_trial(Outcome(**given, **done))
    (read,), (point,) = store.searched_trials(job.id), store.reports(trial.id)
    assert (read.config["rank"], read.seed, read.evaluated_rows, read.adapter_bytes) == (INT64, SEED, INT32, INT64)
    assert read.metrics == point.metrics == metrics
    assert (point.step, point.epoch, point.seconds) == (INT32, 1e6, 1e10)


@pytest.mark.parametrize("sort", ["number", "accuracy"])
@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("key", [0, 2**31, 2**40, 2**60, 1e308, -(2**31) - 1, None])
def test_every_position_can_be_gone_on_from(store: Store, sort: str, descending: bool, key: float | None) -> None:
    job = running_job(store, trials=1)
    cursor = write_cursor(f"{sort} {'down' if descending else 'up'}", [key, INT32])
    page = store.list_trials(job.id, sort=sort, descending=descending, cursor=cursor)
    behind = key is not None and (sort == "accuracy" or ((key > 0) == descending and key != 0))
    assert len(page.items) == behind  # trials without the metric come last


def test_what_nothing_has_can_be_asked_for(store: Store) -> None:
    job = running_job(store, trials=1)
    assert store.events_after(INT64, job.id) == ()
    assert list(store.trial_columns(job.id, 10, before=INT32).fields["number"]) == [0]
    store.add_answer("law", "mine", {"a": INT64})
    with pytest.raises(NotFound):
        store.answer("law", "mine", INT32)
