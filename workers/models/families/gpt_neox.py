"""GPT-NeoX, which Pythia is: rotary positions, sublayers side by side, projections fused head by head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.models.anatomy import Anatomy, Norm, linear, norm_parameters
from workers.models.families.family import Family


def gpt_neox(config: Mapping[str, Any]) -> Anatomy:
    """Describe a model of the family by its configuration."""
    hidden, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    bias = config.get("attention_bias", True)
    norms = (Norm("input_layernorm", hidden, True), Norm("post_attention_layernorm", hidden, True))
    return Anatomy(
        model_type="gpt_neox",
        hidden_size=hidden,
        layers=config["num_hidden_layers"],
        intermediate_size=inner,
        heads=heads,
        key_value_heads=heads,
        head_size=hidden // heads,
        vocabulary=config["vocab_size"],
        positions=config["max_position_embeddings"],
        body="gpt_neox",
        layers_path="gpt_neox.layers",
        attention="attention",
        feed_forward="mlp",
        linears=(
            linear("attention.query_key_value", "query key value", (hidden, 3 * hidden), bias),
            linear("attention.dense", "output", (hidden, hidden), bias),
            linear("mlp.dense_h_to_4h", "up", (hidden, inner)),
            linear("mlp.dense_4h_to_h", "down", (inner, hidden)),
        ),
        norms=norms,
        first_layer_norms=norms,
        word_embeddings="gpt_neox.embed_in",
        outside=(
            ("gpt_neox.embed_in.weight", (config["vocab_size"], hidden)),
            *norm_parameters("gpt_neox.final_layer_norm", hidden),
        ),
        head=("score",),
        causal=True,
        reads="last",
        relative_positions=True,
        rotary=True,
        fused_by_head=True,
    )


FAMILY = Family("GPT-NeoX, Pythia", ("gpt_neox",), gpt_neox)
