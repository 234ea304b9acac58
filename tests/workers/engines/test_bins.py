"""Batches of so many tokens hold every row once, are nearly full, and train as one padded batch of their rows would."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.engines.batches import StepPlan
from workers.engines.bins import best_fit_decreasing, passes_of


@given(st.lists(st.integers(1, 40), min_size=1, max_size=200), st.integers(8, 64), st.integers(0, 3))
def test_bins_hold_every_row_once_and_no_more_than_their_tokens(sizes: list[int], tokens: int, seed: int) -> None:
    lengths = np.array(sizes)
    bins = best_fit_decreasing(lengths, tokens, seed)
    assert sorted(np.concatenate(bins).tolist()) == list(range(len(sizes)))
    assert all(lengths[rows].sum() <= tokens or len(rows) == 1 for rows in bins)
    # Two bins that fit into one would not both have been opened.
    fill = sorted(int(lengths[rows].sum()) for rows in bins)
    assert len(fill) < 2 or fill[0] + fill[1] > tokens
    for rows in bins:
        passes = passes_of(rows, lengths)
        assert np.concatenate(passes).tolist() == rows.tolist()
        assert all(lengths[one].max() * len(one) <= 1.1 * lengths[one].sum() for one in passes)


def test_a_plan_of_tokens_visits_its_bins_in_another_order_each_epoch() -> None:
    lengths = np.random.default_rng(0).integers(5, 60, 300)
    plan = StepPlan(lengths, 16, 2, 2.0, seed=4, batch_tokens=256)
    bins = len(best_fit_decreasing(lengths, 256, 4))
    assert lengths.sum() / 256 <= bins <= 1.03 * lengths.sum() / 256 + 1
    assert plan.steps_per_epoch == -(-bins // 2)
    epochs = list(plan.after(0))
    first, second = epochs[: plan.steps_per_epoch], epochs[plan.steps_per_epoch :]
    for steps in (first, second):
        assert sorted(np.concatenate([rows for step in steps for rows in step]).tolist()) == list(range(300))
    tokens = [sum(int(lengths[rows].sum()) for rows in step) for step in first[:-1]]
    assert sorted(tokens)[1] > 500  # one bin is what is left
    assert max(tokens) <= 512
    assert [rows.tolist() for rows in first[0]] != [rows.tolist() for rows in second[0]]
    again = next(plan.after(plan.steps_per_epoch))
    assert [rows.tolist() for rows in again] == [rows.tolist() for rows in second[0]]


def test_rows_count_where_no_tokens_are_named() -> None:
    lengths = np.full(20, 5)
    assert StepPlan(lengths, 4, 1, 1.0, seed=0).steps == 5
    assert StepPlan(lengths, 4, 1, 1.0, seed=0, batch_tokens=50).steps == 2
    with pytest.raises(ValueError, match="order"):
        StepPlan(lengths, 4, 1, 1.0, seed=0, in_order=True, batch_tokens=50)
