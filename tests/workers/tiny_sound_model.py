"""A tiny Whisper or AST with its feature extractor, written to disk, and sounds for them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile
import torch
import transformers
from numpy.typing import NDArray

RATE, BINS = 16_000, 16


def write_sound_model(folder: Path, kind: str = "Whisper", bins: int = BINS) -> Path:
    """A second in 10 tokens (Whisper), or 0.4 in 14 (AST); `bins` is the extractor's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if kind == "Whisper":
            model, extractor = _whisper(), transformers.WhisperFeatureExtractor(bins, hop_length=800, chunk_length=1)
        else:
            model, extractor = _ast(), transformers.ASTFeatureExtractor(num_mel_bins=bins, max_length=40)
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1 and name.endswith("bias"):
                torch.nn.init.normal_(parameter, std=0.02)
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    return folder


def _whisper() -> transformers.PreTrainedModel:
    sizes = {f"{side}_{name}": 2 for side in ("encoder", "decoder") for name in ("layers", "attention_heads")}
    inner = {"encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
    ids = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 0)
    config = transformers.WhisperConfig(
        vocab_size=10, num_mel_bins=BINS, d_model=32, max_source_positions=10, classifier_proj_size=16, init_std=0.1,
        max_target_positions=8, **sizes, **inner, **ids,
    )  # fmt: skip
    return transformers.WhisperForAudioClassification(config)


def _ast() -> transformers.PreTrainedModel:
    config = transformers.ASTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, max_length=40,
        num_mel_bins=BINS, patch_size=8, frequency_stride=6, time_stride=6,
    )  # fmt: skip
    return transformers.ASTForAudioClassification(config)


def tone(pitch: float, seconds: float = 0.4, rate: int = RATE, phase: float = 0.0) -> NDArray[np.float32]:
    """A sine of half of the full loudness, `[samples]`."""
    times = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * pitch * times + phase)).astype(np.float32)


def written(samples: NDArray[np.floating], rate: int = RATE, kind: str = "WAV", subtype: str | None = None) -> bytes:
    """The bytes of a file of samples `[samples]` or `[samples, channels]`."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=subtype)
    return buffer.getvalue()
