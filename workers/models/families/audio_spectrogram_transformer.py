"""AST: an encoder of overlapping patches of a spectrogram, in the layers of ViT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workers.models.anatomy import Anatomy, norm_parameters
from workers.models.families.family import Family
from workers.models.families.vit import vit_layers

_BODY = "audio_spectrogram_transformer"


def audio_spectrogram_transformer(config: Mapping[str, Any]) -> Anatomy:
    """Describe a model of the family by its configuration."""
    hidden, frames, bins = config["hidden_size"], config.get("max_length", 1024), config.get("num_mel_bins", 128)
    patch = config.get("patch_size", 16)
    strides = (config.get("frequency_stride", 10), config.get("time_stride", 10))
    high, wide = ((side - patch) // stride + 1 for side, stride in zip((bins, frames), strides, strict=True))
    tokens = high * wide + 2
    embeddings = f"{_BODY}.embeddings"
    return replace(
        vit_layers(config, _BODY, tokens),
        outside=(
            *((f"{embeddings}.{name}", (1, 1, hidden)) for name in ("cls_token", "distillation_token")),
            (f"{embeddings}.position_embeddings", (1, tokens, hidden)),
            (f"{embeddings}.patch_embeddings.projection.weight", (hidden, 1, patch, patch)),
            (f"{embeddings}.patch_embeddings.projection.bias", (hidden,)),
            *norm_parameters(f"{_BODY}.layernorm", hidden),
        ),
        reads="all",  # the mean of two tokens
        modality="sound",
        input_shape=(frames, bins),
    )


FAMILY = Family(
    "AST",
    ("audio-spectrogram-transformer",),
    audio_spectrogram_transformer,
    note="reads sounds, as spectrograms that `ASTFeatureExtractor` makes",
    heads=frozenset({"AudioClassification"}),
)
