"""Put a trial's training strategy to work on its attached model. Needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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


def strategy_of(chosen: Hyperparameters, attached: Attached, model: ModelDescription, seed: int) -> StrategyOf | None:
    """The same for parameters of these names that lie elsewhere."""
    if chosen.strategy == NO_STRATEGY:
        return None
    layers = layers_of(attached.model, model.anatomy.layers_path, attached.parameters())
    return StrategyOf(chosen, layers, attached.rate_factors(), seed)


@dataclass(frozen=True)
class StrategyOf:
    """What is needed to make a strategy besides the parameters: plain data, which can travel to another process."""

    chosen: Hyperparameters
    layers: Mapping[str, int | None]
    rate_factors: Mapping[str, float]
    seed: int

    def __call__(self, parameters: Mapping[str, nn.Parameter]) -> TensorAdamW:
        """The strategy for parameters of these names."""
        subject = Subject(parameters, self.layers, self.chosen.weight_decay, self.rate_factors, self.seed)
        return strategy(self.chosen.strategy).run(subject, self.chosen.strategy_knobs)
