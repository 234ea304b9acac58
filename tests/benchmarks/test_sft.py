"""What `make bench-sft` says of two sides follows from what they told, and the bare products from the plan."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from benchmarks.sft import products
from benchmarks.sft.__main__ import compared

PLAN: dict[str, Any] = {
    "input_ids": [[1, 2, 3], [1, 2], [1], [1, 2, 3, 4]],
    "targets": [[-100, 3, 4], [-100, 5], [-100], [-100, -100, 2, 7]],
    "ignored": -100,
    "batch_size": 2,
    "epochs": 3,
}


def test_ratios_are_those_of_processor_time_and_losses_are_compared_step_by_step() -> None:
    ours = {"processor_seconds": 2.0, "seconds": 9.0, "memory_mb": 30.0, "losses": [1.0, 0.5]}
    theirs = {"processor_seconds": 6.0, "seconds": 9.0, "memory_mb": 60.0, "losses": [1.25, 0.5]}
    found = compared(PLAN, ours, theirs, products=0.5)
    assert found["times_faster"] == 3
    assert found["times_faster_if_all_but_products_were_free"] == 12
    assert found["share_of_ours_that_is_products"] == 0.25
    assert found["memory_over_trl"] == 0.5
    assert found["largest_difference_of_losses"] == 0.25
    assert found["tokens"] == 30
    assert found["ours"]["tokens_per_processor_second"] == 15


def test_products_are_over_the_tokens_of_a_step_and_the_head_reads_wanted_ones_alone() -> None:
    assert list(products._steps(PLAN)) == [(5, 3), (5, 2)]


@pytest.mark.parametrize(("back", "expected"), [(False, 2), (True, 4)])
def test_each_weight_is_multiplied_forward_and_where_asked_back(back: bool, expected: int) -> None:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        products._products([[torch.ones(4, 3)], [torch.ones(3, 4)]], 5, back)
    assert sum(one.count for one in seen.key_averages() if one.key == "aten::mm") == expected
