"""Costly answers over REST: shared, cancelled with their request, streamed with their progress; and compression."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import random
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.jobs.search import queries
from service.store.records import NewTrial
from service.store.store import Store
from tests.patience import PATIENCE_S

Spec = dict[str, Any]


@pytest.fixture
def big(api: TestClient, spec: Spec, worker: Any) -> str:
    """A job over every method, with thirty completed trials."""
    from service.jobs.search.problem import build_problem
    from service.jobs.search.spec import JobSpec

    created = api.post(
        "/v1/jobs", json=spec | {"space": spec["space"] | {"preset": "methods"}, "budget": {"trials": 50, "epochs": 1}}
    )
    assert created.status_code == 201, created.text
    id: str = created.json()["id"]
    worker.start(id)
    space = build_problem(JobSpec.model_validate(created.json()["spec"])).space
    configs = space.sample(30, np.random.default_rng(0))
    worker.store.add_trials(id, [NewTrial(config, "optimizer", 1) for config in configs])
    for number in range(30):
        worker.complete(id, 0.5 + number / 100, 1000.0)
    return id


@pytest.mark.slow
def test_importance_over_every_method_stays_small(api: TestClient, big: str) -> None:
    """431 parameters at 32 places each made a covariance of 13,856²: 17 GB, which killed the service."""
    response = api.get(f"/v1/jobs/{big}/importance")
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["trials"] == 30
    assert len(answer["items"]) > 400
    assert "method" in [one["parameter"] for one in answer["items"][:5]]


@pytest.mark.slow
def test_progress_comes_before_the_answer(api: TestClient, big: str) -> None:
    with api.stream("GET", f"/v1/jobs/{big}/importance", headers={"Accept": "text/event-stream"}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [block.split("\n") for block in "".join(response.iter_text()).strip().split("\n\n")]
    assert {kind for kind, _ in events[:-1]} == {"event: progress"}
    assert "waiting for a free process" in events[0][1]
    assert events[-1][0] == "event: answer"
    assert len(json.loads(events[-1][1].removeprefix("data: "))["items"]) > 400
    stream = {"Accept": "text/event-stream"}
    refused = api.get(f"/v1/jobs/{big}/importance", params={"metric": "colour"}, headers=stream).text
    assert '"field":"metric"' in refused.rpartition("event: problem")[2]


def test_a_law_that_nothing_determines_is_refused(api: TestClient) -> None:
    sizes = [(10.0**p, 10.0**t) for p in (3, 5, 7) for t in (2, 6)]
    rows = [
        {
            "parameters": p,
            "tokens": t,
            "learning_rate": 10.0 ** -(n % 7),
            "batch": 2.0 ** (n % 5),
            "loss": 1e-300 * (n + 1),
        }
        for p, t in sizes
        for n in range(8)
    ]
    for path, body in (("/v1/predict/fit-law", {"rows": rows}), ("/v1/laws", {"rows": rows, "name": "x"})):
        assert api.post(path, json=body).status_code in {200, 201, 422}
    assert api.post("/v1/predict/fit-law", json={"rows": []}).status_code == 422


def _mixtures(rows: int, domains: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(domains), rows)
    names = [f"d{n}" for n in range(domains)]
    return {
        "rows": [
            {"weights": dict(zip(names, map(float, one), strict=True)), "losses": {"l": float(2 + one[0] ** 2)}}
            for one in weights
        ]
    }


def test_while_no_answer_can_be_had_nobody_works_on_questions(
    api: TestClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is refused anyway is not read first: it is the event loop's time, and everybody's."""
    assert api.post("/v1/mixtures/fit", json={"rows": 1}).status_code == 422
    monkeypatch.setattr(app.state.surroundings.pool, "_waiting", -100)
    for path in ("/v1/mixtures/fit", "/v1/predict/fit-law", "/v1/laws", "/v1/recommend"):
        refused = api.post(path, json={"rows": 1})
        assert refused.status_code == 503, path
        assert refused.headers["retry-after"]


@pytest.mark.slow
def test_others_are_answered_while_costly_ones_are_computed_and_these_end_with_their_callers(
    served: httpx.Client, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """45 fits of 2,000 mixtures took 50 s each and 9.8 GB together, and the API with them."""
    pool, path = app.state.surroundings.pool, "/v1/mixtures/fit"
    monkeypatch.setattr(pool, "_waiting", 1)
    rooms = pool._size + 1
    bodies = [json.dumps(_mixtures(2000, 5, seed)).encode() for seed in range(rooms + 5)]

    async def ask_and_leave() -> list[int]:
        """Leave when as many as find no room have been answered: with what."""
        headers = {"Content-Type": "application/json"}
        async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient(base_url=served.base_url, timeout=None) as many:
            asking = [asyncio.create_task(many.post(path, content=body, headers=headers)) for body in bodies]
            answered: list[int] = []
            while len(answered) < len(bodies) - rooms:
                # What is tested: computed by the API itself, these had held it up for minutes.
                assert (await many.get("/v1/healthz", timeout=60)).status_code == 200
                await asyncio.sleep(0.1)
                answered = [task.result().status_code for task in asking if task.done()]
            for task in asking:
                task.cancel()
            await asyncio.wait(asking)
            return answered

    answered = asyncio.run(ask_and_leave())
    assert 503 in answered
    assert set(answered) <= {200, 503}
    # All who asked have gone: the next question is not kept waiting by theirs, which nobody computes any more.
    response = served.post(path, json=_mixtures(12, 2, 99))
    assert pool.computed == answered.count(200) + 1
    assert response.status_code == 200, response.text


def test_the_best_is_found_whatever_it_is_asked_by(api: TestClient, spec: Spec, worker: Any, store: Store) -> None:
    id = api.post("/v1/jobs", json=spec).json()["id"]
    worker.start(id)
    worker.suggest(id, 9)
    for number, accuracy in enumerate([0.5, 0.9, 0.7, 0.9, 0.8, 0.6, 0.9, 0.4]):
        worker.complete(id, accuracy, 100.0 * (number + 1))

    def best(**query: Any) -> int:
        response = api.get(f"/v1/jobs/{id}/best", params=query)
        assert response.status_code == 200, response.text
        number: int = response.json()["trial"]["number"]
        return number

    assert best() == 1  # of three with 0.9 the one with the fewest parameters
    assert best(minimize="trainable_params") == 0
    assert best(minimize="accuracy") == 7
    assert best(where="trainable_params>=300") == 3
    assert best(where="rank!=2") == 3
    assert best(where=["rank>3", "accuracy<0.9", "trainable_params!=500"]) == 5
    assert best(where="targets==qv") == 1
    for where, status in (("rank>20", 404), ("accuracy>0.95", 404), ("colour==red", 422), ("bias==none", 422)):
        assert api.get(f"/v1/jobs/{id}/best", params={"where": where}).status_code == status, where
    assert store.newest_completed(id, 3)[0].number == 5


def test_the_best_under_clauses_is_that_of_all_trials_though_the_front_alone_is_looked_at(
    api: TestClient, spec: Spec, worker: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = api.post("/v1/jobs", json=spec).json()["id"]
    worker.start(id)
    worker.suggest(id, 40)
    rng = random.Random(5)
    for _ in range(40):
        worker.complete(id, rng.choice([0.5, 0.6, 0.7, 0.8, 0.9]), 100.0 * rng.randint(1, 9))
    trials = store.newest_completed(id, 40)
    looks: list[bool] = []
    first = queries._first
    monkeypatch.setattr(
        queries, "_first", lambda *given, front_only: looks.append(front_only) or first(*given, front_only=front_only)
    )
    for params, accuracy in itertools.product(("<=300", "<800", ">=300"), (">=0.6", ">0.7", "<0.8")):
        clauses = [f"trainable_params{params}", f"accuracy{accuracy}"]
        let_in = [one for one in trials if all(queries.parse_clause(text).holds(one) for text in clauses)]
        expected = min(let_in, key=lambda one: (-one.metrics["accuracy"], one.metrics["trainable_params"], one.number))
        looks.clear()
        assert queries.best(store, id, None, None, clauses).trial.id == expected.id, clauses
        assert looks == [params[0] == "<" and accuracy[0] == ">"], clauses


def test_large_answers_are_compressed_and_streams_are_not(api: TestClient, spec: Spec, worker: Any) -> None:
    id = api.post("/v1/jobs", json=spec).json()["id"]
    worker.start(id)
    worker.suggest(id, 50)
    with api.stream("GET", f"/v1/jobs/{id}/trials", headers={"Accept-Encoding": "gzip"}) as response:
        raw = b"".join(response.iter_raw())
    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["etag"].startswith("W/")
    plain = gzip.decompress(raw)
    assert len(json.loads(plain)["items"]) == 50
    assert len(raw) < len(plain) / 3
    assert "content-encoding" not in api.get("/v1/healthz", headers={"Accept-Encoding": "gzip"}).headers
    api.post(f"/v1/jobs/{id}/cancel")
    events = api.get(f"/v1/jobs/{id}/events", params={"until_over": True}, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in events.headers
    assert len(events.content) > 1000
