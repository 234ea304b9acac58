"""The update that members of a pack add to a shared layer: its numbers, its gradients, and whose they are."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from workers.engines.pack_member import LowRank
from workers.engines.packed_layers import _Updated

RANKS, ROWS, LENGTH, IN, OUT = (1, 4, 2), (3, 8, 2), 5, 12, 20


def updates(dtype: torch.dtype) -> list[LowRank]:
    torch.manual_seed(0)
    return [
        LowRank(nn.Parameter(torch.randn(r, IN, dtype=dtype)), nn.Parameter(torch.randn(OUT, r, dtype=dtype)), 1 / r, 0)
        for r in RANKS
    ]


def slices() -> tuple[slice, ...]:
    starts = [sum(ROWS[:index]) for index in range(len(ROWS))]
    return tuple(slice(start, start + rows) for start, rows in zip(starts, ROWS, strict=True))


def packed(whole: Tensor, x: Tensor, members: list[LowRank]) -> Tensor:
    factors = [factor for one in members for factor in (one.a, one.b)]
    return _Updated.apply(whole.clone(), x, slices(), tuple(one.scale for one in members), *factors)


def written_out(whole: Tensor, x: Tensor, members: list[LowRank]) -> Tensor:
    return torch.cat(
        [whole[rows] + x[rows] @ one.a.T @ one.b.T * one.scale for rows, one in zip(slices(), members, strict=True)]
    )


@pytest.mark.parametrize("narrow", [False, True])
def test_values_and_gradients_are_those_of_the_formula(narrow: bool) -> None:
    members = updates(torch.float64)
    length = 1 if narrow else LENGTH
    x = torch.randn(sum(ROWS), length, IN, dtype=torch.float64, requires_grad=True)
    whole = torch.randn(sum(ROWS), length, OUT, dtype=torch.float64, requires_grad=True)
    leaves = [whole, x, *(factor for one in members for factor in (one.a, one.b))]
    results = []
    for form in (packed, written_out):
        value = form(whole, x, members)
        results.append([value, *torch.autograd.grad(value.square().sum(), leaves)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


def test_a_nan_stays_with_its_member() -> None:
    members = updates(torch.float32)
    x = torch.randn(sum(ROWS), LENGTH, IN, requires_grad=True)
    with torch.no_grad():
        members[0].b.fill_(math.nan)
    value = packed(torch.zeros(sum(ROWS), LENGTH, OUT), x, members)
    first, *others = slices()
    of_x, *factors = torch.autograd.grad(value.sum(), [x, *(f for one in members[1:] for f in (one.a, one.b))])
    assert value[first].isnan().all()
    for rows in others:
        assert torch.isfinite(value[rows]).all()
        assert torch.isfinite(of_x[rows]).all()
    assert all(torch.isfinite(factor).all() for factor in factors)


def test_under_autocast_products_are_in_bfloat16_and_gradients_in_float32() -> None:
    members = updates(torch.float32)
    x = torch.randn(sum(ROWS), LENGTH, IN, requires_grad=True)
    frozen = torch.randn(OUT, IN)
    with torch.autocast("cpu", torch.bfloat16):
        value = packed(nn.functional.linear(x, frozen), x, members)
    assert value.dtype == torch.bfloat16
    value.float().sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == torch.float32
    for one, rows in zip(members, slices(), strict=True):
        assert one.a.grad is not None
        assert one.a.grad.dtype == torch.float32
        expected = torch.autograd.grad((x[rows] @ one.a.T @ one.b.T * one.scale).sum(), one.a)[0]
        torch.testing.assert_close(one.a.grad, expected, rtol=0.1, atol=0.3)
