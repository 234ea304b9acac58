"""Metrics of a job's own: declared, checked where they come from, and then goals like all others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.jobs.assignments import assignment_of
from service.jobs.search.problem import build_problem
from service.jobs.search.spec import JobSpec
from service.settings import Settings
from service.store.store import Store
from tests.workers.tiny_language_model import save_tiny_llama

FILE = {"type": "file", "name": "brevity", "file": "own.py", "high": 10}
HTTP = {"type": "http", "name": "helpful", "url": "http://127.0.0.1:9/score"}


@pytest.fixture
def settings(tmp_path: Path, data_root: Path) -> Settings:
    """A server whose operator allows code from one folder and judges on loopback."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "own.py").write_text("def score(rows):\n    return [0.0 for _ in rows]\n")
    chosen = {"home": tmp_path / "home", "data_roots": [data_root], "no_auth": True}
    return Settings.read(chosen | {"programs": [tmp_path / "code"], "judges": "127.0.0.0/8"}, {})


@pytest.fixture
def spec(settings: Settings) -> dict[str, Any]:
    root = Path(settings.data_roots[0])
    save_tiny_llama(root / "model")
    (root / "rows.jsonl").write_text('{"prompt": "the cat", "completion": " sat"}\n' * 40)
    task = {"type": "causal-lm", "model": "model", "train": "rows.jsonl", "validation": 0.2, "max_length": 64}
    return {
        "name": "judged",
        "task": task | {"generation": {"metrics": [], "rows": 4}, "judges": [FILE, HTTP]},
        "space": {"preset": "lora-sft", "overrides": {"batch_size": {"value": 8}}},
        "objectives": [{"metric": "helpful", "direction": "maximize"}],
        "constraints": [{"metric": "brevity", "max": 7}],
        "budget": {"trials": 4, "epochs": 1},
        "resources": {"executor": "external"},
    }


def test_their_metrics_are_goals_like_others(
    api: TestClient, store: Store, spec: dict[str, Any], worker: Any, settings: Settings
) -> None:
    answer = api.post("/v1/jobs", json=spec)
    assert answer.status_code == 201, answer.text
    job = store.get_job(answer.json()["id"])
    kept = JobSpec.model_validate(job.spec)
    assert kept.task.judges[0].file == str(settings.programs[0] / "own.py")  # type: ignore[union-attr]
    problem = build_problem(kept)
    assert (problem.stand_ins["helpful"].metric, problem.stand_ins["brevity"].metric) == ("loss", "loss")
    worker.start(job.id)
    worker.suggest(job.id, 1)
    claimed = api.post(f"/v1/jobs/{job.id}/ask", json={"worker_id": "w"}).json()
    assert set(claimed["needed"]) == {"helpful", "brevity"}
    assert assignment_of(kept, store.get_trial(claimed["trial_id"])).needed == tuple(claimed["needed"])

    def tell(**metrics: float) -> Any:
        body = {"trial_id": claimed["trial_id"], "attempt": claimed["attempt"], "status": "completed"}
        return api.post(f"/v1/trials/{claimed['trial_id']}/tell", json=body | {"metrics": {"loss": 1.0, **metrics}})

    assert tell(helpful=1.5, brevity=3.0).json()["errors"][0]["field"] == "metrics.helpful"
    assert tell(brevity=3.0).json()["errors"][0]["field"] == "metrics.helpful"
    assert tell(helpful=0.5, brevity=3.0).status_code == 200
    assert api.get(f"/v1/jobs/{job.id}/best").json()["objectives"] == {"helpful": 0.5}
    assert api.get(f"/v1/jobs/{job.id}/pareto").status_code == 200
    assert api.get(f"/v1/jobs/{job.id}/trials", params={"sort": "helpful"}).status_code == 200


@pytest.mark.parametrize(
    ("judges", "field", "said"),
    [
        ([{**FILE, "file": "/etc/passwd.py"}], "task.judges.0.file", "outside folders that code of jobs may lie in"),
        ([{**FILE, "file": "absent.py"}], "task.judges.0.file", "absent.py"),
        ([{**FILE, "function": "rate"}], "task.judges.0.function", "score"),
        ([FILE, {**FILE, "high": 1}], "task", "each once"),
        ([{**FILE, "name": "loss"}], "task.judges.0.name", "which is a metric"),
        ([FILE, {**HTTP, "url": "http://10.0.0.1/"}], "task.judges.1.url", "--judges"),
        ([FILE, {**HTTP, "url": "file:///etc/passwd"}], "task.judges.1.url", "https://HOST"),
        ([FILE, {**HTTP, "low": 2}], "task.judges.1", "above `low`, 2"),
        ([FILE, {**HTTP, "confirm_only": True}], "objectives.0.metric", "measured in `confirm` alone"),
        ([FILE, {**HTTP, "direction": "minimize"}], "objectives.0.direction", "as `task.judges` declares helpful"),
        ([{**FILE, "high": 5}, HTTP], "constraints.0.max", "0 to 5"),
        ([FILE], "objectives.0.metric", "helpful"),
        ([{**FILE, "type": "lm-eval"}], "task.judges.0", "allowed"),
    ],
)
def test_what_they_cannot_be_is_refused_by_field(
    api: TestClient, spec: dict[str, Any], judges: list[dict[str, Any]], field: str, said: str
) -> None:
    answer = api.post("/v1/jobs", json={**spec, "task": {**spec["task"], "judges": judges}})
    assert answer.status_code == 422, answer.text
    found = [one for one in answer.json()["errors"] if one["field"].startswith(field)]
    assert found, answer.text
    assert any(said in str(one) for one in found), found


def test_answers_have_to_be_written_to_be_judged(api: TestClient, spec: dict[str, Any]) -> None:
    task = {name: value for name, value in spec["task"].items() if name != "generation"}
    answer = api.post("/v1/jobs", json={**spec, "task": task})
    assert answer.status_code == 422
    assert "needed: `generation`" in answer.text
