"""Trials as MLflow runs: whole, once, and again after an interruption. The server here keeps what MLflow's would."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from peftsearch.mlflow_runs import TRIAL, MlflowRefused, write_runs
from peftsearch.results import Report, Trial

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def _trial(number: int, state: str = "completed", **more: Any) -> Trial:
    config = {"method": "lora", "rank": number + 1, "targets": ["q", "v"], **more}
    return Trial(
        id=f"j-{number}", job_id="j", number=number, state=state, origin="optimizer", label=None, config=config, seed=0,
        attempt=2, metrics={"accuracy": 0.5 + number / 10}, on_front=False, has_adapter=False, engine=None,
        engine_reason=None, reason="nan_loss: at step 3" if state == "failed" else None, worker_id=None, created_at=NOW,
        started_at=NOW, finished_at=NOW, environment={},
    )  # fmt: skip


def _reports(trial_id: str) -> list[Report]:
    del trial_id
    reached = ((1, 9), (2, 1), (2, 2))
    return [Report(step, step / 2, float(step), {"loss": 1 / step}, attempt, NOW) for attempt, step in reached]


class Job:
    """As much of a job as is needed."""

    id, name = "j", "mine"


class Server:
    """A tracking server; `fails` refuses the n-th log-batch from now."""

    def __init__(self, fails: int | None = None) -> None:
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.fails = fails

    def __call__(self, request: httpx.Request) -> httpx.Response:
        call = request.url.path.removeprefix("/api/2.0/mlflow/")
        body = json.loads(request.content) if request.content else dict(request.url.params)
        answer: Any = getattr(self, call.replace("/", "_").replace("-", "_"))(body)
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    def experiments_get_by_name(self, body: Any) -> Any:
        id = self.experiments.get(body["experiment_name"])
        missing = httpx.Response(404, json={"error_code": "RESOURCE_DOES_NOT_EXIST"})
        return {"experiment": {"experiment_id": id}} if id else missing

    def experiments_create(self, body: Any) -> Any:
        self.experiments[body["name"]] = str(len(self.experiments) + 1)
        return {"experiment_id": self.experiments[body["name"]]}

    def runs_create(self, body: Any) -> Any:
        id = f"r{len(self.runs)}"
        empty: dict[str, Any] = {"params": [], "metrics": []}
        self.runs[id] = {"status": "RUNNING", "tags": body["tags"], "in": body["experiment_id"], **empty}
        return {"run": {"info": {"run_id": id}}}

    def runs_search(self, body: Any) -> Any:
        ids = [id for id in self.runs if self.runs[id]["in"] in body["experiment_ids"]]
        start = int(body.get("page_token", 0))
        page = [
            {"info": {"run_id": id, "status": self.runs[id]["status"]}, "data": {"tags": self.runs[id]["tags"]}}
            for id in ids[start : start + 2]
        ]
        return {"runs": page, **({"next_page_token": str(start + 2)} if start + 2 < len(ids) else {})}

    def runs_log_batch(self, body: Any) -> Any:
        if self.fails is not None:
            self.fails -= 1
            if self.fails < 0:
                return httpx.Response(500, text="gone")
        assert all(len(one["value"]) <= 500 for one in body.get("params", ()))
        for what in ("params", "metrics"):
            self.runs[body["run_id"]][what] += body.get(what, [])
        return {}

    def runs_set_tag(self, body: Any) -> Any:
        self.runs[body["run_id"]]["tags"].append({"key": body["key"], "value": body["value"]})
        return {}

    def runs_update(self, body: Any) -> Any:
        self.runs[body["run_id"]]["status"] = body["status"]
        return {}

    def runs_delete(self, body: Any) -> Any:
        del self.runs[body["run_id"]]
        return {}

    def by_trial(self) -> dict[str, dict[str, Any]]:
        found = [({tag["key"]: tag["value"] for tag in run["tags"]}[TRIAL], run) for run in self.runs.values()]
        assert len(dict(found)) == len(found), "a trial has two runs"
        return dict(found)


def _write(server: Server, trials: list[Trial]) -> int:
    return write_runs(Job, trials, _reports, "http://mlflow", transport=httpx.MockTransport(server))  # type: ignore[arg-type]


def test_a_trial_is_a_run_with_its_configuration_curve_and_state() -> None:
    server = Server()
    trials = [_trial(0), _trial(1, "failed"), _trial(2, "running"), _trial(3, "stopped", note="x" * 600)]
    assert _write(server, trials) == 3
    assert list(server.experiments) == ["mine (j)"]
    runs = server.by_trial()
    assert {id: run["status"] for id, run in runs.items()} == {"j-0": "FINISHED", "j-1": "FAILED", "j-3": "KILLED"}
    assert {"key": "targets", "value": '["q", "v"]'} in runs["j-0"]["params"]
    told = [(one["key"], one["value"], one["step"]) for one in runs["j-0"]["metrics"]]
    assert told == [("loss", 1.0, 1), ("loss", 0.5, 2), ("accuracy", 0.5, 2)]  # of the last attempt alone
    assert {"key": "peftsearch.reason", "value": "nan_loss: at step 3"} in runs["j-1"]["tags"]


def test_writing_again_adds_what_is_new_and_mends_what_was_interrupted() -> None:
    server = Server(fails=3)
    with pytest.raises(MlflowRefused, match="500"):
        _write(server, [_trial(0), _trial(1)])
    assert [run["status"] for run in server.runs.values()] == ["FINISHED", "RUNNING"]
    server.fails = None
    for _ in range(2):
        assert _write(server, [_trial(n) for n in range(5)]) == 5
        assert sorted(server.by_trial()) == [f"j-{n}" for n in range(5)]
    assert all(run["status"] == "FINISHED" and len(run["metrics"]) == 3 for run in server.runs.values())


def test_a_server_that_does_not_answer_is_named() -> None:
    with pytest.raises(MlflowRefused, match=r"http://127\.0\.0\.1:9"):
        write_runs(Job, [], _reports, "http://127.0.0.1:9")  # type: ignore[arg-type]
