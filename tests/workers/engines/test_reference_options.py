"""What only the reference engine does: gradient checkpointing and bases in few bits. Numbers stay, memory shrinks."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

from tests.workers.engines.test_engine_equality import TRAIN, VALIDATION, attached_to, train
from tests.workers.methods.test_conformance import CASES
from tests.workers.tiny_models import BUILDERS, batch, tiny_base
from workers.assignment import Assignment, Outcome
from workers.costs import training_memory
from workers.engines.recomputing import recomputing_layers
from workers.engines.reference import reference_trainee
from workers.engines.resident import ResidentBase
from workers.hyperparameters import Hyperparameters
from workers.running.trial import train as train_trial
from workers.running.workbench import Workbench
from workers.tasks.catalogue.text_classification import TextClassificationSpec

HYPERPARAMETERS = Hyperparameters(learning_rate=2e-3, batch_size=8)
LORA = {"rank": 2, "dropout": 0.2, "targets": "all"}


def losses(kind: str, name: str, knobs: dict[str, Any], recompute: bool) -> Any:
    resident = ResidentBase.of(tiny_base(kind))
    with attached_to(resident, name, knobs, 6) as attached:
        trainee = reference_trainee(attached, TRAIN, VALIDATION, HYPERPARAMETERS)
        if not recompute:
            return train(trainee, attached, HYPERPARAMETERS, 6)
        with recomputing_layers(resident.base):
            return train(trainee, attached, HYPERPARAMETERS, 6)


@pytest.mark.parametrize("kind", BUILDERS)
def test_recomputed_activations_give_the_same_numbers_on_every_class(kind: str) -> None:
    kept, recomputed = losses(kind, "lora", LORA, False), losses(kind, "lora", LORA, True)
    np.testing.assert_allclose(recomputed.losses, kept.losses, rtol=1e-5)
    np.testing.assert_allclose(recomputed.logits, kept.logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["adalora", "prefix_tuning", "adapter_houlsby", "lst", "unipt"])
def test_recomputed_activations_give_the_same_numbers_for_every_way_to_attach(name: str) -> None:
    knobs = CASES[name][0]
    kept, recomputed = losses("bert", name, knobs, False), losses("bert", name, knobs, True)
    np.testing.assert_allclose(recomputed.losses, kept.losses, rtol=1e-5)


def test_recomputing_keeps_less_and_is_undone() -> None:
    base = tiny_base("bert")
    with attached_to(ResidentBase.of(base), "lora", LORA, 1) as attached:
        trained = list(attached.parameters().values())
        whole = training_memory(attached.model, trained, batch())
        with recomputing_layers(base):
            small = training_memory(attached.model, trained, batch())
        assert small < 0.7 * whole
        assert training_memory(attached.model, trained, batch()) == whole
    assert all("forward" not in vars(layer) for layer in base.model.bert.encoder.layer)


TASK = TextClassificationSpec(
    model="builtin:minilm", train="builtin:pydocs", max_length=24, train_rows=32, validation_rows=16
)


def outcome(bench: Workbench, method: str = "lora", **changes: Any) -> Outcome:
    config = {"method": method, **({"rank": 2, "top_layers": 3} if method == "lora" else {})}
    assignment = Assignment(
        trial_id="t", attempt=1, task=TASK, config=config, epochs=1, seed=0, measure_latency=False, **changes
    )
    return train_trial(assignment, bench, lambda _: "continue")


@pytest.mark.slow
def test_a_trial_with_checkpointing_runs_on_the_reference_says_why_and_costs_less_memory(bench: Workbench) -> None:
    plain, small = outcome(bench, engine="reference"), outcome(bench, gradient_checkpointing=True)
    assert (small.engine, small.engine_reason) == (
        "reference",
        "gradient checkpointing is done by the reference engine",
    )
    assert small.metrics["loss"] == pytest.approx(plain.metrics["loss"], rel=1e-5)
    assert small.metrics["peak_memory_mb"] < 0.6 * plain.metrics["peak_memory_mb"]


@pytest.mark.slow
def test_the_reference_trains_in_the_format_that_is_asked_for(bench: Workbench) -> None:
    plain, mixed = outcome(bench, engine="reference"), outcome(bench, engine="reference", precision="bf16")
    assert (plain.environment["precision"], mixed.environment["precision"]) == ("fp32", "bf16")
    assert mixed.metrics["loss"] == pytest.approx(plain.metrics["loss"], rel=0.03)
    assert outcome(bench, precision="bf16").environment["precision"] == "bf16"  # on the fast engine too


@pytest.mark.parametrize("quantise", [None, *(("int8", "nf4") if importlib.util.find_spec("bitsandbytes") else ())])
def test_a_trial_learns_on_a_base_in_every_format_that_is_installed_here(bench: Workbench, quantise: Any) -> None:
    plain, found = outcome(bench, engine="reference"), outcome(bench, engine="reference", quantise=quantise)
    assert found.status == "completed"
    assert found.metrics["loss"] == pytest.approx(plain.metrics["loss"], rel=0.02)
    base = bench.base(TASK.model, 4, quantise).base.model
    size = sum(value.numel() * value.element_size() for value in base.parameters())
    assert size < (60e6 if quantise else 100e6)


def test_a_quantised_base_without_bitsandbytes_is_refused_by_name(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "bitsandbytes" else find(name, *a)
    )
    refused = outcome(bench, quantise="nf4")
    assert refused.status == "failed"
    assert "bitsandbytes is not installed" in (refused.reason or "")


def test_methods_that_rewrite_weights_are_refused_on_a_quantised_base(bench: Workbench) -> None:
    refused = outcome(bench, method="bitfit", quantise="int8")
    assert refused.status == "failed"
    assert "it needs one of" in (refused.reason or "")
