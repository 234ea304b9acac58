"""Events over a real connection: complete, resumable, live, kept alive, ended."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.api.event_feed import INTERVAL
from tests.patience import at_rest, wait_until

Spec = dict[str, Any]


def _read(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """The events of a stream; a heartbeat is an event of kind `heartbeat`."""
    event: dict[str, Any] = {}
    for line in response.iter_lines():
        if line.startswith(":"):
            yield {"event": "heartbeat"}
        elif line:
            name, _, value = line.partition(": ")
            event[name] = value
        elif event:
            yield event
            event = {}


def _submit(client: httpx.Client, spec: Spec) -> str:
    response = client.post("/v1/jobs", json=spec)
    assert response.status_code == 201, response.text
    job_id: str = response.json()["id"]
    return job_id


def test_a_stream_tells_everything_from_the_start_and_resumes(
    served: httpx.Client, spec: Spec, worker: Any, store: Any
) -> None:
    job_id = _submit(served, spec)
    worker.start(job_id)
    worker.suggest(job_id, 2)
    worker.complete(job_id, 0.7, 300)
    served.post(f"/v1/jobs/{job_id}/cancel")
    stored = store.events_after(0, job_id)
    path = f"/v1/jobs/{job_id}/events?until_over=true"
    with served.stream("GET", path) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = list(_read(response))
    assert [int(event["id"]) for event in events[:-1]] == [event.sequence for event in stored]
    assert [event["event"] for event in events] == [*(event.kind for event in stored), "end"]
    assert json.loads(events[0]["data"])["job_id"] == job_id
    with served.stream("GET", path, headers={"Last-Event-ID": events[2]["id"]}) as response:
        assert list(_read(response)) == events[3:]


def test_a_stream_can_begin_with_the_newest_events(served: httpx.Client, spec: Spec, worker: Any, store: Any) -> None:
    job_id = _submit(served, spec)
    other = _submit(served, {**spec, "name": "other"})
    worker.start(job_id)
    worker.suggest(job_id, 3)
    for id in (job_id, other):
        served.post(f"/v1/jobs/{id}/cancel")
    sequences = [event.sequence for event in store.events_after(0, job_id)]

    def told(query: str, after: int = 0) -> list[int]:
        path = f"/v1/jobs/{job_id}/events?until_over=true&{query}"
        with served.stream("GET", path, headers={"Last-Event-ID": str(after)} if after else {}) as response:
            return [int(event["id"]) for event in list(_read(response))[:-1]]

    assert told("recent=2") == sequences[-2:]
    assert told("recent=0") == []
    assert told("recent=1000") == sequences
    assert told("recent=2", after=sequences[1]) == sequences[2:]


def test_new_events_arrive_while_the_stream_is_open(served: httpx.Client, spec: Spec, worker: Any) -> None:
    job_id = _submit(served, spec)
    with served.stream("GET", f"/v1/jobs/{job_id}/events") as response:
        events = _read(response)
        assert next(events)["event"] == "job.state"
        threading.Timer(0.3, worker.start, (job_id,)).start()
        # were it not for the change, a heartbeat would be next
        assert json.loads(next(events)["data"])["state"] == "running"
        worker.suggest(job_id, 1)
        assert next(events)["event"] == "trial.queued"


@pytest.mark.slow
def test_many_streams_share_one_look_at_the_store(store: Any, served: httpx.Client, spec: Spec) -> None:
    job_id = _submit(served, spec)
    looks: list[float] = []
    original = store.events_after

    def counted(sequence: int, job: str | None = None, limit: int = 500) -> Any:
        if job is None:
            looks.append(time.monotonic())
        return original(sequence, job, limit)

    store.events_after = counted
    with (
        served.stream("GET", f"/v1/jobs/{job_id}/events") as one,
        served.stream("GET", f"/v1/jobs/{job_id}/events") as two,
    ):
        readers = [_read(one), _read(two)]
        assert [next(reader)["event"] for reader in readers] == ["job.state", "job.state"]
        wait_until(lambda: len(looks) >= 6, "looks at the store", every=0.05)
        # One look each interval, not one for each stream: however busy the machine, pauses only grow.
        assert min(later - look for look, later in pairwise(looks)) > 0.9 * INTERVAL
    at_rest(lambda: len(looks), "looking", every=0.8)  # nobody listens, nobody looks


def test_a_quiet_stream_is_kept_alive(app: FastAPI, served: httpx.Client, spec: Spec) -> None:
    assert app.state.surroundings.feed.heartbeat == 15
    app.state.surroundings.feed.heartbeat = 0.3
    job_id = _submit(served, spec)
    with served.stream("GET", f"/v1/jobs/{job_id}/events") as response:
        events = _read(response)
        assert next(events)["event"] == "job.state"
        assert next(events)["event"] == "heartbeat"


def test_a_deleted_job_ends_its_stream(app: FastAPI, served: httpx.Client, spec: Spec) -> None:
    app.state.surroundings.feed.heartbeat = 0.3
    job_id = _submit(served, spec)
    with served.stream("GET", f"/v1/jobs/{job_id}/events?until_over=true") as response:
        events = _read(response)
        next(events)
        served.delete(f"/v1/jobs/{job_id}")
        assert next(event for event in events if event["event"] != "heartbeat")["event"] == "end"


def test_a_bad_event_id_is_refused(served: httpx.Client, spec: Spec) -> None:
    job_id = _submit(served, spec)
    response = served.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": "abc"})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "last-event-id"
