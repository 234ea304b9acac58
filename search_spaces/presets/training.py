"""How a trial is trained: the hyperparameters that every method shares, and a space that searches only these."""

from __future__ import annotations

from search_spaces.limits import SCHEDULES
from search_spaces.parameters import Categorical, Float, Ordinal, Parameter
from search_spaces.presets.shape import ModelShape
from search_spaces.priors import Bell
from search_spaces.space import Space


def learning_rate(low: float, high: float, mode: float) -> Float:
    """The learning rate, searched on a log scale with a mild prior around `mode`.

    Every method has its own range: compared at one shared rate, methods rank by how well that rate suits them
    ("Learning Rate Matters", arXiv 2602.04998).
    """
    return Float("learning_rate", low, high, scale="log", prior=Bell(mode, spread=0.3))


def training_parameters() -> tuple[Parameter, ...]:
    """Batch size, weight decay, warm-up and schedule; the learning rate belongs to the method."""
    return (
        Ordinal("batch_size", (8, 16, 32, 64), prior=Bell(16, spread=0.3)),
        Float("weight_decay", 0.0, 0.1),
        Float("warmup_ratio", 0.0, 0.2),
        Categorical("schedule", SCHEDULES),
    )


def training(shape: ModelShape) -> Space:
    """Only the training hyperparameters, for the literature's default LoRA (rank 8, scale 2, on query and value)."""
    return Space(
        parameters=(
            Categorical("method", ("lora",)),
            Categorical("rank", (8,)),
            Categorical("alpha", (16,)),
            Categorical("targets", (shape.targets[0],)),
            learning_rate(2e-5, 1e-2, mode=5e-4),
            *training_parameters(),
            Float("label_smoothing", 0.0, 0.2),
            Ordinal("max_grad_norm", (0.1, 0.3, 1.0, 3.0), prior=Bell(1.0, spread=0.3)),
        )
    )
