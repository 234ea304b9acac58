"""The batch plan: complete, seeded, little padding; any step can be asked for."""

from __future__ import annotations

import numpy as np
import pytest

from predictors.power import PowerLaw
from workers.engines.batches import StepPlan, epoch_batches, token_budget_batches
from workers.engines.schedule import learning_rate_at
from workers.hyperparameters import Hyperparameters

LENGTHS = np.random.default_rng(0).integers(3, 65, size=1037)


def padding(batches: list[np.ndarray]) -> float:
    padded = sum(len(b) * LENGTHS[b].max() for b in batches)
    return 1 - LENGTHS.sum() / padded


def test_an_epoch_has_every_row_once_and_one_small_batch_at_most() -> None:
    batches = epoch_batches(LENGTHS, 16, seed=1, epoch=0)
    assert sorted(np.concatenate(batches)) == list(range(1037))
    assert sorted(len(b) for b in batches) == [1037 % 16] + [16] * (1037 // 16)


def test_epochs_differ_by_seed_and_number_and_repeat_exactly() -> None:
    def flat(seed: int, epoch: int) -> list[int]:
        return list(np.concatenate(epoch_batches(LENGTHS, 16, seed, epoch)))

    assert flat(1, 0) == flat(1, 0)
    assert flat(1, 0) != flat(1, 1)
    assert flat(1, 0) != flat(2, 0)


def test_rows_of_like_length_share_a_batch() -> None:
    shuffled = np.array_split(np.random.default_rng(1).permutation(1037), 65)
    assert padding(epoch_batches(LENGTHS, 16, 1, 0)) < 0.05 < 0.3 < padding(shuffled)


def test_batch_order_is_not_by_length() -> None:
    longest = [LENGTHS[b].max() for b in epoch_batches(LENGTHS, 16, 1, 0)]
    assert longest != sorted(longest)
    assert longest != sorted(longest, reverse=True)


@pytest.mark.parametrize("tokens", [1, 64, 1000, 10**9])
def test_token_budget_holds_and_no_row_is_lost(tokens: int) -> None:
    batches = token_budget_batches(LENGTHS, tokens)
    assert sorted(np.concatenate(batches)) == list(range(1037))
    assert all(len(b) == 1 or len(b) * LENGTHS[b].max() <= tokens for b in batches)


@pytest.mark.parametrize(("accumulation", "epochs"), [(1, 2.0), (3, 2.5), (4, 0.3)])
def test_a_plan_continues_at_any_step(accumulation: int, epochs: float) -> None:
    plan = StepPlan(LENGTHS, 16, accumulation, epochs, seed=5)
    steps = list(plan.after(0))
    assert len(steps) == plan.steps == max(1, round(epochs * plan.steps_per_epoch))
    for done in (1, plan.steps_per_epoch, plan.steps - 1):
        rest = list(plan.after(done))
        for mine, theirs in zip(rest, steps[done:], strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))


def test_one_epoch_of_accumulated_steps_covers_every_row() -> None:
    plan = StepPlan(LENGTHS, 16, 3, 1.0, seed=5)
    assert sorted(np.concatenate([np.concatenate(step) for step in plan.after(0)])) == list(range(1037))


def test_reports_are_spread_and_end_with_the_last_step() -> None:
    plan = StepPlan(LENGTHS, 16, 1, 2.5, seed=5)  # 65 steps an epoch
    assert plan.report_steps(0) == {plan.steps}
    assert plan.report_steps(1) == {65, 130, plan.steps}
    assert plan.report_steps(2) == {33, 65, 98, 130, plan.steps}
    assert max(plan.report_steps(500)) == plan.steps == len(plan.report_steps(500))


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_schedules_equal_those_of_transformers(schedule: str) -> None:
    import torch
    from transformers import get_scheduler

    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.3)
    name = "constant_with_warmup" if schedule == "constant" else schedule
    theirs = get_scheduler(name, optimizer, num_warmup_steps=4, num_training_steps=40)
    for step in range(1, 41):
        chosen = Hyperparameters(learning_rate=0.3, warmup_ratio=0.1, schedule=schedule)  # type: ignore[arg-type]
        ours = learning_rate_at(step, 40, chosen, tokens_per_step=1.0)
        assert ours == pytest.approx(theirs.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        theirs.step()


def test_power_schedule_follows_the_tokens_seen_and_not_the_length_of_the_training() -> None:
    chosen = Hyperparameters(
        learning_rate=0.02,
        batch_size=8,
        gradient_accumulation=2,
        warmup_ratio=0.5,
        schedule="power",
        power_amplitude=0.1,
        power_warmup=3000.0,
    )
    long, short = ([learning_rate_at(step, n, chosen, 100.0) for step in range(1, n + 1)] for n in (400, 200))
    law = [min(0.02, 16 * 0.1 * (100.0 * step) ** -0.51) for step in range(1, 401)]
    assert short[:180] == long[:180]  # up to the decay of the shorter one, its warm-up included
    assert long[:30] == pytest.approx([law[29] * step / 30 for step in range(1, 31)])
    assert long[29:360] == law[29:360]
    assert [rate / law[359] for rate in long[360:]] == pytest.approx([0.01 ** (k / 40) for k in range(1, 41)])


@pytest.mark.parametrize(("warmup", "steps"), [(0.0, 50), (3000.0, 50), (1e6, 50), (700.0, 3)])
def test_power_schedule_is_that_of_the_law_that_answers_without_training(warmup: float, steps: int) -> None:
    chosen = Hyperparameters(
        learning_rate=0.02, batch_size=8, schedule="power", power_amplitude=0.3, power_warmup=warmup
    )
    law, total = PowerLaw(amplitude=0.3, cap=0.02), steps * 250.0
    for step in range(1, steps + 1):
        expected = law.schedule(step * 250.0, total, 8, warmup, decay=0.1 * total)
        assert learning_rate_at(step, steps, chosen, 250.0) == pytest.approx(expected, rel=1e-12)


def test_a_report_comes_at_the_first_step_that_reaches_what_was_asked_for() -> None:
    plan = StepPlan(np.full(28, 5), 4, 1, 2, seed=0)  # seven steps an epoch
    assert plan.first_steps([1e-9, 0.1, 1 / 7, 2 / 9, 1.0, 1.99, 2.1]) == {1, 2, 7, 14}


def test_the_next_multiple_is_not_where_we_are_whichever_way_it_was_rounded() -> None:
    plan = StepPlan(np.full(28, 5), 4, 1, 2, seed=0)  # seven steps an epoch
    assert [plan.next_multiple(0.5, step) for step in (0, 2, 3, 4, 7, 10, 11)] == [4, 4, 7, 7, 10, 14, 14]
    assert [plan.next_multiple(0.01, step) for step in (0, 1, 13)] == [1, 2, 14]


def test_rows_whose_order_means_something_are_taken_in_it() -> None:
    plan = StepPlan(np.full(7, 5), 2, 2, 2.0, seed=3, in_order=True)
    steps = [[rows.tolist() for rows in step] for step in plan.after(0)]
    assert steps == 2 * [[[0, 1], [2, 3]], [[4, 5], [6]]]
    assert [[rows.tolist() for rows in step] for step in plan.after(3)] == steps[3:]
