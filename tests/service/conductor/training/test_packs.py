"""Which trials share a pass, and what their measured costs allow."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from service.conductor.training.cost_model import MEBIBYTE, CostModel
from service.conductor.training.packs import UNMEASURED, Packs
from service.conductor.training.placement import Machine, Placement, Shape, place
from service.jobs.assignments import assignment_of
from service.jobs.search.spec import JobSpec
from service.store.records import Trial
from tests.service.conductor.stored import stored_trial
from workers.models.description import describe, with_texts

MODEL = describe("builtin:minilm")
WIDE = Placement(1, Shape(1, 0), places=4, memory=1e12)


def spec(**resources: Any) -> JobSpec:
    return JobSpec.model_validate(
        {
            "name": "t",
            "task": {"model": "builtin:minilm", "train": "builtin:pydocs"},
            "space": {"preset": "lora"},
            "objectives": [{"metric": "accuracy", "direction": "maximize"}],
            "resources": resources,
        }
    )


def packs(**resources: Any) -> Packs:
    return Packs(partial(assignment_of, spec(**resources)), MODEL, CostModel(MODEL))


def trial(number: int, state: Any = "queued", **changes: Any) -> Trial:
    config = {"method": "lora", "rank": 4, **changes.pop("config", {})}
    return stored_trial(number, state, config=config, **changes)


def measured(number: int, seconds: float, memory_mb: float, precision: str = "fp32", **config: Any) -> Trial:
    metrics = {"train_seconds": seconds, "peak_memory_mb": memory_mb}
    return trial(number, "completed", metrics=metrics, environment={"precision": precision}, config=config)


def numbers(group: list[Trial]) -> list[int]:
    return [one.number for one in group]


def test_a_group_holds_what_fits_together_and_leaves_the_others() -> None:
    waiting = [
        trial(0),
        trial(1, config={"method": "vera"}),
        trial(2, config={"method": "vera"}),
        trial(3, config={"method": "head"}),
        trial(4, confirms="jx-9"),  # evaluated on other rows
        trial(5),
        trial(6),
    ]
    assert numbers(packs().group(waiting[0], waiting, 9, WIDE)) == [0, 3, 5, 6]
    assert numbers(packs().group(waiting[0], waiting, 2, WIDE)) == [0, 3]  # the job's own limit
    assert numbers(packs().group(waiting[1], waiting, 9, WIDE)) == [1]
    assert numbers(packs(engine="reference").group(waiting[0], waiting, 9, WIDE)) == [0]


def test_a_job_with_a_gpu_for_each_trial_packs_by_itself() -> None:
    """Without a word about packs, on a machine of one GPU: all that can stack share a worker."""
    resources = spec(gpus_per_trial=1).resources
    planned = place(resources, Machine(cpus=8, gpus=1, memory=256e9))
    waiting = [trial(number) for number in range(6)]
    waiting.insert(2, trial(9, config={"method": "autopeft"}))
    assert planned.workers == 1
    assert numbers(packs(gpus_per_trial=1).group(waiting[0], waiting, 9, planned)) == [0, 1, 9, 2, 3, 4, 5]


def test_trials_on_a_base_in_parts_share_a_group_of_ranks() -> None:
    resources = spec(shards=2, gpus_per_trial=2).resources
    planned = place(resources, Machine(cpus=8, gpus=4, memory=256e9))
    waiting = [trial(0), trial(1, config={"method": "vera"}), trial(2), trial(3)]
    assert (planned.workers, planned.shape.shards) == (2, 2)
    assert numbers(packs(shards=2, gpus_per_trial=2).group(waiting[0], waiting, 9, planned)) == [0, 2, 3]
    assert numbers(packs(shards=2, gradient_checkpointing=True).group(waiting[0], waiting, 9, planned)) == [0]


def test_a_group_never_needs_more_memory_than_its_worker_has() -> None:
    rules, waiting = packs(), [trial(number) for number in range(4)]
    place = Placement(1, Shape(1, 0), places=4, memory=2.5 * UNMEASURED)
    assert len(rules.group(waiting[0], waiting, 4, place)) == 2  # nothing is known yet
    rules.learn(measured(9, 3.0, UNMEASURED / MEBIBYTE / 4))
    assert len(rules.group(waiting[0], waiting, 4, place)) == 4
    large = [trial(number, config={"batch_size": 64}) for number in range(4)]  # four times the rows
    assert len(rules.group(large[0], large, 4, place)) == 2


def test_one_joins_a_pack_with_a_free_place() -> None:
    rules = packs()
    aboard = [trial(0, "running"), trial(1, "running")]
    waiting = [trial(2, config={"method": "vera"}), trial(3)]
    joining = rules.joining(aboard, waiting, WIDE)
    assert joining is not None
    assert joining.number == 3
    assert rules.joining(aboard * 2, waiting, WIDE) is None
    assert rules.joining(aboard, waiting[:1], WIDE) is None


def test_the_ceiling_sinks_when_a_pack_was_too_large_and_when_a_worker_says_what_it_held() -> None:
    rules = packs()
    assert rules.shrink(16)
    assert not rules.shrink(16)
    for said, ceiling in (("many", 16), ("", 16), ("-1", 16), ("1e999", 16), ("3", 3)):
        rules.learn(trial(0, "completed", metrics={"train_seconds": 1.0}, environment={"pack_limit": said}))
        assert rules.ceiling == ceiling, said
    assert rules.shrink(0)
    assert rules.ceiling == 1


def test_costs_come_from_the_most_similar_trials() -> None:
    costs = CostModel(MODEL)
    lora = {"method": "lora", "rank": 4, "top_layers": 2}
    assert costs.seconds_per_epoch(lora) is None
    assert costs.bytes_of(lora) is None
    for number, seconds in enumerate((5.0, 7.0, 30.0)):
        costs.learn(measured(number, seconds, 10.0 + number, top_layers=2), 1.0)
    costs.learn(measured(3, 60.0, 90.0), 2.0)  # all layers
    costs.learn(measured(4, 1.0, 1.0, method="head"), 1.0)
    assert costs.seconds_per_epoch(lora) == 7.0
    assert costs.bytes_of(lora) == 12.0 * MEBIBYTE
    assert costs.seconds_per_epoch({"method": "lora", "top_layers": 5}) == 30.0
    assert costs.seconds_per_epoch({"method": "head"}) == 1.0
    assert costs.bytes_of(lora | {"batch_size": 32}) == 24.0 * MEBIBYTE
    assert costs.bytes_of(lora | {"batch_size": 8}) == 12.0 * MEBIBYTE  # what does not depend on rows stays
    costs.learn(measured(5, 2.0, 10.0, "bf16", top_layers=2), 1.0)
    assert costs.seconds_per_epoch(lora) == 2.0  # workers compute in bfloat16 now


def test_memory_follows_the_tokens_of_a_pass_however_batches_are_counted() -> None:
    costs = CostModel(with_texts(MODEL, 512))
    one = trial(
        0,
        "completed",
        metrics={"train_seconds": 5.0, "peak_memory_mb": 10.0},
        environment={"longest_row": "128"},
        config={"method": "lora", "batch_size": 8},  # 1,024 tokens
    )
    costs.learn(one, 1.0)
    lora = {"method": "lora"}
    assert costs.bytes_of(lora | {"batch_size": 16}) == 20.0 * MEBIBYTE
    assert costs.bytes_of(lora | {"batch_tokens": 4096}) == 40.0 * MEBIBYTE
    assert costs.bytes_of(lora | {"packing": "bfd", "batch_size": 4}) == 20.0 * MEBIBYTE  # sequences of 512
    assert costs.bytes_of(lora | {"packing": "bfd", "batch_size": 64, "batch_tokens": 1024}) == 10.0 * MEBIBYTE


@pytest.mark.parametrize("config", [{}, {"method": "lora", "batch_size": 0}, {"method": "no such"}])
def test_what_no_worker_can_train_is_nobodys_companion(config: dict[str, Any]) -> None:
    rules, broken = packs(), stored_trial(0, "queued", config=config)
    assert rules.key(broken) is None
    assert rules.costs.seconds_per_epoch(config) is None


def test_a_kind_is_known_when_one_that_does_as_much_was_measured() -> None:
    costs = CostModel(MODEL)
    costs.learn(measured(0, 1.0, 1.0, method="head"), 1.0)
    costs.learn(measured(1, 5.0, 1.0, top_layers=3), 1.0)
    assert costs.knows({"method": "lora", "top_layers": 2})
    assert not costs.knows({"method": "lora", "top_layers": 5})
    assert not costs.knows({"method": "full_ft"})  # a head trains in no time: it says nothing about this one


def test_a_trial_whose_teachers_tell_nobody_is_awaited_for_its_whole_training() -> None:
    some = packs()
    taught, alone = {"self_training": 2}, {"self_training": 0}
    assert spec().budget.epochs > 1
    some.learn(measured(0, 30.0, 10.0, **alone))
    waited = some.expected_silence([trial(1, config=alone)])
    assert waited == pytest.approx(30.0 / spec().budget.epochs)
    assert some.expected_silence([trial(2, config=taught)]) is None  # nothing like it was measured
    some.learn(measured(3, 90.0, 10.0, **taught))
    assert some.expected_silence([trial(4, config=taught)]) == pytest.approx(90.0)
    assert some.expected_silence([trial(5, config=alone)]) == pytest.approx(waited)
