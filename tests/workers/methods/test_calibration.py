"""What methods learn from training batches, of texts and of rows that have no padding."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.workers import tiny_models
from tests.workers.tiny_vision_model import write_vision_model
from workers.methods.attached import Batch, TrainingSetup
from workers.methods.calibration import input_covariances
from workers.models.heads import IMAGE
from workers.models.loading import Base, load_base


def _covariance(base: Base, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the inputs of a layer, and these inputs [rows, tokens, in] as they came."""
    _, linear = next(iter(base.description.linears()))
    layer, seen = base.model.get_submodule(base.description.path(0, linear.name)), list[torch.Tensor]()
    handle = layer.register_forward_pre_hook(lambda _layer, given: seen.append(given[0]))
    setup = TrainingSetup(1, lambda _size: [batch], lambda outputs, _labels: outputs.sum())
    (found,) = input_covariances(base, [layer], setup, 16)
    handle.remove()
    return found, seen[0]


def test_every_token_of_an_image_counts(tmp_path: Path) -> None:
    base = load_base(str(write_vision_model(tmp_path)), 3, kind=IMAGE)
    draw = torch.Generator().manual_seed(0)
    found, inputs = _covariance(base, {"pixel_values": torch.randn(4, 3, 16, 16, generator=draw)})
    flat = inputs.flatten(0, 1)
    assert len(flat) == 4 * 5
    torch.testing.assert_close(found, flat.T @ flat / len(flat))


def test_padding_of_texts_does_not_count() -> None:
    batch = tiny_models.batch()
    found, inputs = _covariance(tiny_models.tiny_base("bert"), batch)
    flat = inputs[batch["attention_mask"].bool()]
    assert len(flat) == 4 * 9 - 3
    torch.testing.assert_close(found, flat.T @ flat / len(flat))
