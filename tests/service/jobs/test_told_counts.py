"""Counts that trials tell of where they ran, whoever reported them."""

from __future__ import annotations

import pytest

from service.jobs.told_counts import count_told


@pytest.mark.parametrize(
    ("told", "count"),
    [("40", 40), ("0", 0), ("", 0), ("-3", 0), ("many", 0), ("1e3", 0), ("²", 0), ("9" * 1000, 999_999_999)],
)
def test_what_is_no_count_says_nothing_and_a_long_one_is_cut(told: str, count: int) -> None:
    assert count_told({"train_rows": told}, "train_rows") == count
    assert count_told({"train_rows": told}, "longest_row") == 0
