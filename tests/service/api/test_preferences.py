"""A job that learns from pairs of answers: what is admitted, what is refused, and what it starts with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from search_spaces.presets import preset
from search_spaces.presets.shape import ModelShape
from service.jobs.search.problem import references
from service.jobs.search.spec import JobSpec
from service.settings import Settings
from tests.workers.tiny_chat_model import write_language_model
from workers.models.description import describe_for
from workers.tasks.registry import task

GOOD = {"prompt": "a pear ?", "chosen": "one fruit .", "rejected": "one tool ."}


@pytest.fixture
def spec(settings: Settings) -> dict[str, Any]:
    """A sound job whose model and rows lie under the data root."""
    root = Path(settings.data_roots[0])
    write_language_model(root / "chat")
    (root / "pairs.jsonl").write_text((json.dumps(GOOD) + "\n") * 40)
    return {
        "name": "pairs",
        "task": {"type": "preference", "model": "chat", "train": "pairs.jsonl", "validation": 0.2, "max_length": 64},
        "space": {"preset": "lora-dpo"},
        "objectives": [{"metric": "reward_accuracy", "direction": "maximize"}],
        "constraints": [{"metric": "kl", "max": 0.5}],
        "budget": {"trials": 4, "epochs": 1},
    }


def problems(api: TestClient, spec: dict[str, Any]) -> list[dict[str, Any]]:
    response = api.post("/v1/checks", json=spec)
    assert response.status_code == 200, response.text
    return response.json()["problems"]  # type: ignore[no-any-return]


def test_a_sound_job_is_taken_with_beta_in_its_space(api: TestClient, spec: dict[str, Any], settings: Settings) -> None:
    changes = {"batch_size": {"value": 8}, "dpo_beta": {"low": 0.05, "high": 0.2}}
    small = {**spec, "space": {"preset": "lora-dpo", "overrides": changes}, "reference_trials": ["base"]}
    assert problems(api, small) == []
    assert api.post("/v1/jobs", json=small).status_code == 201
    own = {**spec["task"], "model": str(Path(settings.data_roots[0]) / "chat")}
    job = JobSpec.model_validate({**spec, "task": own})
    (base, _), (label, config) = references(job, describe_for(job.task))
    assert (base, label, config["dpo_beta"], config["learning_rate"]) == ("base", "literature-default", 0.1, 5e-6)


def test_what_tells_no_preference_is_refused_with_its_row(
    api: TestClient, spec: dict[str, Any], settings: Settings
) -> None:
    path = Path(settings.data_roots[0]) / "equal.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in (GOOD, GOOD | {"rejected": GOOD["chosen"]})))
    (found,) = problems(api, {**spec, "task": spec["task"] | {"train": "equal.jsonl"}})
    assert found["field"] == "task.rejected"
    assert "line 2" in found["message"]
    assert "unusable: drop" in found["message"]


def test_beta_is_refused_where_it_means_nothing(api: TestClient, spec: dict[str, Any], settings: Settings) -> None:
    (Path(settings.data_roots[0]) / "talk.jsonl").write_text('{"prompt": "a pear ?", "completion": "fruit"}\n' * 40)
    tuned = {"type": "causal-lm", "train": "talk.jsonl"}
    job = {**spec, "task": spec["task"] | tuned, "objectives": [{"metric": "loss", "direction": "minimize"}]}
    job |= {"constraints": [], "reference_trials": [{"method": "lora", "dpo_beta": 0.1, "batch_size": 8}]}
    job["space"] = {"preset": "lora-dpo", "overrides": {"batch_size": {"value": 8}}}
    assert [one["field"] for one in problems(api, job)] == ["space.dpo_beta", "reference_trials.0.dpo_beta"]


def test_the_preset_is_that_of_supervised_fine_tuning_but_for_rate_and_beta() -> None:
    shape = ModelShape(576, 30, 1536, 9, "llama", ("all", "qv"))
    tuned, preferred = (preset(name, shape).by_name for name in ("lora-sft", "lora-dpo"))
    differing = {name for name in preferred if tuned.get(name) != preferred[name]}
    assert differing == {"learning_rate", "dpo_beta"}
    assert preferred["learning_rate"].high == tuned["learning_rate"].high / 4  # type: ignore[attr-defined]


def test_the_example_is_a_section_of_built_in_pairs() -> None:
    one = task("preference")
    assert one.section.model_validate(dict(one.example)).train == "builtin:pyprefs"  # type: ignore[attr-defined]
