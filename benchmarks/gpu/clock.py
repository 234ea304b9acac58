"""Milliseconds of a step, with the device waited for before and after."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Clock:
    """Times `steps` steps behind `before` others: kernels are chosen and passes captured by then."""

    device: torch.device
    before: int
    steps: int

    def milliseconds(self, step: Callable[[], object]) -> float:
        """Of one step."""
        for _ in range(self.before):
            step()
        self.wait()
        started = time.perf_counter()
        for _ in range(self.steps):
            step()
        self.wait()
        return (time.perf_counter() - started) / self.steps * 1e3

    def wait(self) -> None:
        """Until the device has done all that was asked of it."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
