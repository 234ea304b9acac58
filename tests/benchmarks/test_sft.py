"""What `make bench-sft` says of two sides follows from what they told, and the bare products from the plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.sft import products
from benchmarks.sft.__main__ import CASES, PREFERENCES, compared
from benchmarks.sft.plan import Plan, pairs_plan, plan

PLAN: dict[str, Any] = {
    "input_ids": [[1, 2, 3], [1, 2], [1], [1, 2, 3, 4]],
    "targets": [[-100, 3, 4], [-100, 5], [-100], [-100, -100, 2, 7]],
    "ignored": -100,
    "batch_size": 2,
    "rows_per_step": 2,
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


@pytest.mark.slow
def test_the_products_of_every_case_follow_from_its_plan(smollm2_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert smollm2_folder.is_dir()
    done: list[tuple[int, int, bool]] = []
    monkeypatch.setattr(products, "_products", lambda layers, tokens, back: done.append((len(layers), tokens, back)))

    def cost(chosen: Plan) -> int:
        """Passes of tokens through layers (the head is one of them), one back counted as one forward."""
        done.clear()
        assert products.prepared(chosen)() == []
        return sum(layers * tokens * (1 + back) for layers, tokens, back in done)

    first = {name: cost(plan(2, 2, 1, *case)) for name, case in CASES.items()}
    assert first["upper four layers, a later trial"] < first["upper four layers"] < first["all layers"]
    assert first["all layers, bfloat16"] == first["all layers"]
    chosen = [pairs_plan(2, 2, 1, stored) for stored in PREFERENCES.values()]
    tokens = sum(map(len, chosen[0]["input_ids"]))
    wanted = sum(one != chosen[0]["ignored"] for row in chosen[0]["targets"] for one in row)
    assert [cost(one) for one in chosen] == [(4 + 1) * (30 * tokens + wanted), 4 * (30 * tokens + wanted)]
