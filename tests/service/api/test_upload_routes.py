"""Data sent to the service: stored by its content, read by jobs of its project alone, bounded, and cleaned up."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.api.body_limit import LARGER
from service.conductor.garbage import KEEP_UPLOADS
from service.jobs import uploads
from service.settings import Settings
from service.store.store import Store
from workers.artifacts import ArtifactStore

Spec = dict[str, Any]
CONTENT = "text,label\n" + "".join(f"sentence {number},{number % 2}\n" for number in range(40))


def send(api: TestClient, content: str = CONTENT, name: str = "mine.csv", **headers: str) -> Any:
    return api.post("/v1/uploads", params={"name": name}, content=content.encode(), headers=headers)


def naming(spec: Spec, path: str) -> Spec:
    return {**spec, "task": {**spec["task"], "train": path}}


def test_a_file_that_was_sent_is_data_of_a_job(api: TestClient, spec: Spec, settings: Settings) -> None:
    sent = send(api)
    assert sent.status_code == 201, sent.json()
    path = sent.json()["path"]
    assert (send(api).json(), path.endswith("/mine.csv")) == (sent.json(), True)
    checked = api.post("/v1/checks", json=naming(spec, path)).json()
    assert (checked["problems"], checked["splits"][0]["rows"]) == ([], 30)
    job = api.post("/v1/jobs", json=naming(spec, path)).json()
    assert settings.uploads is not None
    assert job["spec"]["task"]["train"] == str((settings.uploads / "default" / path).resolve())
    assert api.post(f"/v1/jobs/{job['id']}/extend", json={"trials": 2}).status_code == 200
    assert api.post(f"/v1/jobs/{job['id']}/clone", json={"name": "again"}).status_code == 201
    assert not list((settings.uploads / "default").glob(f"{uploads.PARTIAL}*"))


@pytest.mark.parametrize("name", ["../x.csv", "a/b.csv", "x.exe", ".csv", "x", "x.py", "a\\b.csv"])
def test_other_names_are_refused(api: TestClient, settings: Settings, name: str) -> None:
    refused = send(api, name=name)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "name")
    assert settings.uploads is not None
    assert not settings.uploads.exists()


def test_nothing_and_too_much_are_refused_and_leave_nothing(
    api: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert send(api, "").status_code == 422
    monkeypatch.setitem(LARGER, "/v1/uploads", 100)
    assert send(api).status_code == 413
    assert api.post("/v1/uploads?name=x.csv", content=iter([b"x" * 80, b"x" * 80])).status_code == 413
    monkeypatch.setattr("service.api.routes.uploads.MOST_OF_PROJECT", 0)
    assert send(api, "a").status_code == 409
    assert settings.uploads is not None
    assert [path for path in settings.uploads.rglob("*") if path.is_file()] == []


def test_no_other_project_reads_it(settings: Settings, store: Store, artifacts: ArtifactStore, spec: Spec) -> None:
    asking = TestClient(create_app(settings.model_copy(update={"no_auth": False}), store, artifacts))
    ours, theirs = (
        {"Authorization": f"Bearer {store.create_token(project, ['submit'], project)[0]}"}
        for project in ("vision", "audio")
    )
    path = send(asking, **ours).json()["path"]
    assert asking.post("/v1/jobs", json=naming(spec, path), headers=ours).status_code == 201
    assert settings.uploads is not None
    for written in (path, str(settings.uploads / "vision" / path)):
        refused = asking.post("/v1/jobs", json=naming(spec, written), headers=theirs)
        assert [one["field"] for one in refused.json()["errors"]] == ["task.train"]
    reader = {"Authorization": f"Bearer {store.create_token('reader', ['read'], 'vision')[0]}"}
    assert send(asking, **reader).status_code == 403


def test_files_go_when_no_job_names_them(api: TestClient, spec: Spec, settings: Settings, store: Store) -> None:
    kept, unused = send(api).json()["path"], send(api, CONTENT + "more,1\n").json()["path"]
    job = api.post("/v1/jobs", json=naming(spec, kept)).json()["id"]
    assert settings.uploads is not None
    root = settings.uploads
    specs = [store.get_job(job).spec]
    assert uploads.collect(root, specs, KEEP_UPLOADS) == ()  # too young: its job may be on its way
    for folder in root.glob("*/*"):
        os.utime(folder, (time.time() - 2 * KEEP_UPLOADS,) * 2)
    assert uploads.collect(root, specs, KEEP_UPLOADS) == (Path(unused).parent.name,)
    assert (root / "default" / kept).is_file()
    assert uploads.collect(root, [], KEEP_UPLOADS) == (Path(kept).parent.name,)
