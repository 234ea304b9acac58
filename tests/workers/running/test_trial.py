"""A trial end to end on a real pretrained model: both engines, every ending, memory of the process."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from workers import room
from workers.artifacts import ArtifactStore
from workers.assignment import Artifact, Assignment, Outcome, Report
from workers.engines.faults import failure_reason
from workers.methods.loading import load_adapter
from workers.running.trial import train
from workers.running.workbench import Workbench
from workers.tasks.catalogue.text_classification import TextClassificationSpec

TASK = TextClassificationSpec(
    model="builtin:minilm", train="builtin:pydocs", max_length=24, train_rows=64, validation_rows=32
)
LORA = {"method": "lora", "rank": 4, "alpha": 8, "top_layers": 1, "targets": "qv", "learning_rate": 5e-3}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    torch.set_num_threads(1)
    home = tmp_path_factory.mktemp("home")
    return Workbench(home, ArtifactStore(home / "artifacts"))


def run(bench: Workbench, config: dict[str, Any], **changes: Any) -> tuple[Outcome, list[Report]]:
    reports: list[Report] = []
    fields = {"epochs": 2, "seed": 1, "measure_latency": False} | changes
    decision = fields.pop("decision", "continue")
    assignment = Assignment(trial_id="t", attempt=3, task=TASK, config=config, **fields)
    outcome = train(assignment, bench, lambda report: (reports.append(report), decision)[1])
    return outcome, reports


FULL = {"method": "full_ft", "top_layers": 1, "learning_rate": 1e-3}
GALORE = FULL | {"strategy": "galore", "galore.rank": 8, "galore.interval": 10}


LIGHT = {"method": "light_peft", "rank": 4, "samples": 64, "pruned_heads": 0.25, "pruned_units": 0.5}


@pytest.mark.slow
@pytest.mark.parametrize(
    "config", [{"method": "head"}, LORA, {"method": "autopeft", "layer_5": True, "serial_size": 12}, GALORE, LIGHT]
)
def test_both_engines_reach_the_same_outcome(bench: Workbench, config: dict[str, Any]) -> None:
    fast, fast_reports = run(bench, config)
    slow, slow_reports = run(bench, config, engine="reference")
    assert (fast.status, fast.engine, fast.engine_reason) == ("completed", "fast", None)
    assert (slow.status, slow.engine) == ("completed", "reference")
    assert slow.engine_reason is not None
    for mine, theirs in zip(fast_reports, slow_reports, strict=True):
        assert mine.metrics == pytest.approx(theirs.metrics, rel=1e-4)
    for name in ("trainable_params", "head_params", "adapter_bytes", "peak_memory_mb", "train_tflops"):
        assert fast.metrics[name] == slow.metrics[name]


def test_a_strategy_pauses_saves_memory_and_keeps_to_methods_it_fits(bench: Workbench) -> None:
    whole, reports = run(bench, GALORE)
    paused, _ = run(bench, GALORE, pause_every=1)
    rest, rest_reports = run(bench, GALORE, checkpoint=paused.checkpoint)
    assert rest_reports[-1].metrics == reports[-1].metrics
    assert rest.metrics["peak_memory_mb"] == whole.metrics["peak_memory_mb"]
    plain, _ = run(bench, FULL)
    saved = (plain.metrics["peak_memory_mb"] - whole.metrics["peak_memory_mb"]) * 2**20
    weights = 4 * 384 * 384 + 2 * 384 * 1536
    # Two moments for each weight, instead of a basis and two moments of eight rows for each of the six matrices.
    assert saved == pytest.approx(4 * (2 * weights - 8 * (6 * 384 + 2 * (4 * 384 + 2 * 1536))), rel=1e-3)
    wrong, _ = run(bench, LORA | {"strategy": "galore"})
    assert (wrong.status, wrong.reason is not None and wrong.reason.startswith("invalid_config: ")) == ("failed", True)


def test_one_training_of_dylora_tells_the_metrics_of_every_rank(bench: Workbench, tmp_path: Path) -> None:
    config = {"method": "dylora", "rank": 6, "alpha": 16, "top_layers": 1, "targets": "all", "learning_rate": 5e-3}
    outcome, _ = run(bench, config)
    told = {name.removeprefix("loss_at_rank_") for name in outcome.metrics if name.startswith("loss_at_rank_")}
    assert told == {"1", "2", "4"}
    assert outcome.adapter is not None
    folder = bench.artifacts.extract(outcome.adapter.sha256, tmp_path / "adapter")
    rows = bench.data(TASK, 0).validation
    inputs = dict(rows.batch(np.arange(len(rows))))
    found = {}
    for rank in (1, 2, 4, 6):
        model = load_adapter("builtin:minilm", folder, rank=rank)
        with torch.no_grad():
            logits = model(**inputs).logits
        found[rank] = torch.nn.functional.cross_entropy(logits, rows.targets(np.arange(len(rows)))).item()
    told_losses = {rank: outcome.metrics[f"loss_at_rank_{rank}" if rank < 6 else "loss"] for rank in found}
    assert told_losses == pytest.approx(found, rel=1e-4)
    assert len(set(found.values())) == 4


def test_equal_seeds_repeat_exactly_and_others_differ(bench: Workbench) -> None:
    first, second, other = (run(bench, LORA, seed=seed)[0] for seed in (1, 1, 2))
    assert first.metrics["loss"] == second.metrics["loss"] != other.metrics["loss"]
    assert first.adapter is not None


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_a_paused_trial_continues_bit_for_bit(bench: Workbench, engine: str) -> None:
    config = LORA | {"dropout": 0.1, "weight_decay": 0.01}
    whole, reports = run(bench, config, engine=engine)
    paused, _ = run(bench, config, engine=engine, pause_every=1)
    assert (paused.status, paused.adapter) == ("paused", None)
    rest, rest_reports = run(bench, config, engine=engine, checkpoint=paused.checkpoint)
    assert rest.metrics["loss"] == whole.metrics["loss"]
    assert rest_reports[-1].metrics == reports[-1].metrics
    assert rest_reports[-1].step == reports[-1].step


def test_an_interrupted_trial_continues_bit_for_bit(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    config = LORA | {"dropout": 0.1}
    whole, reports = run(bench, config)
    steps = iter(range(reports[0].step + 2))
    with monkeypatch.context() as leaving:
        leaving.setattr(bench, "interrupted", lambda: next(steps, None) is None)
        left, before = run(bench, config)
    assert (left.status, left.adapter, [report.step for report in before]) == ("interrupted", None, [reports[0].step])
    rest, after = run(bench, config, checkpoint=left.checkpoint)
    assert [report.metrics for report in (*before, *after)] == [report.metrics for report in reports]
    assert rest.metrics["loss"] == whole.metrics["loss"]


@pytest.mark.parametrize("damage", ["bytes", "gone"])
def test_a_damaged_checkpoint_starts_the_trial_afresh_and_says_so(bench: Workbench, damage: str) -> None:
    whole, reports = run(bench, LORA)
    paused, _ = run(bench, LORA, pause_every=1)
    assert paused.checkpoint is not None
    path = Path(bench.artifacts._path(paused.checkpoint.sha256))
    path.unlink()
    if damage == "bytes":
        path.write_bytes(b"what a bad disk gives back")
    again, again_reports = run(bench, LORA, checkpoint=paused.checkpoint)
    path.unlink(missing_ok=True)
    assert (again.status, again.metrics["accuracy"]) == ("completed", whole.metrics["accuracy"])
    assert [report.metrics for report in again_reports] == [report.metrics for report in reports]
    assert "its checkpoint cannot be read" in again.environment["started_afresh"]


def test_an_adapter_waits_for_room_on_the_disk(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    put, full = ArtifactStore.put_file, iter(range(2))

    def put_when_there_is_room(self: ArtifactStore, path: Path) -> Artifact:
        if next(full, None) is not None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return put(self, path)

    monkeypatch.setattr(room, "LOOK_AGAIN", 0.01)
    monkeypatch.setattr(ArtifactStore, "put_file", put_when_there_is_room)
    outcome, _ = run(bench, LORA)
    assert outcome.status == "completed"
    assert outcome.adapter is not None
    assert bench.artifacts.has(outcome.adapter)


@pytest.mark.parametrize("config", [LORA | {"dropout": 0.1}, {"method": "vera", "rank": 16, "learning_rate": 1e-2}])
def test_a_checkpoint_goes_on_under_other_hyperparameters_where_it_was(
    bench: Workbench, config: dict[str, Any]
) -> None:
    """What population-based training does: the donor's seed and structure, another rate, dropout and batch size."""
    donor, reports = run(bench, config, pause_every=1)
    still = config | {"learning_rate": 1e-12, "batch_size": 8, "weight_decay": 0.1}
    still |= {"dropout": 0.3} if "dropout" in config else {}
    outcome, later = run(bench, still, checkpoint=donor.checkpoint)
    assert (outcome.status, [report.epoch for report in later]) == ("completed", [2.0])
    assert outcome.metrics["loss"] == pytest.approx(reports[-1].metrics["loss"], rel=1e-5)


def test_the_saved_adapter_reproduces_the_recorded_accuracy_with_plain_peft(bench: Workbench, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    from workers.models.references import resolve

    outcome, _ = run(bench, LORA)
    assert outcome.adapter is not None
    folder = bench.artifacts.extract(outcome.adapter.sha256, tmp_path / "adapter")
    plain = AutoModelForSequenceClassification.from_pretrained(resolve(TASK.model), num_labels=4)
    model = PeftModel.from_pretrained(plain, folder).eval()
    validation = bench.data(TASK, 0).validation
    rows = np.arange(len(validation))
    with torch.no_grad():
        predicted = model(**validation.batch(rows)).logits.argmax(-1)
    assert float((predicted == validation.targets(rows)).double().mean()) == outcome.metrics["accuracy"]


def test_a_stopped_trial_has_its_metrics_and_adapter(bench: Workbench) -> None:
    outcome, reports = run(bench, LORA, decision="stop")
    assert (outcome.status, len(reports)) == ("stopped", 1)
    assert outcome.metrics["accuracy"] == reports[0].metrics["accuracy"]
    assert outcome.adapter is not None


def test_a_diverging_trial_fails_with_nan_loss_and_leaves_the_base_clean(bench: Workbench) -> None:
    outcome, _ = run(bench, LORA | {"learning_rate": 1e30, "warmup_ratio": 0.0, "max_grad_norm": 0.0})
    assert outcome.status == "failed"
    assert outcome.reason is not None
    assert outcome.reason.startswith("nan_loss: ")
    good, _ = run(bench, LORA)
    assert good.status == "completed"


def test_nonsense_fails_by_name(bench: Workbench) -> None:
    outcome, _ = run(bench, {"method": "lora", "rank": -3})
    assert (outcome.status, outcome.attempt) == ("failed", 3)
    assert outcome.reason is not None
    assert "rank" in outcome.reason


def test_memory_errors_are_told_from_others() -> None:
    assert failure_reason(MemoryError()).startswith("out_of_memory: ")
    assert failure_reason(RuntimeError("DefaultCPUAllocator: can't allocate memory: x")).startswith("out_of_memory: ")
    assert failure_reason(KeyError("x")) == "exception: KeyError: 'x'"


@pytest.mark.slow
def test_memory_stays_flat_over_many_trials(bench: Workbench) -> None:
    import psutil

    process = psutil.Process()
    for index in range(3):
        run(bench, LORA, seed=index)
    before = process.memory_info().rss
    for index in range(10):
        run(bench, LORA | {"rank": 1 + index % 8}, seed=index)
    assert process.memory_info().rss < before * 1.02


def test_a_confirmation_is_measured_on_the_test_rows_alone(bench: Workbench) -> None:
    task = TASK.model_copy(update={"test": 0.02})
    given = {"trial_id": "t", "attempt": 1, "task": task, "config": LORA, "epochs": 1, "seed": 1}
    on = {
        split: train(Assignment(**given, evaluate_on=split, measure_latency=False), bench, lambda _: "continue")
        for split in ("validation", "test")
    }
    assert on["validation"].evaluated_rows == 32
    rows = on["test"].evaluated_rows
    assert rows not in (32, 64)
    assert on["test"].environment["evaluated_on"] == "test"
    assert on["test"].metrics["accuracy"] * rows == pytest.approx(round(on["test"].metrics["accuracy"] * rows))
    assert on["test"].metrics["train_loss"] == on["validation"].metrics["train_loss"]
    assert on["test"].metrics["loss"] != on["validation"].metrics["loss"]


def test_a_confirmation_without_test_rows_fails_with_the_field(bench: Workbench) -> None:
    outcome, _ = run(bench, LORA, evaluate_on="test")
    assert outcome.status == "failed"
    assert outcome.reason is not None
    assert outcome.reason.startswith("invalid_config: test")


@pytest.mark.slow
def test_what_a_method_takes_out_is_not_counted_and_what_it_looks_at_before_is(bench: Workbench) -> None:
    longer = LIGHT | {"pruned_heads": 0.0, "pruned_units": 0.0}
    pruned, whole, looked = (
        run(bench, config)[0].metrics["train_tflops"] for config in (LIGHT, longer, longer | {"samples": 128})
    )
    assert looked == whole  # there are no more than 64 rows
    assert pruned < 0.75 * whole  # two epochs at 0.58 of the work, and one look at the whole base
    assert pruned > 0.67 * whole
