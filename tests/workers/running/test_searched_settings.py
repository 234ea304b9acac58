"""Settings of the machine in a configuration: each trial has its own, and a search finds the fastest that fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from optimizers.problem import CompletedTrial, Config, FailedTrial, History, Objective, Problem
from optimizers.registry import optimizer
from search_spaces.editing import apply_overrides
from tests.workers.tiny_models import tiny_description
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Report
from workers.errors import InvalidInput
from workers.hyperparameters import split_config
from workers.methods.registry import method
from workers.running.packing import why_not_packed
from workers.running.trial import train
from workers.running.workbench import Workbench
from workers.tasks.catalogue.text_classification import TextClassificationSpec

TASK = TextClassificationSpec(
    model="builtin:minilm", train="builtin:pydocs", max_length=24, train_rows=64, validation_rows=32
)
LORA = {"method": "lora", "rank": 2, "alpha": 4, "top_layers": 2, "targets": "qv", "learning_rate": 1e-3}
SLOW = {"precision": "bf16", "gradient_checkpointing": True, "threads": 3}


def assigned(config: dict[str, Any], **fields: Any) -> Assignment:
    return Assignment(trial_id="t", attempt=1, task=TASK, config=config, epochs=1, seed=0, **fields)


def test_a_configuration_says_how_its_trial_trains_and_is_otherwise_as_ever() -> None:
    found = assigned(LORA | SLOW, precision="fp32")
    assert (found.precision, found.gradient_checkpointing, found.threads) == ("bf16", True, 3)
    assert found.config == LORA
    assert Assignment.model_validate_json(found.model_dump_json()) == found
    assert split_config(LORA | SLOW) == split_config(LORA)
    assert assigned(LORA, precision="bf16", threads=2).threads == 2
    reason = why_not_packed(assigned(LORA | {"threads": 1}), tiny_description("bert"))
    assert "threads" in str(reason)


@pytest.mark.parametrize(("name", "value"), [("threads", 0), ("precision", "fp8"), ("gradient_checkpointing", "often")])
def test_one_that_is_no_setting_is_refused_by_its_name(name: str, value: object) -> None:
    with pytest.raises(InvalidInput) as raised:
        split_config(LORA | {name: value})
    assert raised.value.field == name


def test_a_trial_trains_with_its_own_and_tells_its_throughput(tmp_path: Path) -> None:
    bench, before = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts")), torch.get_num_threads()
    seen: list[int] = []

    def note(_report: Report) -> str:
        seen.append(torch.get_num_threads())
        return "continue"

    plain, own = (
        train(assigned(config, measure_latency=False), bench, note)  # type: ignore[arg-type]
        for config in (LORA, LORA | SLOW)
    )
    assert (plain.status, own.status) == ("completed", "completed"), own.reason
    assert seen == [before, 3]
    assert torch.get_num_threads() == before
    assert (own.engine, own.environment["precision"], own.environment["threads"]) == ("reference", "bf16", "3")
    assert own.metrics["peak_memory_mb"] < plain.metrics["peak_memory_mb"]
    for outcome in (plain, own):
        spent = outcome.metrics["train_tokens"] / outcome.metrics["train_seconds"]
        assert outcome.metrics["tokens_per_second"] == pytest.approx(spent)


def throughput(config: Config) -> float | None:
    """Tokens per second of a machine that is made up: two threads help, as do wide batches; None: out of memory."""
    rows, saved = config["batch_size"], config["gradient_checkpointing"]
    if rows > (32 if saved else 16):
        return None
    speed = 1000.0 * rows / (rows + 8) * (1.6 if config["precision"] == "bf16" else 1.0)
    return float(speed * (0.7 if saved else 1.0) * {1: 1.0, 2: 1.7, 3: 1.5, 4: 1.1}[config["threads"]])


def best_of(name: str, seed: int, trials: int = 24) -> float:
    overrides = {
        "batch_size": {"type": "ordinal", "values": [2, 4, 8, 16, 32, 64]},
        "gradient_checkpointing": {"choices": [False, True]},
        "precision": {"choices": ["fp32", "bf16"]},
        "threads": {"low": 1, "high": 4},
    }
    space = method("lora").space(tiny_description("bert"))
    fixed = {one.name: {"value": one.default} for one in space.parameters if one.name not in overrides}
    space = apply_overrides(space, fixed, overrides)
    problem = Problem(space, (Objective("tokens_per_second", "maximize"),))
    done: list[CompletedTrial] = []
    failed: list[FailedTrial] = []
    for number in range(trials):
        rng = np.random.default_rng([seed, number])
        (config,) = optimizer(name).propose(problem, History(tuple(done), failed=tuple(failed)), 1, rng).configs
        found = throughput(config)
        if found is None:
            failed.append(FailedTrial(str(number), config, "out_of_memory"))
        else:
            done.append(CompletedTrial(str(number), config, {"tokens_per_second": found}))
    return max(trial.metrics["tokens_per_second"] for trial in done)


def test_a_search_finds_the_fastest_setting_that_fits() -> None:
    fastest = 1000.0 * 16 / 24 * 1.6 * 1.7
    searched, drawn = ([best_of(name, seed) for seed in range(3)] for name in ("auto", "random"))
    assert searched == pytest.approx([fastest] * 3)
    assert np.mean(drawn) < 0.9 * fastest  # not that anything finds it
