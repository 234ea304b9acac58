"""Mixture and law jobs over REST: what is admitted, what is refused and why, what they answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.store.records import NewTrial
from service.store.store import Store
from workers.assignment import Outcome

Change = dict[str, Any]


@pytest.fixture
def mixture(data_root: Path) -> dict[str, Any]:
    """A sound mixture job on two small domains."""
    for name, documents in (("web", 200), ("code", 100)):
        (data_root / name).mkdir()
        text = "\n\n".join(f"document {number} of {name} says this" for number in range(documents))
        (data_root / name / "a.txt").write_text(text)
    domains = {"web": "web", "code": "code"}
    return {"name": "text", "kind": "mixture", "corpus": {"domains": domains}, "budget": {"trials": 8, "held_out": 2}}


@pytest.fixture
def law() -> dict[str, Any]:
    """A sound law job on the small data set."""
    task = {"model": "builtin:minilm", "train": "train.csv", "validation": 0.25, "max_length": 16}
    design = {"train_rows": [16, 24], "batch_size": [2, 4, 8], "knobs": {"rank": [2, 4]}}
    return {"name": "adapters", "kind": "law", "task": task, "design": design}


def refusals(api: TestClient, spec: dict[str, Any]) -> dict[str, str]:
    """Messages of the 422 by field; nothing is stored."""
    before = len(api.get("/v1/jobs").json()["items"])
    answer = api.post("/v1/jobs", json=spec)
    assert answer.status_code == 422, answer.text
    assert len(api.get("/v1/jobs").json()["items"]) == before
    return {error["field"]: error["message"] for error in answer.json()["errors"]}


def test_a_mixture_job_is_admitted_with_paths_sizes_and_prior(api: TestClient, mixture: Any, data_root: Path) -> None:
    created = api.post("/v1/jobs", json=mixture)
    assert created.status_code == 201, created.text
    spec = created.json()["spec"]
    assert spec["corpus"]["domains"]["web"] == str(data_root / "web")
    assert spec["prior"]["web"] == pytest.approx(spec["bytes"]["web"] / sum(spec["bytes"].values()))
    assert created.json()["objectives"] == [{"metric": "loss", "direction": "minimize"}]
    again = api.post(f"/v1/jobs/{created.json()['id']}/clone", json={"seed": 1})
    assert again.status_code == 201, again.text


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"kind": "mixtures"}, "kind", "did you mean 'mixture'"),
        ({"corpus": {"domains": {"web": "web"}}}, "corpus.domains", "at least 2"),
        ({"corpus": {"domains": {"web": "web", "code": "cod"}}}, "corpus.domains.code", "does not exist"),
        ({"corpus": {"domains": {"web": "web", "code": "../.."}}}, "corpus.domains.code", "outside"),
        ({"corpus": {"domains": {"web": "web", "code": "train.csv"}}}, "corpus.domains.code", "bytes of text"),
        ({"target": ["wbe"]}, "target.0", "did you mean 'web'"),
        ({"prior": {"web": 0.5, "code": 0.6}}, "prior", "sum to 1.1"),
        ({"prior": {"web": 0.5, "books": 0.5}}, "prior.books", "no domain"),
        ({"mixtures": [{"web": 1.0}] * 2}, "mixtures", "found 2 mixtures"),
        ({"mixtures": [{"web": 0.5, "code": 0.4}] * 8}, "mixtures.0", "sum to 0.9"),
        ({"mixtures": [{"web": -1.0, "code": 2.0}] * 8}, "mixtures.3.web", "0 to 1"),
        ({"budget": {"trials": 2}}, "budget.trials", "greater than or equal to 8"),
        ({"proxy": {"width": 30, "heads": 4}}, "proxy", "multiple of heads"),
        ({"proxy": {"widht": 32}}, "proxy.widht", "did you mean 'width'"),
        ({"evaluator": "merge_proxy", "soup": {}}, "soup", "no soup"),
        ({"resources": {"executor": "external"}}, "resources.executor", "ray"),
        ({"resources": {"shards": 2}}, "resources.shards", "trained from scratch"),
        ({"resources": {"precision": "bf16"}}, "resources.precision", "allowed: auto or fp32"),
        ({"resources": {"engine": "fast"}}, "resources.engine", "allowed: auto"),
        ({"resources": {"quantise": "nf4"}}, "resources.quantise", "allowed: nothing"),
        ({"resources": {"gradient_checkpointing": True}}, "resources.gradient_checkpointing", "allowed: false"),
        ({"resources": {"threads": 2}}, "resources.threads", "allowed: nothing"),
        ({"resources": {"pack": 4}}, "resources.pack", "allowed: auto or 1"),
        ({"objectives": [{"metric": "accuracy", "direction": "maximize"}]}, "objectives.0.metric", "loss"),
    ],
)
def test_mixture_jobs_that_cannot_work_are_refused(
    api: TestClient, mixture: Any, change: Change, field: str, words: str
) -> None:
    found = refusals(api, mixture | change)
    assert field in found, found
    assert words in found[field], found


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"resources": {"shards": 2, "executor": "external"}}, "resources.executor", "one process"),
        ({"resources": {"shards": 2}, "method": "sft"}, "method", "cannot be trained on it"),
        ({"resources": {"quantise": "int8"}, "method": "vera"}, "method", "cannot be trained on by vera"),
    ],
)
def test_what_a_method_cannot_be_trained_with_is_refused(
    api: TestClient, law: Any, change: Change, field: str, words: str
) -> None:
    found = refusals(api, law | change)
    assert field in found, found
    assert words in found[field], found


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"train_rows": [16, 16]}, "design.train_rows", "[16, 16]"),
        ({"train_rows": [16, 2000]}, "design.train_rows", "the training data has 30"),
        ({"batch_size": [4, 8, 32]}, "design.batch_size", "the smallest size has 16"),
        ({"knobs": {}}, "design", "at least 4"),
        ({"knobs": {"rnk": [2, 4]}}, "design.knobs.rnk", "rnk"),
        ({"learning_rate": [1e-3, 1e-2]}, "design.learning_rate", "at least 3"),
        (
            {"seeds": 10, "train_rows": list(range(10, 30)), "learning_rate": [1e-4 * n for n in range(1, 30)]},
            "design",
            "at most 2000",
        ),
    ],
)
def test_grids_that_determine_no_law_are_refused(
    api: TestClient, law: Any, change: Change, field: str, words: str
) -> None:
    found = refusals(api, law | {"design": law["design"] | change})
    assert field in found, found
    assert words in found[field], found


def test_a_law_job_is_admitted_and_its_task_checked(api: TestClient, law: Any) -> None:
    assert api.post("/v1/jobs", json=law).status_code == 201
    assert "task.train" in refusals(api, law | {"task": law["task"] | {"train": "tran.csv"}})
    assert "method" in refusals(api, law | {"method": "lroa"})


@pytest.mark.slow
def test_calls_for_searches_say_what_a_designed_job_has_instead(api: TestClient, mixture: Any) -> None:
    job = api.post("/v1/jobs", json=mixture).json()["id"]
    for method, path in (("get", "best"), ("get", "importance"), ("get", "knee"), ("post", "extend")):
        body = {"json": {"trials": 1}} if method == "post" else {}
        answer = getattr(api, method)(f"/v1/jobs/{job}/{path}", **body)
        assert answer.status_code == 409, (path, answer.text)
        assert f"/v1/jobs/{job}/answer" in answer.json()["detail"]
    assert api.get(f"/v1/jobs/{job}/pareto").json()["items"] == []
    assert api.get(f"/v1/jobs/{job}/answer").status_code == 404
    assert api.post("/v1/recommend", json={}).status_code == 200


def law_rows(low: float = 1e5) -> list[dict[str, float]]:
    """Runs around the optimum of four sizes: learning rate 1e-3 · (N / 1e5)^-0.3, batch 16."""
    rows = []
    for n in (low, 4 * low):
        for d in (1e6, 4e6):
            for rate in np.linspace(-1, 1, 5):
                for batch in np.linspace(-1, 1, 5):
                    best = 1e-3 * (n / 1e5) ** -0.3
                    loss = 2 * np.exp(0.02 * rate**2 + 0.01 * batch**2)
                    rows.append(
                        {
                            "parameters": n,
                            "tokens": d,
                            "learning_rate": best * np.exp(rate),
                            "batch": 16 * np.exp(batch),
                            "loss": loss,
                        }
                    )
    return rows


def test_a_stored_law_answers_where_it_was_measured(api: TestClient) -> None:
    stored = api.post("/v1/laws", json={"name": "mine", "rows": law_rows(), "batch_unit": "sequences"})
    assert stored.status_code == 201, stored.text
    assert (stored.json()["version"], stored.json()["job_id"]) == (1, None)
    inside = api.get("/v1/predict/step-law", params={"parameters": 2e5, "tokens": 2e6}).json()
    assert inside["learning_rate"] == pytest.approx(1e-3 * 2**-0.3, rel=0.02)
    assert inside["batch_sequences"] == pytest.approx(16, rel=0.02)
    assert (inside["standing"], inside["warnings"]) == ("fitted", [])
    assert "your law 'mine', version 1" in inside["source"]
    outside = api.get("/v1/predict/step-law", params={"parameters": 1.07e9, "tokens": 2e10}).json()
    assert outside["standing"] == "published"
    assert outside["learning_rate"] == pytest.approx(9.5e-4, rel=0.01)
    told = api.get("/v1/predict/step-law", params={"parameters": 2e5, "tokens": 2e6, "law": "published"}).json()
    assert told["standing"] == "published"
    named = api.post("/v1/predict/law", json={"law": "mine", "parameters": 1e9, "tokens": 2e6}).json()
    assert any("extrapolation" in warning for warning in named["warnings"])
    assert api.post("/v1/laws", json={"name": "mine", "rows": law_rows(2e5)}).json()["version"] == 2
    assert [one["version"] for one in api.get("/v1/laws").json()["items"]] == [2]
    assert api.get("/v1/laws/mine", params={"version": 1}).json() == stored.json()


def test_questions_to_laws_that_are_not_there_or_lack_a_size(api: TestClient) -> None:
    assert api.get("/v1/predict/law", params={"law": "mine", "parameters": 1, "tokens": 1}).status_code == 404
    api.post("/v1/laws", json={"name": "mine", "rows": law_rows()})
    lacking = api.get("/v1/predict/law", params={"law": "mine", "parameters": 1e5})
    assert lacking.status_code == 422
    assert "tokens" in lacking.json()["errors"][0]["field"]
    assert api.post("/v1/laws", json={"name": "mine", "rows": law_rows()[:2]}).status_code == 422
    mixed = law_rows()
    mixed[0]["rank"] = 4
    assert api.post("/v1/laws", json={"name": "mine", "rows": mixed}).status_code == 201


def test_answers_outlive_their_job_and_count_versions(store: Store) -> None:
    job = store.create_job("a", {"kind": "law", "objectives": []})
    first = store.add_answer("law", "a", {"x": 1}, job.id)
    assert store.add_answer("law", "a", {"x": 1}, job.id) == first
    assert store.add_answer("law", "a", {"x": 2}, job.id).version == 2
    store.delete_job(job.id)
    kept = store.answer("law", "a", 1)
    assert (kept.job_id, kept.body) == (None, {"x": 1})


@pytest.mark.slow
def test_any_mixture_of_a_job_is_answered_by_its_proxies(api: TestClient, mixture: Any, store: Store) -> None:
    """Ten proxies whose loss is least at 70 % web: others than the measured ones are asked for."""
    job = api.post("/v1/jobs", json=mixture).json()["id"]
    store.lease_job("conductor", 600)
    asked = {"mixtures": [{"web": 0.7, "code": 0.3}, {"code": 0.95, "web": 0.05}]}
    few = api.post(f"/v1/jobs/{job}/mixtures/expect", json=asked)
    assert (few.status_code, few.json()["errors"][0]["field"]) == (422, "trials")
    for number, web in enumerate(np.linspace(0, 1, 10).tolist()):
        (trial,) = store.add_trials(job, [NewTrial({"web": web, "code": 1 - web}, "design", 0)])
        store.claim_trial(job, "w", 600, trial_id=trial.id)
        loss = 2 + (web - 0.7) ** 2
        metrics = {"loss": loss, "loss.web": loss, "loss.code": loss}
        store.finish_trial(Outcome(trial_id=trial.id, attempt=1, status="completed", metrics=metrics))
        assert number == trial.number
    answer = api.post(f"/v1/jobs/{job}/mixtures/expect", json=asked)
    assert answer.status_code == 200, answer.text
    best, worst = answer.json()["items"]
    assert best["weights"] == {"web": 0.7, "code": 0.3}
    assert best["low"] < best["loss"] < best["high"]
    assert best["loss"] == pytest.approx(2, abs=0.05)
    assert worst["loss"] == pytest.approx(2 + 0.65**2, abs=0.1)
    assert answer.json()["fit"]["rows"] == 10
    for field, bad in (
        ("mixtures.0", [{"web": 1.0}]),
        ("mixtures.1.weights", [{"web": 1.0, "code": 0.0}, {"web": 0.9, "code": 0.9}]),
        ("mixtures", []),
    ):
        refused = api.post(f"/v1/jobs/{job}/mixtures/expect", json={"mixtures": bad})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)


def test_only_mixture_jobs_are_asked_for_mixtures(api: TestClient, law: Any) -> None:
    job = api.post("/v1/jobs", json=law).json()["id"]
    refused = api.post(f"/v1/jobs/{job}/mixtures/expect", json={"mixtures": [{"a": 1.0}]})
    assert refused.status_code == 422
    assert "kind law" in refused.json()["errors"][0]["message"]
