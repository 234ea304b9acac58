"""What an operator sees of the whole service: leases, counts, versions, database and disks; nobody else sees it."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient

from service.api.app import create_app
from service.store.nodes import GpuMemory, Node, ResourceUse
from service.store.records import NewTrial


def test_who_works_on_what_and_where_everything_lies(api: TestClient, store: Any, spec: dict[str, Any]) -> None:
    job = store.create_job("counted", spec)
    idle = api.get("/v1/system").json()
    assert (idle["conductors"], idle["workers"], idle["jobs"]) == ([], [], {"queued": 1})
    store.lease_job("conductor-1", 600)
    store.add_trials(job.id, [NewTrial({"method": "lora"}, "optimizer", seed=0) for _ in range(2)])
    trial = store.claim_trial(job.id, "worker-1", 600)
    found = api.get("/v1/system").json()
    assert [(one["holder"], one["target"]) for one in found["conductors"]] == [("conductor-1", job.id)]
    assert [(one["holder"], one["target"]) for one in found["workers"]] == [("worker-1", trial.id)]
    assert (found["trials"]["running"], found["trials"]["queued"]) == (1, 1)
    assert found["versions"]["peftsearch"] == found["version"]
    assert found["database"]["schema_revision"]
    assert {room["what"] for room in found["storage"]} == {"home", "artifacts"}
    assert all(0 < room["free_bytes"] <= room["total_bytes"] for room in found["storage"])


def test_a_lease_that_ran_out_is_nobodys(api: TestClient, store: Any, spec: dict[str, Any]) -> None:
    job = store.create_job("left", spec)
    store.lease_job("conductor-1", 0)
    store.add_trials(job.id, [NewTrial({"method": "lora"}, "optimizer", seed=0)])
    store.claim_trial(job.id, "worker-1", 0)
    found = api.get("/v1/system").json()
    assert (found["conductors"], found["workers"]) == ([], [])


def test_machines_are_shown_as_their_conductor_sees_them(api: TestClient, store: Any) -> None:
    assert api.get("/v1/system").json()["nodes"] == []
    node = Node("gpu-1", True, (ResourceUse("GPU", 0.5, 1.0),), (GpuMemory("H200", 3 << 30, 140 << 30),))
    store.tell_nodes("conductor-1", [node])
    (found,) = api.get("/v1/system").json()["nodes"]
    assert (found["conductor"], found["name"], found["alive"]) == ("conductor-1", "gpu-1", True)
    assert found["resources"] == [{"name": "GPU", "used": 0.5, "total": 1.0}]
    assert found["gpus"] == [{"name": "H200", "used": 3 << 30, "total": 140 << 30}]


def test_only_operators_see_it(settings: Any, store: Any, artifacts: Any) -> None:
    asking = settings.model_copy(update={"no_auth": False})
    reader, admin = (store.create_token(scope, [scope])[0] for scope in ("read", "admin"))
    with TestClient(create_app(asking, store, artifacts)) as guarded:
        ask = lambda secret: guarded.get("/v1/system", headers={"Authorization": f"Bearer {secret}"})  # noqa: E731
        assert (ask(reader).status_code, ask(admin).status_code) == (403, 200)
