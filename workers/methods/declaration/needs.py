"""What a method needs of a model, so that a space refuses it by name where it would not work. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from workers.models.anatomy import TARGETS, Anatomy


@dataclass(frozen=True)
class Need:
    """One property of models: `says` names those that have it, `holds` tells them."""

    says: str
    holds: Callable[[Anatomy], bool]


def biased_targets(anatomy: Anatomy, every: bool = False) -> tuple[str, ...]:
    """The target groups of which some linear layers have biases, or with `every` all of them."""
    holds, found = all if every else any, []
    for name, groups in TARGETS.items():
        biases = [linear.bias for linear in anatomy.linears if linear.groups & groups]
        if biases and holds(biases):
            found.append(name)
    return tuple(found)


def _value_projection_has_bias(anatomy: Anatomy) -> bool:
    values = [linear for linear in anatomy.linears if "value" in linear.groups]
    return bool(values) and all(linear.bias and linear.groups == {"value"} for linear in values)


ENCODER = Need("encoders, not decoders", lambda anatomy: not anatomy.causal)
DECODER = Need("decoders, which read from left to right", lambda anatomy: anatomy.causal)
IMAGES = Need("models that read images", lambda anatomy: anatomy.modality == "image")
PLAIN_LINEARS = Need(
    "models that store weights [out, in], unlike GPT-2",
    lambda anatomy: not any(linear.transposed for linear in anatomy.linears),
)
BIASED_TARGETS = Need(
    "models with biases on all query and value, or all feed-forward layers",
    lambda anatomy: bool(biased_targets(anatomy, every=True)),
)
SOME_BIASES = Need("models with biases", lambda anatomy: bool(biased_targets(anatomy)))
VALUE_BIAS = Need("models with a value projection of its own that has a bias", _value_projection_has_bias)
PAST_KEYS = Need("models whose layers take keys and values from outside", lambda anatomy: anatomy.takes_past)
SHARED_ATTENTION = Need(
    "models whose attention is scaled dot products (without relative positions or capped logits)",
    lambda anatomy: anatomy.plain_attention,
)
SUBLAYERS = Need(
    "models whose sublayers are modules that end before the residual sum",
    lambda anatomy: anatomy.feed_forward != "",
)
TOKENS_ALONE = Need(
    "models whose projections read tokens alone, no tables of relative positions",
    lambda anatomy: not anatomy.projects_positions,
)
OWN_LAYERS = Need("models whose layers do not share their weights", lambda anatomy: anatomy.depth == anatomy.layers)
_PRUNED = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
HEADS_GO = Need(
    f"models whose attention takes as many heads as its projections give ({', '.join(_PRUNED)})",
    lambda anatomy: anatomy.model_type in _PRUNED,
)
TOKEN_TYPES = Need(
    "encoders with a table of token types, as BERT's, that tells the texts of a pair apart",
    lambda anatomy: anatomy.token_types[1][0] > 1,
)
_ROLES = frozenset({"query", "key", "value", "output", "up", "down"})
OWN_PROJECTIONS = Need(
    "models whose queries, keys and values have projections of their own",
    lambda anatomy: all(len(linear.groups & _ROLES) == 1 for linear in anatomy.linears),
)
KNOWN_PARTS = Need(
    "models of a family (docs/models.md), of whose layers it is known what each is for",
    lambda anatomy: anatomy.known_parts,
)
