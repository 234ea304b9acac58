"""Bottleneck adapters: where they stand, what they compute, and that one learning rate suits every size and scale."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from search_spaces.presets.autopeft import MODULES
from tests.workers.tiny_models import LABELS, batch, tiny_base
from workers.engines.torch_adamw import TorchAdamW
from workers.methods.attached import Attached, TrainingSetup
from workers.methods.declaration.module_rates import PARALLEL_SCALE, module_rate
from workers.methods.forms.bottleneck import ACTIVATIONS, AdaptedAttention, AdaptedBertOutput, Bottleneck
from workers.methods.registry import method
from workers.models.loading import Base

HIDDEN, SIZES = 384, (3, 24, 96, 384)


def attach(base: Base, name: str, **knobs: Any) -> Attached:
    one = method(name)
    setup = TrainingSetup(1, lambda _size: iter([]), cross_entropy)
    return one.attach(base, one.complete(base.description, knobs), 7, setup)


def adapter(size: int, scale: float | str, activation: str = "relu") -> Bottleneck:
    return Bottleneck(HIDDEN, size, scale, torch.Generator().manual_seed(0), activation)


def moved(size: int, scale: float, with_rates: bool) -> float:
    """By how much one optimizer step changes the output of an adapter for random tokens, root mean square."""
    module, tokens = adapter(size, scale), torch.randn(64, HIDDEN, generator=torch.Generator().manual_seed(1))
    wanted = torch.randn(64, HIDDEN, generator=torch.Generator().manual_seed(2))
    parameters = {f"0.parallel.{name}": value for name, value in module.named_parameters()}
    rates = {name: module_rate(name, size, scale) for name in parameters} if with_rates else {}
    updates = TorchAdamW(parameters, 0.0, rates)
    (module(tokens) * wanted).sum().backward()
    updates.step(1e-3)
    with torch.no_grad():
        return float(module(tokens).square().mean().sqrt())


def test_one_rate_moves_adapters_of_all_sizes_and_scales_alike() -> None:
    """Without the relative rates the widest adapter, scaled by 4, moves tens of times as far as the narrowest."""
    corners = [(size, scale) for size in SIZES for scale in (1.0, PARALLEL_SCALE)]
    plain = [moved(*corner, with_rates=False) for corner in corners]
    alike = [moved(*corner, with_rates=True) for corner in corners]
    assert max(plain) / min(plain) > 20
    assert max(alike) / min(alike) < 6


@pytest.mark.parametrize("name", ["autopeft", "adapter_parallel", "adapter_houlsby", "mam"])
def test_methods_use_these_rates(name: str) -> None:
    base = tiny_base("bert")
    knobs = dict.fromkeys(MODULES, 6) if name == "autopeft" else {"size": 6}
    attached = attach(base, name, **knobs)
    factors = attached.rate_factors()
    scaled = {key for key in attached.parameters() if any(part in key for part in (".up.", ".down.", ".prefix."))}
    attached.detach()
    assert factors.keys() == scaled
    for key, factor in factors.items():
        assert factor == module_rate(key, 6, PARALLEL_SCALE)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_adapter_is_two_matrices_around_its_activation(name: str) -> None:
    module, tokens = adapter(6, 2.0, name), torch.randn(5, HIDDEN)
    with torch.no_grad():
        module.up.weight.normal_()
    inner = tokens @ module.down.weight.T + module.down.bias
    curved = {"relu": inner.clamp_min(0), "gelu": nn.functional.gelu(inner), "tanh": inner.tanh(), "none": inner}[name]
    torch.testing.assert_close(module(tokens), 2.0 * curved @ module.up.weight.T)


def test_a_learned_scale_is_trained_and_scales() -> None:
    base = tiny_base("bert")
    attached = attach(base, "adapter_parallel", size=6, scale="learned")
    names = [name for name in attached.parameters() if name.endswith(".scale")]
    updates = TorchAdamW(attached.parameters(), 0.0, attached.rate_factors())
    for _ in range(2):  # while W_up is zero its scale has no gradient
        cross_entropy(attached.model(**batch()).logits, LABELS).backward()
        updates.step(1e-2)
        updates.clear_gradients()
    values = [attached.parameters()[name].item() for name in names]
    with torch.no_grad():
        before = attached.model(**batch()).logits
        for name in names:
            attached.parameters()[name].zero_()
        off = attached.model(**batch()).logits
    attached.detach()
    base.initialise_head(7)
    assert len(names) == base.description.anatomy.layers
    assert all(value != 1.0 for value in values)
    assert not torch.allclose(before, off)


@pytest.mark.parametrize("beside", ["attention", "mlp", "both"])
def test_parallel_adapters_stand_where_they_are_put(beside: str) -> None:
    attached = attach(tiny_base("bert"), "adapter_parallel", size=6, beside=beside)
    found = {
        "attention" if "attention" in path else "mlp"
        for path, module in attached.model.named_modules()
        if isinstance(module, AdaptedBertOutput) and module.parallel is not None
    }
    attached.detach()
    assert found == ({"attention", "mlp"} if beside == "both" else {beside})


def test_a_parallel_adapter_of_attention_reads_its_input_and_adds_to_its_output() -> None:
    class Doubling(nn.Module):
        def forward(self, hidden_states: torch.Tensor) -> tuple[torch.Tensor, str]:
            return 2 * hidden_states, "weights"

    parallel, tokens = adapter(6, 2.0), torch.randn(5, HIDDEN)
    with torch.no_grad():
        parallel.up.weight.normal_()
    wrapped = AdaptedAttention(Doubling(), None, parallel)
    for output, rest in (wrapped(tokens), wrapped(hidden_states=tokens)):
        torch.testing.assert_close(output, 2 * tokens + parallel(tokens))
        assert rest == "weights"
