"""Llama and Mistral, and what other decoders have in common with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.models.anatomy import Anatomy, Norm, linear, norm_parameters
from workers.models.families.family import Family


def llama(config: Mapping[str, Any]) -> Anatomy:
    """Describe Llama or Mistral by its configuration."""
    attention_bias, mlp_bias = config.get("attention_bias", False), config.get("mlp_bias", False)
    return gated_decoder(config, input_bias=attention_bias, output_bias=attention_bias, mlp_bias=mlp_bias)


def gated_decoder(
    config: Mapping[str, Any],
    *,
    input_bias: bool = False,
    output_bias: bool = False,
    mlp_bias: bool = False,
    head_size: int | None = None,
    norms: tuple[str, ...] = ("input_layernorm", "post_attention_layernorm"),
    head_norms: bool = False,
) -> Anatomy:
    """A decoder of gated feed-forward layers, RMSNorms and rotary positions.

    `input_bias` is that of query, key and value projections, `output_bias` that of the one behind them; `head_size`
    holds where the configuration says none; `norms` are as wide as the model, `head_norms` those of queries and keys.
    """
    hidden, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    key_value_heads = config.get("num_key_value_heads") or heads
    size = config.get("head_dim") or head_size or hidden // heads
    wide, narrow = heads * size, key_value_heads * size
    own = (Norm("self_attn.q_norm", size, False), Norm("self_attn.k_norm", size, False)) if head_norms else ()
    all_norms = (*own, *(Norm(name, hidden, False) for name in norms))
    return Anatomy(
        model_type=config["model_type"],
        hidden_size=hidden,
        layers=config["num_hidden_layers"],
        intermediate_size=inner,
        heads=heads,
        key_value_heads=key_value_heads,
        head_size=size,
        vocabulary=config["vocab_size"],
        positions=config["max_position_embeddings"],
        body="model",
        layers_path="model.layers",
        attention="self_attn",
        feed_forward="mlp",
        linears=(
            linear("self_attn.q_proj", "query", (hidden, wide), input_bias),
            linear("self_attn.k_proj", "key", (hidden, narrow), input_bias),
            linear("self_attn.v_proj", "value", (hidden, narrow), input_bias),
            linear("self_attn.o_proj", "output", (wide, hidden), output_bias),
            linear("mlp.gate_proj", "up", (hidden, inner), mlp_bias),
            linear("mlp.up_proj", "up", (hidden, inner), mlp_bias),
            linear("mlp.down_proj", "down", (inner, hidden), mlp_bias),
        ),
        norms=all_norms,
        first_layer_norms=all_norms,
        word_embeddings="model.embed_tokens",
        outside=(
            ("model.embed_tokens.weight", (config["vocab_size"], hidden)),
            *norm_parameters("model.norm", hidden, bias=False),
        ),
        head=("score",),
        causal=True,
        reads="last",
        relative_positions=True,
        rotary=True,
    )


FAMILY = Family(
    "Llama, Mistral",
    (
        "llama",
        "mistral",
    ),
    llama,
)
