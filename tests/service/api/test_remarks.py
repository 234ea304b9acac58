"""Tags and notes over REST: said, found by, refused by field, kept from other projects, recorded."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.settings import Settings
from service.store.store import Store
from workers.artifacts import ArtifactStore

Spec = dict[str, Any]


def test_jobs_and_trials_are_tagged_noted_and_found(api: TestClient, spec: Spec, worker: Any) -> None:
    ids = [api.post("/v1/jobs", json={**spec, "name": name}).json()["id"] for name in ("warm", "cold")]
    job = api.patch(f"/v1/jobs/{ids[0]}", json={"tags": ["b", " a ", "b"], "note": "try rank 4\n"}).json()
    assert (job["tags"], job["note"]) == (["a", "b"], "try rank 4")
    before = api.get(f"/v1/jobs/{ids[0]}").headers["etag"]
    assert api.patch(f"/v1/jobs/{ids[0]}", json={"note": None}).json()["tags"] == ["a", "b"]
    after = api.get(f"/v1/jobs/{ids[0]}", headers={"If-None-Match": before})
    assert (after.status_code, after.json()["note"]) == (200, None)
    for asked, found in (
        ("tag=a&tag=b", 1),
        ("tag=a&tag=c", 0),
        ("text=COL", 1),
        ("state=queued", 2),
        ("state=failed", 0),
    ):
        assert len(api.get(f"/v1/jobs?{asked}").json()["items"]) == found, asked

    worker.suggest(ids[0], 3)
    trial = api.patch(f"/v1/trials/{ids[0]}-1", json={"tags": ["odd"], "note": "why?"}).json()
    assert (trial["tags"], trial["note"]) == (["odd"], "why?")
    assert [one["number"] for one in api.get(f"/v1/jobs/{ids[0]}/trials?tag=odd").json()["items"]] == [1]
    table = pa.ipc.open_stream(api.get(f"/v1/jobs/{ids[0]}/columns").content).read_all().to_pydict()
    assert table["tags"] == [None, '["odd"]', None]
    assert table["note"] == [None, "why?", None]


def test_what_is_no_remark_is_refused_by_field(api: TestClient, spec: Spec) -> None:
    id = api.post("/v1/jobs", json=spec).json()["id"]
    for body, field in (
        ({"tags": ["a,b"]}, "tags.0"),
        ({"tags": ["  "]}, "tags.0"),
        ({"tags": ["x" * 61]}, "tags.0"),
        ({"tags": ["x"] * 51}, "tags"),
        ({"note": "x" * 10_001}, "note"),
        ({"tag": ["x"]}, "tag"),
    ):
        refused = api.patch(f"/v1/jobs/{id}", json=body)
        assert (refused.status_code, [one["field"] for one in refused.json()["errors"]]) == (422, [field]), body
    assert api.get(f"/v1/jobs/{id}").json()["tags"] == []
    assert api.patch("/v1/jobs/jnone", json={"tags": []}).status_code == 404
    assert api.patch("/v1/trials/jnone-1", json={"tags": []}).status_code == 404


def test_only_who_may_submit_in_the_project_says_something(
    settings: Settings, store: Store, artifacts: ArtifactStore, spec: Spec
) -> None:
    api = TestClient(create_app(settings.model_copy(update={"no_auth": False}), store, artifacts))
    job = store.create_job("theirs", spec, project="vision")
    for scopes, project, status in (
        (["read"], "vision", 403),
        (["submit"], "speech", 404),
        (["submit"], "vision", 200),
    ):
        secret = store.create_token("someone", scopes, project)[0]
        said = api.patch(f"/v1/jobs/{job.id}", json={"tags": ["x"]}, headers={"Authorization": f"Bearer {secret}"})
        assert said.status_code == status, (scopes, project)
    (entry, _) = store.audit_trail().items  # the refusal for want of a scope is the other one
    assert (entry.deed.operation, entry.deed.project) == ("PATCH /v1/jobs/{job_id}", "vision")
