"""What a report costs does not grow with its job, as long as no scheduler has to compare."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from optimizers.schedulers.contract import Point
from service.jobs.search import scheduling
from service.jobs.search.problem import build_problem
from service.jobs.search.spec import JobSpec
from service.store.records import Trial

ALONE = 1.0  # epochs: no scheduler below looks at others there


class Watched(dict[str, list[Point]]):
    """Points by trial that note whose are looked at."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.looked_at: set[str] = set()

    def __getitem__(self, id: str) -> list[Point]:
        self.looked_at.add(id)
        return super().__getitem__(id)


def _trial(number: int) -> Trial:
    config = {"method": "lora", "rank": 8, "targets": "qv", "learning_rate": 1e-3}
    nothing = dict.fromkeys(
        ("label", "confirms", "adapter", "adapter_bytes", "checkpoint", "checkpoint_bytes", "engine", "engine_reason"),
        None,
    ) | dict.fromkeys(("reason", "worker_id", "lease_until", "started_at", "finished_at"), None)
    return Trial(
        id=f"j-{number}",
        job_id="j",
        number=number,
        state="running",
        origin="optimizer",
        config=config,
        seed=0,
        attempt=1,
        metrics={},
        on_front=False,
        environment={},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        **nothing,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    "scheduler",
    [
        {"name": "asha", "options": {"grace": 3}},
        {"name": "hyperband", "options": {"grace": 3}},
        {"name": "median", "options": {"grace": 3}},
        {"name": "pbt"},
    ],
    ids=lambda scheduler: scheduler["name"],
)
def test_others_are_looked_at_only_where_they_are_compared(spec: dict[str, Any], scheduler: dict[str, Any]) -> None:
    told = {**spec, "scheduler": scheduler, "budget": {"trials": 60, "epochs": 30}}
    job = JobSpec.model_validate(told)
    problem = build_problem(job)
    trials = {trial.id: trial for trial in map(_trial, range(40))}
    reported = scheduling.Reported()
    for trial_id in trials:
        for epoch in (ALONE,) if trial_id == "j-7" else (ALONE, 3.0, 9.0):
            reported.add(trial_id, 1, Point(epoch, {"accuracy": 0.5, "loss": 0.5, "trainable_params": 100.0}))
    points = Watched(reported.points)
    assert scheduling.decide(job, problem, "j-7", trials, points) == "continue"
    assert points.looked_at <= {"j-7"}
    if scheduler["name"] != "pbt":
        reported.add("j-7", 1, Point(3.0, {"accuracy": 0.1, "loss": 0.9, "trainable_params": 100.0}))
        points["j-7"] = reported.points["j-7"]
        assert scheduling.decide(job, problem, "j-7", trials, points) in {"continue", "stop"}
        assert len(points.looked_at) > 1


def test_an_attempt_that_was_given_up_tells_nothing() -> None:
    reported = scheduling.Reported()
    for attempt, epoch in ((1, 1.0), (1, 2.0), (2, 2.0), (1, 3.0), (2, 2.5)):
        reported.add("j-0", attempt, Point(epoch, {"loss": attempt}))
    assert [(point.epoch, point.metrics["loss"]) for point in reported.points["j-0"]] == [(1.0, 1), (2.0, 2), (2.5, 2)]
