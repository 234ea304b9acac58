"""DeBERTa v2 and v3: BERT whose attention also reads relative positions, by a function of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from workers.models.anatomy import Anatomy, Linear, linear, norm_parameters
from workers.models.families.bert import bert
from workers.models.families.family import Family


def deberta_v2(config: Mapping[str, Any]) -> Anatomy:
    """Describe a model of the family by its configuration."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    parts = bert(config, body="deberta")
    wide = heads * (config.get("attention_head_size") or hidden // heads)
    relative = bool(config.get("relative_attention", False))
    renamed = (
        linear("attention.self.query_proj", "query", (hidden, wide)),
        linear("attention.self.key_proj", "key", (hidden, wide)),
        linear("attention.self.value_proj", "value", (hidden, wide)),
        *_position_projections(config, (hidden, wide), relative),
        *parts.linears[3:],
    )
    absolute = bool(config.get("position_biased_input", True))
    return replace(
        parts,
        head_size=wide // heads,
        linears=renamed,
        embedding_size=config.get("embedding_size") or hidden,
        outside=tuple(_outside(config, relative, absolute)),
        head=("pooler", "classifier"),
        reads=None if config.get("conv_kernel_size", 0) > 0 else "first",  # a convolution stands behind the first layer
        relative_positions=not absolute,
        plain_attention=False,
        takes_past=False,
        layers_return_tuples=True,
        projects_positions=relative and bool(config.get("pos_att_type")),
        mixed_precision=False,  # masks scores in bfloat16 by the smallest number of the queries' format
    )


def _position_projections(config: Mapping[str, Any], sides: tuple[int, int], relative: bool) -> tuple[Linear, ...]:
    """Where positions have projections of their own: a query's and a key's, as those of the tokens."""
    if not relative or config.get("share_att_key", False):
        return ()
    kinds, found = config.get("pos_att_type") or (), []
    if "c2p" in kinds:
        found.append(linear("attention.self.pos_key_proj", "key", sides))
    if "p2c" in kinds:
        found.append(linear("attention.self.pos_query_proj", "query", sides))
    return tuple(found)


def _outside(config: Mapping[str, Any], relative: bool, absolute: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, positions = config["hidden_size"], config["max_position_embeddings"]
    width, types = config.get("embedding_size") or hidden, config.get("type_vocab_size", 0)
    yield "deberta.embeddings.word_embeddings.weight", (config["vocab_size"], width)
    if absolute:
        yield "deberta.embeddings.position_embeddings.weight", (positions, width)
    if types:
        yield "deberta.embeddings.token_type_embeddings.weight", (types, width)
    if width != hidden:
        yield "deberta.embeddings.embed_proj.weight", (hidden, width)
    yield from norm_parameters("deberta.embeddings.LayerNorm", hidden)
    if relative:
        farthest = config.get("max_relative_positions", -1)
        buckets = config.get("position_buckets", -1)
        rows = buckets if buckets > 0 else (farthest if farthest > 0 else positions)
        yield "deberta.encoder.rel_embeddings.weight", (2 * rows, hidden)
    if "layer_norm" in str(config.get("norm_rel_ebd", "none")).lower():
        yield from norm_parameters("deberta.encoder.LayerNorm", hidden)
    kernel = config.get("conv_kernel_size", 0)
    if kernel > 0:
        yield "deberta.encoder.conv.conv.weight", (hidden, hidden // config.get("conv_groups", 1), kernel)
        yield "deberta.encoder.conv.conv.bias", (hidden,)
        yield from norm_parameters("deberta.encoder.conv.LayerNorm", hidden)


FAMILY = Family("DeBERTa-v2, DeBERTa-v3", ("deberta-v2",), deberta_v2)
