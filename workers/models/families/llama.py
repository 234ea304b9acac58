"""Llama: grouped keys and values, rotary positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.models.anatomy import Anatomy, Norm, linear, norm_parameters


def llama(config: Mapping[str, Any]) -> Anatomy:
    """Describe a model of the family by its configuration."""
    hidden, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    key_value_heads = config.get("num_key_value_heads") or heads
    head_size = config.get("head_dim") or hidden // heads
    attention_bias, mlp_bias = config.get("attention_bias", False), config.get("mlp_bias", False)
    wide, narrow = heads * head_size, key_value_heads * head_size
    norms = (Norm("input_layernorm", hidden, False), Norm("post_attention_layernorm", hidden, False))
    return Anatomy(
        model_type="llama",
        hidden_size=hidden,
        layers=config["num_hidden_layers"],
        intermediate_size=inner,
        heads=heads,
        key_value_heads=key_value_heads,
        head_size=head_size,
        vocabulary=config["vocab_size"],
        positions=config["max_position_embeddings"],
        body="model",
        layers_path="model.layers",
        attention="self_attn",
        feed_forward="mlp",
        linears=(
            linear("self_attn.q_proj", "query", (hidden, wide), attention_bias),
            linear("self_attn.k_proj", "key", (hidden, narrow), attention_bias),
            linear("self_attn.v_proj", "value", (hidden, narrow), attention_bias),
            linear("self_attn.o_proj", "output", (wide, hidden), attention_bias),
            linear("mlp.gate_proj", "up", (hidden, inner), mlp_bias),
            linear("mlp.up_proj", "up", (hidden, inner), mlp_bias),
            linear("mlp.down_proj", "down", (inner, hidden), mlp_bias),
        ),
        norms=norms,
        first_layer_norms=norms,
        word_embeddings="model.embed_tokens",
        outside=(
            ("model.embed_tokens.weight", (config["vocab_size"], hidden)),
            *norm_parameters("model.norm", hidden, bias=False),
        ),
        head=("score",),
        causal=True,
        rotary=True,
    )
