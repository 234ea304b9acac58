"""The Ray actor: reports stream out before the outcome, decisions reach a running trial, trials join a pack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from workers.assignment import Assignment, Decision, Outcome, Report
from workers.tasks.catalogue.text_classification import TextClassificationSpec

pytestmark = pytest.mark.ray
TASK = TextClassificationSpec(
    model="builtin:minilm", train="builtin:pydocs", max_length=24, train_rows=64, validation_rows=16
)


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    import ray

    from service.conductor.training.local_ray import use_own_token
    from workers.running.ray_worker import TrialWorker, WorkerSettings

    home = tmp_path_factory.mktemp("home")
    use_own_token(
        home / "ray-token"
    )  # a process knows one token only, and other tests in it start Ray as the service does
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    yield TrialWorker.options(num_cpus=1).remote(
        WorkerSettings(str(home), str(home / "artifacts"), threads=1, precision="fp32")
    )
    ray.shutdown()


def stream(worker: Any, trial_id: str, epochs: int, signal_at_first: Decision | None = None) -> list[Report | Outcome]:
    import ray

    config = {"method": "lora", "rank": 4, "alpha": 8, "top_layers": 1, "targets": "qv"}
    assignment = Assignment(trial_id=trial_id, attempt=1, task=TASK, config=config, epochs=epochs, seed=0)
    items: list[Report | Outcome] = []
    for reference in worker.train.options(num_returns="streaming").remote([assignment]):
        items.append(ray.get(reference))
        if signal_at_first and len(items) == 1:
            ray.get(worker.signal.remote(trial_id, signal_at_first))
    return items


def test_a_trial_streams_its_reports_and_ends_with_the_outcome(worker: Any) -> None:
    *reports, outcome = stream(worker, "whole", epochs=4)
    assert [report.epoch for report in reports if isinstance(report, Report)] == [float(k) for k in range(1, 5)]
    assert isinstance(outcome, Outcome)
    assert (outcome.status, outcome.engine) == ("completed", "fast")


def test_a_worker_that_rests_gives_its_memory_back_and_works_on(worker: Any) -> None:
    import ray

    before = stream(worker, "before", epochs=1)[-1]
    (process,) = (each for each in psutil.Process().children(recursive=True) if "TrialWorker" in each.cmdline()[0])
    held = process.memory_info().rss
    ray.get(worker.rest.remote())
    weights = 22_000_000 * 4  # of MiniLM, which the trial left loaded
    assert held - process.memory_info().rss > weights / 2
    after = stream(worker, "after", epochs=1)[-1]
    assert isinstance(before, Outcome)
    assert isinstance(after, Outcome)
    assert after.metrics["accuracy"] == before.metrics["accuracy"]


@pytest.mark.parametrize(("decision", "status"), [("stop", "stopped"), ("pause", "paused")])
def test_a_signal_ends_a_running_trial_and_no_other(worker: Any, decision: Decision, status: str) -> None:
    *reports, outcome = stream(worker, status, epochs=30, signal_at_first=decision)
    assert isinstance(outcome, Outcome)
    assert outcome.status == status
    assert len(reports) < 30
    assert (outcome.checkpoint is not None) == (status == "paused")


@pytest.mark.parametrize("condemned", [1, 3])
def test_a_trial_waits_for_what_is_decided_about_its_report(worker: Any, condemned: int) -> None:
    import ray

    given = member("short").model_copy(update={"epochs": 4.0, "awaits_decision": True, "trial_id": f"to-{condemned}"})
    items: list[Report | Outcome] = []
    for reference in worker.train.options(num_returns="streaming").remote([given]):
        items.append(ray.get(reference))
        if isinstance(report := items[-1], Report):
            decision = "stop" if len(items) == condemned else "continue"
            worker.answer.remote(report.trial_id, report.attempt + 1, report.step, "stop")  # of an attempt to come
            worker.answer.remote(report.trial_id, report.attempt, report.step, decision)
    *reports, outcome = items
    assert isinstance(outcome, Outcome)
    assert (outcome.status, len(reports)) == ("stopped", condemned)


PACK: dict[str, dict[str, Any]] = {
    "short": {"method": "lora", "rank": 4, "alpha": 8, "top_layers": 1, "targets": "qv"},
    "long": {"method": "lora", "rank": 2, "top_layers": 2, "targets": "all", "learning_rate": 2e-3, "batch_size": 8},
    "nan": {
        "method": "lora",
        "rank": 2,
        "top_layers": 1,
        "learning_rate": 1e30,
        "max_grad_norm": 0.0,
        "warmup_ratio": 0.0,
    },
    "late": {"method": "head", "learning_rate": 1e-2},
}  # fmt: skip


def member(name: str) -> Assignment:
    epochs = {"long": 8}.get(name, 2)
    return Assignment(trial_id=name, attempt=1, task=TASK, config=PACK[name], epochs=epochs, seed=3)


def collect(worker: Any, assignments: list[Assignment], places: int, board: Assignment | None = None) -> dict[str, Any]:
    """The stream's items by trial; `board` comes aboard at the first report, without which its stream would end."""
    import ray

    items: dict[str, Any] = {}
    for reference in worker.train.options(num_returns="streaming").remote(assignments, places):
        item = ray.get(reference)
        items.setdefault(item.trial_id, []).append(item)
        if board is not None:
            assert ray.get(worker.board.remote(board))
            board = None
    return items


@pytest.mark.slow
def test_a_pack_trains_its_members_as_alone_takes_another_aboard_and_expels_a_nan(worker: Any) -> None:
    import ray

    together = collect(worker, [member("short"), member("long"), member("nan")], 4, board=member("late"))
    assert together["nan"][-1].reason.startswith("nan_loss: ")
    assert not ray.get(worker.board.remote(member("late")))  # the pack is over
    for name in ("short", "long", "late"):
        *reports, outcome = together[name]
        *alone, outcome_alone = collect(worker, [member(name)], 1)[name]
        assert [report.metrics for report in reports] == [pytest.approx(one.metrics, rel=1e-3) for one in alone]
        assert outcome.metrics["accuracy"] == outcome_alone.metrics["accuracy"]
        assert outcome.engine == outcome_alone.engine == "fast"
        assert "long" in outcome.environment["packed_with"] or name == "long"
        assert "packed_with" not in outcome_alone.environment
