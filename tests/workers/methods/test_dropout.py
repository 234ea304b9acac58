"""Dropout from sixteen random bits: the right share, the right scale, the same stream for the same seed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.workers.tiny_models import batch, tiny_base
from workers.methods.forms.dropout import QuickDropout, dropout_mask, quicken
from workers.methods.registry import method


@pytest.mark.parametrize("probability", [0.0, 0.05, 0.3, 0.9])
def test_masks_drop_the_share_that_was_asked_for(probability: float) -> None:
    torch.manual_seed(0)
    mask = dropout_mask((1000, 333), probability)
    dropped = (mask == 0).double().mean().item()
    assert dropped == pytest.approx(probability, abs=5 * (probability * (1 - probability) / 333_000) ** 0.5 + 1e-5)
    assert torch.unique(mask[mask > 0]).item() == pytest.approx(1 / (1 - probability), rel=1e-4)
    assert mask.mean().item() == pytest.approx(1.0, abs=0.02)


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(0)
    kept = (dropout_mask((400, 400), 0.5) > 0).double().flatten() - 0.5
    for distance in (1, 2, 3, 4, 400):
        assert abs((kept[:-distance] * kept[distance:]).mean().item()) < 0.004


def test_a_mask_follows_from_the_state_of_torchs_generator() -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first = dropout_mask((5, 7), 0.4)
    assert not torch.equal(dropout_mask((5, 7), 0.4), first)
    torch.set_rng_state(state)
    assert torch.equal(dropout_mask((5, 7), 0.4), first)


def test_only_training_drops_and_gradients_see_the_same_mask() -> None:
    module = nn.Dropout(0.5)
    quicken([module])
    assert type(module) is QuickDropout
    x = torch.ones(200, 8, requires_grad=True)
    out = module(x)
    out.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, out)
    module.eval()
    assert module(x) is x


def test_adapters_of_peft_use_it_and_the_base_keeps_its_own() -> None:
    base, one = tiny_base("bert"), method("lora")
    attached = one.attach(base, one.complete(base.description, {"dropout": 0.2}), 0, None)
    kinds = {type(module) for name, module in attached.model.named_modules() if "lora_dropout" in name}
    assert QuickDropout in kinds
    assert nn.Dropout not in kinds
    attached.model(**batch())
    attached.detach()
    assert not any(type(module) is QuickDropout for module in base.model.modules())
