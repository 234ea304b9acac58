"""How fast this machine trains with more threads and with more rows, by a measurement of a few seconds.

Imports torch only when it measures: whoever plans reads results without it.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import torch

MEMBERS = 8
_ROWS, _TOKENS, _HIDDEN, _LAYERS, _RANK = 16, 16, 384, 2, 8


class MachineSpeed(BaseModel):
    """What was measured.

    Attributes:
        threads: by number of threads, how many times faster than one of them a training step of one trial is.
        pack_gain: how many times faster the steps of eight trials are in one pass than one after another.
        device: where `pack_gain` was measured, `cpu` or the name of a GPU.
        device_bytes: memory of that GPU; None on a CPU.
    """

    model_config = ConfigDict(frozen=True)

    threads: dict[int, float]
    pack_gain: float
    device: str
    device_bytes: int | None = None


def measure() -> MachineSpeed:
    """Time training steps of a small transformer's products on the GPU, if this process has one, and on the CPU."""
    import torch

    cores = os.cpu_count() or 1
    counts = sorted({1, cores, *(2**power for power in range(cores.bit_length()) if 2**power <= cores)})
    before = torch.get_num_threads()
    seconds = {}
    try:
        for count in counts:
            torch.set_num_threads(count)
            seconds[count] = _seconds(torch.device("cpu"), 1)
    finally:
        torch.set_num_threads(before)
    threads = {count: seconds[1] / spent for count, spent in seconds.items()}
    if torch.cuda.is_available():
        device = torch.device("cuda")
        gain = MEMBERS * _seconds(device, 1) / _seconds(device, MEMBERS)
        found = torch.cuda.get_device_properties(device)
        return MachineSpeed(threads=threads, pack_gain=gain, device=found.name, device_bytes=found.total_memory)
    gain = MEMBERS * seconds[1] / _seconds(torch.device("cpu"), MEMBERS)
    return MachineSpeed(threads=threads, pack_gain=gain, device="cpu")


def _seconds(device: torch.device, members: int) -> float:
    """Seconds of one step of `members` trials together."""
    import torch

    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(device) / math.sqrt(shape[-1])

    frozen = [(draw(4 * _HIDDEN, _HIDDEN), draw(_HIDDEN, 4 * _HIDDEN)) for _ in range(_LAYERS)]
    factors = [(draw(_RANK, _HIDDEN), draw(4 * _HIDDEN, _RANK)) for _ in range(_LAYERS * members)]
    for factor in (one for pair in factors for one in pair):
        factor.requires_grad_()
    rows = draw(members * _ROWS, _TOKENS, _HIDDEN)

    def updates(state: torch.Tensor, own: list[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        """As packs compute them: member by member on a CPU, all at once on a GPU."""
        if device.type == "cpu":
            parts = zip(state.chunk(members), own, strict=True)
            return torch.cat([part @ a.T @ b.T for part, (a, b) in parts])
        first, second = (torch.stack(factors).mT for factors in zip(*own, strict=True))
        inner = torch.bmm(state.view(members, -1, _HIDDEN), first)
        return torch.bmm(inner, second).view(len(state), _TOKENS, -1)

    def step() -> None:
        state = rows
        for layer, (up, down) in enumerate(frozen):
            own = factors[layer * members : (layer + 1) * members]
            state = state + torch.nn.functional.gelu(state @ up.T + updates(state, own)) @ down.T
        state.square().mean().backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return _fastest(step)


def _fastest(run: Callable[[], None], repeats: int = 2) -> float:
    """Seconds of the fastest of several runs: neighbours on the machine only ever make a run slower."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)
