"""The flat AdamW: the updates of `torch.optim.AdamW` with decay on matrices only, and parameters that stay ordinary."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

from workers.engines.flat_adamw import FlatAdamW


def parameters() -> dict[str, nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    shapes = {"bias": (5,), "matrix": (4, 5), "scale": (), "tensor": (2, 3, 2)}
    return {name: nn.Parameter(torch.randn(shape, generator=generator)) for name, shape in shapes.items()}


def backward(given: dict[str, nn.Parameter], step: int) -> None:
    sum(((p * (step + k)).sin() * 3).sum() for k, p in enumerate(given.values())).backward()  # type: ignore[union-attr]


@pytest.mark.parametrize("factors", [{}, {"matrix": 16.0, "scale": 0.5}], ids=["one rate", "several"])
def test_updates_equal_those_of_torch(factors: dict[str, float]) -> None:
    mine, theirs = parameters(), parameters()
    flat = FlatAdamW(mine, 0.1, factors)
    groups = [
        {"params": [p], "weight_decay": 0.1 if p.ndim >= 2 else 0.0, "factor": factors.get(name, 1.0)}
        for name, p in theirs.items()
    ]
    adamw = torch.optim.AdamW(groups, lr=0.0)
    for step in range(1, 21):
        rate = 0.1 / step
        backward(mine, step)
        backward(theirs, step)
        flat.clip(1.5)
        clip_grad_norm_(theirs.values(), 1.5)
        flat.step(rate)
        flat.clear_gradients()
        for group in adamw.param_groups:
            group["lr"] = rate * group["factor"]
        adamw.step()
        adamw.zero_grad()
    for name, value in theirs.items():
        torch.testing.assert_close(mine[name], value, rtol=1e-5, atol=1e-6)


def test_renewed_entries_start_without_a_direction() -> None:
    given = parameters()
    optimizer = FlatAdamW(given, 0.0)
    backward(given, 1)
    optimizer.step(0.05)
    before = optimizer.save()
    entries = torch.tensor([0, 3])
    optimizer.forget({"matrix": entries})
    after = optimizer.save()
    assert (after["mean/matrix"].view(-1)[entries] == 0).all()
    assert (after["square/matrix"].view(-1)[entries] == before["square/matrix"].mean()).all()
    changed = sum(int((after[name] != value).sum()) for name, value in before.items())
    assert changed == 4


def test_saved_state_continues_exactly() -> None:
    def run(optimizer: FlatAdamW, given: dict[str, nn.Parameter], steps: range) -> None:
        for step in steps:
            backward(given, step)
            optimizer.step(0.05)
            optimizer.clear_gradients()

    whole, first, second = parameters(), parameters(), parameters()
    run(FlatAdamW(whole, 0.1), whole, range(1, 11))
    half = FlatAdamW(first, 0.1)
    run(half, first, range(1, 6))
    rest = FlatAdamW(second, 0.1)
    rest.load(half.save())
    run(rest, second, range(6, 11))
    assert all(torch.equal(second[name], value) for name, value in whole.items())


def test_released_parameters_stand_alone() -> None:
    given = parameters()
    optimizer = FlatAdamW(given, 0.0)
    backward(given, 1)
    optimizer.release()
    assert all(p.grad is None for p in given.values())
    assert len({p.untyped_storage().data_ptr() for p in given.values()}) == len(given)
