"""A token sees its own project alone: over every operation of the API, and in everything that lists or learns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.store.store import Store
from workers.assignment import Outcome, Report

Spec = dict[str, Any]
SECRET = "alpha-secret-name"
LAW = "alpha-law"
WITHOUT_PROJECT = {
    "/v1/spaces",
    "/v1/methods",
    "/v1/strategies",
    "/v1/metrics",
    "/v1/tasks",
    "/v1/optimizers",
    "/v1/schedulers",
    "/v1/healthz",
    "/v1/readyz",
    "/v1/mixtures/fit",
    "/v1/predict/power",
    "/v1/predict/critical-batch",
    "/v1/predict/parallel-layout",
    "/v1/predict/lora-lr",
    "/v1/predict/lora-params",
    "/v1/predict/fit-law",
    "/v1/predict/loss-curve",
}
"""Answers that follow from the question alone, or from what is installed. A new operation is not among them unless it
is written down here."""
OF_PROJECTS = {
    "/v1/jobs",
    "/v1/courses",
    "/v1/checks",
    "/v1/uploads",
    "/v1/laws",
    "/v1/recommend",
    "/v1/webhooks",
    "/v1/predict/step-law",
    "/v1/predict/law",
    "/metrics",
}
OPERATORS = {"/v1/audit", "/v1/system", "/v1/tokens/{token_id}/rotate", "/v1/tokens", "/v1/tokens/{token_id}"}


@pytest.fixture
def guarded(settings: Any, store: Any, artifacts: Any) -> Iterator[TestClient]:
    """The app when it asks for tokens."""
    asking = settings.model_copy(update={"no_auth": False})
    with TestClient(create_app(asking, store, artifacts)) as client:
        yield client


def _bearer(store: Store, project: str, *scopes: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {store.create_token(project, scopes, project)[0]}"}


@pytest.fixture
def alpha(guarded: TestClient, store: Store, spec: Spec, worker: Any) -> dict[str, str]:
    """A job of the project `alpha` with a completed, a running and a queued trial, and a law."""
    header = _bearer(store, "alpha", "submit", "work")
    body = spec | {"name": SECRET, "resources": {"executor": "external"}}
    created = guarded.post("/v1/jobs", json=body, headers=header | {"Idempotency-Key": "same"})
    assert created.status_code == 201, created.text
    job = created.json()["id"]
    worker.start(job)
    worker.suggest(job, 8)
    trial = worker.complete(job, 0.9, 10, adapter=True)
    for number in range(5):
        worker.complete(job, 0.5 + number / 20, 20)
    worker.store.claim_trial(job, "w", 60)
    store.add_answer("law", LAW, {"law": {}}, project="alpha")
    _, webhook = store.create_webhook("https://hooks.example.com/", ["front"], job_id=job)
    return {"job_id": job, "trial_id": trial.id, "name": LAW, "webhook_id": webhook.id}


def _state(store: Store, job: str) -> Any:
    return store.get_job(job), store.list_webhooks(job_id=job), store.searched_trials(job), store.events_after(0, job)


def _required(operation: dict[str, Any]) -> set[str]:
    """What its query cannot leave out: without it, an operation would be refused before it looks at anything."""
    return {
        one["name"] for one in operation.get("parameters", []) if one["in"] == "query" and one.get("required", False)
    }


def test_no_operation_shows_or_changes_what_is_anothers(
    guarded: TestClient, store: Store, alpha: dict[str, str]
) -> None:
    beta = _bearer(store, "beta", "submit", "work")
    before = _state(store, alpha["job_id"])
    operations = [
        (verb, path, _required(told))
        for path, verbs in guarded.get("/v1/openapi.json").json()["paths"].items()
        for verb, told in verbs.items()
    ]
    assert len(operations) > 50
    named = asked = 0
    for verb, path, required in operations:
        query = {"job": alpha["job_id"]} if "job" in required else {}
        asked += len(query)
        filled = str(httpx.URL(path.format(**alpha, token_id="t1")).copy_merge_params(query))
        body = {"content": json.dumps({"worker_id": "w"}), "headers": beta | {"Content-Type": "application/json"}}
        response = guarded.request(verb, filled, **(body if verb in {"post", "patch", "put"} else {"headers": beta}))
        where = f"{verb} {path}: {response.status_code} {response.text[:200]}"
        if path in OPERATORS:
            assert response.status_code == 403, where
        elif "{" in path:
            named += 1
            assert response.status_code == 404, where
        elif path not in WITHOUT_PROJECT:
            assert SECRET not in response.text, where
            assert LAW not in response.text, where
            assert alpha["job_id"] not in response.text, where
            assert path in OF_PROJECTS, where
            assert response.is_success or not query, where
    assert named > 20
    assert asked > 0
    assert _state(store, alpha["job_id"]) == before


def test_lists_laws_and_numbers_are_of_the_own_project(
    guarded: TestClient, store: Store, alpha: dict[str, str], spec: Spec
) -> None:
    own, beta, admin = (
        _bearer(store, project, *scopes)
        for project, scopes in (("alpha", ("read",)), ("beta", ("submit",)), ("default", ("admin",)))
    )
    assert [job["name"] for job in guarded.get("/v1/jobs", headers=own).json()["items"]] == [SECRET]
    assert guarded.get("/v1/jobs", headers=beta).json() == {"items": [], "next_cursor": None}
    assert [job["project"] for job in guarded.get("/v1/jobs", headers=admin).json()["items"]] == ["alpha"]
    assert guarded.get(f"/v1/jobs/{alpha['job_id']}", headers=own).status_code == 200
    assert guarded.get(f"/v1/trials/{alpha['trial_id']}/adapter", headers=own).status_code == 200
    assert guarded.get(f"/v1/trials/{alpha['trial_id']}/adapter", headers=admin).status_code == 200
    for header, count in ((own, 1), (beta, 0), (admin, 1)):
        assert len(guarded.get("/v1/laws", headers=header).json()["items"]) == count
        assert guarded.get(f"/v1/laws/{LAW}", headers=header).status_code == (200 if count else 404)
        question = {"law": LAW, "parameters": 1e8, "tokens": 1e9}
        refused = guarded.post("/v1/predict/step-law", json=question, headers=beta)
        assert refused.status_code == 404
        text = guarded.get("/metrics", headers=header).text
        assert f'peftsearch_trials{{state="completed"}} {6.0 * count}' in text
    # The same key and the same name make a job and a law of their own.
    created = guarded.post("/v1/jobs", json=spec | {"name": "b"}, headers=beta | {"Idempotency-Key": "same"})
    assert (created.status_code, created.json()["project"]) == (201, "beta")
    assert store.add_answer("law", LAW, {"law": {}}, project="beta").version == 1
    assert len(guarded.get("/v1/laws", headers=admin).json()["items"]) == 2


def test_a_cursor_of_another_project_leads_nowhere_else(guarded: TestClient, store: Store, spec: Spec) -> None:
    headers = {name: _bearer(store, name, "submit") for name in ("alpha", "beta")}
    for number in range(3):
        for name, header in headers.items():
            guarded.post("/v1/jobs", json=spec | {"name": f"{name}-{number}"}, headers=header)
    cursor = guarded.get("/v1/jobs?limit=1", headers=headers["alpha"]).json()["next_cursor"]
    page = guarded.get("/v1/jobs", params={"cursor": cursor}, headers=headers["beta"]).json()["items"]
    assert {job["project"] for job in page} == {"beta"}
    page = guarded.get("/v1/jobs", params={"cursor": cursor}, headers=headers["alpha"]).json()["items"]
    assert [job["name"] for job in page] == ["alpha-1", "alpha-0"]


def test_the_past_of_another_project_teaches_nothing(guarded: TestClient, store: Store, alpha: dict[str, str]) -> None:
    question = {"rows": 40, "max_length": 16}
    seen = {
        project: guarded.post("/v1/recommend", json=question, headers=_bearer(store, project, "read")).json()
        for project in ("alpha", "beta")
    }
    assert (seen["alpha"]["jobs"], seen["beta"]["jobs"]) == (1, 0)
    assert alpha["trial_id"] in json.dumps(seen["alpha"])


def test_the_winners_of_another_project_are_no_source(guarded: TestClient, store: Store, alpha: dict[str, str]) -> None:
    refine = {"name": "small", "kind": "refine", "steps": [{"step": "compress", "keep": [0.5], "scales": [1]}]}
    headers = {project: _bearer(store, project, "submit") for project in ("alpha", "beta")}

    def problems(project: str, source: Spec) -> dict[str, str]:
        told = guarded.post("/v1/checks", json={**refine, "source": source}, headers=headers[project]).json()
        return {one["field"]: one["allowed"] for one in told["problems"]}

    for field, theirs, nobodys in (
        ("source.job", {"job": alpha["job_id"]}, {"job": "jnone"}),
        ("source.trials.0", {"trials": [alpha["trial_id"]]}, {"trials": ["jnone-0"]}),
    ):
        assert problems("beta", theirs) == problems("beta", nobodys)
        assert field in problems("beta", theirs)
        assert field not in problems("alpha", theirs)
        refused = guarded.post("/v1/jobs", json={**refine, "source": theirs}, headers=headers["beta"])
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)
    assert guarded.get("/v1/jobs", headers=headers["beta"]).json()["items"] == []
    operator = _bearer(store, "beta", "admin")  # for whom all jobs exist
    created = guarded.post("/v1/jobs", json={**refine, "source": {"job": alpha["job_id"]}}, headers=operator)
    assert (created.status_code, created.json().get("project")) == (201, "beta"), created.text


def test_a_law_of_another_project_answers_nobody_else(guarded: TestClient, store: Store) -> None:
    rows = [
        {"parameters": n, "tokens": d, "learning_rate": 1e-3 * 2.0**rate, "batch": 16 * 2.0**batch, "loss": loss}
        for n in (1e5, 4e5)
        for d in (1e6, 4e6)
        for rate in (-2, -1, 0, 1, 2)
        for batch in (-2, -1, 0, 1, 2)
        for loss in (2 + 0.02 * rate**2 + 0.01 * batch**2,)
    ]
    headers = {project: _bearer(store, project, "submit") for project in ("alpha", "beta")}
    kept = guarded.post("/v1/laws", json={"name": LAW, "rows": rows}, headers=headers["alpha"])
    assert kept.status_code == 201, kept.text
    asked = {"parameters": 2e5, "tokens": 2e6}  # where it was measured: without a name it would be the one to answer
    standings = {
        project: guarded.get("/v1/predict/step-law", params=asked, headers=header).json()["standing"]
        for project, header in headers.items()
    }
    assert standings == {"alpha": "fitted", "beta": "published"}


def test_the_costs_of_another_project_are_not_told(
    guarded: TestClient, store: Store, alpha: dict[str, str], spec: Spec
) -> None:
    claimed = store.claim_trial(alpha["job_id"], "timed", 60)
    assert claimed is not None
    given = {"trial_id": claimed.id, "attempt": claimed.attempt}
    store.add_report(Report(**given, step=5, epoch=1, metrics={"accuracy": 0.5}, seconds=2))
    metrics = {"accuracy": 0.5, "trainable_params": 10.0, "train_seconds": 2.0}
    store.finish_trial(Outcome(**given, status="completed", metrics=metrics))
    costs = {
        project: guarded.post("/v1/checks", json=spec, headers=_bearer(store, project, "submit")).json()["cost"]
        for project in ("alpha", "beta")
    }
    assert costs["alpha"]["jobs"] == [alpha["job_id"]]
    assert costs["beta"] is None


def test_tokens_are_made_for_a_project(guarded: TestClient, store: Store) -> None:
    admin = _bearer(store, "default", "admin")
    made = guarded.post("/v1/tokens", json={"name": "x", "scopes": ["read"], "project": "vision"}, headers=admin)
    assert made.json()["project"] == "vision"
    assert store.check_token(made.json()["secret"]).project == "vision"
    for project in ("", "../x", "a b", "x" * 65, "a\x00"):
        refused = guarded.post("/v1/tokens", json={"name": "x", "scopes": ["read"], "project": project}, headers=admin)
        assert refused.json()["errors"][0]["field"] == "project", project
