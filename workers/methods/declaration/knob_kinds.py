"""Knobs that several methods share: ranks, scales, divisors of the model's sizes. Imports no torch."""

from __future__ import annotations

from math import gcd

from search_spaces.parameters import Categorical, Float, Int, Ordinal, Parameter
from search_spaces.priors import Bell
from workers.errors import InvalidInput
from workers.methods.declaration.method import KnobValues
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription


def placement(model: ModelDescription, targets: tuple[str, ...] | None = None) -> tuple[Parameter, ...]:
    """Where a method sits: on which linear layers (`targets`), in how many of the top encoder layers."""
    return (
        Categorical("targets", model.shape.targets if targets is None else targets),
        Int("top_layers", 1, model.shape.layers),
    )


def placed(model: ModelDescription, knobs: KnobValues) -> list[tuple[int, Linear]]:
    """The linear layers that the knobs of `placement` name, with the index of their encoder layer."""
    return list(model.linears(knobs["targets"], model.layer_range(knobs["top_layers"])))


def top_layers(model: ModelDescription) -> tuple[Parameter, ...]:
    """In how many of the top encoder layers a method sits, where it has no other choice of place."""
    return (Int("top_layers", 1, model.shape.layers),)


def rank(model: ModelDescription, high: int = 64, mode: int = 8) -> Int:
    """A rank, at most a quarter of the hidden size: beyond that an update of low rank saves nothing."""
    limit = max(1, min(high, model.shape.hidden_size // 4))
    return Int("rank", 1, limit, scale="log", prior=Bell(min(mode, limit), spread=0.4))


def even_rank(model: ModelDescription, high: int = 64, mode: int = 8) -> Ordinal:
    """An even rank, for methods that pair directions: powers of two from 2 to at most a quarter of the hidden size."""
    limit = max(2, min(high, model.shape.hidden_size // 4))
    values = tuple(2**power for power in range(1, limit.bit_length()) if 2**power <= limit)
    return Ordinal("rank", values, prior=Bell(min(mode, values[-1]), spread=0.4))


def alpha(mode: int = 16) -> Int:
    """Scale of an update relative to its rank."""
    return Int("alpha", 1, 128, scale="log", prior=Bell(mode, spread=0.3))


def dropout() -> Float:
    """Dropout on the adapter's input."""
    return Float("dropout", 0.0, 0.3)


def divisors(name: str, model: ModelDescription, low: int, high: int) -> Ordinal:
    """A number from `low` to `high` that divides the sides of every linear layer of the model: anything else is refused
    by the space."""
    common = gcd(*(side for linear in model.anatomy.linears for side in (linear.in_features, linear.out_features)))
    values = tuple(value for value in range(low, high + 1) if common % value == 0)
    if not values:
        raise InvalidInput("method", f"sizes with greatest common divisor {common}", f"a divisor from {low} to {high}")
    return Ordinal(name, values)
