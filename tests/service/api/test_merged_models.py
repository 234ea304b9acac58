"""A trial's adapter folded into its base, downloaded as a whole checkpoint: made once, refused by name."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi import FastAPI
from fastapi.testclient import TestClient
from transformers import AutoModelForCausalLM

from service.answering.costly import Desk
from service.api.routes import exports
from service.errors import TooCostly
from service.settings import Settings
from service.store.records import NewTrial
from service.store.store import Store
from tests.service.api.talking_job import talking_job
from workers.artifacts import ArtifactStore
from workers.methods.loading import load_adapter
from workers.methods.registry import methods


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes that answer find our packages, wherever tests run."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[3]))


@pytest.fixture
def job(api: TestClient, store: Store, settings: Settings) -> dict[str, str]:
    """A job with a trial that has trained, and one that waits: their ids."""
    return talking_job(api, store, settings)


@pytest.mark.slow
def test_the_model_is_made_once_says_how_far_it_is_and_is_what_was_trained(
    app: FastAPI, api: TestClient, store: Store, settings: Settings, job: dict[str, str], tmp_path: Path
) -> None:
    path, models = f"/v1/trials/{job['trained']}/merged", app.state.surroundings.models
    told = api.get(path, headers={"Accept": "text/event-stream"}).text.strip().split("\n\n")
    assert any("folding the adapter into its base" in event for event in told[:-1])
    kind, data = told[-1].split("\n")
    assert kind == "event: answer", told[-1]
    response = api.get(path)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/zip")
    assert len(response.content) == json.loads(data.removeprefix("data: "))["size"]
    assert models.computed == 1  # not again for the download
    assert [one.trial_id for one in store.exports(job["job"])] == [job["trained"]]

    with zipfile.ZipFile(BytesIO(response.content)) as archive:
        archive.extractall(tmp_path / "model")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    artifacts, adapter = ArtifactStore(settings.artifacts), str(store.get_trial(job["trained"]).adapter)
    base = str(Path(settings.data_roots[0]) / "model")
    winner: Any = load_adapter(base, artifacts.extract(adapter, tmp_path / "adapter")).eval()
    rows = torch.arange(3, 11)[None]
    with torch.no_grad():
        merged, trained = plain(rows).logits, winner(rows).logits
        with winner.disable_adapter():
            untrained = winner(rows).logits
    assert torch.allclose(merged, trained, atol=1e-4)
    assert not torch.allclose(merged, untrained, atol=1e-2)


@pytest.mark.slow
def test_a_model_that_was_damaged_or_collected_is_made_anew(
    app: FastAPI, api: TestClient, store: Store, artifacts: ArtifactStore, job: dict[str, str], tmp_path: Path
) -> None:
    path = f"/v1/trials/{job['trained']}/merged"
    first = api.get(path)
    (tmp_path / "made").write_bytes(first.content)
    adapter = str(store.get_trial(job["trained"]).adapter)
    made = artifacts.derived(adapter, exports.MERGED)
    assert made is not None
    file = Path(artifacts._path(made.sha256))
    file.write_bytes(bytes(made.size))
    damaged = api.get(path)
    assert (damaged.status_code, "ask again" in damaged.text) == (410, True)
    assert artifacts.derived(adapter, exports.MERGED) is None
    artifacts.put_file(tmp_path / "made")  # whole again, as if it had never been damaged
    artifacts.collect_garbage(store.artifacts_in_use(), min_age=0)
    assert (adapter in artifacts, made.sha256 in artifacts) == (True, False)
    assert api.get(path).status_code == 200
    assert app.state.surroundings.models.computed == 2


def test_what_cannot_be_merged_here_says_where_it_can(
    api: TestClient, store: Store, settings: Settings, job: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = api.get(f"/v1/trials/{job['waiting']}/merged")
    assert (waiting.status_code, "queued" in waiting.text) == (404, True)
    monkeypatch.setattr(exports, "MOST_PARAMETERS", 10)
    with pytest.raises(TooCostly, match=r"base has [\d,]+ parameters.* at most 10;"):
        exports.merge_trial(Desk(store, settings), job["trained"])
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    absent = api.get(f"/v1/trials/{job['trained']}/merged")
    assert (absent.status_code, f"export {job['trained']} model/ --merged" in absent.text) == (503, True)


def test_a_method_that_never_folds_is_named_before_anything_is_loaded(
    app: FastAPI, api: TestClient, store: Store, worker: Any, spec: dict[str, Any]
) -> None:
    staying = [name for name, one in methods().items() if not one.mergeable]
    assert len(staying) > 3
    job_id = api.post("/v1/jobs", json=spec).json()["id"]
    worker.start(job_id)
    for name in staying:
        store.add_trials(job_id, [NewTrial({"method": name}, "optimizer", 0)])
        refused = api.get(f"/v1/trials/{worker.complete(job_id, 0.5, 100, adapter=True).id}/merged")
        assert refused.status_code == 409
        assert f"of the method {name}," in refused.json()["detail"]
    assert app.state.surroundings.models.computed == 0


@pytest.mark.slow
def test_an_adapter_that_names_no_base_is_refused(api: TestClient, worker: Any, spec: dict[str, Any]) -> None:
    job_id = api.post("/v1/jobs", json=spec).json()["id"]
    worker.start(job_id)
    worker.suggest(job_id)
    trial = worker.complete(job_id, 0.5, 100, adapter=True)
    refused = api.get(f"/v1/trials/{trial.id}/merged")
    assert refused.status_code == 409
    assert "base_model_name_or_path" in refused.json()["detail"]
