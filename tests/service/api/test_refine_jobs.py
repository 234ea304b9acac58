"""Refine jobs through every door: REST, the conductor, the code of a worker, the store, `best`, the adapter's zip."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from peftsearch.model_card import add_search
from peftsearch.results import Front, Job, Trial
from service.conductor.loop import Conductor
from service.conductor.proposing.proposer import Proposer
from service.conductor.training.executor import Message
from service.store.store import Store
from tests.service.conductor.computing_executor import ComputingExecutor
from tests.service.conductor.driving import drive
from tests.workers.refining.winners import LORA, loss_of_loaded
from tests.workers.refining.winners import TASK as SECTION
from workers.artifacts import ArtifactStore
from workers.exports.merging import merged
from workers.refining.spec import RefineAssignment
from workers.refining.trial import refine
from workers.running.trial import train
from workers.running.workbench import Workbench

TASK = SECTION.model_dump(exclude_none=True)
JOB: dict[str, Any] = {
    "name": "small",
    "kind": "refine",
    "source": {"configs": [LORA], "epochs": 2},
    "task": TASK,
    "steps": [{"step": "compress", "keep": [0.2, 0.5], "scales": [1, 3]}],
}


@pytest.fixture(scope="module")
def proposer() -> Iterator[Proposer]:
    started = Proposer()
    yield started
    started.close()


def done(store: Store, artifacts: ArtifactStore, home: Path, proposer: Proposer, job_id: str) -> Workbench:
    """Let the conductor bring the job to its end, each trial done as a worker does it."""
    bench = Workbench(home, artifacts)

    def work(given: Any) -> list[Message]:
        act: Any = refine if isinstance(given, RefineAssignment) else train
        return [act(given, bench, lambda _report: "continue")]

    conductor = Conductor(store, ComputingExecutor(slots=1, script=work), proposer, "home.a")
    job = drive(conductor, job_id)
    assert (job.state, job.reason) == ("completed", None)
    return bench


def folder_of(api: TestClient, trial: str, target: Path) -> Path:
    zipfile.ZipFile(io.BytesIO(api.get(f"/v1/trials/{trial}/adapter").content)).extractall(target)
    return target


@pytest.mark.slow
def test_a_winner_is_trained_compressed_found_exported_and_refined_again(
    api: TestClient, store: Store, artifacts: ArtifactStore, proposer: Proposer, tmp_path: Path, data_root: Path
) -> None:
    created = api.post("/v1/jobs", json=JOB)
    assert created.status_code == 201, created.text
    job = created.json()["id"]
    bench = done(store, artifacts, tmp_path / "home", proposer, job)
    trials = {trial["number"]: trial for trial in api.get(f"/v1/jobs/{job}/trials").json()["items"]}
    assert {trial["origin"] for trial in trials.values()} == {"refine"}
    assert [trials[n]["label"] for n in range(3)] == ["source", "compress", "compress"]
    assert trials[1]["config"] == LORA | {"refine.of": "0", "refine.keep": 0.2}
    assert [step["step"] for step in api.get(f"/v1/jobs/{job}/answer").json()["answer"]["steps"]] == [
        "source",
        "compress",
    ]
    front = api.get(f"/v1/jobs/{job}/pareto").json()["items"]
    assert front[0]["metrics"]["loss"] == min(trial["metrics"]["loss"] for trial in trials.values())
    smallest = api.get(f"/v1/jobs/{job}/best", params={"minimize": "adapter_bytes"}).json()
    assert smallest["trial"]["number"] == 1
    assert "peftsearch.load_adapter" in smallest["snippet"]
    compile(smallest["snippet"], "snippet", "exec")
    assert trials[1]["metrics"]["half_bytes"] > 8 * trials[1]["metrics"]["adapter_bytes"]
    folder = folder_of(api, trials[1]["id"], data_root / "adapter")
    trial, whole = Trial.from_json(trials[1]), Front.from_json(api.get(f"/v1/jobs/{job}/pareto").json())
    add_search(folder, Job.from_json(api.get(f"/v1/jobs/{job}").json()), whole, trial)
    card = (folder / "README.md").read_text()
    assert "refined by `compress`" in card
    assert "peftsearch.load_adapter" in card
    whole_model = merged(folder, "builtin:minilm")
    assert whole_model.config.num_labels == 4
    assert loss_of_loaded(bench, folder) == pytest.approx(trials[1]["metrics"]["loss"], rel=1e-4)

    for source in ({"trials": [trials[1]["id"]]}, {"folder": "adapter"}, {"job": job}):
        body = {"name": "again", "kind": "refine", "source": source, "steps": [{"step": "compress", "keep": [0.1]}]}
        body |= {"task": TASK} if "folder" in source else {}
        again = api.post("/v1/jobs", json=body)
        assert again.status_code == 201, again.text
        assert again.json()["spec"]["adapters"][0]["config"] == LORA
        if "folder" in source:
            done(store, artifacts, tmp_path / "home", proposer, again.json()["id"])
            first = api.get(f"/v1/jobs/{again.json()['id']}/trials").json()["items"]
            measured = next(trial for trial in first if trial["label"] == "source")
            assert measured["metrics"]["loss"] == pytest.approx(trials[1]["metrics"]["loss"], rel=1e-5)
        api.post(f"/v1/jobs/{again.json()['id']}/cancel")


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"source": {}}, "source", "allowed: one of"),
        ({"source": {"configs": [LORA], "job": "x"}}, "source.job", "a job that is there"),
        ({"source": {"trials": ["nowhere"]}}, "source.trials.0", "a trial that is there"),
        ({"source": {"folder": "."}}, "source.folder", "peftsearch export"),
        ({"source": {"folder": "/"}}, "source.folder", "outside"),
        ({"source": {"configs": [LORA | {"rank": 0}]}}, "source.configs.0.rank", "rank"),
        ({"source": {"configs": [{"method": "lroa"}]}}, "source.configs.0.method", "did you mean"),
        (
            {"source": {"configs": [{"method": "head"}]}, "steps": [{"step": "soup"}]},
            "source.configs.0.method",
            "soup works on adapters of `lora`",
        ),
        ({"steps": [{"step": "prune_retrain"}, {"step": "soup"}]}, "steps.1.step", "found masked_lora"),
        ({"steps": [{"step": "e2e_qp"}]}, "source.configs.0.method", "what `ptq` or `block_ap` made"),
        (
            {"steps": [{"step": "grow", "times": [2, 32]}]},
            "steps.0.times",
            "grows to 128; allowed on this model: up to 64",
        ),
        ({"steps": [{"step": "ptq", "group": [100]}]}, "steps.0.group", "96, 128"),
        (
            {"source": {"configs": [{"method": "prompt_tuning"}]}, "steps": [{"step": "block_ap"}]},
            "source.configs.0.method",
            "fold into the base",
        ),
        ({"steps": [{"step": "d90"}]}, "objectives", "a quality to maximize"),
        ({"steps": [{"step": "own_failures"}]}, "steps.0.step", "writes answers, with `generation.metrics`"),
        ({"steps": [{"step": "compres"}]}, "steps.0.step", "did you mean 'compress'"),
        ({"steps": [{"step": "merge", "rule": ["tees"]}]}, "steps.0.rule.0", "ties"),
        ({"steps": [{"step": "merge", "wieght": [1]}]}, "steps.0.wieght", "not permitted"),
        ({"steps": []}, "steps", "at least 1"),
        ({"steps": [{"step": "compress", "keep": [2]}]}, "steps.0.keep.0", "less than 1"),
        ({"objectives": [{"metric": "acuracy", "direction": "maximize"}]}, "objectives.0.metric", "did you mean"),
        ({"resources": {"executor": "external"}}, "resources.executor", "allowed: ray"),
        ({"resources": {"shards": 2}}, "resources.shards", "allowed: 1"),
        ({"task": TASK | {"train": "nowhere.csv"}}, "task.train", "does not exist"),
    ],
)
def test_refine_jobs_that_cannot_work_are_refused(api: TestClient, change: Any, field: str, words: str) -> None:
    answer = api.post("/v1/jobs", json=JOB | change)
    assert answer.status_code == 422, answer.text
    found = {error["field"]: f"{error['message']} {error['allowed']}" for error in answer.json()["errors"]}
    assert field in found, found
    assert words in found[field], found
    assert api.get("/v1/jobs").json()["items"] == []
    told = {one["field"] for one in api.post("/v1/checks", json=JOB | change).json()["problems"]}
    assert field in told


def test_artifacts_that_a_body_names_itself_are_not_believed(api: TestClient) -> None:
    stray = {"config": LORA, "seed": 1, "sha256": "0" * 64, "size": 1}
    created = api.post("/v1/jobs", json=JOB | {"adapters": [stray]})
    assert created.status_code == 201, created.text
    assert created.json()["spec"]["adapters"] == []
