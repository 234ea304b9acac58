"""The update that members of a pack add to a shared layer: its numbers, its gradients, and whose they are."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from workers.engines.stacked.layout import Layout, block_rows
from workers.engines.stacked.places import StackedLinear
from workers.engines.stacked.stack import Stack, Tenant
from workers.engines.stacked.update import Part, Update

RANKS, LENGTH, IN, OUT = (1, 4, 2), 5, 12, 20
PLACE = "layer"
WAYS = [pytest.param(True, id="looped"), pytest.param(False, id="stacked")]
ROWS = [pytest.param((3, 8, 2), id="uneven"), pytest.param((4, 4, 4), id="even"), pytest.param((4, 8, 1), id="filled")]


def factors(rank: int) -> tuple[Tensor, Tensor]:
    return torch.randn(rank, IN), torch.randn(OUT, rank)


def tenant(a: Tensor, b: Tensor, scale: float) -> Tenant:
    parts = {role: Part(value, role, tuple(value.shape)) for role, value in (("a", a), ("b", b))}
    return Tenant((Update(PLACE, "low-rank", parts, {"scale": scale, "dropout": 0.0}),), 0.0, {}, 0.0)


class Packed:
    """A layer with three members on it."""

    def __init__(self, looped: bool, rows: tuple[int, ...]) -> None:
        torch.manual_seed(0)
        self.layer, self.pairs = nn.Linear(IN, OUT).requires_grad_(False), [factors(rank) for rank in RANKS]
        self.stack = Stack(len(RANKS), torch.device("cpu"))
        for (a, b), rank in zip(self.pairs, RANKS, strict=True):
            self.stack.add(tenant(a, b, 1 / rank))
        self.layout = Layout(len(RANKS), torch.device("cpu"), looped)
        self.sources = self.layout.arrange([(slot, count, LENGTH) for slot, count in enumerate(rows)])
        self.module = StackedLinear(self.layer, PLACE, self.stack, self.layout)

    def outputs(self, x: Tensor) -> Tensor:
        """Of all real rows."""
        whole = x if self.sources is None else x[torch.from_numpy(self.sources)]
        y = self.module(whole)
        return torch.cat([y[segment.rows] for segment in self.layout.segments])

    def gradients(self) -> Mapping[int, tuple[Tensor, Tensor]]:
        """Of each member's factors, in their own sizes; whatever padding got must be nothing."""
        found = {}
        for slot, rank in enumerate(RANKS):
            a, b = (self.stack.required(PLACE, "low-rank", role).grad for role in ("a", "b"))
            assert a is not None
            assert b is not None
            assert not a[slot, rank:].any()
            assert not b[slot, :, rank:].any()
            found[slot] = (a[slot, :rank].clone(), b[slot, :, :rank].clone())
        return found


def apart(x: Tensor, rows: tuple[int, ...]) -> list[Tensor]:
    return list(x.split(list(rows)))


@pytest.mark.parametrize("length", [1, LENGTH], ids=["narrow", "wide"])
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("looped", WAYS)
def test_values_and_gradients_are_those_of_the_formula(looped: bool, rows: tuple[int, ...], length: int) -> None:
    packed = Packed(looped, rows)
    x = torch.randn(sum(rows), length, IN, requires_grad=True)
    packed.outputs(x).square().sum().backward()
    mine, found = packed.gradients(), x.grad
    own = x.detach().clone().requires_grad_()
    written = [[factor.clone().requires_grad_() for factor in pair] for pair in packed.pairs]
    outputs = [
        packed.layer(part) + part @ a.T @ b.T / rank
        for part, (a, b), rank in zip(apart(own, rows), written, RANKS, strict=True)
    ]
    torch.cat(outputs).square().sum().backward()
    torch.testing.assert_close(packed.outputs(x), torch.cat(outputs))
    torch.testing.assert_close(found, own.grad, rtol=1e-4, atol=1e-4)
    for slot, pair in enumerate(written):
        for one, factor in zip(mine[slot], pair, strict=True):
            torch.testing.assert_close(one, factor.grad, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("looped", WAYS)
def test_a_nan_stays_with_its_member(looped: bool) -> None:
    rows = (3, 8, 2)
    packed = Packed(looped, rows)
    with torch.no_grad():
        packed.stack.required(PLACE, "low-rank", "b")[0] = math.nan
    x = torch.randn(sum(rows), LENGTH, IN, requires_grad=True)
    y = packed.outputs(x)
    y.sum().backward()
    first, *others = apart(y, rows)
    assert first.isnan().all()
    assert all(torch.isfinite(part).all() for part in others)
    assert x.grad is not None
    assert all(torch.isfinite(part).all() for part in apart(x.grad, rows)[1:])
    packed.stack.step(dict.fromkeys(range(len(RANKS)), 0.01))
    for slot in (1, 2):
        assert all(torch.isfinite(value).all() for value in packed.stack.parameters(slot).values())


@pytest.mark.parametrize("looped", WAYS)
def test_under_autocast_products_are_in_bfloat16_and_gradients_in_float32(looped: bool) -> None:
    rows = (4, 4, 4)
    packed = Packed(looped, rows)
    x = torch.randn(sum(rows), LENGTH, IN, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = packed.outputs(x)
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == torch.float32
    for slot, part in enumerate(apart(x, rows)):
        a, b = (factor.clone().requires_grad_() for factor in packed.pairs[slot])
        expected = torch.autograd.grad((part.detach() @ a.T @ b.T / RANKS[slot]).sum(), a)[0]
        torch.testing.assert_close(packed.gradients()[slot][0], expected, rtol=0.1, atol=0.5)


def test_blocks_are_as_large_as_a_tenth_of_padding_allows() -> None:
    assert block_rows([8, 8, 8]) == 8
    assert block_rows([8, 16, 32]) == 8
    assert block_rows([8, 8, 8, 7]) == 8  # one row more: a member's last batch of an epoch
    assert block_rows([8, 1]) == 1
