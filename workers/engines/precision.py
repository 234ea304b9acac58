"""Number formats of training steps: float32, or bfloat16 products where the hardware is good at them.

bfloat16 rounds products to 8 bits; sums, losses, the optimizer, trained parameters, the residual stream and stored
hidden states stay float32. Equality with the reference is promised for float32 only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from workers.assignment import PrecisionChoice

Precision = Literal["fp32", "bf16"]

# bfloat16 must be worth its lost digits.
_WORTH = 1.3


@contextmanager
def computing_in(precision: Precision, device: str = "cpu") -> Iterator[None]:
    """Within it, forward passes on this type of device use `precision`."""
    if precision == "fp32":
        yield
        return
    attention = _float32_attention() if device == "cpu" else nullcontext()
    with attention, torch.autocast(device, torch.bfloat16):
        yield


@contextmanager
def _float32_attention() -> Iterator[None]:
    # PyTorch's bfloat16 attention on CPU has a backward pass many times slower than the float32 one (a third of a
    # whole training step in our profile), and attention on short texts is a small part of the work.
    original = ALL_ATTENTION_FUNCTIONS["sdpa"]

    def attention(
        module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **options: Any
    ) -> tuple[Tensor, Any]:
        if mask is not None and mask.dtype == torch.bfloat16:
            mask = mask.float()
        with torch.autocast("cpu", enabled=False):
            output, weights = original(module, query.float(), key.float(), value.float(), mask, **options)
        return output.to(query.dtype), weights

    ALL_ATTENTION_FUNCTIONS["sdpa"] = attention
    try:
        yield
    finally:
        ALL_ATTENTION_FUNCTIONS["sdpa"] = original


def choose(choice: PrecisionChoice, device: str = "cpu") -> Precision:
    """Resolve `auto`: on a CPU by a measurement of a few tenths of a second, made once per process."""
    if choice != "auto":
        return choice
    if device != "cpu":  # every GPU that computes in bfloat16 at all is several times faster at it
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if bf16_speedup() >= _WORTH else "fp32"


def base_in_bfloat16(precision: Precision, device: str) -> bool:
    """Whether the frozen base itself is held in bfloat16. On a CPU it gained nothing (docs/engines.md)."""
    return precision == "bf16" and device != "cpu"


@cache
def bf16_speedup() -> float:
    """How many times faster a feed-forward block trains in bfloat16 than in float32 on this machine, now."""
    tokens, hidden = 512, 384
    x = torch.randn(tokens, hidden)
    up, down = torch.randn(4 * hidden, hidden), torch.randn(hidden, 4 * hidden)

    def block(precision: Precision) -> Callable[[], None]:
        def run() -> None:
            state = x.clone().requires_grad_()
            with computing_in(precision):
                loss = linear(gelu(linear(state, up)), down).float().sum()
            loss.backward()

        return run

    return fastest(block("fp32")) / fastest(block("bf16"))


def fastest(run: Callable[[], None], repeats: int = 5) -> float:
    """Seconds of the fastest of several runs: neighbours on the machine only ever make a run slower."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)
