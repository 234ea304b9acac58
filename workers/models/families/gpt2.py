"""GPT-2: fused projections whose weights are stored [in, out]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.models.anatomy import Anatomy, Norm, linear, norm_parameters
from workers.models.families.family import Family


def gpt2(config: Mapping[str, Any]) -> Anatomy:
    """Describe a model of the family by its configuration."""
    hidden, heads = config["n_embd"], config["n_head"]
    inner = config.get("n_inner") or 4 * hidden
    norms = (Norm("ln_1", hidden, True), Norm("ln_2", hidden, True))
    return Anatomy(
        model_type="gpt2",
        hidden_size=hidden,
        layers=config["n_layer"],
        intermediate_size=inner,
        heads=heads,
        key_value_heads=heads,
        head_size=hidden // heads,
        vocabulary=config["vocab_size"],
        positions=config["n_positions"],
        body="transformer",
        layers_path="transformer.h",
        attention="attn",
        feed_forward="mlp",
        linears=(
            linear("attn.c_attn", "query key value", (hidden, 3 * hidden), transposed=True),
            linear("attn.c_proj", "output", (hidden, hidden), transposed=True),
            linear("mlp.c_fc", "up", (hidden, inner), transposed=True),
            linear("mlp.c_proj", "down", (inner, hidden), transposed=True),
        ),
        norms=norms,
        first_layer_norms=norms,
        word_embeddings="transformer.wte",
        outside=(
            ("transformer.wte.weight", (config["vocab_size"], hidden)),
            ("transformer.wpe.weight", (config["n_positions"], hidden)),
            *norm_parameters("transformer.ln_f", hidden),
        ),
        head=("score",),
        causal=True,
        reads="last",
    )


FAMILY = Family("GPT-2", ("gpt2",), gpt2)
