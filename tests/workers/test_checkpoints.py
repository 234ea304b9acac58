"""Checkpoints: exact round trip, complete or absent, damage noticed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from workers.checkpoints import Checkpoint, CheckpointError, random_states, read, restore_random_states, write


def a_checkpoint() -> Checkpoint:
    torch.manual_seed(3)
    return Checkpoint(
        step=7,
        seconds=1.25,
        tensors={"parameter/a": torch.randn(3, 2), "moment/a": torch.randn(3, 2).to(torch.bfloat16), **random_states()},
        extras={"loss_sum": 0.1 + 0.2},
    )


def test_everything_comes_back_bit_for_bit(tmp_path: Path) -> None:
    before = a_checkpoint()
    after = read(write(before, tmp_path / "c"))
    assert (after.step, after.seconds, after.extras) == (before.step, before.seconds, before.extras)
    assert set(after.tensors) == set(before.tensors)
    for name, tensor in before.tensors.items():
        assert after.tensors[name].dtype == tensor.dtype
        assert torch.equal(after.tensors[name], tensor)


def test_random_draws_continue_where_they_were(tmp_path: Path) -> None:
    saved = read(write(a_checkpoint(), tmp_path / "c"))
    restore_random_states(saved.tensors)
    first = torch.rand(4)
    torch.rand(100)
    restore_random_states(saved.tensors)
    assert torch.equal(torch.rand(4), first)


def test_a_newer_checkpoint_replaces_the_older_and_leaves_nothing_behind(tmp_path: Path) -> None:
    write(a_checkpoint(), tmp_path / "c")
    write(Checkpoint(step=9, seconds=2.0, tensors={"parameter/a": torch.ones(1)}), tmp_path / "c")
    assert read(tmp_path / "c").step == 9
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_changed_bytes_are_refused(tmp_path: Path) -> None:
    folder = write(a_checkpoint(), tmp_path / "c")
    data = bytearray((folder / "tensors.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "tensors.safetensors").write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match="SHA-256"):
        read(folder)


def test_missing_files_and_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no readable checkpoint"):
        read(tmp_path)
    folder = write(a_checkpoint(), tmp_path / "c")
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps(state | {"format": 99}))
    with pytest.raises(CheckpointError, match="format 99"):
        read(folder)
