"""How many parameters LoRA trains: rank · Σ (inputs + outputs) over the adapted matrices.

The matrices are those of a decoder with grouped-query attention and a gated MLP (Llama, Qwen, Mistral …).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from predictors.answer import Answer, OutOfDomain, Quantity, positive

SOURCE = "LoRA, arXiv:2106.09685: two matrices of `rank` rows for each adapted one"


@dataclass(frozen=True)
class DecoderShape:
    """Sizes of a decoder: units, layers, heads and tokens of the vocabulary."""

    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    key_value_heads: int
    vocabulary: int
    head_size: int | None = None  # hidden_size / heads where the model does not say otherwise


# From the config.json of each model.
SHAPES: Mapping[str, DecoderShape] = {
    "llama-3.1-8b": DecoderShape(4096, 14336, 32, 32, 8, 128256),
    "llama-3.2-1b": DecoderShape(2048, 8192, 16, 32, 8, 128256),
    "qwen3-8b": DecoderShape(4096, 12288, 36, 32, 8, 151936, head_size=128),
}


def parameters_per_rank(shape: DecoderShape) -> dict[str, int]:
    """Trained parameters at rank 1 of each group of matrices: all MLPs, all attentions, the unembedding."""
    hidden, head = shape.hidden_size, shape.head_size or shape.hidden_size // shape.heads
    queries, keys = shape.heads * head, shape.key_value_heads * head
    return {
        "mlp": 3 * shape.layers * (hidden + shape.intermediate_size),
        "attention": shape.layers * (2 * (hidden + queries) + 2 * (hidden + keys)),
        "unembed": hidden + shape.vocabulary,
    }


def lora_parameters(model: str | DecoderShape, rank: int) -> Answer:
    """Parameters that LoRA of this rank trains on a known model or on any decoder of a given shape.

    Raises:
        OutOfDomain: an unknown model, or a size that is not positive.
    """
    shape = SHAPES.get(model.lower()) if isinstance(model, str) else model
    if shape is None:
        raise OutOfDomain("model", model, f"one of {', '.join(SHAPES)}")
    positive(rank=rank)
    sizes = {name: value for name, value in vars(shape).items() if value is not None}
    positive(**sizes)
    counts = parameters_per_rank(shape)
    return Answer(
        quantities={name: Quantity(rank * count, "parameters") for name, count in counts.items()},
        source=SOURCE,
        standing="published",
        valid_for="decoders with grouped-query attention and gated MLPs; a count, not an estimate",
    )
