"""A job file is checked before it is submitted: problems all at once, its data, what it will cost."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.jobs.search import memory
from service.store.records import NewTrial
from service.store.store import Store
from workers.assignment import Outcome, Report
from workers.tasks.registry import tasks

SPEC: dict[str, Any] = {
    "name": "to be checked",
    "task": {"model": "builtin:minilm", "train": "train.csv", "validation": 0.25, "max_length": 4},
    "space": {"preset": "lora", "overrides": {"batch_size": {"value": 8}}},
    "objectives": [{"metric": "accuracy", "direction": "maximize"}],
    "budget": {"trials": 10, "epochs": 2},
}

SPLITS = ("train", "validation")


def check(api: TestClient, **changes: Any) -> dict[str, Any]:
    """What a look at the spec says."""
    response = api.post("/v1/checks", json={**SPEC, **changes})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def test_a_sound_job_shows_its_data_and_nothing_is_stored(api: TestClient, store: Store) -> None:
    found = check(api)
    assert found["problems"] == []
    train, validation = found["splits"]
    assert (train["name"], train["rows"], validation["rows"]) == ("train", 30, 10)
    assert train["columns"] == ["text", "target"]
    assert [example[0].startswith("sentence number") for example in train["examples"]] == [True] * 5
    assert {one["label"]: one["count"] for one in train["labels"]} == {"0": 15, "1": 15}
    assert (train["lengths"]["unit"], train["lengths"]["cut"]) == ("tokens", 1.0)
    assert train["lengths"]["median"] == 5  # three words and the two tokens around them, no padding
    assert found["cost"] is None
    assert store.list_jobs(None, 10, None).items == ()


def test_every_problem_is_told_at_once_with_what_would_do(api: TestClient) -> None:
    found = check(
        api, objectives=[{"metric": "acuracy", "direction": "maximize"}], optimizer={"name": "gpp"}, nonsense=1
    )
    assert {one["field"] for one in found["problems"]} == {"objectives.0.metric", "optimizer.name", "nonsense"}
    assert all(one["message"] and one["allowed"] for one in found["problems"])
    assert found["splits"][0]["rows"] == 30


def test_what_is_wrong_with_steps_is_told_beside_a_source_that_is_not_there(api: TestClient) -> None:
    step = {"step": "compress", "keep": [2.0]}
    job = {"kind": "refine", "name": "x", "source": {"job": "nowhere"}, "steps": [step]}
    problems = api.post("/v1/checks", json=job).json()["problems"]
    assert [one["field"] for one in problems] == ["source.job", "steps.0.keep.0"]  # the source would give the task


@pytest.mark.parametrize("body", ["name: [", "name: a\nname: b\n", "[]", ""])
def test_what_is_no_job_file_is_a_problem_of_the_file(api: TestClient, body: str) -> None:
    response = api.post("/v1/checks", content=body, headers={"Content-Type": "application/yaml"})
    assert response.status_code == 200, response.text
    assert response.json()["problems"]


def test_numbers_have_a_spread_instead_of_labels(api: TestClient) -> None:
    items = api.get("/v1/tasks").json()["items"]
    example = next(one["example"] for one in items if one["name"] == "text-regression")
    found = api.post("/v1/checks", json=example).json()
    assert found["splits"][0]["labels"] == []
    assert found["splits"][0]["spread"]["low"] < found["splits"][0]["spread"]["high"]


def example_of(api: TestClient, name: str) -> list[dict[str, Any]]:
    """The splits of a type's example."""
    examples = {one["name"]: one["example"] for one in api.get("/v1/tasks").json()["items"]}
    found: list[dict[str, Any]] = api.post("/v1/checks", json=examples[name]).json()["splits"]
    return found


def test_each_of_several_tasks_has_its_own_preview(api: TestClient) -> None:
    splits = {one["name"]: one for one in example_of(api, "multi-task")}
    assert list(splits) == [f"{split} of {task}" for task in ("kind", "length", "names") for split in SPLITS]
    kinds, lengths, names = (splits[f"train of {task}"] for task in ("kind", "length", "names"))
    assert (kinds["rows"], lengths["rows"], names["rows"]) == (600, 600, 600)
    assert {one["label"]: one["count"] for one in kinds["labels"]} == dict.fromkeys(
        ("class", "function", "method", "module"), 150
    )
    assert all(example[1] in {"class", "function", "method", "module"} for example in kinds["examples"])
    assert lengths["labels"] == []
    assert 0 <= lengths["spread"]["low"] < lengths["spread"]["median"] < lengths["spread"]["high"]
    assert names["labels"][0]["label"] == "O"
    assert all(one["count"] > 0 for one in names["labels"])
    for words, tags in names["examples"]:
        assert len(words.split(" ")) == len(tags.split(" "))
        assert "–" not in tags


def test_tasks_in_turn_have_their_own_preview(api: TestClient) -> None:
    splits = {one["name"]: one for one in example_of(api, "continual")}
    first, second = splits["train of definitions"], splits["train of callables"]
    assert {one["label"]: one["count"] for one in first["labels"]} == {"class": 100, "module": 100}
    assert {one["label"]: one["count"] for one in second["labels"]} == {"function": 100, "method": 100}
    assert {example[1] for example in second["examples"]} <= {"function", "method"}


def test_conversations_are_rendered_with_what_is_learnt_of_them(api: TestClient) -> None:
    train = example_of(api, "causal-lm")[0]
    assert train["columns"] == ["text, read as messages", "learnt"]
    row = train["rendered"][0]
    assert "".join(piece["text"] for piece in row).startswith("<|im_start|>system")
    assert [piece["learnt"] for piece in row if piece["learnt"]] == ["learnt"]
    (learnt,) = [piece["text"] for piece in row if piece["learnt"]]
    assert learnt.endswith("<|im_end|>")
    assert train["examples"][0][1] == learnt


def test_of_a_preference_both_answers_are_shown_after_one_prompt(api: TestClient) -> None:
    train = example_of(api, "preference")[0]
    assert train["columns"][1:] == ["chosen", "rejected"]
    for row, (_, chosen, rejected) in zip(train["rendered"], train["examples"], strict=True):
        assert [piece["learnt"] for piece in row] == ["", "chosen", "rejected"]
        assert chosen
        assert chosen != rejected


def test_rows_that_are_no_texts_are_told_as_files(api: TestClient) -> None:
    assert example_of(api, "audio-classification")[0]["columns"] == ["file", "target"]


@pytest.mark.slow
def test_every_type_of_task_has_a_preview_of_its_example(api: TestClient) -> None:
    for one in api.get("/v1/tasks").json()["items"]:
        found = api.post("/v1/checks", json=one["example"]).json()
        assert found["problems"] == [], one["name"]
        assert one["name"] not in tasks() or found["splits"][0]["examples"], one["name"]


def test_costs_come_from_trials_of_the_same_model(api: TestClient, store: Store) -> None:
    job_id = api.post("/v1/jobs", json=SPEC).json()["id"]
    store.lease_job("conductor", 600)
    (trial,) = store.add_trials(job_id, [NewTrial({"method": "lora", "batch_size": 8}, "optimizer", 0)])
    claimed = store.claim_trial(job_id, "worker", 600, trial_id=trial.id)
    assert claimed is not None
    store.add_reports([Report(trial_id=trial.id, attempt=1, step=5, epoch=1, metrics={"accuracy": 0.5}, seconds=2)])
    metrics = {"accuracy": 0.5, "train_seconds": 2.0, "peak_memory_mb": 30.0}
    store.finish_trial(Outcome(trial_id=trial.id, attempt=1, status="completed", metrics=metrics))
    cost = check(api)["cost"]
    # 5 steps of 8 rows took 2 s; 10 trials of 2 epochs of 30 rows are 600 rows.
    assert cost["seconds_low"] == cost["seconds_high"] == pytest.approx(30.0)
    assert (cost["memory_mb"], cost["measured"], cost["jobs"]) == (30.0, 1, [job_id])
    other = {**SPEC["task"], "type": "text-classification", "max_length": 8}
    assert check(api, task=other)["cost"]["measured"] == 1


@pytest.mark.parametrize("config", [{"batch_tokens": 500}, {"packing": "bfd", "batch_size": 2}, {"batch_size": 8}])
def test_costs_count_rows_of_the_data_however_batches_are_counted(
    api: TestClient, store: Store, config: dict[str, Any]
) -> None:
    job_id = api.post("/v1/jobs", json=SPEC).json()["id"]
    store.lease_job("conductor", 600)

    def ended(told: dict[str, str]) -> dict[str, Any] | None:
        (trial,) = store.add_trials(job_id, [NewTrial({"method": "lora", **config}, "optimizer", 0)])
        assert store.claim_trial(job_id, "worker", 600, trial_id=trial.id) is not None
        report = Report(trial_id=trial.id, attempt=1, step=7, epoch=2, metrics={"accuracy": 0.5}, seconds=2)
        store.add_reports([report])
        metrics = {"accuracy": 0.5, "train_seconds": 4.0}
        outcome = Outcome(trial_id=trial.id, attempt=1, status="completed", metrics=metrics, environment=told)
        store.finish_trial(outcome)
        return check(api)["cost"]  # type: ignore[no-any-return]

    if config != {"batch_size": 8}:
        assert ended({}) is None  # its steps say nothing of rows
    found = ended({"train_rows": "40"})  # twice 40 rows took 4 s; 10 trials of 2 epochs of 30 rows are 600 rows
    assert found is not None
    assert found["seconds_high"] == pytest.approx(30.0)


def test_a_count_that_no_number_holds_hinders_no_check(api: TestClient, store: Store) -> None:
    job_id = api.post("/v1/jobs", json=SPEC).json()["id"]
    store.lease_job("conductor", 600)
    (trial,) = store.add_trials(job_id, [NewTrial({"method": "lora"}, "optimizer", 0)])
    assert store.claim_trial(job_id, "worker", 600, trial_id=trial.id) is not None
    store.add_reports([Report(trial_id=trial.id, attempt=1, step=7, epoch=2, metrics={"accuracy": 0.5}, seconds=2)])
    metrics, told = {"accuracy": 0.5, "train_seconds": 4.0}, {"train_rows": "9" * 1000}
    store.finish_trial(Outcome(trial_id=trial.id, attempt=1, status="completed", metrics=metrics, environment=told))
    assert check(api)["cost"]["measured"] == 1


def test_the_memory_of_a_trial_is_told_before_any_has_run(api: TestClient) -> None:
    found = check(api)["memory"]
    assert 80 < found["base_mb"] < 95  # 22.6 million numbers of four bytes
    assert 0 < found["training_mb_low"] <= found["training_mb_high"] <= found["whole_mb_high"] - found["base_mb"]
    shallow = {**SPEC["space"], "overrides": {"batch_size": {"value": 8}, "top_layers": {"value": 1}}}
    assert check(api, space=shallow)["memory"]["training_mb_high"] < found["training_mb_high"]


def test_a_job_that_this_machine_cannot_hold_is_refused_with_the_figure(
    api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "machine_memory", lambda: 50 * 2**20)
    (problem,) = check(api)["problems"]
    assert problem["field"] == "resources"
    assert "0.1 GiB" in problem["message"]
    assert "shards" in problem["allowed"]
    assert api.post("/v1/jobs", json=SPEC).status_code == 422
    elsewhere = {**SPEC, "resources": {"executor": "external"}}
    assert check(api, **elsewhere)["problems"] == []
    assert check(api, resources={"quantise": "nf4"})["problems"] != []  # the embeddings alone are too large


def test_optimizers_and_schedulers_say_their_options(api: TestClient) -> None:
    optimizers = {one["name"]: one for one in api.get("/v1/optimizers").json()["items"]}
    assert {"auto", "random", "gp"} <= set(optimizers)
    assert {"name": "initial", "type": "int", "default": 10} in optimizers["tpe"]["options"]
    assert all(one["summary"] for one in optimizers.values())
    schedulers = {one["name"]: one for one in api.get("/v1/schedulers").json()["items"]}
    assert {"name": "reduction", "type": "float", "default": 3.0} in schedulers["asha"]["options"]


def test_fields_of_tasks_carry_their_schema_under_its_name(api: TestClient) -> None:
    for one in api.get("/v1/tasks").json()["items"]:
        assert all(field["schema"] for field in one["fields"]), one["name"]
