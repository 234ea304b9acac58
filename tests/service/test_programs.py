"""Jobs whose trials are programs: what is admitted, what is refused, and a search on Ray from its start to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.conductor.__main__ import ray_scratch
from service.conductor.loop import Conductor
from service.conductor.proposing.proposer import Proposer
from service.conductor.training.ray_executor import RayExecutor
from service.settings import Settings
from service.store.store import Store, open_store
from tests.service.conductor.driving import drive
from tests.workers.programs_job import COUNTING
from workers.artifacts import ArtifactStore

FAILS_WHERE_BAD = COUNTING.replace("    count = ", "    assert trial.config['step'] > 2, 'too small'\n    count = ")


@pytest.fixture
def settings(tmp_path: Path, data_root: Path) -> Settings:
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "train.py").write_text(FAILS_WHERE_BAD)
    return Settings.read(
        {"home": tmp_path / "home", "data_roots": [data_root], "programs": [tmp_path / "programs"], "no_auth": True}, {}
    )


@pytest.fixture
def spec() -> dict[str, Any]:
    return {
        "name": "counting",
        "task": {"type": "program", "program": "train.py", "function": "train", "arguments": ["--step={step}"]},
        "space": {"parameters": [{"name": "step", "type": "int", "low": 1, "high": 64}]},
        "objectives": [{"metric": "count", "direction": "maximize"}],
        "budget": {"trials": 8, "epochs": 4},
        "seed": 1,
    }


def refused(api: TestClient, spec: dict[str, Any]) -> set[str]:
    return {one["field"] for one in api.post("/v1/checks", json=spec).json()["problems"]}


def test_a_sound_job_is_taken_with_its_path(api: TestClient, spec: dict[str, Any], settings: Settings) -> None:
    assert refused(api, spec) == set()
    found = api.post("/v1/jobs", json=spec)
    assert found.status_code == 201, found.text
    assert found.json()["spec"]["task"]["program"] == str(settings.programs[0] / "train.py")
    listed = f"/v1/jobs/{found.json()['id']}/trials"
    assert api.get(listed, params={"sort": "count"}).status_code == 200  # a metric of the job's own
    assert api.get(listed, params={"sort": "counts"}).status_code == 422


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"task": {"program": "other.py"}}, "task.program"),
        ({"task": {"program": "../data/train.csv"}}, "task.program"),
        ({"task": {"program": "builtin:other"}}, "task.program"),
        ({"task": {"arguments": ["{other}"]}}, "task.arguments"),
        ({"task": {"function": "os.system"}}, "task.function"),
        ({"task": {"model": "builtin:minilm"}}, "task.model"),
        ({"space": {"preset": "lora"}}, "space.preset"),
        ({"space": {"method": "lora"}}, "space.method"),
        ({"space": {"strategies": ["lisa"]}}, "space.strategies"),
        ({"reference_trials": ["base"]}, "reference_trials.0"),
        ({"reference_trials": [{"stride": 1}]}, "reference_trials.0.stride"),
        ({"resources": {"quantise": "int8"}}, "resources.quantise"),
        ({"resources": {"executor": "external"}}, "resources.executor"),
        ({"confirm": {"seeds": 2}}, "confirm"),
        ({"objectives": [{"metric": "a count", "direction": "maximize"}]}, "objectives.0.metric"),
        ({"scheduler": {"name": "ashaa"}}, "scheduler.name"),
        ({"optimizer": {"name": "autoo"}}, "optimizer.name"),
    ],
)
def test_what_cannot_work_is_refused_by_field(
    api: TestClient, spec: dict[str, Any], change: dict[str, Any], field: str
) -> None:
    for name, value in change.items():
        spec[name] = spec[name] | value if isinstance(spec.get(name), dict) else value
    assert refused(api, spec) == {field}
    assert api.post("/v1/jobs", json=spec).status_code == 422


def test_no_program_runs_unless_the_operator_allows_it(
    settings: Settings, store: Store, artifacts: ArtifactStore, spec: dict[str, Any]
) -> None:
    closed = settings.model_copy(update={"programs": ()})
    with TestClient(create_app(closed, store, artifacts), base_url="http://127.0.0.1") as api:
        (problem,) = api.post("/v1/checks", json=spec).json()["problems"]
        assert (problem["field"], "--programs" in problem["allowed"]) == ("task.program", True)
        built_in = next(one for one in api.get("/v1/tasks").json()["items"] if one["name"] == "program")["example"]
        assert refused(api, built_in) == set()


def test_a_law_of_programs_is_refused(api: TestClient, spec: dict[str, Any]) -> None:
    law = {"name": "law", "kind": "law", "task": spec["task"], "design": {"train_rows": [2, 4]}}
    (problem,) = (one for one in api.post("/v1/checks", json=law).json()["problems"] if one["field"] == "task.type")
    assert "text-classification" in problem["allowed"]
    assert "program" not in problem["allowed"]


@pytest.mark.ray
@pytest.mark.slow  # Ray has to start: this is the whole way from a job file to a front
def test_a_search_over_programs_pauses_resumes_and_finds_the_best(
    api: TestClient, spec: dict[str, Any], settings: Settings, store: Store, tmp_path: Path
) -> None:
    rate = {"name": "learning_rate", "type": "float", "low": 0.1, "high": 1}
    spec["space"]["parameters"].append(rate)
    spec |= {"scheduler": {"name": "pbt"}, "reference_trials": [{"step": 1, "learning_rate": 0.5}]}
    job = api.post("/v1/jobs", json=spec).json()["id"]
    executor = RayExecutor(
        None, ray_scratch(settings.home), settings.home, settings.artifacts, programs=settings.programs
    )
    proposer, own = Proposer(), open_store(settings.database)
    try:
        conductor = Conductor(own, executor, proposer, owner="test")
        drive(conductor, job)
    finally:
        proposer.close()
        executor.close()
        own.close()
    found = store.get_job(job)
    assert (found.state, found.reason) == ("completed", None)
    trials = list(store.searched_trials(job))
    assert len(trials) == 8
    failed, *others = sorted(trials, key=lambda trial: trial.number)
    assert failed.state == "failed"
    assert "too small" in (failed.reason or "")  # the end of what it printed
    completed = [trial for trial in others if trial.state == "completed"]
    assert completed
    assert any(trial.attempt > 1 for trial in completed)  # paused, and resumed from a checkpoint
    best = max(completed, key=lambda trial: trial.metrics["count"])
    answer = api.get(f"/v1/jobs/{job}/best").json()
    assert answer["trial"]["id"] == best.id
    front = api.get(f"/v1/jobs/{job}/pareto").json()
    assert front["items"][0]["metrics"]["count"] == best.metrics["count"]
    kept = ArtifactStore(settings.artifacts).extract(str(best.adapter), tmp_path / "kept")
    assert int((kept / "result.txt").read_text()) == best.metrics["count"]
    snippet = api.get(f"/v1/trials/{best.id}/snippet")
    assert snippet.status_code == 200, snippet.text
    assert "PEFTSEARCH_ALONE" in snippet.text
