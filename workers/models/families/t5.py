"""The encoder of T5, mT5 and UMT5: buckets of relative positions, norms before the sublayers, no biases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workers.models.anatomy import Anatomy, Linear, Norm, linear, norm_parameters
from workers.models.families.family import Family

_ATTENTION, _FORWARD = "layer.0.SelfAttention", "layer.1.DenseReluDense"


def t5_encoder(config: Mapping[str, Any]) -> Anatomy:
    """Describe the encoder of a model of the family by the model's configuration."""
    hidden, inner, heads, size = config["d_model"], config["d_ff"], config["num_heads"], config["d_kv"]
    layers, buckets = config["num_layers"], config.get("relative_attention_num_buckets", 32)
    norms = (Norm("layer.0.layer_norm", hidden, False), Norm("layer.1.layer_norm", hidden, False))
    biased = range(layers if config["model_type"] == "umt5" else 1)  # layers with a table of relative positions
    blocks = "transformer.encoder.block"
    return Anatomy(
        model_type=config["model_type"],
        hidden_size=hidden,
        layers=layers,
        intermediate_size=inner,
        heads=heads,
        key_value_heads=heads,
        head_size=size,
        vocabulary=config["vocab_size"],
        positions=config.get("n_positions", 512),
        body="transformer",
        layers_path=blocks,
        attention=_ATTENTION,
        feed_forward=_FORWARD,
        linears=tuple(_linears(hidden, inner, heads * size, gated="gated" in config.get("feed_forward_proj", "relu"))),
        norms=norms,
        first_layer_norms=norms,
        word_embeddings="transformer.shared",
        outside=(
            ("transformer.shared.weight", (config["vocab_size"], hidden)),
            *((f"{blocks}.{layer}.{_ATTENTION}.relative_attention_bias.weight", (buckets, heads)) for layer in biased),
            *norm_parameters("transformer.encoder.final_layer_norm", hidden, bias=False),
        ),
        head=("classifier",),
        causal=False,
        reads=None,  # the first layer's table of positions serves those above, which states do not hold
        relative_positions=True,
        plain_attention=False,
        takes_past=False,
    )


def _linears(hidden: int, inner: int, wide: int, gated: bool) -> Iterator[Linear]:
    yield linear(f"{_ATTENTION}.q", "query", (hidden, wide), bias=False)
    yield linear(f"{_ATTENTION}.k", "key", (hidden, wide), bias=False)
    yield linear(f"{_ATTENTION}.v", "value", (hidden, wide), bias=False)
    yield linear(f"{_ATTENTION}.o", "output", (wide, hidden), bias=False)
    for name in ("wi_0", "wi_1") if gated else ("wi",):
        yield linear(f"{_FORWARD}.{name}", "up", (hidden, inner), bias=False)
    yield linear(f"{_FORWARD}.wo", "down", (inner, hidden), bias=False)


FAMILY = Family(
    "T5, FLAN-T5, mT5, UMT5 (encoder)",
    ("t5", "mt5", "umt5"),
    t5_encoder,
    "tasks that label tokens alone, which read the encoder; heads of transformers for whole texts and answers stand on "
    "the decoder, and are refused",
    heads=frozenset({"TokenClassification"}),
)
