"""Jobs whose trials share a worker."""

from __future__ import annotations

from typing import Any

from service.conductor.training.executor import Lost
from service.conductor.training.placement import MOST_MEMBERS
from service.store.store import Store
from tests.service.conductor.computing_executor import ComputingExecutor, complete
from tests.service.conductor.loop.conducting import Clock, Make, is_over, submit, tick_until
from workers.assignment import Assignment
from workers.machine_speed import MachineSpeed

PACKED = {"pack": 3, "concurrency": 6}


LORA_ONLY: dict[str, Any] = {
    "method": "lora",
    "parameters": [
        {"type": "int", "name": "rank", "low": 1, "high": 32},
        {"type": "float", "name": "learning_rate", "low": 1e-4, "high": 1e-2, "scale": "log"},
    ],
}


def test_trials_of_a_packed_job_start_together_and_others_take_the_places_of_those_that_end(
    make: Make, store: Store, clock: Clock
) -> None:
    def script(assignment: Assignment) -> list[Any]:
        return complete(assignment)[1 if assignment.trial_id.endswith(("0", "3")) else 0 :]

    executor = ComputingExecutor(slots=1, script=script)
    job = submit(store, space=LORA_ONLY, resources=PACKED, budget={"trials": 10, "epochs": 2})
    tick_until(make(executor), clock, is_over(store, job))
    assert store.counts(job.id)["completed"] == 10
    assert executor.most_at_once == 3
    assert executor.boarded
    assert len(executor.packs) + len(executor.boarded) < 10


def test_what_cannot_be_packed_trains_alone_in_a_job_that_packs(make: Make, store: Store, clock: Clock) -> None:
    space = {**LORA_ONLY, "strategies": ["none", "spsa_gc"]}
    executor, budget = ComputingExecutor(slots=2), {"trials": 16, "epochs": 2}
    job = submit(store, space=space, resources=PACKED, budget=budget)
    tick_until(make(executor), clock, is_over(store, job))
    apart = {trial.id for trial in store.searched_trials(job.id) if trial.config.get("strategy") == "spsa_gc"}
    assert apart
    assert not apart & set(executor.boarded)
    assert all(len(pack) == 1 for pack in executor.packs if apart & set(pack))
    assert store.counts(job.id)["completed"] == 16


def test_a_job_with_a_gpu_for_each_trial_has_a_pack_on_each_gpu_without_a_word_about_packs(
    make: Make, store: Store, clock: Clock
) -> None:
    """A machine of two GPUs: trials are shared out between their workers, which have places for many."""
    executor = ComputingExecutor(slots=2, gpus=2)
    resources = {"gpus_per_trial": 1}
    job = submit(store, space=LORA_ONLY, resources=resources, reference_trials=False, budget={"trials": 8, "epochs": 2})
    tick_until(make(executor), clock, is_over(store, job))
    assert store.counts(job.id)["completed"] == 8
    assert {shape.gpus for shape, _ in executor.shapes} == {1}
    assert {places for _, places in executor.shapes} == {MOST_MEMBERS}
    assert len(executor.packs) + len(executor.boarded) <= 8
    together = [len(pack) + sum(executor.worker_of[one] == number for one in executor.boarded)
                for number, pack in enumerate(executor.packs)]  # fmt: skip
    assert min(together[:2]) > 1


def test_a_job_whose_gpu_gains_nothing_from_packs_has_none(make: Make, store: Store, clock: Clock) -> None:
    slow = MachineSpeed(threads={1: 1.0}, pack_gain=1.0, device="a GPU", device_bytes=80 * 10**9)
    executor = ComputingExecutor(slots=2, gpus=2, measured=slow)
    resources = {"gpus_per_trial": 1}
    job = submit(store, space=LORA_ONLY, resources=resources, reference_trials=False, budget={"trials": 6, "epochs": 2})
    tick_until(make(executor), clock, is_over(store, job))
    assert {len(pack) for pack in executor.packs} == {1}
    assert not executor.boarded


def test_a_job_that_waits_for_a_worker_is_not_kept_waiting_by_a_pack(make: Make, store: Store, clock: Clock) -> None:
    executor = ComputingExecutor(slots=1)
    first = submit(store, space=LORA_ONLY, resources=PACKED, budget={"trials": 12, "epochs": 2})
    conductor = make(executor)
    tick_until(conductor, clock, lambda: bool(executor.started))
    second = submit(store, resources={"pack": 1}, budget={"trials": 1, "epochs": 2})
    tick_until(conductor, clock, is_over(store, second))
    assert store.get_job(first.id).state == "running"


def test_a_pack_whose_worker_dies_goes_on_in_smaller_ones_and_nobody_is_blamed(
    make: Make, store: Store, clock: Clock
) -> None:
    executor = ComputingExecutor(slots=1)

    def script(assignment: Assignment) -> list[Any]:
        together = len(executor.packs[-1])
        if together == 1:
            return complete(assignment)
        return [Lost(assignment.trial_id, assignment.attempt, "its worker ran out of memory", together)]

    executor.script = script
    resources = {"pack": 4, "max_attempts": 1}
    job = submit(store, space=LORA_ONLY, resources=resources, reference_trials=False, budget={"trials": 4, "epochs": 2})
    tick_until(make(executor), clock, is_over(store, job))
    assert store.counts(job.id)["completed"] == 4
    sizes = [len(pack) for pack in executor.packs]
    assert max(sizes) > 1
    assert sizes[-4:] == [1, 1, 1, 1]
    notes = [event.payload["message"] for event in store.events_after(0, job.id) if event.kind == "note"]
    assert "at most 1 together from now on" in notes[-1]
