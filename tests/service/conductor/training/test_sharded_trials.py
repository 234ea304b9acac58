"""Sharded trials on real Ray: two ranks for each, their results, a decision that reaches both, and ranks that die."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from safetensors.torch import load_file

from service.conductor.__main__ import ray_scratch
from service.conductor.training.executor import Lost
from service.conductor.training.placement import Shape
from service.conductor.training.ray_executor import RayExecutor
from tests.patience import PATIENCE_S
from tests.service.conductor.ray_messages import ended, receive
from tests.service.tiny_task import tiny_job
from workers.artifacts import ArtifactStore
from workers.assignment import Artifact, Assignment, Outcome, Report
from workers.tasks.catalogue.text_classification import TextClassificationSpec

pytestmark = [pytest.mark.slow, pytest.mark.ray]

WHOLE, HALVES = Shape(2.0, 0.0, shards=2), Shape(1.0, 0.0, shards=2)  # two ranks on a core each, or on one


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> TextClassificationSpec:
    return TextClassificationSpec.model_validate(tiny_job(tmp_path_factory.mktemp("task"), trials=1)["task"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def executor(home: Path) -> Iterator[RayExecutor]:
    started = RayExecutor(None, ray_scratch(home), home, str(home / "artifacts"))
    yield started
    started.close()


def trial(task: TextClassificationSpec, name: str, epochs: float = 2, shards: int = 2, **config: Any) -> Assignment:
    config = {"method": "lora", "rank": 2, "learning_rate": 3e-3, **config}
    return Assignment(
        trial_id=name, attempt=1, task=task, config=config, epochs=epochs, seed=1, measure_latency=False, shards=shards
    )


def processes(kind: str) -> list[psutil.Process]:
    """Those that Ray runs for actors of this class now."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if kind in " ".join(child.cmdline()):
                found.append(child)
    return found


def tensors(home: Path, adapter: Artifact | None, folder: Path) -> dict[str, Any]:
    assert adapter is not None
    extracted = ArtifactStore(home / "artifacts").extract(adapter.sha256, folder)
    return {name: value for file in extracted.glob("*.safetensors") for name, value in load_file(file).items()}


def without_speed(*outcomes: Outcome) -> None:
    for outcome in outcomes:
        del outcome.metrics["train_seconds"], outcome.metrics["tokens_per_second"]


def assert_same_adapter(home: Path, outcome: Outcome, alone: Outcome, folder: Path) -> None:
    mine, theirs = (tensors(home, one.adapter, folder / one.trial_id) for one in (outcome, alone))
    assert mine.keys() == theirs.keys()
    for name, value in theirs.items():
        assert mine[name].numpy() == pytest.approx(value.numpy(), rel=1e-2, abs=1e-4), name


def test_a_sharded_trial_reports_and_exports_what_the_reference_does(
    executor: RayExecutor, task: TextClassificationSpec, home: Path, tmp_path: Path
) -> None:
    from workers.running.trial import train
    from workers.running.workbench import Workbench

    executor.start([trial(task, "sharded")], WHOLE)
    *reports, outcome = receive(executor, lambda got: bool(ended(got)))
    expected: list[Report] = []
    bench = Workbench(home, ArtifactStore(home / "artifacts"))
    plain = trial(task, "plain", shards=1).model_copy(update={"engine": "reference"})
    alone = train(plain, bench, lambda report: expected.append(report) or "continue")  # type: ignore[func-returns-value]
    assert isinstance(outcome, Outcome)
    assert (outcome.status, outcome.engine, outcome.environment["shards"]) == ("completed", "reference", "2")
    assert outcome.engine_reason == "a sharded base is trained on by the reference engine"
    assert [report.metrics for report in reports if isinstance(report, Report)] == [
        pytest.approx(one.metrics, rel=1e-4) for one in expected
    ]
    without_speed(alone, outcome)
    assert outcome.metrics == pytest.approx(alone.metrics, rel=1e-4)
    assert_same_adapter(home, outcome, alone, tmp_path)
    assert not list((home / "cache" / "ranks").iterdir())


@pytest.mark.long
def test_a_pack_on_two_ranks_trains_its_members_as_alone_and_takes_another_aboard(
    executor: RayExecutor, task: TextClassificationSpec, home: Path, tmp_path: Path
) -> None:
    from workers.running.trial import train
    from workers.running.workbench import Workbench

    broken = {"learning_rate": 1e30, "max_grad_norm": 0.0, "warmup_ratio": 0.0}
    own: dict[str, dict[str, Any]] = {
        "held": {}, "own-rate": {"method": "dora", "rank": 4, "learning_rate": 1e-3, "batch_size": 5}, "nan": broken,
        "late": {"method": "rslora"},
    }  # fmt: skip
    members = {name: trial(task, name, **config) for name, config in own.items()}
    held = members["held"].model_copy(update={"awaits_decision": True})
    free = executor.free(WHOLE)
    executor.start([held, members["own-rate"], members["nan"], trial(task, "unfit", top_layers=99)], WHOLE, places=3)
    messages = receive(executor, lambda got: any(isinstance(one, Report) and one.trial_id == "held" for one in got))
    executor.board(members["late"], "held")  # which stands still until it hears
    assert executor.free(WHOLE) == free - 1
    report = next(one for one in messages if isinstance(one, Report) and one.trial_id == "held")
    executor.answer("held", report.step, "continue")
    messages += receive(executor, lambda got: len(ended([*messages, *got])) == 5)
    outcomes = {name: one for name, one in ended(messages).items() if isinstance(one, Outcome)}
    assert (outcomes["nan"].reason or "").startswith("nan_loss: ")
    assert (outcomes["unfit"].reason or "").startswith("invalid_config: ")
    assert executor.free(WHOLE) == free
    bench = Workbench(home, ArtifactStore(home / "artifacts"))
    for name in ("held", "own-rate", "late"):
        outcome = outcomes[name]
        plain = members[name].model_copy(update={"trial_id": f"{name} alone", "shards": 1, "engine": "reference"})
        alone = train(plain, bench, lambda _report: "continue")
        assert outcome.status == "completed", (name, outcome.reason)
        assert (outcome.engine, outcome.environment["shards"]) == ("fast", "2")
        assert {"held", "own-rate"} <= {name, *outcome.environment["packed_with"].split(", ")}
        without_speed(alone, outcome)
        assert outcome.metrics == pytest.approx(alone.metrics, rel=1e-4)
        assert_same_adapter(home, outcome, alone, tmp_path)
    assert not list((home / "cache" / "ranks").iterdir())


@pytest.mark.long
def test_a_decision_ends_every_rank_and_a_fault_of_a_configuration_its_trial_alone(
    executor: RayExecutor, task: TextClassificationSpec
) -> None:
    free = executor.free(HALVES)
    executor.start([trial(task, "stopped", epochs=500)], HALVES)
    executor.start([trial(task, "refused", method="eva")], HALVES)
    executor.signal("stopped", "stop")
    assert executor.free(HALVES) == free - 2
    messages = receive(executor, lambda got: len(ended(got)) == 2)
    stopped, refused = ended(messages)["stopped"], ended(messages)["refused"]
    assert isinstance(stopped, Outcome)
    assert isinstance(refused, Outcome)
    assert stopped.status == "stopped"
    assert stopped.adapter is not None
    assert len(messages) == 3  # it reported once
    assert refused.status == "failed"
    assert (refused.reason or "").startswith("invalid_config: shards: found 2; allowed: 1 with eva")
    assert executor.free(HALVES) == free


@pytest.mark.long
def test_whatever_dies_loses_the_attempt_and_leaves_its_cores_to_the_next(
    executor: RayExecutor, task: TextClassificationSpec
) -> None:
    for name in ("a", "b"):
        executor.start([trial(task, name, epochs=5000)], HALVES)
    receive(executor, lambda got: {message.trial_id for message in got} == {"a", "b"})
    processes("RayTrainWorker")[0].kill()
    (first,) = ended(receive(executor, lambda got: bool(ended(got)))).values()
    (other,) = {"a", "b"} - {first.trial_id}
    ray.kill(executor._running[other].actor)
    (second,) = ended(receive(executor, lambda got: bool(ended(got)))).values()
    assert isinstance(first, Lost)
    assert isinstance(second, Lost)
    assert {first.trial_id, second.trial_id} == {"a", "b"}
    assert not first.blameless
    assert not second.blameless
    assert "rank" in first.reason
    started = processes("TrainController") + processes("RayTrainWorker") + processes("PlacementGroupCleaner")
    assert psutil.wait_procs(started, timeout=PATIENCE_S)[1] == []  # nothing of the two groups stays
    # A trial that has all cores can start behind these two and one that is abandoned before its ranks are there.
    executor.start([trial(task, "unwanted")], WHOLE)
    executor.abandon("unwanted")
    executor.start([trial(task, "next", epochs=5000)], WHOLE)
    (report, *_) = receive(executor, bool)
    executor.abandon("next")
    assert report.trial_id == "next"
