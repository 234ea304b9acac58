"""`l4q` and `e2e_qp`: weights stay on a grid whose steps stay positive, and exports hold that grid."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import cross_entropy

from tests.workers.tiny_models import LABELS, batch, tiny_base, tiny_model
from workers.engines.torch_adamw import TorchAdamW
from workers.methods.attached import AdapterCard, Attached, Batch, TrainingSetup
from workers.methods.forms.quantised import Quantised, least_error_steps
from workers.methods.loading import load_adapter
from workers.methods.registry import method
from workers.models.loading import Base

NAMES = ("e2e_qp", "l4q")


@pytest.fixture
def base() -> Base:
    return tiny_base("bert")


def attach(base: Base, name: str, **knobs: Any) -> Attached:
    one = method(name)
    setup = TrainingSetup(1, _no_batches, cross_entropy)
    return one.attach(base, one.complete(base.description, {"group": 8, **knobs}), 7, setup)


def _no_batches(_size: int) -> Iterator[Batch]:
    return iter([])


def layers(attached: Attached) -> list[Quantised]:
    return [module for module in attached.model.modules() if isinstance(module, Quantised)]


def train(attached: Attached, rate: float, steps: int = 12, decay: float = 0.0) -> None:
    updates = TorchAdamW(attached.parameters(), decay, attached.rate_factors())
    for _ in range(steps):
        cross_entropy(attached.model(**batch()).logits, LABELS).backward()
        updates.step(rate)
        for value in attached.parameters().values():
            value.grad = None
    attached.set_training(False)


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_near_and_on_their_grid(base: Base, name: str) -> None:
    attached = attach(base, name, bits=8)
    layer = layers(attached)[0]
    start = layer.steps().detach().clone()
    error = (layer.weight() - layer.frozen()).abs().reshape(-1, 8)
    clipped = (layer.frozen().reshape(-1, 8) / start).abs() > 127
    assert (error[~clipped] <= start.expand_as(error)[~clipped] / 2 + 1e-6).all()
    train(attached, 1e-2)
    numbers = layer.weight().detach().reshape(-1, 8) / layer.steps().detach()
    attached.detach()
    assert not torch.equal(layer.steps(), start)
    torch.testing.assert_close(numbers, numbers.round(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_steps_stay_positive_at_the_highest_rate_of_the_space(base: Base, name: str) -> None:
    rates = method(name).learning_rates
    attached = attach(base, name, bits=2, **({"rate_ratio": 30.0} if name == "l4q" else {}))
    train(attached, rates.high, steps=60)
    steps = torch.cat([layer.steps().detach() for layer in layers(attached)])
    attached.detach()
    assert torch.isfinite(steps).all()
    assert (steps > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_rate_is_the_share_by_which_steps_change(base: Base, name: str) -> None:
    """One update moves every step by its rate, however small the step: that is what a rate of its own means."""
    attached = attach(base, name, bits=4, **({"rate_ratio": 0.5} if name == "l4q" else {}))
    before = [layer.steps().detach().clone() for layer in layers(attached)]
    train(attached, 0.01, steps=1, decay=0.1)
    share = 0.005 if name == "l4q" else 0.01
    moved = torch.cat(
        [
            (layer.steps().detach() / start).log().flatten()
            for layer, start in zip(layers(attached), before, strict=True)
        ]
    )
    attached.detach()
    changed = moved[moved.abs() > 1e-7]  # a group whose gradient is zero stays
    assert len(changed) > 0.5 * len(moved)
    assert changed.abs().max() <= share * 1.01
    assert changed.abs().median() > share * 0.9


@pytest.mark.parametrize("name", NAMES)
def test_weight_decay_leaves_steps_alone(base: Base, name: str) -> None:
    """A pull of log s towards zero would make every step larger: with no gradient at all, decay must not move it."""
    attached = attach(base, name)
    before = [layer.steps().detach().clone() for layer in layers(attached)]
    for value in attached.parameters().values():
        value.grad = torch.zeros_like(value)
    TorchAdamW(attached.parameters(), 0.5, attached.rate_factors()).step(0.1)
    after = [layer.steps().detach() for layer in layers(attached)]
    attached.detach()
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_first_steps_are_no_worse_than_plain_rounding(bits: int) -> None:
    top = 2 ** (bits - 1) - 1
    weight = torch.randn(50, 16, generator=torch.Generator().manual_seed(0))

    def errors(steps: torch.Tensor) -> torch.Tensor:
        whole = (weight / steps[:, None]).round().clamp(-top - 1, top)
        return (steps[:, None] * whole - weight).square().sum(1)

    plain = errors(weight.abs().amax(1) / top)
    found = errors(least_error_steps(weight, top))
    assert (found <= plain + 1e-6).all()
    assert found.sum() < 0.9 * plain.sum()


@pytest.mark.parametrize("name", NAMES)
def test_integer_checkpoint_gives_the_same_loss(base: Base, name: str, tmp_path: Path) -> None:
    """Whole numbers and steps of the file, put into a plain base as weights, without any code of the method."""
    attached = attach(base, name, bits=4, targets="all")
    train(attached, 1e-2)
    attached.save(tmp_path, AdapterCard(name, "tiny", labels=("a", "b", "c")))
    with torch.no_grad():
        expected = cross_entropy(attached.model(**batch()).logits, LABELS)
    attached.detach()

    stored = load_file(tmp_path / "quantised.safetensors")
    plain = copy.deepcopy(tiny_model("bert")).eval()
    values = {key: value for key, value in stored.items() if not key.endswith((".integers", ".steps"))}
    for key, whole in stored.items():
        if key.endswith(".integers"):
            steps = stored[key.replace(".integers", ".steps")]
            assert whole.dtype == torch.int8
            assert whole.min() >= -8
            assert whole.max() <= 7
            grouped = whole.reshape(*steps.shape, -1).float()
            values[key.replace(".integers", ".weight")] = (steps[..., None] * grouped).reshape(whole.shape)
    missing = plain.load_state_dict(values, strict=False)
    assert not missing.unexpected_keys
    with torch.no_grad():
        found = cross_entropy(plain(**batch()).logits, LABELS)
    assert sum(key.endswith(".integers") for key in stored) == len(
        [module for module in plain.bert.encoder.modules() if isinstance(module, nn.Linear)]
    )
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_whole_numbers_of_e2e_qp_are_those_of_the_training_on_a_base_in_half_precision(
    base: Base, tmp_path: Path
) -> None:
    """Rounding a base to bfloat16 moves weights over the border between two whole numbers, and steps elsewhere."""
    attached = attach(base, "e2e_qp", bits=3, targets="all")
    train(attached, 1e-2)
    attached.save(tmp_path, AdapterCard("e2e_qp", "tiny", labels=("a", "b", "c")))
    expected = [layer.weight().detach() for layer in layers(attached)]
    attached.detach()
    loaded = load_adapter(tiny_model("bert").to(torch.bfloat16), tmp_path)
    found = [module.weight().detach() for module in loaded.modules() if isinstance(module, Quantised)]
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs)
