"""How a job's trials share the machine, from what was asked for, what there is and what was measured."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.conductor.training.placement import MOST_MEMBERS, Machine, Shape, lacking, place, wants_speed
from service.jobs.search.spec import ResourcesSpec
from workers.machine_speed import MachineSpeed

GIB = 1 << 30
CPU = MachineSpeed(threads={1: 1.0, 2: 1.6, 4: 2.4, 8: 2.6, 16: 2.5}, pack_gain=0.95, device="cpu")
GPU = MachineSpeed(threads={1: 1.0}, pack_gain=5.0, device="a GPU", device_bytes=80 * GIB)


@pytest.mark.parametrize(
    ("machine", "resources", "trials"),
    [
        (Machine(2, 0, 8e9), {}, 2),
        (Machine(2, 0, 1.5e9), {}, 1),  # memory holds one worker only
        (Machine(64, 0, 20e9), {}, 20),
        (Machine(0.5, 0, 8e9), {}, 1),  # never zero: the job must end
        (Machine(8, 0, 64e9), {"cpus_per_trial": 4}, 2),
        (Machine(16, 2, 64e9), {"gpus_per_trial": 0.5}, 4),
        (Machine(2, 0, 8e9), {"concurrency": 7}, 7),
        (Machine(2, 0, 8e9), {"pack": 4}, 8),
        (Machine(8, 0, 64e9), {"shards": 4}, 2),  # a core each
        (Machine(64, 0, 20e9), {"shards": 4}, 5),  # memory for each part
        (Machine(64, 8, 900e9), {"shards": 4, "gpus_per_trial": 4, "pack": 1}, 2),
        (Machine(64, 8, 900e9), {"shards": 4, "gpus_per_trial": 4}, 2 * MOST_MEMBERS),  # they share passes
    ],
)
def test_trials_at_once_follow_the_scarcest_resource_unless_asked_for(
    machine: Machine, resources: dict[str, Any], trials: int
) -> None:
    assert place(ResourcesSpec(**resources), machine).trials == trials


def test_a_worker_takes_one_core_unless_told_otherwise_or_measured() -> None:
    machine = Machine(16, 4, 64e9)
    assert place(ResourcesSpec(), machine).shape == Shape(1.0, 0)
    assert place(ResourcesSpec(cpus_per_trial=2, gpus_per_trial=0.25), machine, CPU).shape == Shape(2.0, 0.25)


def test_the_shards_of_a_trial_occupy_what_the_trial_may() -> None:
    machine = Machine(16, 4, 64e9)
    assert place(ResourcesSpec(shards=4), machine, CPU).shape == Shape(4.0, 0, shards=4)
    assert place(ResourcesSpec(shards=4, cpus_per_trial=8, gpus_per_trial=4), machine).shape == Shape(8.0, 4, shards=4)
    assert not wants_speed(ResourcesSpec(shards=2, gpus_per_trial=2), machine)


def test_trials_on_a_base_in_parts_share_passes_as_others_do() -> None:
    machine = Machine(16, 4, 64e9)
    assert place(ResourcesSpec(shards=2, pack=4), machine).places == 4
    assert place(ResourcesSpec(shards=2), machine).places == 1  # a CPU is full with one
    on_gpus = place(ResourcesSpec(shards=2, gpus_per_trial=2), machine)
    assert (on_gpus.places, on_gpus.workers) == (MOST_MEMBERS, 2)


@pytest.mark.parametrize(
    ("resources", "memory", "workers", "threads"),
    [
        ({}, 64e9, 16, 1),  # one-thread workers side by side waste least
        ({"concurrency": 1}, 64e9, 1, 8),  # sixteen threads were slower than eight
        ({"concurrency": 4}, 64e9, 4, 4),
        ({}, 4.5e9, 4, 4),  # memory holds four workers: they share the cores
        ({"concurrency": 1, "cpus_per_trial": 1}, 64e9, 1, 1),
    ],
)
def test_spare_cores_become_threads_where_a_measurement_says_they_help(
    resources: dict[str, Any], memory: float, workers: int, threads: int
) -> None:
    planned = place(ResourcesSpec(**resources), Machine(16, 0, memory), CPU)
    assert (planned.workers, planned.shape.cpus) == (workers, threads)


def test_packs_form_where_they_were_measured_to_pay_or_where_asked_for() -> None:
    machine = Machine(16, 1, 64e9)
    assert place(ResourcesSpec(), machine, CPU).places == 1
    assert place(ResourcesSpec(gpus_per_trial=1), machine).places == MOST_MEMBERS  # before anything was measured
    assert place(ResourcesSpec(gpus_per_trial=0.5), machine).places == 1
    slow = GPU.model_copy(update={"pack_gain": 1.1})
    assert place(ResourcesSpec(gpus_per_trial=1), machine, slow).places == 1
    on_gpu = place(ResourcesSpec(gpus_per_trial=1), machine, GPU)
    assert (on_gpu.places, on_gpu.workers) == (MOST_MEMBERS, 1)
    assert 0.7 * 80 * GIB < on_gpu.memory < 80 * GIB
    assert place(ResourcesSpec(gpus_per_trial=0.5), machine, GPU).memory < on_gpu.memory / 2
    assert place(ResourcesSpec(gpus_per_trial=1, pack=1), machine, GPU).places == 1
    assert place(ResourcesSpec(pack=8), machine).places == 8
    assert place(ResourcesSpec(pack=8), machine, ceiling=2).places == 2  # memory held no more


def test_a_measurement_is_wanted_only_where_it_can_change_the_plan() -> None:
    machine = Machine(2, 0, 8e9)
    assert not wants_speed(ResourcesSpec(), machine)
    assert wants_speed(ResourcesSpec(concurrency=1), machine)
    assert not wants_speed(ResourcesSpec(concurrency=1, cpus_per_trial=1), machine)
    assert wants_speed(ResourcesSpec(gpus_per_trial=1), Machine(1, 1, 8e9))


def test_a_trial_too_large_for_the_machine_says_what_is_missing() -> None:
    machine = Machine(2, 0, 8e9)
    assert lacking(Shape(2, 0), machine) is None
    assert lacking(Shape(1, 1), machine) == (
        "waiting for resources: a trial needs 1 cores and 1 GPUs, there are 2 and 0 in all"
    )


@given(
    cpus=st.integers(1, 64),
    memory=st.floats(1e8, 1e12),
    pack=st.one_of(st.just("auto"), st.integers(1, 32)),
    concurrency=st.one_of(st.just("auto"), st.integers(1, 100)),
)
def test_workers_never_ask_for_more_cores_than_there_are(cpus: int, memory: float, pack: Any, concurrency: Any) -> None:
    planned = place(ResourcesSpec(pack=pack, concurrency=concurrency), Machine(cpus, 0, memory), CPU)
    assert planned.shape.cpus <= cpus
    assert planned.workers >= 1
    if concurrency == "auto":
        assert planned.workers * planned.shape.cpus <= cpus
    else:
        assert planned.workers * planned.places >= concurrency
