"""Gemma, Gemma 2 and Gemma 3 of text alone: Llama with wide heads, norms behind the sublayers, windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workers.models.anatomy import Anatomy
from workers.models.families.family import Family
from workers.models.families.llama import gated_decoder

_AROUND = ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")


def gemma(config: Mapping[str, Any]) -> Anatomy:
    """Describe a model of the family by its configuration."""
    kind, bias = config["model_type"], config.get("attention_bias", False)
    biases = {"input_bias": bias, "output_bias": bias}
    if kind == "gemma":
        return gated_decoder(config, **biases, head_size=256)
    third = kind == "gemma3_text"
    parts = gated_decoder(config, **biases, head_size=256, norms=_AROUND, head_norms=third)
    # Gemma 2 caps the logits of its attention, which transformers does in a function of another name.
    return replace(parts, plain_attention=kind != "gemma2", rotary=not third)


FAMILY = Family("Gemma, Gemma 2, Gemma 3 (text)", ("gemma", "gemma2", "gemma3_text"), gemma)
