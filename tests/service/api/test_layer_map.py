"""Where an adapter sits, from the names and shapes in its file."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from service.api.layer_map import read_layer_map
from workers.artifacts import ArtifactStore

SHAPES = {
    "base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight": [4, 24],
    "base_model.model.bert.encoder.layer.0.attention.self.query.lora_B.weight": [24, 4],
    "base_model.model.model.layers.1.self_attn.q_proj.lora_A": [2, 24],
    "1.serial.down.weight": [6, 24],
    "1.serial.down.bias": [6],
    "1.self_attn.v_proj.bias": [24],
    "base_model.model.classifier.weight": [3, 24],
}
SITES = [
    (0, "attention.self.query", 192),
    (1, "self_attn.q_proj", 48),
    (1, "self_attn.v_proj", 24),
    (1, "serial", 150),
    (None, "classifier", 72),
]


@pytest.fixture
def artifacts(tmp_path: Path) -> ArtifactStore:
    """An empty store."""
    return ArtifactStore(tmp_path / "artifacts")


def stored(artifacts: ArtifactStore, folder: Path, name: str, content: bytes) -> str:
    folder.mkdir()
    (folder / name).write_bytes(content)
    return artifacts.put_folder(folder).sha256


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter.safetensors"])
def test_numbers_are_counted_by_layer_and_module(artifacts: ArtifactStore, tmp_path: Path, name: str) -> None:
    tensors = {tensor: {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]} for tensor, shape in SHAPES.items()}
    header = json.dumps({"__metadata__": {"format": "pt"}, **tensors}).encode()
    adapter = stored(artifacts, tmp_path / "a", name, struct.pack("<Q", len(header)) + header)
    found = [(one.layer, one.module, one.numbers) for one in read_layer_map(artifacts, adapter).items]
    assert found == SITES


def test_without_a_readable_file_there_is_no_map(artifacts: ArtifactStore, tmp_path: Path) -> None:
    damaged = stored(artifacts, tmp_path / "a", "adapter.safetensors", b"\xff" * 20)
    other = stored(artifacts, tmp_path / "b", "weights.bin", b"")
    assert [read_layer_map(artifacts, one).items for one in (None, "0" * 64, damaged, other)] == [[], [], [], []]
