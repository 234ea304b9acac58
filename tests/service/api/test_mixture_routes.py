"""Mixtures over REST."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    """Twenty mixtures of two domains, best at 70 % web."""
    return [
        {"weights": {"web": float(w), "code": float(1 - w)}, "losses": {"loss": float(2 + (w - 0.7) ** 2)}}
        for w in np.linspace(0, 1, 20)
    ]


@pytest.mark.slow
def test_a_mixture_is_recommended_with_its_interval_and_effects(api: TestClient, rows: list[dict[str, Any]]) -> None:
    answer = api.post("/v1/mixtures/fit", json={"rows": rows}).json()
    assert answer["weights"]["web"] == pytest.approx(0.7, abs=0.06)
    assert answer["low"] < answer["loss"] < answer["high"]
    assert {effect["domain"] for effect in answer["effects"]} == {"web", "code"}
    assert answer["fit"]["rows"] == 20


@pytest.mark.slow
def test_bad_tables_are_refused_by_field(api: TestClient, rows: list[dict[str, Any]]) -> None:
    cases = {
        "rows": {"rows": rows[:2]},
        "rows.0.weights": {"rows": [{"weights": {"web": 0.9, "code": 0.3}, "losses": {"loss": 2}}, *rows]},
        "rows.20.weights": {"rows": [*rows, {"weights": {"web": 0.5, "moon": 0.5}, "losses": {"loss": 2}}]},
        "rows.losses": {"rows": [row | {"losses": {"loss": 2.0}} for row in rows]},
        "target": {"rows": rows, "target": "other"},
    }
    for field, question in cases.items():
        answer = api.post("/v1/mixtures/fit", json=question)
        assert answer.status_code == 422, answer.text
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert api.post("/v1/mixtures/fit", json={"rows": []}).status_code == 422


@pytest.mark.slow
def test_a_byte_order_mark_is_no_part_of_a_name(api: TestClient, rows: list[dict[str, Any]]) -> None:
    marked = [
        {"weights": {"\ufeffweb": row["weights"]["web"], "code": row["weights"]["code"]}, "losses": row["losses"]}
        for row in rows
    ]
    assert set(api.post("/v1/mixtures/fit", json={"rows": marked}).json()["weights"]) == {"web", "code"}
    nameless = [row | {"weights": {"\ufeff": 0.5, "code": 0.5}} for row in rows]
    assert api.post("/v1/mixtures/fit", json={"rows": nameless}).status_code == 422
    marked = [{"weights": row["weights"], "losses": {"\ufeffloss": row["losses"]["loss"]}} for row in rows]
    assert api.post("/v1/mixtures/fit", json={"rows": marked, "target": "\ufeffloss"}).status_code == 200
