"""Phi-3: Llama with one projection for queries, keys and values, and one for gate and feed-forward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workers.models.anatomy import Anatomy, linear
from workers.models.families.family import Family
from workers.models.families.llama import gated_decoder


def phi3(config: Mapping[str, Any]) -> Anatomy:
    """Describe a model of the family by its configuration."""
    parts = gated_decoder(config)
    hidden, inner = parts.hidden_size, parts.intermediate_size
    wide, narrow = parts.heads * parts.head_size, parts.key_value_heads * parts.head_size
    return replace(
        parts,
        linears=(
            linear("self_attn.qkv_proj", "query key value", (hidden, wide + 2 * narrow), bias=False),
            linear("self_attn.o_proj", "output", (wide, hidden), bias=False),
            linear("mlp.gate_up_proj", "up", (hidden, 2 * inner), bias=False),
            linear("mlp.down_proj", "down", (inner, hidden), bias=False),
        ),
    )


FAMILY = Family("Phi-3, Phi-3.5, Phi-4", ("phi3",), phi3)
