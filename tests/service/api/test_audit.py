"""Who did what is recorded, and read by admins alone; tokens are rotated, expire, and may ask only so often."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.app import ROUTERS, create_app
from service.api.audit_trail import AuditTrail
from service.api.rate_limit import RateLimit
from service.errors import TooMany, Unavailable
from service.store.records import Deed
from service.store.store import utc_now
from tests.patience import wait_until

Spec = dict[str, Any]


@pytest.fixture
def guarded(settings: Any, store: Any, artifacts: Any) -> Iterator[TestClient]:
    """The app when it asks for tokens."""
    asking = settings.model_copy(update={"no_auth": False})
    with TestClient(create_app(asking, store, artifacts)) as client:
        yield client


def _bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def _made(store: Any, name: str, *scopes: str, **more: Any) -> dict[str, str]:
    return _bearer(store.create_token(name, scopes, **more)[0])


def test_every_operation_that_changes_something_is_recorded(guarded: TestClient, store: Any, spec: Spec) -> None:
    admin, ann, bot = _made(store, "root", "admin"), _made(store, "ann", "submit"), _made(store, "bot", "work")
    job = guarded.post("/v1/jobs", json={**spec, "resources": {"executor": "external"}}, headers=ann).json()["id"]
    store.lease_job("conductor", 60)
    assert guarded.post(f"/v1/jobs/{job}/ask", json={"worker_id": "w"}, headers=bot).status_code == 204
    guarded.get(f"/v1/jobs/{job}", headers=ann)
    assert guarded.post(f"/v1/jobs/{job}/cancel", headers=bot).status_code == 403
    assert guarded.post(f"/v1/jobs/{job}/cancel", headers=ann).status_code == 200
    assert guarded.delete(f"/v1/jobs/{job}", headers=ann).status_code == 204
    assert guarded.delete(f"/v1/jobs/{job}", headers=ann).status_code == 404  # nothing was done
    assert (
        guarded.post("/v1/predict/lora-lr", json={"hidden_size": 4096, "family": "llama"}, headers=ann).status_code
        == 200
    )
    made = guarded.post("/v1/tokens", json={"name": "new", "scopes": ["read"]}, headers=admin).json()
    guarded.delete(f"/v1/tokens/{made['id']}", headers=admin)
    entries = guarded.get("/v1/audit", headers=admin).json()["items"][::-1]
    assert [(one["who"], one["operation"], one["target"], one["status"]) for one in entries] == [
        ("ann", "POST /v1/jobs", f"/v1/jobs/{job}", 201),
        ("bot", "POST /v1/jobs/{job_id}/cancel", f"/v1/jobs/{job}/cancel", 403),
        ("ann", "POST /v1/jobs/{job_id}/cancel", f"/v1/jobs/{job}/cancel", 200),
        ("ann", "DELETE /v1/jobs/{job_id}", f"/v1/jobs/{job}", 204),
        ("root", "POST /v1/tokens", f"/v1/tokens/{made['id']}", 201),
        ("root", "DELETE /v1/tokens/{token_id}", f"/v1/tokens/{made['id']}", 200),
    ]
    assert made["secret"] not in str(entries)
    assert {one["address"] for one in entries} == {"testclient"}
    of_job = guarded.get("/v1/audit", params={"target": job, "token_name": "ann", "limit": 2}, headers=admin).json()
    assert [one["status"] for one in of_job["items"]] == [204, 200]
    rest = guarded.get(
        "/v1/audit",
        params={"target": job, "token_name": "ann", "cursor": of_job["next_cursor"]},
        headers=admin,
    ).json()
    assert ([one["status"] for one in rest["items"]], rest["next_cursor"]) == ([201], None)


def test_every_operation_that_needs_more_than_reading_is_recorded_by_its_scope(guarded: TestClient) -> None:
    """A new route joins the trail by its scope alone: none of those that change something may need only `read`."""
    asking = {"predict", "recommend", "expect", "fit", "parquet", "chat"}
    for path, operations in guarded.get("/v1/openapi.json").json()["paths"].items():
        for verb in operations.keys() & {"post", "put", "patch", "delete"}:
            needs = _needs(path, verb)
            assert (needs == "read") == (not asking.isdisjoint(path.split("/"))), (verb, path)


def _needs(path: str, verb: str) -> str:
    """The scope of a route; a router that asks for one asks before its routes do."""
    for router in ROUTERS:
        for route in router.routes:
            if f"/v1{getattr(route, 'path', '')}" == path and verb.upper() in getattr(route, "methods", ()):
                asked = [*getattr(route, "dependencies", ())]
                return str([one.dependency.scope for one in asked if hasattr(one.dependency, "scope")][-1])
    raise AssertionError(path)


def test_only_admins_read_the_trail(guarded: TestClient, store: Any) -> None:
    assert guarded.get("/v1/audit").status_code == 401
    for scope in ("read", "submit", "work"):
        assert guarded.get("/v1/audit", headers=_made(store, scope, scope)).status_code == 403


def test_what_workers_did_is_recorded_soon_after(guarded: TestClient, store: Any, spec: Spec, worker: Any) -> None:
    job = store.create_job("outside", {**spec, "kind": "search", "resources": {"executor": "external"}}).id
    worker.start(job)
    worker.suggest(job, 1)
    bot = _made(store, "bot", "work")
    asked = guarded.post(f"/v1/jobs/{job}/ask", json={"worker_id": "w"}, headers=bot).json()
    told = {"trial_id": asked["trial_id"], "attempt": 1, "status": "failed", "reason": "nan_loss: at step 3"}
    assert guarded.post(f"/v1/trials/{asked['trial_id']}/tell", json=told, headers=bot).status_code == 200
    entries = wait_until(lambda: len(found := store.audit_trail().items) >= 2 and found, "both are there", every=0.05)
    assert [entry.deed.operation.rpartition("/")[2] for entry in entries] == ["tell", "ask"]


def test_what_waits_is_written_at_the_end_and_survives_a_database_that_does_not_answer(store: Any) -> None:
    import asyncio

    class Shy:
        failures = 1

        def record_deeds(self, deeds: Any) -> None:
            if self.failures:
                self.failures -= 1
                raise Unavailable("not now")
            store.record_deeds(deeds)

    async def work() -> None:
        trail = AuditTrail(Shy(), utc_now)  # type: ignore[arg-type]
        for number in range(3):
            await trail.add(Deed(None, "bot", "default", None, "POST", str(number), 200), at_once=False)
        await trail._write()
        assert store.audit_trail().items == ()
        await trail.close()

    asyncio.run(work())
    assert [entry.deed.target for entry in store.audit_trail().items] == ["2", "1", "0"]


def test_old_entries_are_forgotten_and_numbers_never_given_out_again(store: Any) -> None:
    then = utc_now() - timedelta(days=400)
    deeds = [(then, Deed(None, "a", "default", None, "POST", "old", 200))]
    store.record_deeds([*deeds, (utc_now(), deeds[0][1])])
    assert store.forget_deeds(366 * 86400, 10) == 1
    assert [entry.sequence for entry in store.audit_trail().items] == [2]


def test_a_rotated_token_is_followed_by_one_that_may_do_the_same(guarded: TestClient, store: Any) -> None:
    admin = _made(store, "root", "admin")
    old, token = store.create_token("ci", ["submit"], project="vision", ttl=1000, rate=50)
    made = guarded.post(f"/v1/tokens/{token.id}/rotate", json={"overlap": 60}, headers=admin)
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    new = made.json()
    same = ("name", "project", "scopes", "rate")
    assert [new[name] for name in same] == ["ci", "vision", ["submit"], 50]
    assert new["secret"] != old
    for secret in (old, new["secret"]):
        assert guarded.get("/v1/jobs", headers=_bearer(secret)).status_code == 200
    left = (store.check_token(old).expires_at - utc_now()).total_seconds()
    assert 0 < left <= 60
    again = guarded.post(f"/v1/tokens/{new['id']}/rotate", json={}, headers=admin).json()
    assert guarded.get("/v1/jobs", headers=_bearer(new["secret"])).status_code == 401  # at once
    assert guarded.get("/v1/jobs", headers=_bearer(again["secret"])).status_code == 200
    assert guarded.post(f"/v1/tokens/{new['id']}/rotate", json={}, headers=admin).status_code == 409
    assert guarded.post("/v1/tokens/nobody/rotate", json={}, headers=admin).status_code == 404


def test_a_token_that_asks_too_often_is_told_when_to_come_again(guarded: TestClient, store: Any) -> None:
    eager, other = _made(store, "eager", "read", rate=0.5), _made(store, "other", "read")
    answers = [guarded.get("/v1/jobs", headers=eager) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 429, 429]
    assert answers[1].json()["type"] == "urn:peftsearch:problem:too-many"
    assert 1 <= int(answers[1].headers["retry-after"]) <= 2
    assert guarded.get("/v1/jobs", headers=other).status_code == 200
    assert guarded.get("/v1/healthz").status_code == 200


def test_the_bucket_fills_at_its_rate() -> None:
    now = [0.0]
    limit = RateLimit(10, lambda: now[0])
    for _ in range(20):
        limit.take("a", None)
    with pytest.raises(TooMany) as refused:
        limit.take("a", None)
    assert refused.value.wait == pytest.approx(0.1)
    now[0] = 0.1
    limit.take("a", None)
    with pytest.raises(TooMany):
        limit.take("a", None)
    for _ in range(1000):
        limit.take("free", 0)
    RateLimit(0).take("a", None)
