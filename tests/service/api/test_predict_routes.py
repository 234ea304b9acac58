"""Laws over REST: worked values, both verbs, refusals that name the field."""

from __future__ import annotations

import math
from typing import Any

import pytest
from fastapi.testclient import TestClient

QUESTIONS: dict[str, dict[str, Any]] = {
    "step-law": {"parameters": 1.07e9, "tokens": 2e10},
    "power": {"tokens": 1e10, "batch_sequences": 64},
    "critical-batch": {"loss": 2.5, "steps": 1000, "batch_tokens": 5e5},
    "lora-lr": {"hidden_size": 4096, "family": "llama"},
    "lora-params": {"model": "llama-3.1-8b", "rank": 8},
    "parallel-layout": {
        "layers": 96,
        "hidden_size": 12288,
        "heads": 96,
        "vocabulary": 51200,
        "gpus": 768,
        "batch": 1536,
        "memory": 80.0,
        "trained": 1.0,
    },
    "loss-curve": {"parameters": 1e9, "tokens": 2e10, "batch_tokens": 5e5, "points": 5},
}
SIZES = [
    (law, field)
    for law, question in QUESTIONS.items()
    for field, value in question.items()
    if isinstance(value, int | float)
]


@pytest.mark.parametrize("law", QUESTIONS)
def test_get_and_post_answer_alike(api: TestClient, law: str) -> None:
    posted = api.post(f"/v1/predict/{law}", json=QUESTIONS[law])
    assert posted.status_code == 200, posted.text
    answer = posted.json()
    assert answer == api.get(f"/v1/predict/{law}", params=QUESTIONS[law]).json()
    assert {"units", "intervals", "source", "standing", "valid_for", "warnings"} <= set(answer)
    assert answer["units"]
    assert all(answer[name] > 0 for name in answer["units"])


def test_step_law_answers_with_its_worked_value(api: TestClient) -> None:
    answer = api.post("/v1/predict/step-law", json=QUESTIONS["step-law"]).json()
    assert answer["learning_rate"] == pytest.approx(9.5e-4, rel=2e-3)
    interval = answer["intervals"]["learning_rate"]
    assert interval["low"] < answer["learning_rate"] < interval["high"]
    assert (answer["standing"], answer["warnings"]) == ("published", [])


def test_unverified_constants_are_labelled(api: TestClient) -> None:
    answer = api.post("/v1/predict/power", json=QUESTIONS["power"]).json()
    assert answer["standing"] == "unverified"
    assert answer["warnings"]
    own = api.post("/v1/predict/power", json=QUESTIONS["power"] | {"amplitude": 2.0}).json()
    assert own["standing"] == "fitted"
    assert own["learning_rate"] == pytest.approx(answer["learning_rate"] / 2)


def test_a_loss_curve_falls_to_its_end(api: TestClient) -> None:
    answer = api.post("/v1/predict/loss-curve", json=QUESTIONS["loss-curve"]).json()
    losses = [point["loss"] for point in answer["curve"]]
    assert len(losses) == 5
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == answer["loss"]


@pytest.mark.parametrize(("law", "field"), SIZES)
@pytest.mark.parametrize("bad", [0, -3, "1e400"])
def test_sizes_that_are_not_positive_are_refused_by_name(api: TestClient, law: str, field: str, bad: Any) -> None:
    answer = api.get(f"/v1/predict/{law}", params=QUESTIONS[law] | {field: bad})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_unknown_families_and_fields_are_refused(api: TestClient) -> None:
    problem = api.post("/v1/predict/lora-lr", json={"hidden_size": 768, "family": "bert"}).json()
    assert problem["errors"][0]["field"] == "family"
    assert "llama, qwen" in problem["detail"]
    assert api.get("/v1/predict/lora-lr", params=QUESTIONS["lora-lr"] | {"colour": 1}).status_code == 422


def _runs() -> list[dict[str, float]]:
    """A grid of runs around a known optimum of six sizes."""
    rows = []
    for n in (1e8, 1e9):
        for d in (1e9, 1e10, 1e11):
            for rate in (0.3, 0.6, 1.0, 2.0, 3.0):
                for batch in (0.25, 0.5, 1.0, 2.0, 5.0):
                    loss = 2.5 * (1 + 0.01 * math.log(rate) ** 2 + 0.01 * math.log(batch) ** 2)
                    rates = 100 * n**-0.7 * d**0.2 * rate
                    row = {"learning_rate": rates, "batch": d**0.5 * batch, "loss": loss}
                    rows.append({"parameters": n, "tokens": d} | row)
    return rows


@pytest.mark.slow
def test_a_law_is_fitted_to_a_table(api: TestClient) -> None:
    question = {"rows": _runs(), "parameters": 5e8, "tokens": 2e10}
    answer = api.post("/v1/predict/fit-law", json=question).json()
    assert answer["learning_rate"]["exponents"]["parameters"] == pytest.approx(-0.7, abs=0.02)
    assert answer["batch"]["exponents"]["tokens"] == pytest.approx(0.5, abs=0.02)
    assert answer["prediction"]["standing"] == "fitted"
    assert answer["prediction"]["learning_rate"] == pytest.approx(100 * 5e8**-0.7 * 2e10**0.2, rel=0.1)
    assert answer["best"]
    marked = [
        {"\ufeffparameters" if name == "parameters" else name: value for name, value in row.items()} for row in _runs()
    ]
    assert api.post("/v1/predict/fit-law", json=question | {"rows": marked}).json() == answer


def test_tables_that_determine_no_law_are_refused_by_field(api: TestClient) -> None:
    rows = _runs()
    cases: dict[str, list[dict[str, Any]]] = {
        "rows": rows[:2],
        "loss": [row | {"loss": 2.0} for row in rows],
        "rows.0.batch": [{name: value for name, value in rows[0].items() if name != "batch"}, *rows],
        "rows.1.loss": [rows[0], rows[1] | {"loss": -1}, *rows[2:]],
    }
    for field, bad in cases.items():
        refused = api.post("/v1/predict/fit-law", json={"rows": bad})
        assert refused.status_code == 422
        assert [error["field"] for error in refused.json()["errors"]] == [field]
