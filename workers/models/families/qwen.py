"""Qwen2, which Qwen2.5 is, and Qwen3: Llama with biases, or with norms on queries and keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.models.anatomy import Anatomy
from workers.models.families.family import Family
from workers.models.families.llama import gated_decoder


def qwen(config: Mapping[str, Any]) -> Anatomy:
    """Describe a model of the family by its configuration."""
    if config["model_type"] == "qwen2":
        return gated_decoder(config, input_bias=True)
    bias = config.get("attention_bias", False)
    return gated_decoder(config, input_bias=bias, output_bias=bias, head_size=128, head_norms=True)


FAMILY = Family("Qwen2, Qwen2.5, Qwen3", ("qwen2", "qwen3"), qwen)
