"""Webhooks over REST: who may add which, and what is shown of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app

URL = "https://hooks.example.com/x"
Spec = dict[str, Any]


@pytest.fixture
def guarded(settings: Any, store: Any, artifacts: Any) -> Iterator[TestClient]:
    """The app when it asks for tokens and may tell one host."""
    asking = settings.model_copy(update={"no_auth": False, "webhooks": "hooks.example.com"})
    with TestClient(create_app(asking, store, artifacts)) as client:
        yield client


def _bearer(store: Any, project: str, *scopes: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {store.create_token('test', scopes, project)[0]}"}


def test_a_job_has_webhooks_of_its_project(guarded: TestClient, store: Any, spec: Spec) -> None:
    own, other = _bearer(store, "alpha", "submit"), _bearer(store, "beta", "submit")
    reader = _bearer(store, "alpha", "read")
    job = guarded.post("/v1/jobs", json=spec, headers=own).json()["id"]
    body = {"url": URL, "job_id": job}
    assert guarded.post("/v1/webhooks", json=body, headers=reader).status_code == 403
    assert guarded.post("/v1/webhooks", json=body, headers=other).status_code == 404
    made = guarded.post("/v1/webhooks", json=body, headers=own)
    assert (made.status_code, made.json()["events"]) == (201, ["job.cancelled", "job.completed", "job.failed"])
    assert made.headers["location"] == f"/v1/webhooks/{made.json()['id']}"
    assert made.headers["cache-control"] == "no-store"
    secret = made.json()["secret"]
    guarded.post(f"/v1/jobs/{job}/cancel", headers=own)
    store.collect_deliveries()
    listed = guarded.get("/v1/webhooks", params={"job_id": job}, headers=reader)
    told = guarded.get(f"/v1/webhooks/{made.json()['id']}/deliveries", headers=reader)
    assert [one["id"] for one in listed.json()["items"]] == [made.json()["id"]]
    assert [(one["state"], one["body"]["job"]["state"]) for one in told.json()["items"]] == [("pending", "cancelled")]
    assert secret not in listed.text + told.text
    assert guarded.get("/v1/webhooks", headers=other).json()["items"] == []
    assert guarded.delete(f"/v1/webhooks/{made.json()['id']}", headers=other).status_code == 404
    assert guarded.delete(f"/v1/webhooks/{made.json()['id']}", headers=own).status_code == 204
    assert guarded.get(f"/v1/webhooks/{made.json()['id']}/deliveries", headers=own).status_code == 404


def test_only_operators_are_told_of_everything(guarded: TestClient, store: Any) -> None:
    admin, submit = _bearer(store, "default", "admin"), _bearer(store, "alpha", "submit")
    for body in ({"url": URL}, {"url": URL, "project": "alpha"}):
        assert guarded.post("/v1/webhooks", json=body, headers=submit).status_code == 403
        assert guarded.post("/v1/webhooks", json=body, headers=admin).status_code == 201
    assert len(guarded.get("/v1/webhooks", headers=admin).json()["items"]) == 2
    assert [one["project"] for one in guarded.get("/v1/webhooks", headers=submit).json()["items"]] == ["alpha"]
    both = {"url": URL, "project": "alpha", "job_id": "j"}
    assert guarded.post("/v1/webhooks", json=both, headers=admin).status_code == 422


@pytest.mark.parametrize(
    "url", ["https://evil.example.com/", "https://10.0.0.1/", "https://u:p@hooks.example.com/", "x"]
)
def test_an_address_that_nobody_allowed_is_refused_by_name(guarded: TestClient, store: Any, url: str) -> None:
    answer = guarded.post("/v1/webhooks", json={"url": url}, headers=_bearer(store, "default", "admin"))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "url")


@pytest.mark.parametrize("project", ["", " ", "a/b", "x" * 65])
def test_a_project_that_nobody_can_have_is_refused_by_name(guarded: TestClient, store: Any, project: str) -> None:
    headers = _bearer(store, "default", "admin")
    answer = guarded.post("/v1/webhooks", json={"url": URL, "project": project}, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "project")
    assert store.list_webhooks() == ()


def test_where_they_are_switched_off_that_is_said(api: TestClient) -> None:
    answer = api.post("/v1/webhooks", json={"url": URL})
    assert answer.status_code == 422
    assert "switched off" in answer.text
