"""Packs compute in the way that was faster when it was measured."""

from __future__ import annotations

import math

import pytest
import torch

from workers.engines.stacked import way
from workers.engines.stacked.way import LOOPED, ON_GPU, STACKED, stacked_gain, way_on


@pytest.mark.parametrize(("gain", "expected"), [(0.4, LOOPED), (1.0, LOOPED), (1.5, STACKED)])
def test_a_cpu_computes_member_by_member_unless_all_at_once_was_faster(
    monkeypatch: pytest.MonkeyPatch, gain: float, expected: way.Way
) -> None:
    monkeypatch.setattr(way, "stacked_gain", lambda: gain)
    assert way_on(torch.device("cpu")) is expected
    assert way_on(torch.device("cuda")) is ON_GPU


def test_only_a_gpu_gets_passes_padded_to_the_longest_member() -> None:
    """On a CPU a padded token costs what a real one does."""
    assert max(LOOPED.padding, STACKED.padding) <= 1.1
    assert math.isinf(ON_GPU.padding)


def test_the_measurement_is_one() -> None:
    assert 0.01 < stacked_gain() < 100
