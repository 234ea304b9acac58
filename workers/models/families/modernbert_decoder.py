"""ModernBERT as a decoder (Ettin): projections apart, a first layer without a norm of its own, windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workers.models.anatomy import Anatomy, linear
from workers.models.families.family import Family
from workers.models.families.modernbert import modernbert


def modernbert_decoder(config: Mapping[str, Any]) -> Anatomy:
    """Describe a model of the family by its configuration."""
    parts, bias = modernbert(config), config.get("attention_bias", False)
    square = (parts.hidden_size, parts.hidden_size)
    return replace(
        parts,
        model_type="modernbert-decoder",
        linears=(
            linear("attn.q_proj", "query", square, bias),
            linear("attn.k_proj", "key", square, bias),
            linear("attn.v_proj", "value", square, bias),
            *parts.linears[1:],
        ),
        causal=True,
        reads="last",
        takes_past=True,
    )


FAMILY = Family("ModernBERT decoder, Ettin", ("modernbert-decoder",), modernbert_decoder)
