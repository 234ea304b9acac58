"""BERT, and what RoBERTa has in common with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.models.anatomy import Anatomy, Norm, linear, norm_parameters
from workers.models.families.family import Family


def bert(config: Mapping[str, Any], body: str = "bert") -> Anatomy:
    """Describe a model of the family by its configuration."""
    hidden, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    square = (hidden, hidden)
    norms = (Norm("attention.output.LayerNorm", hidden, True), Norm("output.LayerNorm", hidden, True))
    return Anatomy(
        model_type=config["model_type"],
        hidden_size=hidden,
        layers=config["num_hidden_layers"],
        intermediate_size=inner,
        heads=heads,
        key_value_heads=heads,
        head_size=hidden // heads,
        vocabulary=config["vocab_size"],
        positions=config["max_position_embeddings"] - (_padding(config) + 1 if body == "roberta" else 0),
        body=body,
        layers_path=f"{body}.encoder.layer",
        attention="attention.self",
        feed_forward="output",
        attention_output="attention.output",
        linears=(
            linear("attention.self.query", "query", square),
            linear("attention.self.key", "key", square),
            linear("attention.self.value", "value", square),
            linear("attention.output.dense", "output", square),
            linear("intermediate.dense", "up", (hidden, inner)),
            linear("output.dense", "down", (inner, hidden)),
        ),
        norms=norms,
        first_layer_norms=norms,
        word_embeddings=f"{body}.embeddings.word_embeddings",
        outside=(
            (f"{body}.embeddings.word_embeddings.weight", (config["vocab_size"], hidden)),
            (f"{body}.embeddings.position_embeddings.weight", (config["max_position_embeddings"], hidden)),
            (f"{body}.embeddings.token_type_embeddings.weight", (config.get("type_vocab_size", 2), hidden)),
            *norm_parameters(f"{body}.embeddings.LayerNorm", hidden),
            *_pooler(body, hidden),
        ),
        head=("classifier",),
        causal=False,
        reads="first",
    )


def _padding(config: Mapping[str, Any]) -> int:
    """The padding token, which RoBERTa counts positions from."""
    found = config.get("pad_token_id")
    return found if isinstance(found, int) else 1


def _pooler(body: str, hidden: int) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The parameters between BERT's layers and its head; RoBERTa's classification models have none."""
    dense = f"{body}.pooler.dense"
    return ((f"{dense}.weight", (hidden, hidden)), (f"{dense}.bias", (hidden,))) if body == "bert" else ()


FAMILY = Family("BERT", ("bert",), bert)
