"""Put a trial's training strategy to work on its attached model. Needs torch."""

from __future__ import annotations

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
    if chosen.strategy == NO_STRATEGY:
        return None
    parameters = attached.parameters()
    subject = Subject(
        parameters,
        layers_of(attached.model, model.anatomy.layers_path, parameters),
        chosen.weight_decay,
        attached.rate_factors(),
        seed,
    )
    return strategy(chosen.strategy).run(subject, chosen.strategy_knobs)
