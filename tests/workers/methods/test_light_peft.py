"""`light_peft`: what nobody reads goes, what is gone is not computed, and an export is as small and predicts alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from tests.workers.tiny_models import CLASSES, LABELS, VOCABULARY, batch, tiny_base, tiny_model
from workers.costs import computed_share
from workers.methods.attached import AdapterCard, Attached, TrainingSetup
from workers.methods.calibration import layers_of
from workers.methods.forms.pruned_heads import SmallerLora
from workers.methods.loading import load_adapter
from workers.methods.registry import method
from workers.models.loading import Base

LIGHT = method("light_peft")
CHOICE = {"rank": 4, "pruned_heads": 0.25, "pruned_units": 0.25, "samples": 512, "penalty": 1e-2}
IDLE_HEAD, IDLE_UNITS = (2, 0), (set(range(12)), set(range(30, 42)))  # of the two layers


def setup() -> TrainingSetup:
    """Rows whose class is their first token's."""

    def batches(size: int) -> Iterator[dict[str, torch.Tensor]]:
        draw = torch.Generator().manual_seed(0)
        for _ in range(64):
            ids = torch.randint(3, VOCABULARY, (size, 9), generator=draw)
            yield {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids[:, 0] % CLASSES}

    return TrainingSetup(8, batches, cross_entropy)


def attached_to(base: Base, knobs: dict[str, object], seed: int = 3) -> Attached:
    return LIGHT.attach(base, LIGHT.complete(base.description, knobs), seed, setup())


def flops(base: Base, model: torch.nn.Module) -> int:
    """Floating-point operations of the encoder in one pass, as torch counts them."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(**batch())
    assert base.model is not None
    return int(counter.get_total_flops())


@pytest.mark.parametrize("seed", [0, 1])
def test_heads_and_units_that_nobody_reads_are_the_ones_that_go(seed: int) -> None:
    base = tiny_base("bert")
    anatomy = base.description.anatomy
    with torch.no_grad():
        for number, layer in enumerate(base.model.get_submodule(anatomy.layers_path)):  # type: ignore[arg-type]
            idle = IDLE_HEAD[number] * anatomy.head_size
            layer.attention.output.dense.weight[:, idle : idle + anatomy.head_size] = 0.0
            layer.output.dense.weight[:, sorted(IDLE_UNITS[number])] = 0.0
    attached_to(base, CHOICE, seed)
    layers = layers_of(base, SmallerLora)
    for number in (0, 1):
        query, key, value, joined, up, down = layers[6 * number : 6 * number + 6]
        gone = set(range(4)) - {int(row) // anatomy.head_size for row in query.rows}
        assert gone == {IDLE_HEAD[number]}
        assert all(torch.equal(query.rows, one) for one in (key.rows, value.rows, joined.columns))
        # Updates that are trained beside the masks may come to read an idle unit; by chance 3 of the 12 would go.
        assert len(IDLE_UNITS[number] - set(up.rows.tolist())) >= 9
        assert torch.equal(up.rows, down.columns)


def test_what_is_gone_is_not_computed_and_an_export_predicts_the_same(tmp_path: Path) -> None:
    base = tiny_base("bert")
    anatomy, whole = base.description.anatomy, flops(tiny_base("bert"), tiny_base("bert").model)
    knobs = CHOICE | {"pruned_heads": 0.5, "pruned_units": 0.5, "rank_kept": 0.5, "layers_kept": 0.5}
    attached = attached_to(base, knobs)
    optimizer = torch.optim.AdamW(attached.parameters().values(), lr=1e-2)
    for _ in range(3):
        cross_entropy(attached.model(**batch()).logits, LABELS).backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        training = attached.model(**batch()).logits
    attached.set_training(False)
    with torch.no_grad():
        served = attached.model(**batch()).logits
    torch.testing.assert_close(served, training, atol=1e-5, rtol=1e-5)  # put together once, or product by product
    # Half of the heads and half of the units: half of all products in the layers, and what the head does.
    assert flops(base, attached.model) < 0.55 * whole
    assert computed_share(attached.model.modules(), anatomy) == 0.5
    owners = [layer.pool.directions(layer.number).numel() for layer in layers_of(base, SmallerLora)]
    assert 0 < sum(count > 0 for count in owners) <= 7
    assert sum(owners) == sum(len(pool.owner) for pool in {layer.pool for layer in layers_of(base, SmallerLora)})
    attached.save(tmp_path, AdapterCard("light_peft", "tiny"))
    stored = load_file(tmp_path / "adapter.safetensors")
    numbers = sum(value.numel() for name, value in stored.items() if value.is_floating_point())
    assert numbers == LIGHT.trainable_parameters(base.description, LIGHT.complete(base.description, knobs)) + (
        base.head_size
    )
    loaded = load_adapter(tiny_model("bert"), tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(loaded(**batch()).logits, served, atol=1e-6, rtol=1e-5)
