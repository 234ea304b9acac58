"""ALBERT: BERT whose layers share their weights, one set for each group of them; narrow embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workers.errors import InvalidInput
from workers.models.anatomy import Anatomy, Norm, linear, norm_parameters
from workers.models.families.bert import bert
from workers.models.families.family import Family

_ONE = "albert_layers.0"  # the only layer of a group


def albert(config: Mapping[str, Any]) -> Anatomy:
    """Describe a model of the family by its configuration: `layers` counts sets of weights, `depth` their uses."""
    if config.get("inner_group_num", 1) != 1:
        raise InvalidInput("model", f"inner_group_num {config['inner_group_num']}", "1, as all published ALBERTs have")
    parts, hidden, inner = bert(config, body="albert"), config["hidden_size"], config["intermediate_size"]
    width, square = config.get("embedding_size") or 128, (hidden, hidden)
    names, mapping = "albert.embeddings", "albert.encoder.embedding_hidden_mapping_in"
    norms = (
        Norm(f"{_ONE}.full_layer_layer_norm", hidden, True),
        Norm(f"{_ONE}.attention.LayerNorm", hidden, True),
    )
    return replace(
        parts,
        layers=config.get("num_hidden_groups", 1),
        depth=config["num_hidden_layers"],
        layers_path="albert.encoder.albert_layer_groups",
        attention=f"{_ONE}.attention",
        attention_output="",
        feed_forward="",  # two bare layers: the residual sum is in the same module
        linears=(
            linear(f"{_ONE}.attention.query", "query", square),
            linear(f"{_ONE}.attention.key", "key", square),
            linear(f"{_ONE}.attention.value", "value", square),
            linear(f"{_ONE}.attention.dense", "output", square),
            linear(f"{_ONE}.ffn", "up", (hidden, inner)),
            linear(f"{_ONE}.ffn_output", "down", (inner, hidden)),
        ),
        norms=norms,
        first_layer_norms=norms,
        embedding_size=width,
        outside=(
            (f"{names}.word_embeddings.weight", (config["vocab_size"], width)),
            (f"{names}.position_embeddings.weight", (config["max_position_embeddings"], width)),
            (f"{names}.token_type_embeddings.weight", (config.get("type_vocab_size", 2), width)),
            *norm_parameters(f"{names}.LayerNorm", width),
            (f"{mapping}.weight", (hidden, width)),
            (f"{mapping}.bias", (hidden,)),
            ("albert.pooler.weight", square),
            ("albert.pooler.bias", (hidden,)),
        ),
        reads=None,  # what trains stands at every depth, so nothing lies below it
        takes_past=False,
    )


FAMILY = Family(
    "ALBERT",
    ("albert",),
    albert,
    "layers share weights: `top_layers` counts sets of weights (most models have one), and an adapter on a set is at "
    "work at every depth that uses it",
)
