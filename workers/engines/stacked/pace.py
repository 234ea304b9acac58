"""Keeps the host one step ahead of a GPU: far enough that it never idles, near enough that times mean something."""

from __future__ import annotations

import torch


class Pace:
    """Of one pack. On a CPU there is nothing to keep: work is done when it is asked for."""

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._last: torch.cuda.Event | None = None

    def step(self) -> None:
        """Behind each step: wait until the step before it is done."""
        if not self._on_gpu:
            return
        before, self._last = self._last, torch.cuda.Event()
        self._last.record()
        if before is not None:
            before.synchronize()

    def wait(self) -> None:
        """Until all is done."""
        if self._on_gpu:
            torch.cuda.synchronize()
