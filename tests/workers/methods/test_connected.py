"""`iaa`: what its two pathways compute, that one leads past frozen layers, and that the other leaves them alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.workers.tiny_models import batch, tiny_base
from workers.methods.forms.connected import BesidePathway, InsertedPathway, Pathway
from workers.methods.registry import method
from workers.models.loading import Base

HIDDEN, LAYERS = 8, 3


@pytest.fixture
def base() -> Base:
    return tiny_base("bert")


class Frozen(nn.Module):
    """A layer; where it is `cut`, no gradient comes back through it."""

    def __init__(self, cut: bool) -> None:
        super().__init__()
        self.linear, self.cut = nn.Linear(HIDDEN, HIDDEN).requires_grad_(False), cut

    def forward(self, hidden: Tensor) -> Tensor:
        computed: Tensor = torch.tanh(self.linear(hidden))
        return computed.detach() if self.cut else computed


def settled(pathway: Pathway) -> Pathway:
    """The pathway with random numbers everywhere."""
    with torch.no_grad():
        for value in pathway.parameters():
            value.normal_(generator=torch.Generator().manual_seed(value.numel()))
    return pathway


def made(kind: type[Pathway]) -> Pathway:
    return settled(kind(HIDDEN, LAYERS, size=4, width=2, generator=torch.Generator()))


def run(layers: list[nn.Module], hidden: Tensor) -> Tensor:
    for layer in layers:
        hidden = layer(hidden)
    return hidden


def test_through_the_layers_each_adds_what_is_inserted_and_what_leads_past_it() -> None:
    layers: list[nn.Module] = [Frozen(cut=False) for _ in range(LAYERS)]
    pathway, hidden = made(InsertedPathway), torch.randn(2, 5, HIDDEN)
    expected = hidden
    for number, layer in enumerate(layers):
        computed = layer(expected)
        past = pathway.aside[number - 1](expected) if number else 0
        expected = computed + pathway.inserted[number](computed) + past
    pathway.watch(layers)
    torch.testing.assert_close(run(layers, hidden), expected)


def test_beside_the_layers_the_last_receives_what_the_aside_path_has_gathered() -> None:
    layers: list[nn.Module] = [Frozen(cut=False) for _ in range(LAYERS)]
    pathway, hidden = made(BesidePathway), torch.randn(2, 5, HIDDEN)
    frozen, state = hidden, torch.zeros(2, 5, HIDDEN)
    for number, layer in enumerate(layers):
        frozen = layer(frozen)
        past = state + pathway.aside[number - 1](state) if number else state
        state = past + pathway.inserted[number](frozen)
    pathway.watch(layers)
    for _ in range(2):  # nothing is left of the pass before
        torch.testing.assert_close(run(layers, hidden), frozen + state)


@pytest.mark.parametrize("connected", [True, False])
def test_gradients_of_the_lowest_module_come_past_frozen_layers_where_modules_are_connected(connected: bool) -> None:
    layers: list[nn.Module] = [Frozen(cut=True) for _ in range(LAYERS)]
    pathway = made(InsertedPathway)
    if not connected:
        for aside in pathway.aside:
            nn.init.zeros_(aside.up.weight)  # type: ignore[arg-type,union-attr]
            nn.init.zeros_(aside.up.bias)  # type: ignore[arg-type,union-attr]
    pathway.watch(layers)
    run(layers, torch.randn(2, 5, HIDDEN)).square().sum().backward()
    gradient = pathway.inserted[0].down.weight.grad  # type: ignore[union-attr]
    assert bool(gradient.abs().sum() > 0) is connected  # type: ignore[union-attr,operator]


@pytest.mark.parametrize("inside", ["adapter", "lora", "beside"])
def test_the_base_is_as_before_where_the_modules_are_taken_off(base: Base, inside: str) -> None:
    def states() -> tuple[Tensor, ...]:
        with torch.no_grad():
            found: Any = base.model(**batch(), output_hidden_states=True)
        return (*found.hidden_states, found.logits)

    own = method("iaa")
    knobs = own.complete(base.description, {"inside": inside, "size": 4, "width": 4})
    base.initialise_head(0)
    before = states()
    attached = own.attach(base, knobs, 0, None)
    with torch.no_grad():
        for name, value in attached.parameters().items():
            if "classifier" not in name and "pooler" not in name:
                value.normal_(generator=torch.Generator().manual_seed(value.numel()))
    changed = states()
    with attached.without():
        off = states()
    attached.detach()
    assert not torch.allclose(changed[-1], before[-1])
    assert all(torch.equal(one, other) for one, other in zip(off, before, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(states(), before, strict=True))
    if inside == "beside":  # what frozen layers pass on to each other is the base's even while it is on
        assert all(torch.equal(one, other) for one, other in zip(changed[:2], before[:2], strict=True))
