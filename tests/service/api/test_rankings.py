"""Jobs that rank documents: what is admitted, what is said of the data, and what a search begins with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.jobs.search.problem import references
from service.jobs.search.spec import JobSpec
from service.settings import Settings
from tests.workers.tasks.ranking.test_forms import collection
from workers.models.description import describe_for


@pytest.fixture
def spec(settings: Settings) -> dict[str, Any]:
    """A sound job whose collection lies under the data root."""
    root = Path(settings.data_roots[0])
    collection(root / "beir")
    return {
        "name": "ranking",
        "task": {"type": "reranking", "model": "builtin:minilm", "train": "beir", "test": "beir", "max_length": 32},
        "space": {"preset": "lora", "overrides": {"batch_size": {"value": 2}}},
        "objectives": [{"metric": "ndcg_at_10", "direction": "maximize"}],
        "reference_trials": ["bm25"],
        "budget": {"trials": 4, "epochs": 1},
    }


def test_a_folder_is_read_and_said_to_be_what_it_is(api: TestClient, spec: dict[str, Any]) -> None:
    found = api.post("/v1/checks", json=spec).json()
    assert found["problems"] == []
    train, validation, test = found["splits"]
    assert train["columns"] == ["text, read as corpus, queries and judgements", "second text", "target"]
    assert (train["rows"], validation["rows"], test["rows"]) == (3, 2, 1)
    assert train["examples"][0] == ["which wings", "wings in a slipstream", "3"]
    assert api.post("/v1/jobs", json=spec).status_code == 201
    job = JobSpec.model_validate({**spec, "reference_trials": True})
    labels = [label for label, _ in references(job, describe_for(job.task))]
    assert labels == ["bm25", "head-only", "literature-default"]


def test_the_baseline_belongs_to_rankings(api: TestClient, spec: dict[str, Any]) -> None:
    task = {"model": "builtin:minilm", "train": "builtin:pydocs", "max_length": 32}
    other = {**spec, "task": task, "objectives": [{"metric": "accuracy", "direction": "maximize"}]}
    problems = api.post("/v1/checks", json=other).json()["problems"]
    assert [one["field"] for one in problems] == ["reference_trials.0.method"]
    searched = {**spec, "space": {"method": "bm25", "parameters": []}}
    assert api.post("/v1/checks", json=searched).json()["problems"] != []


def test_judgements_of_what_is_not_there_are_refused(api: TestClient, spec: dict[str, Any], settings: Settings) -> None:
    path = Path(settings.data_roots[0]) / "beir" / "qrels" / "train.tsv"
    path.write_text("a 0 1 1\na 0 77 1\n")
    (problem,) = api.post("/v1/checks", json=spec).json()["problems"]
    assert problem["field"] == "task.train"
    assert "'77' in line 2 of " in problem["message"]


def test_batches_that_are_compared_are_not_divided(api: TestClient, spec: dict[str, Any]) -> None:
    task = {**spec["task"], "type": "retrieval"}
    other = {**spec, "task": task, "reference_trials": ["base"], "resources": {"shards": 2}}
    problems = api.post("/v1/checks", json=other).json()["problems"]
    assert [one["field"] for one in problems] == ["resources.shards"]
    assert "compared with each other" in problems[0]["message"]
    alone = {**other, "task": {**task, "in_batch": False}}
    assert api.post("/v1/checks", json=alone).json()["problems"] == []
    warm = {"preset": "lora", "overrides": {"batch_size": {"value": 2}, "temperature": {"low": 0.01, "high": 0.2}}}
    assert api.post("/v1/checks", json={**alone, "space": warm}).json()["problems"] == []
    foreign = {**spec, "space": warm}
    assert [one["field"] for one in api.post("/v1/checks", json=foreign).json()["problems"]] == ["space.temperature"]
