"""The stages of a job over REST, from its data to what was exported."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.api.routes import exports
from workers.assignment import Outcome

Spec = dict[str, Any]


def test_the_stages_of_a_job_end_with_what_was_exported(
    api: TestClient, spec: Spec, worker: Any, store: Any, settings: Any
) -> None:
    id = api.post("/v1/jobs", json=spec).json()["id"]

    def stages() -> dict[str, Any]:
        return {one["name"]: one for one in api.get(f"/v1/jobs/{id}/stages").json()["items"]}

    assert list(stages()) == ["data", "base", "space", "search", "confirm", "refine", "export"]
    assert stages()["search"]["state"] == "ahead"
    worker.start(id)
    worker.suggest(id, 2)
    trial = store.claim_trial(id, "w", 60)
    told = {"data_sha256": "d" * 64, "base_sha256": "b" * 64}
    metrics = {"accuracy": 0.8, "trainable_params": 300.0}
    given = {"trial_id": trial.id, "attempt": trial.attempt, "environment": told, "metrics": metrics}
    store.finish_trial(Outcome(status="completed", **given))
    winner = worker.complete(id, 0.9, 400, adapter=True)
    store.set_job_state(id, "completed")
    assert stages()["export"]["state"] == stages()["refine"]["state"] == "not asked for"
    steps = [{"step": "compress", "keep": [0.5]}]
    body = {"name": "smaller", "kind": "refine", "source": {"job": id}, "steps": steps}
    refined = api.post("/v1/jobs", json=body)
    assert refined.status_code == 201, refined.text
    for _ in range(2):
        assert api.get(f"/v1/trials/{winner.id}/adapter").status_code == 200
    found = stages()
    states = ["done", "done", "done", "done", "not asked for", "running", "done"]
    assert [stage["state"] for stage in found.values()] == states
    products = {name: [(one["kind"], one["id"]) for one in stage["products"]] for name, stage in found.items()}
    assert products["data"] == [("rows", "d" * 64)]
    assert products["base"] == [("weights", "b" * 64)]
    assert products["search"] == [("front", None)]
    assert products["refine"] == [("refine job", refined.json()["id"])]
    assert products["export"] == [("adapter", winner.adapter)]
    assert found["space"]["products"][0]["text"].endswith("13 parameters, 4 of them continuous")
    paths = [one["path"] for stage in found.values() for one in stage["products"]]
    assert {api.get(path).status_code for path in paths} == {200}
    (export,) = store.exports(id)
    assert export.times == 3  # those above, and by its path
    assert [event.payload["trial"] for event in store.events_after(0, id) if event.kind == "job.export"] == [1] * 3
    other = {"Authorization": f"Bearer {store.create_token('other', ['read'], 'elsewhere')[0]}"}
    with TestClient(create_app(settings.model_copy(update={"no_auth": False}), store, worker.artifacts)) as guarded:
        assert guarded.get(f"/v1/jobs/{id}/stages", headers=other).status_code == 404


def test_an_adapter_that_was_not_taken_to_its_end_was_not_exported(
    api: TestClient, spec: Spec, worker: Any, store: Any, artifacts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = api.post("/v1/jobs", json=spec).json()["id"]
    worker.start(job_id)
    worker.suggest(job_id)
    trial = worker.complete(job_id, 0.9, 400, adapter=True)
    monkeypatch.setattr("service.api.routes.exports.CHUNK", 1000)
    begun = exports.get_adapter(trial.id, store, artifacts).body_iterator

    async def read(chunks: int) -> None:
        for _ in range(chunks):
            await anext(begun)  # type: ignore[call-overload]

    asyncio.run(read(2))
    assert store.exports(job_id) == ()


def test_a_job_whose_model_is_gone_still_tells_its_stages(api: TestClient, spec: Spec, store: Any) -> None:
    task = {**api.post("/v1/jobs", json=spec).json()["spec"]["task"], "model": "builtin:gone"}
    job = store.create_job("old", {**spec, "task": task})
    space = next(one for one in api.get(f"/v1/jobs/{job.id}/stages").json()["items"] if one["name"] == "space")
    assert (space["state"], space["products"][0]["text"]) == ("done", "as its spec says")
