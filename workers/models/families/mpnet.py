"""MPNet: BERT with buckets of relative positions, added by an attention function of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workers.models.anatomy import Anatomy, Norm, linear, norm_parameters
from workers.models.families.bert import bert
from workers.models.families.family import Family

_PADDING = 1  # positions are counted from it, whatever the configuration's padding token is


def mpnet(config: Mapping[str, Any]) -> Anatomy:
    """Describe a model of the family by its configuration."""
    parts, hidden = bert(config, body="mpnet"), config["hidden_size"]
    square, positions = (hidden, hidden), config["max_position_embeddings"]
    norms = (Norm("attention.LayerNorm", hidden, True), Norm("output.LayerNorm", hidden, True))
    return replace(
        parts,
        positions=positions - _PADDING - 1,
        attention="attention.attn",
        attention_output="",
        linears=(
            linear("attention.attn.q", "query", square),
            linear("attention.attn.k", "key", square),
            linear("attention.attn.v", "value", square),
            linear("attention.attn.o", "output", square),
            *parts.linears[4:],
        ),
        norms=norms,
        first_layer_norms=norms,
        outside=(
            ("mpnet.embeddings.word_embeddings.weight", (config["vocab_size"], hidden)),
            ("mpnet.embeddings.position_embeddings.weight", (positions, hidden)),
            *norm_parameters("mpnet.embeddings.LayerNorm", hidden),
            (
                "mpnet.encoder.relative_attention_bias.weight",
                (config.get("relative_attention_num_buckets", 32), parts.heads),
            ),
        ),
        plain_attention=False,
        takes_past=False,
        layers_return_tuples=True,
    )


FAMILY = Family("MPNet", ("mpnet",), mpnet)
