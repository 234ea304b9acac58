"""A job that fine-tunes a language model: what is admitted, what is refused, and what it starts with."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from predictors.lora_learning_rate import lora_learning_rate
from search_spaces.presets.lora_sft import lora_rate
from search_spaces.presets.shape import ModelShape
from service.jobs.search.problem import references
from service.jobs.search.spec import JobSpec
from service.settings import Settings
from tests.workers.tiny_chat_model import conversation, write_language_model
from workers.models.description import describe_for


@pytest.fixture
def spec(settings: Settings) -> dict[str, Any]:
    """A sound job whose model and rows lie under the data root."""
    root = Path(settings.data_roots[0])
    write_language_model(root / "chat")
    rng = random.Random(0)
    rows(root / "talk.jsonl", [conversation(rng) for _ in range(40)])
    return {
        "name": "talk",
        "task": {"type": "causal-lm", "model": "chat", "train": "talk.jsonl", "validation": 0.2, "max_length": 64},
        "space": {"preset": "lora-sft"},
        "objectives": [{"metric": "loss", "direction": "minimize"}],
        "budget": {"trials": 4, "epochs": 1},
    }


def rows(path: Path, found: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in found))
    return path.name


def problems(api: TestClient, spec: dict[str, Any], **changes: Any) -> list[dict[str, Any]]:
    response = api.post("/v1/checks", json={**spec, "task": {**spec["task"], **changes}})
    assert response.status_code == 200, response.text
    return response.json()["problems"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("preset", ["lora-sft", "methods", "lora"])
def test_a_sound_job_is_taken(api: TestClient, spec: dict[str, Any], preset: str) -> None:
    job = {**spec, "space": {"preset": preset, "overrides": {"batch_size": {"value": 8}}}}
    assert problems(api, job) == [] or preset == "methods"
    found = api.post("/v1/jobs", json=job | {"reference_trials": ["base", "literature-default"]})
    assert found.status_code == 201, found.text


def test_a_look_says_how_rows_are_read_and_what_is_learnt(api: TestClient, spec: dict[str, Any]) -> None:
    train = api.post("/v1/checks", json=spec).json()["splits"][0]
    assert train["columns"] == ["text, read as messages", "learnt"]
    assert all(
        text.startswith("<|im_start|>user") and text.rstrip().endswith(learnt) for text, learnt in train["examples"]
    )
    assert all(learnt.startswith("one ") and learnt.endswith("<|im_end|>") for _, learnt in train["examples"])
    assert (train["lengths"]["unit"], train["lengths"]["cut"]) == ("tokens", 0.0)


def test_what_the_model_cannot_learn_from_is_refused(
    api: TestClient, spec: dict[str, Any], settings: Settings, tmp_path: Path
) -> None:
    root = Path(settings.data_roots[0])
    good = json.loads((root / "talk.jsonl").read_text().splitlines()[0])
    unanswered = rows(root / "unanswered.jsonl", [good, {"messages": good["messages"][:1]}])
    (found,) = problems(api, spec, train=unanswered)
    assert found["field"] == "task.messages"
    assert "line 2" in found["message"]
    (tmp_path / "outside.jinja").write_text("x")
    (found,) = problems(api, spec, chat_template_path=str(tmp_path / "outside.jinja"))
    assert found["field"] == "task.chat_template_path"
    assert "outside the data roots" in found["message"]
    (found,) = problems(api, spec, model="nowhere")
    assert found["field"] == "task.model"
    assert [one["field"] for one in problems(api, spec, model="builtin:minilm")][:1] == ["task.model"]


def test_references_are_those_of_language_models(api: TestClient, spec: dict[str, Any], settings: Settings) -> None:
    task = {**spec["task"], "model": str(Path(settings.data_roots[0]) / "chat")}
    job = JobSpec.model_validate({**spec, "task": task})
    labels = [label for label, _ in references(job, describe_for(job.task))]
    assert labels == ["base", "literature-default"]
    for name in ("head-only", {"method": "head"}):
        response = api.post("/v1/checks", json={**spec, "reference_trials": [name]})
        assert [one["field"] for one in response.json()["problems"]] == ["reference_trials.0.method"]


@pytest.mark.parametrize(("kind", "family"), [("llama", "llama"), ("qwen2", "qwen"), ("qwen3", "qwen")])
def test_the_rate_of_the_space_is_the_law_s(kind: str, family: str) -> None:
    for width in (576, 2048, 4096):
        expected = lora_learning_rate(width, family).quantities["learning_rate"].value
        assert lora_rate(ModelShape(width, 2, 4 * width, 8, kind)).mode == pytest.approx(expected)
