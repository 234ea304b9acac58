"""What memory a trial will take, from its configuration alone, before anything is loaded. Imports no torch.

The account of `workers.costs` in advance: where that measures what a pass keeps, this counts it by the sizes of the
model's parts. It stays within a factor of two of the measured account (a test holds it to that on every family).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from workers.assignment import Execution
from workers.hyperparameters import split_config
from workers.methods.registry import method
from workers.models.anatomy import Anatomy
from workers.models.description import ModelDescription

_FLOAT, _HALF = 4, 2
_TRAINED = 4 * _FLOAT  # parameter, gradient and AdamW's two moments
_WEIGHT_BYTES = {"int8": 1.0, "nf4": 0.5 + _FLOAT / 64}  # nf4 has a float32 scale for 64 weights
_HIDDEN_KEPT = 8
"""Hidden states that a layer keeps of each token for the way back: its input, two norms' outputs, query, key, value,
what attention gives, the sum behind it."""
_CHUNK, _CHUNK_ON_GPU = 1 << 23, 1 << 28
"""Logits at once; see `workers.models.token_scores`."""


@dataclass(frozen=True)
class Batch:
    """The largest batch of a training: `rows` that the model reads at once, of `length` tokens each.

    `scored`: every token may have a target among the vocabulary.
    """

    rows: int
    length: int
    scored: bool = False

    @property
    def tokens(self) -> int:
        """Tokens with padding."""
        return self.rows * self.length


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes of one trial in one process.

    Attributes:
        base: the frozen model's weights, or this process's part of them.
        state: trained parameters, their gradients and AdamW's moments.
        activations: what the largest batch keeps for the way back.
        logits: a chunk of scores over the vocabulary with its gradient, which come and go.
    """

    base: float
    state: float
    activations: float
    logits: float

    @property
    def training(self) -> float:
        """What training adds to the base and keeps: the cost `peak_memory_mb`, in bytes."""
        return self.state + self.activations

    @property
    def whole(self) -> float:
        """Everything at the worst moment."""
        return self.base + self.training + self.logits


def memory_plan(
    model: ModelDescription, config: Mapping[str, Any], how: Execution, batch: Batch, gpu: bool
) -> MemoryPlan:
    """Plan one configuration on a model. Raises `InvalidInput` for a method or a knob that there is not."""
    name, knobs, _ = split_config(config)
    chosen, anatomy = method(name), model.anatomy
    values = chosen.complete(model, knobs)
    base = base_bytes(anatomy, how, gpu)
    if chosen.family == "none":
        return MemoryPlan(base, 0.0, 0.0, 0.0)
    head = anatomy.hidden_size * (anatomy.hidden_size if model.fresh_head else 0)
    trained = chosen.trainable_parameters(model, values) + head
    number = _HALF if how.precision == "bf16" or (gpu and how.precision == "auto") else _FLOAT
    layers = (
        0
        if chosen.family == "head"
        else int(values.get("top_layers", anatomy.layers)) * anatomy.depth // anatomy.layers
    )
    kept = _kept(anatomy, batch, layers, how.gradient_checkpointing) * number
    scores = 2 * batch.tokens * anatomy.hidden_size * _FLOAT if batch.scored else 0
    chunk = min(batch.tokens * anatomy.vocabulary, _CHUNK_ON_GPU if gpu else _CHUNK)
    return MemoryPlan(base, _TRAINED * trained, kept + scores, 2.0 * chunk * _FLOAT if batch.scored else 0.0)


def base_bytes(anatomy: Anatomy, how: Execution, gpu: bool) -> float:
    """Bytes of the frozen model in one of its processes: embeddings, norms and layers, the latter in few bits if so."""
    plain = _HALF if how.precision == "bf16" or (gpu and how.precision == "auto") else _FLOAT
    layers = anatomy.layers * sum(one.in_features * one.out_features for one in anatomy.linears)
    outside = sum(prod(shape) for _, shape in anatomy.outside)
    return (layers * _WEIGHT_BYTES.get(how.quantise or "", plain) + outside * plain) / how.shards


def _kept(anatomy: Anatomy, batch: Batch, layers: int, recomputed: bool) -> float:
    """Numbers that passes through the upper `layers` keep for the way back."""
    ups = sum(one.out_features for one in anatomy.linears if "up" in one.groups) or anatomy.intermediate_size
    one_token = _HIDDEN_KEPT * anatomy.hidden_size + 2 * ups
    if not anatomy.plain_attention:
        one_token += 3 * anatomy.heads * batch.length
    if recomputed:
        return batch.tokens * (layers * anatomy.hidden_size + min(layers, 1) * one_token)
    return float(batch.tokens * layers * one_token)
