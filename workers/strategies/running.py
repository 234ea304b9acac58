"""Put a trial's training strategy to work on its attached model. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from workers.hyperparameters import NO_STRATEGY, Hyperparameters
from workers.methods.attached import Attached
from workers.models.description import ModelDescription
from workers.strategies.layers import layers_of
from workers.strategies.registry import strategy
from workers.strategies.strategy import Subject
from workers.strategies.tensor_adamw import TensorAdamW


def run_strategy(chosen: Hyperparameters, attached: Attached, model: ModelDescription, seed: int) -> TensorAdamW | None:
    """What updates the parameters of `attached` in place of AdamW, if the hyperparameters name a strategy.

    `chosen` has every knob of its strategy; `seed` decides what the strategy draws.
    """
    make = strategy_of(chosen, attached, model, seed)
    return None if make is None else make(attached.parameters())


def strategy_of(
    chosen: Hyperparameters, attached: Attached, model: ModelDescription, seed: int
) -> Callable[[Mapping[str, nn.Parameter]], TensorAdamW] | None:
    """The same for parameters of these names that lie elsewhere."""
    if chosen.strategy == NO_STRATEGY:
        return None
    layers = layers_of(attached.model, model.anatomy.layers_path, attached.parameters())
    factors = attached.rate_factors()

    def make(parameters: Mapping[str, nn.Parameter]) -> TensorAdamW:
        subject = Subject(parameters, layers, chosen.weight_decay, factors, seed)
        return strategy(chosen.strategy).run(subject, chosen.strategy_knobs)

    return make
