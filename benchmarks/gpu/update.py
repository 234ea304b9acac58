"""`python -m benchmarks.gpu.update`: one optimizer step of all members, ours beside PyTorch's fused AdamW.

PyTorch's takes one rate for all tensors of a call, so members with rates of their own are a call each: with every
member as one flat tensor, its best case, and as the tensors that an adapter has. Milliseconds, on a CPU
of processor time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.gpu.clock import Clock
from workers.engines.stacked.vector_adamw import adamw_by_rows, one_step, vector_adamw

PARAMETERS, TENSORS = 294_912, 48  # LoRA r8 on queries and values of BERT-base


def main() -> None:
    """Print a line for each number of members."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.update", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    device = torch.device(parser.parse_args().device)
    torch.set_num_threads(1)
    for members in (1, 8, 32):
        torch.manual_seed(0)
        found = {
            "ours": _milliseconds(ours(members, device, by_rows=False), device),
            **(
                {"ours, by rows": _milliseconds(ours(members, device, by_rows=True), device)}
                if device.type == "cpu"
                else {}
            ),
            "fused, flat": _milliseconds(fused(members, 1, device), device),
            "fused, by tensor": _milliseconds(fused(members, TENSORS, device), device),
        }
        print(json.dumps({"members": members, **{name: round(spent, 3) for name, spent in found.items()}}))


def ours(members: int, device: torch.device, by_rows: bool) -> Callable[[], object]:
    """A step of rows with rates and decay of their own: all at once, as on a GPU, or row by row, as on a CPU."""
    values, mean, square, gradients = (torch.rand(members, PARAMETERS, device=device) for _ in range(4))
    rows = [one_step(1e-3 * (1 + number), 7, 0.0) for number in range(members)]
    controls = torch.tensor(rows, device=device).T[..., None].contiguous()
    decay = torch.full_like(values, 0.01)
    if by_rows:
        return lambda: adamw_by_rows(values, mean, square, gradients, controls, decay, [7] * members)
    return lambda: vector_adamw(values, mean, square, gradients, controls, None, decay, resting=False)


def fused(members: int, tensors: int, device: torch.device) -> Callable[[], object]:
    """PyTorch's, with a group for each member; gradients are cleared as ours are."""
    groups: list[dict[str, list[Tensor] | float]] = []
    for number in range(members):
        own = [torch.rand(PARAMETERS // tensors, device=device, requires_grad=True) for _ in range(tensors)]
        for parameter in own:
            parameter.grad = torch.rand_like(parameter)
        groups.append({"params": list(own), "lr": 1e-3 * (1 + number)})
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01, fused=True)

    def step() -> None:
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)

    return step


def _milliseconds(step: Callable[[], object], device: torch.device) -> float:
    """The least of five tries: neighbours on the machine only ever make a step slower."""
    if device.type == "cuda":
        return min(Clock(device, 8, 24).milliseconds(step) for _ in range(5))
    step()
    spent = []
    for _ in range(5):
        started = time.process_time()
        for _ in range(4):
            step()
        spent.append((time.process_time() - started) / 4 * 1e3)
    return min(spent)


if __name__ == "__main__":
    main()
