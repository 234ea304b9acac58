"""`peftsearch predict` against a running server."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("url")


def test_predict_prints_the_learning_rate(run: Any) -> None:
    law = run("predict", "step-law", "--params", "1.07e9", "--tokens", "2e10", "--json").json
    assert law["learning_rate"] == pytest.approx(9.5e-4, rel=2e-3)
    lora = run("predict", "lora-lr", "--hidden-size", "4096", "--family", "llama", "--json").json
    assert lora["learning_rate"] == pytest.approx(2.86e-4, rel=2e-3)
    assert lora["source"]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("step-law --params 1e6 --tokens 2e10", ["batch_sequences", "to", "extrapolation"]),
        ("power --tokens 1e10 --batch-sequences 64", ["learning_rate", "unverified"]),
        ("critical-batch --loss 2.5", ["critical_batch_tokens"]),
        ("lora-params --model llama-3.1-8b", ["1,769,472"]),
        ("loss-curve --params 1e9 --tokens 2e10 --batch-tokens 5e5", ["floor", "2e+10", "loss"]),
    ],
)
def test_predict_prints_tables(run: Any, command: str, words: list[str]) -> None:
    done = run("predict", *command.split())
    assert done.code == 0, done.err
    for word in words:
        assert word in (done.out + done.err).replace("20,000,000,000", "2e+10")


def test_sizes_that_are_not_positive_exit_with_2(run: Any) -> None:
    done = run("predict", "step-law", "--params", "-1", "--tokens", "2e10")
    assert done.code == 2
    assert "parameters" in done.err


@pytest.mark.slow
def test_importance_of_a_job_without_trials_exits_with_2(run: Any, client: Any, spec: dict[str, Any]) -> None:
    done = run("importance", client.submit(spec).id)
    assert done.code == 2
    assert "at least 8" in done.err


@pytest.mark.slow
def test_recommend_prints_the_default_without_a_past(run: Any) -> None:
    done = run("recommend", "--rows", "500")
    assert done.code == 0, done.err
    assert "rank=8" in done.out
    assert "literature" in done.err
    assert run("recommend", "--json").json["items"]
