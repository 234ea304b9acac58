"""ELECTRA: BERT without a pooler, its embeddings narrower than the layers in small models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workers.models.anatomy import Anatomy, norm_parameters
from workers.models.families.bert import bert
from workers.models.families.family import Family


def electra(config: Mapping[str, Any]) -> Anatomy:
    """Describe a model of the family by its configuration."""
    hidden, width = config["hidden_size"], config.get("embedding_size") or 128
    names = "electra.embeddings"
    projection = (
        ("electra.embeddings_project.weight", (hidden, width)),
        ("electra.embeddings_project.bias", (hidden,)),
    )
    return replace(
        bert(config, body="electra"),
        embedding_size=width,
        outside=(
            (f"{names}.word_embeddings.weight", (config["vocab_size"], width)),
            (f"{names}.position_embeddings.weight", (config["max_position_embeddings"], width)),
            (f"{names}.token_type_embeddings.weight", (config.get("type_vocab_size", 2), width)),
            *norm_parameters(f"{names}.LayerNorm", width),
            *(projection if width != hidden else ()),
        ),
    )


FAMILY = Family("ELECTRA", ("electra",), electra)
