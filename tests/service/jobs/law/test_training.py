"""Trainings of a law's grid: as the job's `resources` say, all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from service.conductor.agendas.plan import plan_run
from service.conductor.training.placement import Machine, Placement, Shape
from service.jobs.assignments import assignment_of
from service.jobs.law.plan import LawPlan
from service.jobs.law.spec import LawSpec
from service.jobs.search.spec import JobSpec
from service.store.records import Job, Trial
from tests.service.conductor.stored import stored_trial
from tests.service.tiny_task import tiny_job
from workers.artifacts import ArtifactStore
from workers.assignment import Execution
from workers.running.trial import train
from workers.running.workbench import Workbench

HOW: dict[str, Any] = {
    "engine": "reference",
    "precision": "bf16",
    "gradient_checkpointing": True,
    "threads": 3,
    "quantise": "nf4",
    "shards": 2,
    "pack": 1,
}
POINT = {"method": "lora", "rank": 2, "learning_rate": 1e-2, "batch_size": 8, "train_rows": 40, "epochs": 1.0}
TASK = {"model": "builtin:minilm", "train": "builtin:pydocs"}


def law(task: dict[str, Any], **resources: Any) -> LawSpec:
    design = {"train_rows": [40, 80], "batch_size": [8, 16, 32], "knobs": {"rank": [2, 4]}}
    spec = {"name": "l", "kind": "law", "task": task, "design": design, "resources": resources}
    return LawSpec.model_validate(spec)


def point(number: int = 0, state: Any = "queued", metrics: Any = None, **config: Any) -> Trial:
    return stored_trial(number, state, config=POINT | config, metrics=metrics or {})


def test_every_field_that_says_how_to_train_is_set_here() -> None:
    assert set(HOW) == set(Execution.model_fields)
    assert all(HOW[name] != field.default for name, field in Execution.model_fields.items())


def test_jobs_of_both_kinds_hand_it_on_whole() -> None:
    search = {"name": "s", "task": TASK, "space": {"preset": "lora"}, "resources": HOW}
    search["objectives"] = [{"metric": "accuracy", "direction": "maximize"}]
    assert assignment_of(JobSpec.model_validate(search), point()).whole() == HOW
    assert LawPlan(law(TASK, **HOW)).assignment(point()).whole() == HOW


def test_a_laws_trial_trains_in_the_number_format_and_memory_that_the_job_asks_for(tmp_path: Path) -> None:
    task = tiny_job(tmp_path, 1, 80)["task"]
    bench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))

    def outcome(**resources: Any) -> Any:
        return train(LawPlan(law(task, **resources)).assignment(point()), bench, lambda _: "continue")

    plain, asked = outcome(), outcome(precision="bf16", gradient_checkpointing=True)
    assert (plain.status, asked.status) == ("completed", "completed"), (plain.reason, asked.reason)
    assert (plain.engine, plain.environment["precision"]) == ("fast", "fp32")
    assert (asked.engine, asked.environment["precision"]) == ("reference", "bf16")
    assert "gradient checkpointing" in asked.engine_reason


def test_trainings_of_one_size_of_data_share_a_pass() -> None:
    spec = law(TASK, pack=4, gpus_per_trial=1)
    job = Job(**dict.fromkeys(Job.__dataclass_fields__) | {"id": "j", "spec": spec.model_dump()})
    run = plan_run(job, spec, (), Machine(8, 1, 64e9), None)
    assert run.placement.places == 4
    wide = Placement(1, Shape(1, 1), places=4, memory=1e12)
    waiting = [point(0), point(1, train_rows=80), point(2, learning_rate=1e-3), point(3, rank=4, epochs=2.0)]
    assert [one.number for one in run.packs.group(waiting[0], waiting, 9, wide)] == [0, 2, 3]
    assert run.packs.expected_silence(waiting[:1]) is None
    run.packs.learn(point(9, "completed", {"train_seconds": 3.0}))
    assert run.packs.expected_silence(waiting[:2]) == pytest.approx(3.0 + 6.0)  # twice the rows, twice the time


def test_a_law_that_asks_for_no_packs_has_none() -> None:
    spec = law(TASK, pack=1)
    assert (
        plan_run(
            Job(**dict.fromkeys(Job.__dataclass_fields__) | {"id": "j", "spec": spec.model_dump()}),
            spec,
            (),
            Machine(8, 1, 64e9),
            None,
        ).packs.key(point())
        is None
    )
