"""The toy of KIND: a class's images use the shared components and their own ones, and what is shared goes on frozen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.workers.programs_job import Programs
from workers.artifacts import ArtifactStore
from workers.programs.builtin.kind import SHARED, SOURCE, TARGET, Denoiser, Gated


def owned(layer: Gated, owner: int) -> torch.Tensor:
    return layer.owners == owner


@pytest.fixture
def layer() -> Gated:
    torch.manual_seed(0)
    return Gated(6, 5, shared=3, specific=2, classes=4)


def test_images_of_a_class_teach_shared_components_and_their_own_alone(layer: Gated) -> None:
    layer(torch.randn(7, 6), torch.full((7,), 2)).square().sum().backward()
    for owner in (SHARED, 0, 1, 2, 3):
        for gradient in (layer.down.grad, layer.values.grad, layer.up.grad):
            touched = bool((gradient[owned(layer, owner)] != 0).any())
            assert touched is (owner in (SHARED, 2)), owner


def test_components_of_other_classes_change_nothing_whatever_stands_beside(layer: Gated) -> None:
    seen, classes = torch.randn(4, 6), torch.tensor([0, 1, 2, 3])
    before = layer(seen, classes)
    with torch.no_grad():
        layer.up[owned(layer, 1)] += 1.0
    moved = (layer(seen, classes) - before).abs().sum(-1) > 0
    assert moved.tolist() == [False, True, False, False]


def test_new_classes_get_the_shared_components_and_train_fresh_ones_alone(layer: Gated) -> None:
    moved = layer.for_classes(specific=1, classes=2)
    kept = moved.owners == SHARED
    before = {name: value.detach().clone() for name, value in moved.named_parameters()}
    for name in ("down", "values", "up"):
        assert torch.equal(getattr(moved, name)[kept], getattr(layer, name)[owned(layer, SHARED)])
    optimizer = torch.optim.Adam([value for value in moved.parameters() if value.requires_grad], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        moved(torch.randn(8, 6), torch.arange(8) % 2).square().sum().backward()
        optimizer.step()
    for name in ("down", "values", "up"):
        assert torch.equal(getattr(moved, name)[kept], before[name][kept])
        assert not torch.equal(getattr(moved, name)[~kept], before[name][~kept])
    assert torch.equal(moved.bias, before["bias"])


def test_a_denoiser_begins_at_new_classes_with_what_is_shared() -> None:
    torch.manual_seed(0)
    denoiser = Denoiser.fresh(16, shared=3, specific=0, classes=len(SOURCE))
    moved = denoiser.for_classes(2, len(TARGET))
    noisy, level, classes = torch.randn(5, 64), torch.rand(5), torch.zeros(5, dtype=torch.long)
    torch.testing.assert_close(moved(noisy, level, classes), denoiser(noisy, level, classes))


@pytest.mark.slow
def test_the_program_tells_what_pre_training_is_worth_elsewhere(tmp_path: Path) -> None:
    programs = Programs(tmp_path / "programs", ArtifactStore(tmp_path / "artifacts"))
    config = {"gate": "class", "shared": 8, "specific": 2, "hidden": 32, "learning_rate": 0.005}
    outcome = programs.run("builtin:kind", config=config, epochs=2, needed=("loss", "gain", "trained"))
    assert outcome.status == "completed", outcome.reason
    assert outcome.metrics["gain"] > 0.02  # against components that nothing has trained
    assert outcome.metrics["trained"] == 2 * 4 * ((80 + 32 + 1) + (32 + 32 + 1) + (32 + 64 + 1))
