"""ModernBERT: fused projections, rotary positions, a first layer without a norm of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.models.anatomy import Anatomy, Norm, linear, norm_parameters
from workers.models.families.family import Family


def modernbert(config: Mapping[str, Any]) -> Anatomy:
    """Describe a model of the family by its configuration."""
    hidden, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    attention_bias, mlp_bias = config.get("attention_bias", False), config.get("mlp_bias", False)
    norm_bias = config.get("norm_bias", False)
    norms = (Norm("attn_norm", hidden, norm_bias), Norm("mlp_norm", hidden, norm_bias))
    return Anatomy(
        model_type="modernbert",
        hidden_size=hidden,
        layers=config["num_hidden_layers"],
        intermediate_size=inner,
        heads=heads,
        key_value_heads=heads,
        head_size=hidden // heads,
        vocabulary=config["vocab_size"],
        positions=config["max_position_embeddings"],
        body="model",
        layers_path="model.layers",
        attention="attn",
        feed_forward="mlp",
        linears=(
            linear("attn.Wqkv", "query key value", (hidden, 3 * hidden), attention_bias),
            linear("attn.Wo", "output", (hidden, hidden), attention_bias),
            linear("mlp.Wi", "up", (hidden, 2 * inner), mlp_bias),
            linear("mlp.Wo", "down", (inner, hidden), mlp_bias),
        ),
        norms=norms,
        first_layer_norms=norms[1:],
        word_embeddings="model.embeddings.tok_embeddings",
        outside=(
            ("model.embeddings.tok_embeddings.weight", (config["vocab_size"], hidden)),
            *norm_parameters("model.embeddings.norm", hidden, norm_bias),
            *norm_parameters("model.final_norm", hidden, norm_bias),
        ),
        head=("head", "classifier"),
        causal=False,
        takes_past=False,
        reads="first",
        relative_positions=True,
    )


FAMILY = Family("ModernBERT", ("modernbert",), modernbert)
