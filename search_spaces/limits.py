"""How far a user's overrides may go beyond a ready-made space: the training hyperparameters with which a trial can be
trained at all. The knobs of a method have no entry here: their own declaration says what the method can do."""

from __future__ import annotations

from search_spaces.parameters import Categorical, Float, Int, Parameter

SCHEDULES = ("linear", "cosine", "constant")
"""What ready-made spaces search. `power` needs an amplitude that suits the task, so it is asked for by name."""

_WIDEST: tuple[Parameter, ...] = (
    Float("learning_rate", 1e-8, 10.0, scale="log"),
    Int("batch_size", 1, 65_536),
    Int("batch_tokens", 0, 1 << 24),
    Categorical("packing", ("none", "bfd")),
    Int("position_scale", 1, 64),
    Int("gradient_accumulation", 1, 4_096),
    Float("weight_decay", 0.0, 10.0),
    Float("warmup_ratio", 0.0, 0.99),
    Categorical("schedule", (*SCHEDULES, "power")),
    Float("power_amplitude", 1e-6, 1e3, scale="log"),
    Float("power_warmup", 0.0, 1e12),
    Float("label_smoothing", 0.0, 0.9),
    Float("dpo_beta", 1e-6, 1e3, scale="log"),
    Float("temperature", 1e-4, 1e3, scale="log"),
    Int("eda_copies", 0, 16),
    Float("eda_share", 0.01, 0.5),
    Int("demos", 0, 16),
    Int("neighbours", 0, 64),
    Float("neighbour_share", 0.0, 0.95),
    Float("drop_share", 0.0, 0.95),
    Categorical("drop_by", ("perplexity", "color", "random")),
    Float("mixup", 0.0, 4.0),
    Float("contrast", 0.0, 10.0),
    Float("hint_share", 0.0, 0.9),
    Float("hint_bound", 1e-4, 0.5, scale="log"),
    Int("hint_patches", 1, 64),
    Float("hint_threshold", 0.0, 10.0),
    Int("self_training", 0, 5),
    Float("pool_share", 0.01, 1.0),
    Float("max_grad_norm", 0.0, 1e6),
    Categorical("products", ("full", "fp8", "int8", "int6", "int4")),
    Categorical("rotation", ("none", "hadamard")),
    Float("spike_score", 0.0, 1e3),
    Int("spike_window", 10, 10_000),
    Int("spike_retries", 1, 10),
    Categorical("precision", ("fp32", "bf16")),
    Categorical("gradient_checkpointing", (False, True)),
    Int("threads", 1, 256),
)
TRAINING_LIMITS: dict[str, Parameter] = {parameter.name: parameter for parameter in _WIDEST}
