"""Where the time of one step of a pack goes, by part."""

from __future__ import annotations

import torch
from torch.profiler import ProfilerActivity
from torch.profiler import profile as recording

from benchmarks.gpu import ours
from benchmarks.gpu.cases import Case
from benchmarks.gpu.clock import Clock

PARTS = {
    "products of the base": ("mm", "addmm", "linear", "gemm", "nvjet", "cutlass"),
    "products of members": ("bmm", "baddbmm", "batched"),
    "attention": ("attention", "flash", "fmha"),
    "copies and casts": ("copy", "cat", "index", "gather", "fill"),
}
_STEPS = 3


class _Profiled(Clock):
    """Warms up as ever, and profiles in place of timing."""

    table = ""

    def milliseconds(self, step: object) -> float:
        """Of one step, profiled."""
        assert callable(step)
        for _ in range(self.before):
            step()
        self.wait()
        gpu = self.device.type == "cuda"
        with recording(activities=[ProfilerActivity.CUDA if gpu else ProfilerActivity.CPU]) as found:
            for _ in range(_STEPS):
                step()
            self.wait()
        shares: dict[str, float] = {}
        for event in found.key_averages():
            spent = event.self_device_time_total if gpu else event.self_cpu_time_total
            shares[_part(event.key)] = shares.get(_part(event.key), 0.0) + spent / _STEPS / 1e3
        total = sum(shares.values()) or 1.0
        rows = sorted(shares.items(), key=lambda item: -item[1])
        lines = [f"{name:24s} {spent:9.3f} ms {spent / total:5.0%}" for name, spent in rows]
        object.__setattr__(self, "table", "\n".join(lines))
        return total


def profile(case: Case, device: torch.device, members: int) -> str:
    """Milliseconds of one step of a pack by part: of kernels on a GPU, of operations on a CPU."""
    clock = _Profiled(device, 8 if device.type == "cuda" else 2, _STEPS)
    total = ours.pack(case, device, device.type == "cuda", members, clock).milliseconds
    return f"{case.name}, {members} members: {total:.2f} ms a step\n{clock.table}"


def _part(kernel: str) -> str:
    """Batched products first: their names hold those of the plain ones."""
    lowered = kernel.lower()
    order = ("products of members", "attention", "copies and casts", "products of the base")
    return next((part for part in order if any(sign in lowered for sign in PARTS[part])), "the rest")
