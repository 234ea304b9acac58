"""DistilBERT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.models.anatomy import Anatomy, Norm, linear, norm_parameters
from workers.models.families.family import Family


def distilbert(config: Mapping[str, Any]) -> Anatomy:
    """Describe a model of the family by its configuration."""
    hidden, inner, heads = config["dim"], config["hidden_dim"], config["n_heads"]
    square = (hidden, hidden)
    norms = (Norm("sa_layer_norm", hidden, True), Norm("output_layer_norm", hidden, True))
    return Anatomy(
        model_type="distilbert",
        hidden_size=hidden,
        layers=config["n_layers"],
        intermediate_size=inner,
        heads=heads,
        key_value_heads=heads,
        head_size=hidden // heads,
        vocabulary=config["vocab_size"],
        positions=config["max_position_embeddings"],
        body="distilbert",
        layers_path="distilbert.transformer.layer",
        attention="attention",
        feed_forward="ffn",
        linears=(
            linear("attention.q_lin", "query", square),
            linear("attention.k_lin", "key", square),
            linear("attention.v_lin", "value", square),
            linear("attention.out_lin", "output", square),
            linear("ffn.lin1", "up", (hidden, inner)),
            linear("ffn.lin2", "down", (inner, hidden)),
        ),
        norms=norms,
        first_layer_norms=norms,
        word_embeddings="distilbert.embeddings.word_embeddings",
        outside=(
            ("distilbert.embeddings.word_embeddings.weight", (config["vocab_size"], hidden)),
            ("distilbert.embeddings.position_embeddings.weight", (config["max_position_embeddings"], hidden)),
            *norm_parameters("distilbert.embeddings.LayerNorm", hidden),
        ),
        head=("pre_classifier", "classifier"),
        causal=False,
        takes_past=False,
        reads="first",
    )


FAMILY = Family("DistilBERT", ("distilbert",), distilbert)
