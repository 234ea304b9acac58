"""`packing` and trained tokens in a job of a language model: what is taken, and what is refused by which field."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from transformers import AutoModelForCausalLM

from service.settings import Settings
from tests.workers.tiny_chat_model import conversation, write_language_model
from tests.workers.tiny_models import UNKNOWN


@pytest.fixture
def spec(settings: Settings) -> dict[str, Any]:
    root = Path(settings.data_roots[0])
    write_language_model(root / "chat")
    rng = random.Random(0)
    (root / "talk.jsonl").write_text("".join(json.dumps(conversation(rng)) + "\n" for _ in range(40)))
    return {
        "name": "talk",
        "task": {"type": "causal-lm", "model": "chat", "train": "talk.jsonl", "validation": 0.2, "max_length": 64},
        "space": {"preset": "lora-sft", "overrides": {"batch_size": {"value": 4}}},
        "objectives": [{"metric": "loss", "direction": "minimize"}],
        "budget": {"trials": 4, "epochs": 1},
    }


def packed(spec: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    space = spec["space"]
    return {**spec, "space": space | {"overrides": space["overrides"] | {"packing": change}}}


def problems(api: TestClient, spec: dict[str, Any]) -> list[dict[str, Any]]:
    response = api.post("/v1/checks", json=spec)
    assert response.status_code == 200, response.text
    return response.json()["problems"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("change", [{"value": "bfd"}, {"choices": ["none", "bfd"]}])
def test_it_is_a_setting_of_language_models_as_any_other(
    api: TestClient, spec: dict[str, Any], change: dict[str, Any]
) -> None:
    assert problems(api, packed(spec, change)) == []
    references = {"reference_trials": [{"method": "lora", "packing": "bfd", "batch_size": 4}]}
    assert problems(api, spec | references) == []
    (found,) = problems(api, packed(spec, {"value": "wrapped"}))
    assert (found["field"], found["found"]) == ("space.overrides.packing", "wrapped")


def test_a_class_that_may_mix_rows_is_refused_by_name(
    api: TestClient, spec: dict[str, Any], settings: Settings
) -> None:
    folder = Path(settings.data_roots[0]) / "chat"
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(UNKNOWN["bloom"]().config).save_pretrained(folder)
    (found,) = problems(api, packed(spec, {"value": "bfd"}) | {"reference_trials": False})
    assert found["field"] == "space.preset lora-sft.packing"
    assert "bloom" in found["message"]
    assert problems(api, spec | {"reference_trials": False}) == []
    named = {"reference_trials": [{"method": "lora", "targets": "all", "packing": "bfd", "batch_size": 4}]}
    assert [one["field"] for one in problems(api, spec | named)] == ["reference_trials.0.packing"]


def test_other_types_of_task_do_not_know_it(api: TestClient, spec: dict[str, Any]) -> None:
    other = {"type": "text-classification", "model": "chat", "train": "builtin:pydocs"}
    accuracy = {"task": other, "objectives": [{"metric": "accuracy", "direction": "maximize"}]}
    job = packed(spec | accuracy, {"value": "bfd"})
    job["space"]["preset"] = "lora"
    assert [one["field"] for one in problems(api, job)] == ["space.packing"]
    law = {"name": "l", "kind": "law", "task": other, "fixed": {"packing": "bfd"}}
    assert "fixed.packing" in [one["field"] for one in problems(api, law)]


def test_a_space_tells_what_else_may_be_set_and_for_which_type(api: TestClient) -> None:
    found = {one["name"]: one for one in api.get("/v1/spaces").json()["items"]}["lora"]
    further = {one["name"]: one for one in found["further"]}
    assert (further["packing"]["of"], further["packing"]["choices"]) == (["causal-lm"], ["none", "bfd"])
    assert further["dpo_beta"]["of"] == ["preference"]
    assert "of" not in further["batch_tokens"]
    assert further.keys().isdisjoint(one["name"] for one in found["parameters"])


def test_trained_tokens_are_refused_by_field_and_go_with_loras_alone(api: TestClient, spec: dict[str, Any]) -> None:
    def with_tokens(*tokens: int, **changes: Any) -> list[dict[str, Any]]:
        return problems(api, spec | {"task": spec["task"] | {"trainable_token_indices": tokens}} | changes)

    assert with_tokens(3, 5) == []
    (found,) = with_tokens(3, 9999)
    assert (found["field"], found["found"]) == ("task.trainable_token_indices", 9999)
    other = {"space": {"preset": "ssf", "overrides": {"batch_size": {"value": 4}}}, "reference_trials": False}
    assert ["ssf" in one["message"] for one in with_tokens(3, **other)] == [True]
    sharded = with_tokens(3, resources={"shards": 2, "cpus_per_trial": 2})
    assert "task.trainable_token_indices" in [one["field"] for one in sharded]


def test_new_tokens_are_refused_by_field_and_go_with_loras_alone(api: TestClient, spec: dict[str, Any]) -> None:
    def with_tokens(*tokens: str, **changes: Any) -> list[dict[str, Any]]:
        return problems(api, spec | {"task": spec["task"] | {"new_tokens": tokens}} | changes)

    assert with_tokens("one fruit", "one tool") == []  # as the answers of the rows begin
    for token, said in (("user", "token 5 of the model already"), ("<never>", "no training row holds")):
        (found,) = with_tokens("one fruit", token)
        assert found["field"] == "task.new_tokens"
        assert said in found["message"]
    other = {"space": {"preset": "ssf", "overrides": {"batch_size": {"value": 4}}}, "reference_trials": False}
    assert ["ssf" in one["message"] for one in with_tokens("one fruit", **other)] == [True]
    sharded = with_tokens("one fruit", resources={"shards": 2, "cpus_per_trial": 2})
    assert "task.new_tokens" in [one["field"] for one in sharded]


def test_a_method_for_language_models_is_refused_elsewhere_by_name(api: TestClient, spec: dict[str, Any]) -> None:
    alone = {"space": {"preset": "cpt", "overrides": {"batch_size": {"value": 4}}}, "reference_trials": False}
    assert problems(api, spec | alone) == []
    other = {"type": "text-classification", "model": "chat", "train": "builtin:pydocs"}
    (found,) = problems(
        api, spec | alone | {"task": other, "objectives": [{"metric": "accuracy", "direction": "maximize"}]}
    )
    assert "cpt on a task of type text-classification" in found["message"]
    assert "causal-lm" in found["message"]
