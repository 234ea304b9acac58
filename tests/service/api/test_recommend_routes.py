"""`recommend` over REST."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from search_spaces.presets.lora import largest_rank
from service.settings import Settings
from tests.workers.tiny_chat_model import write_language_model
from workers.models.description import describe


def test_an_empty_past_gives_the_default_and_says_so(api: TestClient) -> None:
    answer = api.post("/v1/recommend", json={"rows": 1000}).json()
    assert answer["items"][0]["config"]["method"] == "lora"
    assert answer["items"][0]["standing"] is None
    assert "literature's default" in answer["warnings"][0]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "rank", "rate"), [("causal-lm", 16, 2e-4), ("preference", 32, 5e-6)])
def test_the_default_for_a_decoder_is_that_of_its_type_of_task(
    api: TestClient, settings: Settings, kind: str, rank: int, rate: float
) -> None:
    shape = describe(str(write_language_model(Path(settings.data_roots[0]) / "chat"))).shape
    config = api.post("/v1/recommend", json={"model": "chat", "type": kind}).json()["items"][0]["config"]
    assert (config["targets"], config["rank"], config["learning_rate"]) == ("all", min(rank, largest_rank(shape)), rate)
    assert ("dpo_beta" in config) == (kind == "preference")


def test_a_model_that_has_no_head_for_the_type_is_refused(api: TestClient) -> None:
    refused = api.post("/v1/recommend", json={"model": "builtin:minilm", "type": "causal-lm"})
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == ["model"]


@pytest.mark.slow
def test_the_past_is_used_under_constraints(api: TestClient, spec: dict[str, Any], worker: Any) -> None:
    job_id = api.post("/v1/jobs", json=spec).json()["id"]
    worker.start(job_id)
    worker.suggest(job_id, 5)
    for accuracy, params in ((0.7, 100), (0.9, 200), (0.95, 900), (0.6, 300), (0.5, 400)):
        worker.complete(job_id, accuracy, params)
    question = {"max_length": 16, "rows": 30, "count": 2}
    answer = api.post("/v1/recommend", json=question).json()
    assert answer["warnings"] == []
    assert answer["items"][0]["trials"] == [f"{job_id}-2"]
    assert answer["items"][0]["expected"]["accuracy"]["value"] == pytest.approx(0.95)
    small = api.post("/v1/recommend", json=question | {"where": ["trainable_params<=200"]}).json()
    assert small["items"][0]["trials"] == [f"{job_id}-1"]
    none = api.post("/v1/recommend", json=question | {"where": ["trainable_params<=2"]}).json()
    assert none["warnings"]


@pytest.mark.slow
def test_bad_questions_are_refused_by_field(api: TestClient) -> None:
    for question, field in (
        ({"metric": "colour"}, "metric"),
        ({"where": ["nonsense"]}, "where"),
        ({"rows": 0}, "rows"),
        ({"model": "builtin:none"}, "model"),
    ):
        refused = api.post("/v1/recommend", json=question)
        assert refused.status_code == 422
        assert [error["field"] for error in refused.json()["errors"]] == [field]
