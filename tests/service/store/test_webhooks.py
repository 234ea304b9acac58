"""Webhooks: every event makes one message, which is tried again until it has arrived or been given up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.errors import NotFound
from service.store.records import Addressed
from service.store.store import Store
from service.store.webhooks import FIRST_WAIT, FRONT_EVERY, MOST_ATTEMPTS
from tests.service.store.examples import ManualClock, completed, running_job

URL = "https://hooks.example.com/peftsearch"
ENDS: list[Any] = ["job.completed", "job.failed", "job.cancelled"]


def sent(store: Store, *statuses: int | None) -> list[Addressed]:
    """What is claimed now, one after the other, each answered so."""
    found = []
    for status in statuses:
        claimed = store.claim_delivery(60)
        assert claimed is not None
        store.end_delivery(claimed.delivery, status, None if status else "ConnectError: refused")
        found.append(claimed)
    return found


def bodies(store: Store, webhook_id: str) -> list[dict[str, Any]]:
    """What a webhook is told, oldest first; of one moment, in any order."""
    return [json.loads(one.body) for one in store.deliveries(webhook_id).items[::-1]]


def test_the_end_of_a_job_makes_one_message_whoever_looks_and_however_often(store: Store) -> None:
    before = running_job(store)
    store.set_job_state(before.id, "completed")
    secret, hook = store.create_webhook(URL, ENDS)
    assert not store.anything_to_deliver()
    job = running_job(store)
    store.set_job_state(job.id, "failed", "nan_loss: everywhere")
    assert store.anything_to_deliver()
    assert [store.collect_deliveries() for _ in range(3)] == [1, 0, 0]
    (told,) = bodies(store, hook.id)
    expected = {"id": job.id, "name": job.name, "project": "default", "state": "failed"}
    assert told["job"] == {**expected, "reason": "nan_loss: everywhere"}
    assert (told["event"], told["webhook"]) == ("job.failed", hook.id)
    (first,) = sent(store, 204)
    assert (first.url, first.secret, first.delivery.id) == (URL, secret, told["id"])
    assert store.claim_delivery(60) is None
    assert [one.state for one in store.deliveries(hook.id).items] == ["delivered"]
    assert not store.anything_to_deliver()


def test_it_is_told_of_its_job_or_project_and_of_what_it_asked_for_alone(store: Store) -> None:
    job, other = running_job(store), running_job(store)
    foreign = store.create_job("a", job.spec, project="vision")
    _, of_job = store.create_webhook(URL, ENDS, job_id=job.id)
    _, of_project = store.create_webhook(URL, ENDS, project="vision")
    _, of_all = store.create_webhook(URL, ["job.cancelled"])
    assert (of_job.project, of_project.job_id, of_all.project) == ("default", None, None)
    for id in (job.id, other.id, foreign.id):
        store.set_job_state(id, "cancelled")
    store.set_job_state(other.id, "queued")
    running = store.set_job_state(other.id, "running")
    store.set_job_state(running.id, "completed")
    store.collect_deliveries()
    told = {hook.id: [one["job"]["id"] for one in bodies(store, hook.id)] for hook in (of_job, of_project, of_all)}
    assert told[of_job.id] == [job.id]
    assert told[of_project.id] == [foreign.id]
    assert sorted(told[of_all.id]) == sorted([job.id, other.id, foreign.id])
    assert {hook.id for hook in store.list_webhooks("vision")} == {of_project.id}
    assert {hook.id for hook in store.list_webhooks(job_id=job.id)} == {of_job.id}
    with pytest.raises(NotFound):
        store.create_webhook(URL, ENDS, job_id="jnone")


def test_changes_of_a_front_are_told_of_together(store: Store, clock: ManualClock) -> None:
    job = running_job(store)
    _, hook = store.create_webhook(URL, ["front", "job.completed"], job_id=job.id)
    first = completed(store, job.id, 0.5, 100)
    assert store.collect_deliveries() == 1
    second = completed(store, job.id, 0.6, 90)  # puts the first one out
    third = completed(store, job.id, 0.7, 80)  # and that one the second
    clock.advance(FRONT_EVERY / 2)
    assert store.collect_deliveries() == 0
    clock.advance(FRONT_EVERY)
    assert store.collect_deliveries() == 1
    (_, told) = bodies(store, hook.id)
    assert told["front"] == {"joined": [third.id], "left": [first.id], "size": 1}
    assert second.id not in str(told["front"])
    clock.advance(1)
    last = completed(store, job.id, 0.8, 70)
    store.set_job_state(job.id, "completed")
    assert store.collect_deliveries() == 2  # the end waits for nothing, and the front comes with it
    assert [one["front"]["joined"] for one in bodies(store, hook.id) if "front" in one][-1] == [last.id]


def test_a_message_is_tried_again_with_growing_waits_and_then_given_up(store: Store, clock: ManualClock) -> None:
    job = running_job(store)
    _, hook = store.create_webhook(URL, ENDS)
    store.set_job_state(job.id, "cancelled")
    store.collect_deliveries()
    ids, waits = set(), []
    for _ in range(MOST_ATTEMPTS):
        (one,) = sent(store, 500)
        ids.add((one.delivery.id, one.delivery.body))
        assert store.claim_delivery(60) is None
        (kept,) = store.deliveries(hook.id).items
        if kept.next_at is not None:
            waits.append((kept.next_at - clock.now).total_seconds())
            clock.advance(waits[-1])
    assert (kept.state, kept.status, kept.attempts, len(ids)) == ("given_up", 500, MOST_ATTEMPTS, 1)
    assert waits[:3] == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT]
    clock.advance(1e6)
    assert store.claim_delivery(60) is None
    assert store.forget_deliveries(1e5, 10) == 1


def test_an_attempt_whose_process_died_is_made_again_under_the_same_id(store: Store, clock: ManualClock) -> None:
    job = running_job(store)
    _, hook = store.create_webhook(URL, ENDS)
    store.set_job_state(job.id, "cancelled")
    store.collect_deliveries()
    lost = store.claim_delivery(60)
    assert lost is not None
    assert store.claim_delivery(60) is None
    clock.advance(61)
    again = store.claim_delivery(60)
    assert again is not None
    assert (again.delivery.id, again.delivery.attempts) == (lost.delivery.id, 2)
    store.end_delivery(lost.delivery, 500, None)  # it comes late, and says nothing any more
    assert store.deliveries(hook.id).items[0].status is None
    store.end_delivery(again.delivery, 200, None)
    assert store.deliveries(hook.id).items[0].state == "delivered"


def test_a_clock_that_is_put_back_holds_no_message_up(store: Store, clock: ManualClock) -> None:
    job = running_job(store)
    store.create_webhook(URL, ENDS)
    store.set_job_state(job.id, "cancelled")
    clock.advance(1e6)
    store.collect_deliveries()
    clock.advance(-1e6)
    assert store.claim_delivery(60) is not None


def test_what_goes_takes_its_messages_along_and_pages_lose_none(store: Store) -> None:
    job = running_job(store)
    _, of_job = store.create_webhook(URL, ENDS, job_id=job.id)
    _, of_all = store.create_webhook(URL, ENDS)
    for _ in range(5):
        store.set_job_state(running_job(store).id, "cancelled")
    store.collect_deliveries()
    first = store.deliveries(of_all.id, limit=3)
    rest = store.deliveries(of_all.id, first.next_cursor, 3)
    assert (len({one.id for one in (*first.items, *rest.items)}), rest.next_cursor) == (5, None)
    store.delete_job(job.id)
    assert [hook.id for hook in store.list_webhooks()] == [of_all.id]
    store.delete_webhook(of_all.id)
    assert store.claim_delivery(60) is None
    for gone in (of_job, of_all):
        with pytest.raises(NotFound):
            store.get_webhook(gone.id)
    with pytest.raises(NotFound):
        store.delete_webhook(of_all.id)
